-- When the clocks of a zone change, between an instant before the change and one that may be the
-- change itself. By bisection to the second, as PostgreSQL does not tell; called by _window, with
-- its settings.
create or replace function baseledger._find_clock_change(
  p_time_zone text,
  p_before timestamptz,
  p_until timestamptz
)
returns timestamptz
language plpgsql
stable
as $$
declare
  v_offset constant interval :=
    p_before at time zone p_time_zone - p_before at time zone 'UTC';
  v_low bigint := floor(extract(epoch from p_before));    -- is before
  v_high bigint := floor(extract(epoch from p_until));    -- is not
  v_middle bigint;
  v_at timestamptz;
begin
  while v_low + 1 < v_high loop
    v_middle := (v_low + v_high) / 2;
    v_at := to_timestamp(v_middle);
    if v_at at time zone p_time_zone - v_at at time zone 'UTC' = v_offset then
      v_low := v_middle;
    else
      v_high := v_middle;
    end if;
  end loop;
  return to_timestamp(v_high);
end
$$;

revoke all on function baseledger._find_clock_change from public;
