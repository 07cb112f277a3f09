-- What sweep_status returns.
create type baseledger.sweep_status as (
  as_of timestamptz,
  last_sweep timestamptz,
  next_due timestamptz
);
comment on type baseledger.sweep_status is 'How the sweep of due reservations is doing.';
comment on column baseledger.sweep_status.as_of is 'The server''s clock. @notNull';
comment on column baseledger.sweep_status.last_sweep is
  'When a sweep last worked, to 5 seconds; null if none has yet.';
comment on column baseledger.sweep_status.next_due is
  'No open reservation has an earlier deadline; null if none is open. See next_due.';
