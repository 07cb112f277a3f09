-- Counters with what has changed in them since they were spread: see _spread_counters.
create or replace function baseledger._gather_counters(
  p_counters baseledger._counter[],
  p_spent numeric[],
  p_held numeric[],
  p_changed boolean[]
)
returns baseledger._counter[]
language plpgsql
immutable
as $$
begin
  return array(
    select row(
        c.limit_id, c.label_values, c.per, c.of, c.time_zone, c.hard, c.amount, c.alert_at,
        p_spent[c.ordinality], p_held[c.ordinality], c.starts_at, c.ends_at, c.set_at,
        c.counted_at, c.counted_until, c.next_alert, c.alerted, c.rolled, p_changed[c.ordinality]
      )::baseledger._counter
      from unnest(p_counters) with ordinality as c
      order by c.ordinality
  );
end
$$;

revoke all on function baseledger._gather_counters from public;
