-- A row of alert_counts.
create type baseledger.alert_count as (
  kind text,
  state text,
  alerts bigint
);
comment on type baseledger.alert_count is 'How many alerts are in a state.';
comment on column baseledger.alert_count.kind is 'limit or low_balance. @notNull';
comment on column baseledger.alert_count.state is
  'none (no webhook), pending, sent, failed, or suppressed. @notNull';
comment on column baseledger.alert_count.alerts is 'How many. @notNull';
