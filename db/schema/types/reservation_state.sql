-- What reservation returns.
create type baseledger.reservation_state as (
  wallet_id text,
  reservation_id text,
  status text,
  amount bigint,
  held bigint,
  settled bigint,
  refunded bigint,
  expires_at timestamptz,
  opened_at timestamptz,
  ended_at timestamptz,
  ended_by baseledger.event_type,
  late boolean,
  metadata jsonb,
  labels jsonb
);
comment on type baseledger.reservation_state is
  'A reservation as it stands now, with amounts in the wallet''s smallest step.';
comment on column baseledger.reservation_state.wallet_id is 'The wallet. @notNull';
comment on column baseledger.reservation_state.reservation_id is
  'The reservation''s name in its wallet. @notNull';
comment on column baseledger.reservation_state.status is
  'open, expired (past its deadline, whether or not a worker has swept it; what was spent can '
  'still be settled), settled or cancelled. @notNull';
comment on column baseledger.reservation_state.amount is
  'Granted in all, extensions included; of a charge what was charged. @notNull';
comment on column baseledger.reservation_state.held is
  'What it holds of the wallet''s funds; 0 unless it is open. @notNull';
comment on column baseledger.reservation_state.settled is
  'Settled in all, late and over its amount included; of a charge what was charged. @notNull';
comment on column baseledger.reservation_state.refunded is 'Refunded of that. @notNull';
comment on column baseledger.reservation_state.expires_at is
  'The deadline of one that is open, or the one that has passed if it is expired; else null.';
comment on column baseledger.reservation_state.opened_at is
  'When it was reserved or charged. @notNull';
comment on column baseledger.reservation_state.ended_at is
  'When it was settled, cancelled or charged; of an expired one its deadline; null while open.';
comment on column baseledger.reservation_state.ended_by is
  'The event that ended it: settled, cancelled, charged or expired; null while it is open.';
comment on column baseledger.reservation_state.late is
  'Whether something was settled after its deadline. @notNull';
comment on column baseledger.reservation_state.metadata is
  'What the caller gave with the reservation or charge. @notNull';
comment on column baseledger.reservation_state.labels is
  'What limits count it by: the metadata, or in a restricted wallet what the caller could choose '
  'of it and what was fixed for the caller. @notNull';
