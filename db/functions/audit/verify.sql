-- Proves the ledger, or finds where it is wrong. Reads only, in one snapshot: a stable function
-- uses that of its query. The whole ledger is read in portions of wallets, so that memory does not
-- grow with it.
create or replace function baseledger.verify(p_wallet_id text default null)
returns setof baseledger.discrepancy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set jit = off
as $$
declare
  c_events constant bigint := 100000;     -- in a portion, if wallets are small
  v_first text collate "C" := '';
  v_last text collate "C";
begin
  if p_wallet_id is not null then
    perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
    if not found then
      perform baseledger._raise_wallet_not_found(p_wallet_id);
    end if;
    return query select * from baseledger._verify_events(p_wallet_id, p_wallet_id);
    return query select * from baseledger._verify_prices(p_wallet_id, p_wallet_id);
    return query select * from baseledger._verify_wallets(p_wallet_id, p_wallet_id);
    return query select * from baseledger._verify_terms(p_wallet_id, p_wallet_id);
    return query select * from baseledger._verify_limits(p_wallet_id, p_wallet_id);
    return;
  end if;

  return query select * from baseledger.verify_rights();
  loop
    -- The last wallet of the next portion; none if the rest fits in.
    select min(p.wallet_id) into v_last
      from (
        select w.wallet_id, sum(w.seq) over (order by w.wallet_id) as events
          from (
            select l.wallet_id, l.seq from baseledger.wallets l
              where l.wallet_id >= v_first
              order by l.wallet_id
              limit 20000
          ) as w
      ) as p
      where p.events >= c_events;
    if v_last is null then
      select w.wallet_id into v_last from baseledger.wallets w
        where w.wallet_id >= v_first
        order by w.wallet_id
        offset 19999 limit 1;
    end if;
    -- Without a last wallet to the end of the events, to find those without a wallet.
    return query select * from baseledger._verify_events(v_first, v_last);
    return query select * from baseledger._verify_prices(v_first, v_last);
    return query select * from baseledger._verify_wallets(v_first, v_last);
    return query select * from baseledger._verify_terms(v_first, v_last);
    return query select * from baseledger._verify_limits(v_first, v_last);
    exit when v_last is null;
    v_first := v_last || chr(1);          -- the first text after it
  end loop;
end
$$;

comment on function baseledger.verify is
  e'Checks a wallet, or without one the whole ledger, and returns the discrepancies: no row = '
  'sound. Finds gaps, edits, insertions, deletions, reordering and a cut tail by the hash chain; '
  'replays the events and compares each balance, the wallet''s row, its terms, the open '
  'reservations, who may use the wallet, its limits and what is counted of them, the other side of '
  'each transfer, and what usage cost by its price row. For the whole ledger it also checks that '
  'nobody may do more than the role allows. Reads only. Refused with LGARG, LGWNF.'
  '\np_wallet_id: Id of the wallet. Default: all wallets.';
revoke all on function baseledger.verify from public;
grant execute on function baseledger.verify to baseledger_auditor;
