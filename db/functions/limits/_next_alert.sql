-- What is spent when the next alert of a counter is due; null: none. A SQL function without
-- settings, so that it is inlined.
create or replace function baseledger._next_alert(
  p_amount numeric,
  p_alert_at integer[],
  p_alerted integer
)
returns numeric
language sql
immutable
parallel safe
as $$
  select case when p_amount > 0 and p_alert_at <> '{}' then (
    select p_amount * pg_catalog.min(t) / 100 from pg_catalog.unnest(p_alert_at) as t
      where t > p_alerted
  ) end
$$;

revoke all on function baseledger._next_alert from public;
