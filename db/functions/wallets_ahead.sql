-- Wallets whose last event lies ahead of the clock: the clock was ahead for a while. Reads every
-- wallet's row: an index would cost each command.
create or replace function baseledger.wallets_ahead()
returns baseledger.wallets_ahead
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  -- A large batch runs ahead by itself, as each event takes a microsecond.
  c_tolerance constant interval := '1 second';
  v_ahead baseledger.wallets_ahead;
begin
  v_ahead.as_of := clock_timestamp();
  select count(*) into v_ahead.wallets
    from baseledger.wallets w
    where w.last_event_at > v_ahead.as_of + c_tolerance;
  if v_ahead.wallets > 0 then
    select w.wallet_id, w.last_event_at into v_ahead.wallet_id, v_ahead.last_event_at
      from baseledger.wallets w
      where w.last_event_at > v_ahead.as_of + c_tolerance
      order by w.last_event_at desc, w.wallet_id
      limit 1;
  end if;
  return v_ahead;
end
$$;

comment on function baseledger.wallets_ahead is
  'How many wallets have a last event that lies ahead of the server''s clock by more than a second, '
  'and which of them is the furthest. Reads the row of every wallet. @notNull';
revoke all on function baseledger.wallets_ahead from public;
grant execute on function baseledger.wallets_ahead
  to baseledger_worker, baseledger_operator, baseledger_auditor;
