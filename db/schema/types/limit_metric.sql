-- A row of limit_metrics.
create type baseledger.limit_metric as (
  wallet_id text,
  limit_id text,
  per text,
  of text,
  unit text,
  scale integer,
  amount text,
  used text
);
comment on type baseledger.limit_metric is 'The use of a limit, for monitoring.';
comment on column baseledger.limit_metric.wallet_id is 'The wallet. @notNull';
comment on column baseledger.limit_metric.limit_id is 'The limit. @notNull';
comment on column baseledger.limit_metric.per is 'Its window. @notNull';
comment on column baseledger.limit_metric.of is
  'What it counts: amount, tokens, calls or open. @notNull';
comment on column baseledger.limit_metric.unit is
  'What amounts are of; null if it does not count amounts.';
comment on column baseledger.limit_metric.scale is
  'Decimal digits of the smallest step; null if it does not count amounts.';
comment on column baseledger.limit_metric.amount is 'The most that may be used; null: no limit.';
comment on column baseledger.limit_metric.used is
  'What was spent in the present window, and what is held now. @notNull';
