-- The instant by which a wallet's deadlines count when it is read: by the clock, but not before the
-- last event, unless that is ahead of the clock. A SQL function without settings, so that it is
-- inlined; the view wallet_balances does the same.
create or replace function baseledger._deadline_clock(
  p_clock timestamptz,
  p_last_event_at timestamptz
)
returns timestamptz
language sql
stable
parallel safe
as $$
  select case
    when p_last_event_at > p_clock + baseledger._clock_slack() then p_clock
    else greatest(p_clock, p_last_event_at)
  end
$$;

revoke all on function baseledger._deadline_clock from public;
