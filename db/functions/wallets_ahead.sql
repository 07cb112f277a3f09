-- Reads all wallets: there is no index for what should never be.
create or replace function baseledger.wallets_ahead()
returns setof baseledger.wallet_ahead
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_clock constant timestamptz := baseledger._clock();
begin
  return query
    select w.wallet_id, w.last_event_at, w.last_event_at - v_clock
      from baseledger.wallets w
      where w.last_event_at > v_clock + baseledger._clock_slack()
      order by w.last_event_at desc, w.wallet_id;
end
$$;

comment on function baseledger.wallets_ahead is
  'The wallets whose last event lies ahead of the server''s clock by more than a second, the furthest '
  'first: the clock was ahead when it was written, or is behind now. None of them is wrong: deadlines '
  'count by the clock, and events go on in order.';
revoke all on function baseledger.wallets_ahead from public;
grant execute on function baseledger.wallets_ahead
  to baseledger_operator, baseledger_auditor, baseledger_worker;
