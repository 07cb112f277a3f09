-- What a count of usage costs: 0 without it, null if it is no number. A SQL function without
-- settings, so that it is inlined.
create or replace function baseledger._apply_rate(p_count jsonb, p_rate numeric)
returns numeric
language sql
immutable
parallel safe
as $$
  select case
    when p_count is null then 0
    when pg_catalog.jsonb_typeof(p_count) = 'number' then p_count::numeric * p_rate
  end
$$;

revoke all on function baseledger._apply_rate from public;
