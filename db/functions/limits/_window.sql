-- The window [start, end) of a limit that an instant lies in, by the limit's zone. Days, weeks
-- (from Monday), months and years begin at the first instant of their first date, whatever the
-- clocks of the zone do around midnight; hours follow the zone's offset at the instant. An instant
-- after which clocks go back over midnight stays in the new day. For `ever` the bounds are
-- infinity, not null. A zone that the server does not know counts as UTC; doctor() reports it.
--
-- The session must not decide what a name of a zone means, or how long a day is.
create or replace function baseledger._window(p_per text, p_time_zone text, p_at timestamptz)
returns tstzrange
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set "TimeZone" = 'UTC'
set timezone_abbreviations = 'Default'
as $$
declare
  v_local timestamp;
  v_next timestamp;
  v_starts_at timestamptz;
  v_ends_at timestamptz;
begin
  if p_per = 'ever' then
    return tstzrange('-infinity', 'infinity');
  elsif p_per = 'minute' then
    return tstzrange(date_trunc('minute', p_at), date_trunc('minute', p_at) + interval '1 minute');
  end if;
  begin
    v_local := p_at at time zone p_time_zone;
  exception
    when invalid_parameter_value then
      return baseledger._window(p_per, 'UTC', p_at);
  end;

  if p_per = 'hour' then
    v_starts_at := p_at - (v_local - date_trunc('hour', v_local));
    v_ends_at := v_starts_at + interval '1 hour';
    -- Where clocks change by half an hour, hours before and after do not meet: cut at the change.
    v_local := v_starts_at at time zone p_time_zone;
    if v_local <> date_trunc('hour', v_local) then
      v_starts_at := baseledger._find_clock_change(p_time_zone, v_starts_at, p_at);
    end if;
    v_local := (v_ends_at - interval '1 microsecond') at time zone p_time_zone
      + interval '1 microsecond';
    if v_local <> date_trunc('hour', v_local) then
      v_ends_at := baseledger._find_clock_change(p_time_zone, p_at, v_ends_at);
    end if;
    return tstzrange(v_starts_at, v_ends_at);
  end if;

  v_next := date_trunc(p_per, v_local);
  loop
    v_local := v_next;
    v_next := v_local + ('1 ' || p_per)::interval;
    v_ends_at := baseledger._first_instant(p_time_zone, v_next);
    exit when p_at < v_ends_at;
  end loop;
  return tstzrange(baseledger._first_instant(p_time_zone, v_local), v_ends_at);
end
$$;

revoke all on function baseledger._window from public;
