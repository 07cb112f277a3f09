-- What names a delivery.
create type baseledger.delivery_id as (
  wallet_id text,
  seq bigint,
  number integer,
  webhook_id text
);
comment on type baseledger.delivery_id is 'An alert, and a webhook that it is sent to.';
comment on column baseledger.delivery_id.wallet_id is 'The wallet. @notNull';
comment on column baseledger.delivery_id.seq is 'The event that raised the alert. @notNull';
comment on column baseledger.delivery_id.number is 'Which of its alerts. @notNull';
comment on column baseledger.delivery_id.webhook_id is 'The webhook. @notNull';
