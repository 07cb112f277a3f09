-- When an event was written by the server's clock, by which deadlines count: its date, less what
-- its details say it is ahead. The interval has microseconds only, as a day is not always 24 hours.
-- A SQL function without settings, so that it is inlined.
create or replace function baseledger._event_clock(p_occurred_at timestamptz, p_details jsonb)
returns timestamptz
language sql
stable
parallel safe
as $$
  select case
    when p_details -> 'ahead_us' between '0' and '1000000000000000'
      then p_occurred_at
        - (p_details ->> 'ahead_us')::double precision * interval '1 microsecond'
    else p_occurred_at
  end
$$;

revoke all on function baseledger._event_clock from public;
