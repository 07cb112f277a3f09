-- The first instant at which clocks of a zone show a local time, or, where they leave it out, a
-- later one. Called by _window, with its settings.
create or replace function baseledger._first_instant(p_time_zone text, p_local timestamp)
returns timestamptz
language plpgsql
stable
as $$
declare
  v_at constant timestamptz := p_local at time zone p_time_zone;
  v_before constant timestamptz := v_at - interval '24 hours';
  v_earlier timestamptz;
begin
  if v_at at time zone p_time_zone = p_local then
    -- Of two instants, `at time zone` takes the later: try the offset of before.
    v_earlier := v_before + (p_local - v_before at time zone p_time_zone);
    return case
      when v_earlier < v_at and v_earlier at time zone p_time_zone = p_local then v_earlier
      else v_at
    end;
  end if;
  -- Clocks leave it out.
  return baseledger._find_clock_change(p_time_zone, v_before, v_at);
end
$$;

revoke all on function baseledger._first_instant from public;
