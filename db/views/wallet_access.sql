-- Who may use restricted wallets: grants and keys, of all wallets.
create view baseledger.wallet_access as
select
  g.wallet_id,
  g.role_name,
  null::text collate "C" as key_id,
  g.labels,
  g.free_labels,
  g.granted_at as since,
  null::timestamptz as expires_at,
  null::timestamptz as revoked_at
from baseledger.grants g
union all
select
  k.wallet_id,
  null,
  k.key_id,
  k.labels,
  k.free_labels,
  k.created_at,
  k.expires_at,
  k.revoked_at
from baseledger.keys k;

comment on view baseledger.wallet_access is
  'Who may use restricted wallets: one row for each role that was allowed to, and for each key, '
  'revoked and expired ones included, with the labels that are fixed for it and those that it '
  'chooses itself. Operators may use all of them.';
revoke all on baseledger.wallet_access from public;
grant select on baseledger.wallet_access to baseledger_auditor;
