-- What every command returns.
create type baseledger.receipt as (
  wallet_id text,
  seq bigint,
  event baseledger.event_type,
  reservation_id text,
  amount bigint,
  available bigint,
  reserved bigint,
  spent bigint,
  expires_at timestamptz,
  occurred_at timestamptz,
  idempotency_key text,
  replayed boolean,
  refused text,
  detail jsonb
);
comment on type baseledger.receipt is
  'The answer to a command. Of a granted command it shows the event that was written, with the '
  'balances right after it; a retry gets the same receipt with replayed = true. Of a refused '
  'command in a batch it shows the code in refused and the reason in detail, and no event.';
comment on column baseledger.receipt.wallet_id is 'The wallet. @notNull';
comment on column baseledger.receipt.seq is
  'Number of the event in its wallet: 1, 2, 3 … without gaps. Null when refused.';
comment on column baseledger.receipt.event is 'What happened. Null when refused.';
comment on column baseledger.receipt.reservation_id is
  'The reservation, for the events that have one.';
comment on column baseledger.receipt.amount is
  'What was moved, in the wallet''s smallest step: granted, settled, released … For extended the '
  'change of the hold, which may be negative. Null for events that move nothing.';
comment on column baseledger.receipt.available is 'Available balance right after the event.';
comment on column baseledger.receipt.reserved is 'Reserved balance right after the event.';
comment on column baseledger.receipt.spent is 'Spent balance right after the event.';
comment on column baseledger.receipt.expires_at is
  'The deadline of the reservation, if the event leaves it open; of expired the one that passed.';
comment on column baseledger.receipt.occurred_at is
  'When it happened, by the database''s clock; strictly increasing in a wallet.';
comment on column baseledger.receipt.idempotency_key is 'The caller''s name for the command.';
comment on column baseledger.receipt.replayed is
  'True when this command had been carried out before, and nothing was done now. @notNull';
comment on column baseledger.receipt.refused is
  'In a batch: the SQLSTATE of the refusal (LG…), else null.';
comment on column baseledger.receipt.detail is 'In a batch: why it was refused, for a program.';
