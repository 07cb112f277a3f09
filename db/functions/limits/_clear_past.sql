-- Deletes those of a wallet's counters that are of past windows. Locks the counters only, not the
-- wallet; one that a command is writing has its turn later.
--
-- Before, their limits move on to the present window: should the clock have been ahead and the window
-- come back, it is counted again from the journal.
create or replace function baseledger._clear_past(
  p_wallet_id text,
  p_stored tid[],                     -- where the counters were
  p_now timestamptz
)
returns integer
language plpgsql
volatile
as $$
declare
  v_past tid[];
  v_limit baseledger.limits;
  v_window tstzrange;
  v_cleared integer;
begin
  v_past := array(
    select c.ctid from baseledger.counters c
      where c.wallet_id = p_wallet_id
        and c.ctid = any (p_stored)
        and c.ends_at <= p_now
        and c.own_amount is null
        and c.held = 0
      for update skip locked
  );
  for v_limit in
    select * from baseledger.limits l
      where l.wallet_id = p_wallet_id
        and l.ends_at <= p_now
        and l.limit_id in (
          select c.limit_id from baseledger.counters c
            where c.wallet_id = p_wallet_id and c.ctid = any (v_past)
        )
      for no key update skip locked
  loop
    v_window := baseledger._window(v_limit.per, v_limit.time_zone, p_now);
    update baseledger.limits l
      set starts_at = lower(v_window),
        ends_at = upper(v_window),
        counted_until = greatest(l.counted_until, upper(v_window))
      where l.wallet_id = p_wallet_id and l.limit_id = v_limit.limit_id;
  end loop;
  delete from baseledger.counters c
    using baseledger.limits l
    where c.wallet_id = p_wallet_id
      and c.ctid = any (v_past)
      and l.wallet_id = p_wallet_id
      and l.limit_id = c.limit_id
      and l.starts_at >= c.ends_at;
  get diagnostics v_cleared = row_count;
  return v_cleared;
end
$$;

revoke all on function baseledger._clear_past from public;
