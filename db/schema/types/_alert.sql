-- An alert on its way into baseledger.raised_alerts.
create type baseledger._alert as (
  kind text,
  threshold bigint,
  limit_id text,
  label_values text[],
  amount numeric,
  value numeric,
  starts_at timestamptz,
  ends_at timestamptz,
  occurred_at timestamptz
);
