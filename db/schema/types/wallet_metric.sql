-- A row of wallet_metrics.
create type baseledger.wallet_metric as (
  wallet_id text,
  unit text,
  scale integer,
  available bigint,
  reserved bigint,
  spent bigint
);
comment on type baseledger.wallet_metric is 'The balances of a wallet, for monitoring.';
comment on column baseledger.wallet_metric.wallet_id is 'The wallet. @notNull';
comment on column baseledger.wallet_metric.unit is 'What amounts are of. @notNull';
comment on column baseledger.wallet_metric.scale is 'Decimal digits of the smallest step. @notNull';
comment on column baseledger.wallet_metric.available is 'What can be reserved. @notNull';
comment on column baseledger.wallet_metric.reserved is 'What is held. @notNull';
comment on column baseledger.wallet_metric.spent is 'What was spent. @notNull';
