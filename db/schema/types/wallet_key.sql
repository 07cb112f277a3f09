-- A row of list_keys.
create type baseledger.wallet_key as (
  key_id text,
  labels jsonb,
  free_labels text[],
  created_at timestamptz,
  expires_at timestamptz,
  revoked_at timestamptz
);
comment on type baseledger.wallet_key is 'A key to a restricted wallet.';
comment on column baseledger.wallet_key.key_id is 'Its name, which is no secret. @notNull';
comment on column baseledger.wallet_key.labels is 'Labels that are fixed for its holder. @notNull';
comment on column baseledger.wallet_key.free_labels is
  'Labels that its holder chooses, as metadata; {*} for all. @notNull';
comment on column baseledger.wallet_key.created_at is 'When it was made. @notNull';
comment on column baseledger.wallet_key.expires_at is
  'Until when it can be used; null = until it is revoked.';
comment on column baseledger.wallet_key.revoked_at is
  'When it was revoked; null = it was not.';
