-- Checks the limits of wallets p_first to p_last (null: to the end), what is counted of them, and
-- the balances that are watched: definitions against the events that set them, counters against
-- what the journal says that each combination has spent and holds. A pass over the events finds the
-- wallets that have any of this; the others cost nothing more.
create or replace function baseledger._verify_limits(p_first text, p_last text)
returns setof baseledger.discrepancy
language plpgsql
stable
as $$
declare
  v_wallets text[];
begin
  v_wallets := array(
    select e.wallet_id from baseledger.events e
      where e.wallet_id >= p_first and e.wallet_id <= coalesce(p_last, e.wallet_id)
        and e.event in ('limit_set', 'limit_set_for', 'limit_removed', 'low_balance_set')
    union
    select l.wallet_id from baseledger.limits l
      where l.wallet_id >= p_first and l.wallet_id <= coalesce(p_last, l.wallet_id)
    union
    select c.wallet_id from baseledger.counters c
      where c.wallet_id >= p_first and c.wallet_id <= coalesce(p_last, c.wallet_id)
    union
    select w.wallet_id from baseledger.wallets w
      where w.wallet_id >= p_first and w.wallet_id <= coalesce(p_last, w.wallet_id)
        and (w.limited or w.low_balances is not null or w.below <> '{}')
  );
  if v_wallets <> '{}' then
    return query select * from baseledger._verify_definitions(v_wallets);
    return query select * from baseledger._verify_counters(v_wallets);
  end if;
end
$$;

revoke all on function baseledger._verify_limits from public;
