-- What add_webhook returns.
create type baseledger.added_webhook as (
  webhook_id text,
  secret text,
  replayed boolean
);
comment on type baseledger.added_webhook is 'A webhook that was added.';
comment on column baseledger.added_webhook.webhook_id is 'Its id, for remove_webhook. @notNull';
comment on column baseledger.added_webhook.secret is
  'The secret that its requests are signed with, which is shown only now; null for a replay.';
comment on column baseledger.added_webhook.replayed is
  'Whether the key was used before, and this is the webhook of then. @notNull';
