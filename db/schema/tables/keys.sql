-- Who may use a restricted wallet, by a secret.
create table baseledger.keys (
  wallet_id text collate "C" not null,
  key_id text collate "C" not null,
  secret_sha256 bytea not null,
  labels jsonb not null,
  free_labels text[] not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  constraint keys_pkey primary key (wallet_id, key_id),
  constraint keys_secret_sha256_key unique (wallet_id, secret_sha256)
);

comment on table baseledger.keys is
  'Keys to a restricted wallet. A revoked one stays: what it has opened can still be settled with it.';
comment on column baseledger.keys.secret_sha256 is 'SHA-256 of the secret, which is kept nowhere.';
