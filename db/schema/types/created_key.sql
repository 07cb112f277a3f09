-- What create_key returns.
create type baseledger.created_key as (
  key_id text,
  secret text,
  expires_at timestamptz,
  replayed boolean
);
comment on type baseledger.created_key is 'A new key to a wallet.';
comment on column baseledger.created_key.key_id is 'Its name, which is no secret. @notNull';
comment on column baseledger.created_key.secret is
  'Its secret, for the setting baseledger.key. It is shown this once: a retry gets null.';
comment on column baseledger.created_key.expires_at is
  'Until when it can be used; null = until it is revoked.';
comment on column baseledger.created_key.replayed is
  'True when the key had been made before, and nothing was done now. @notNull';
