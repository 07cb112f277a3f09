-- What start_delivery returns.
create type baseledger.delivery as (
  url text,
  secret text,
  allow_private boolean,
  message_id text,
  body text
);
comment on type baseledger.delivery is 'What to send to a webhook.';
comment on column baseledger.delivery.url is 'Where. @notNull';
comment on column baseledger.delivery.secret is 'What to sign it with. @notNull';
comment on column baseledger.delivery.allow_private is
  'Whether it may be at an address that is not public. @notNull';
comment on column baseledger.delivery.message_id is
  'The same for each attempt, and for each webhook. @notNull';
comment on column baseledger.delivery.body is 'The alert as JSON. @notNull';
