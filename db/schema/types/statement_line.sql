-- A row of statement.
create type baseledger.statement_line as (
  seq bigint,
  occurred_at timestamptz,
  event baseledger.event_type,
  reservation_id text,
  amount bigint,
  available bigint,
  reserved bigint,
  spent bigint,
  expires_at timestamptz,
  idempotency_key text,
  actor text,
  metadata jsonb,
  details jsonb
);
comment on type baseledger.statement_line is 'One event of a wallet, with the balances after it.';
comment on column baseledger.statement_line.seq is 'Number of the event in its wallet. @notNull';
comment on column baseledger.statement_line.occurred_at is 'When it happened. @notNull';
comment on column baseledger.statement_line.event is 'What happened. @notNull';
comment on column baseledger.statement_line.reservation_id is 'The reservation, if it has one.';
comment on column baseledger.statement_line.amount is
  'What was moved, in the wallet''s smallest step; null where nothing moves.';
comment on column baseledger.statement_line.available is 'Available after it. @notNull';
comment on column baseledger.statement_line.reserved is 'Reserved after it. @notNull';
comment on column baseledger.statement_line.spent is 'Spent after it. @notNull';
comment on column baseledger.statement_line.expires_at is
  'The deadline of the reservation, if the event leaves it open; of expired the one that passed.';
comment on column baseledger.statement_line.idempotency_key is
  'The caller''s name for the command; null for events of the system.';
comment on column baseledger.statement_line.actor is 'The database role that asked. @notNull';
comment on column baseledger.statement_line.metadata is 'As the caller gave it. @notNull';
comment on column baseledger.statement_line.details is
  'What the event says beyond its other columns, e.g. the reason of a freeze.';
