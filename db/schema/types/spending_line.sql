-- A row of spending.
create type baseledger.spending_line as (
  starts_at timestamptz,
  label_values text[],
  calls bigint,
  tokens jsonb,
  amount numeric
);
comment on type baseledger.spending_line is
  'What a combination of values of labels has spent, in all or from one instant on.';
comment on column baseledger.spending_line.starts_at is
  'When the hour, day, week or month begins; null without p_per.';
comment on column baseledger.spending_line.label_values is
  'The combination: a value for each label of p_by, empty for what has no such label. @notNull';
comment on column baseledger.spending_line.calls is
  'Reservations and charges that were opened. @notNull';
comment on column baseledger.spending_line.tokens is
  'What usage was reported, by kind: input, output, requests … Empty without any. @notNull';
comment on column baseledger.spending_line.amount is
  'Settled and charged, less refunded, in the wallet''s smallest step. @notNull';
