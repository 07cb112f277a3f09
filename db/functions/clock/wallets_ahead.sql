-- Wallets whose last event is ahead of the clock: the clock was ahead for a while. Reads every
-- wallet's row, as an index would cost every command. The view wallet_balances has it for each
-- wallet.
create or replace function baseledger.wallets_ahead()
returns baseledger.wallets_ahead
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_ahead baseledger.wallets_ahead;
  v_limit timestamptz;
begin
  -- Null on a standby that has replayed nothing since it was started.
  v_ahead.as_of := coalesce(baseledger._read_clock(), clock_timestamp());
  v_limit := v_ahead.as_of + baseledger._clock_slack();
  select count(*) into v_ahead.wallets
    from baseledger.wallets w
    where w.last_event_at > v_limit;
  if v_ahead.wallets > 0 then
    select w.wallet_id, w.last_event_at into v_ahead.wallet_id, v_ahead.last_event_at
      from baseledger.wallets w
      where w.last_event_at > v_limit
      order by w.last_event_at desc, w.wallet_id
      limit 1;
  end if;
  return v_ahead;
end
$$;

comment on function baseledger.wallets_ahead is
  'How many wallets have a last event more than a second ahead of the server''s clock, and which '
  'is the furthest ahead: the clock was ahead when the event was written, or is behind now. '
  'Their books are right: deadlines count by the clock, and events go on in order. Reads the row '
  'of every wallet. @notNull';
revoke all on function baseledger.wallets_ahead from public;
grant execute on function baseledger.wallets_ahead
  to baseledger_worker, baseledger_operator, baseledger_auditor;
