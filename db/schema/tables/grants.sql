-- Who may use a restricted wallet, by login role.
create table baseledger.grants (
  wallet_id text collate "C" not null,
  role_name text collate "C" not null,
  labels jsonb not null,
  free_labels text[] not null,
  granted_at timestamptz not null,
  constraint grants_pkey primary key (wallet_id, role_name)
);

comment on table baseledger.grants is
  'Which roles may use a restricted wallet. A name that is dropped and made again has what it had.';
comment on column baseledger.grants.labels is
  'Fixed labels: what the role opens has them, and it sees only what has them.';
comment on column baseledger.grants.free_labels is
  'Labels that the role may choose itself, as metadata; {*} for all.';
