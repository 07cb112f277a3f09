-- A row of limits.
create type baseledger.limit_use as (
  limit_id text,
  label_values text[],
  per text,
  by text[],
  of text,
  time_zone text,
  hard boolean,
  amount bigint,
  own_amount bigint,
  used bigint,
  held bigint,
  remaining bigint,
  starts_at timestamptz,
  ends_at timestamptz,
  alert_at integer[]
);
comment on type baseledger.limit_use is
  'What a combination of values of a limit''s labels has used now. Amounts are in the wallet''s '
  'smallest step, or numbers of tokens, calls or open reservations.';
comment on column baseledger.limit_use.limit_id is 'Name of the limit in its wallet. @notNull';
comment on column baseledger.limit_use.label_values is
  'The combination: a value for each label of by, empty for what has no such label; null when none '
  'has used the limit yet.';
comment on column baseledger.limit_use.per is
  'The window: minute, hour, day, week, month, year or ever. @notNull';
comment on column baseledger.limit_use.by is
  'The labels whose combinations of values are limited; none: the wallet as a whole. @notNull';
comment on column baseledger.limit_use.of is
  'What is counted: amount, tokens, calls (opened in the window) or open (reservations). @notNull';
comment on column baseledger.limit_use.time_zone is 'Where its windows begin. @notNull';
comment on column baseledger.limit_use.hard is
  'Whether it refuses what would go above it; else it only alerts. @notNull';
comment on column baseledger.limit_use.amount is
  'The limit''s amount; null: only combinations with an amount of their own are limited.';
comment on column baseledger.limit_use.own_amount is
  'The combination''s own amount, in place of the limit''s; null: it has none.';
comment on column baseledger.limit_use.used is
  'Spent in the window, or calls opened in it, and what is held. @notNull';
comment on column baseledger.limit_use.held is
  'Held by open reservations now, or how many are open. @notNull';
comment on column baseledger.limit_use.remaining is
  'What is left of the amount, not below 0; null without an amount.';
comment on column baseledger.limit_use.starts_at is
  'When the window began; null for ever.';
comment on column baseledger.limit_use.ends_at is
  'When the window ends, and the next begins; null for ever.';
comment on column baseledger.limit_use.alert_at is
  'Percentages of the amount at which it alerts when they are spent. @notNull';
