-- Where alerts are sent.
create table baseledger.webhooks (
  wallet_id text collate "C" not null,
  webhook_id text collate "C" not null,
  url text not null,
  events text[] not null,
  secret text,
  allow_private boolean not null,
  idempotency_key text collate "C",
  added_at timestamptz not null,
  removed_at timestamptz,
  constraint webhooks_pkey primary key (wallet_id, webhook_id),
  constraint webhooks_idempotency_key_key unique (wallet_id, idempotency_key)
);

comment on table baseledger.webhooks is
  'Where alerts are sent. A removed one stays, without its secret, for the deliveries that name it.';
comment on column baseledger.webhooks.wallet_id is
  'Whose alerts; empty, which is the id of no wallet: those of all wallets.';
comment on column baseledger.webhooks.events is 'The kinds of alerts: limit, low_balance.';
comment on column baseledger.webhooks.secret is
  'What deliveries are signed with. In plain text, as a signature needs it.';
comment on column baseledger.webhooks.allow_private is
  'Whether it may be at an address that is not public.';
