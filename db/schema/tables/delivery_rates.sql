-- How often alerts of a limit have been sent to a webhook lately.
create table baseledger.delivery_rates (
  wallet_id text collate "C" not null,
  webhook_id text collate "C" not null,
  limit_id text collate "C" not null,
  queued_at timestamptz[] not null,
  suppressed bigint not null,
  constraint delivery_rates_pkey primary key (wallet_id, webhook_id, limit_id)
);

comment on table baseledger.delivery_rates is
  'How often alerts of a limit have been sent to a webhook lately: at most so many an hour.';
comment on column baseledger.delivery_rates.limit_id is 'Empty for alerts of low balances.';
comment on column baseledger.delivery_rates.queued_at is 'When, in the last hour.';
comment on column baseledger.delivery_rates.suppressed is
  'How many were suppressed since the last that was queued.';
