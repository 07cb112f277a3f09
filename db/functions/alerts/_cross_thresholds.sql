-- The alerts of a counter that has spent what its next alert waits for: one for each percentage.
create or replace function baseledger._cross_thresholds(
  p_counter baseledger._counter,
  p_at timestamptz
)
returns baseledger._alert[]
language plpgsql
immutable
as $$
begin
  return array(
    select row(
        'limit', t, p_counter.limit_id, p_counter.label_values, p_counter.amount, p_counter.spent,
        p_counter.starts_at, p_counter.ends_at, p_at
      )::baseledger._alert
      from unnest(p_counter.alert_at) as t
      where t > p_counter.alerted and p_counter.spent >= p_counter.amount * t / 100
      order by t
  );
end
$$;

revoke all on function baseledger._cross_thresholds from public;
