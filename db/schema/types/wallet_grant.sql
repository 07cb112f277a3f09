-- A row of list_grants.
create type baseledger.wallet_grant as (
  role_name text,
  labels jsonb,
  free_labels text[],
  granted_at timestamptz
);
comment on type baseledger.wallet_grant is 'A role that may use a restricted wallet.';
comment on column baseledger.wallet_grant.role_name is
  'The role: of the session, or the one in effect, by its exact name. @notNull';
comment on column baseledger.wallet_grant.labels is 'Labels that are fixed for it. @notNull';
comment on column baseledger.wallet_grant.free_labels is
  'Labels that it chooses itself, as metadata; {*} for all. @notNull';
comment on column baseledger.wallet_grant.granted_at is 'When it was last allowed. @notNull';
