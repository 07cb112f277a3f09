-- A row of list_webhooks.
create type baseledger.webhook as (
  webhook_id text,
  wallet_id text,
  url text,
  events text[],
  allow_private boolean,
  added_at timestamptz
);
comment on type baseledger.webhook is 'Where alerts are sent.';
comment on column baseledger.webhook.webhook_id is 'Its id. @notNull';
comment on column baseledger.webhook.wallet_id is 'Whose alerts; null: those of all wallets.';
comment on column baseledger.webhook.url is 'The address. @notNull';
comment on column baseledger.webhook.events is 'Which alerts: limit, low_balance. @notNull';
comment on column baseledger.webhook.allow_private is
  'Whether it may be at an address that is not public. @notNull';
comment on column baseledger.webhook.added_at is 'Since when. @notNull';
