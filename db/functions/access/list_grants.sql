-- The roles that may use a wallet.
create or replace function baseledger.list_grants(p_wallet_id text)
returns setof baseledger.wallet_grant
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  return query
    select g.role_name, g.labels, g.free_labels, g.granted_at
      from baseledger.grants g
      where g.wallet_id = p_wallet_id
      order by g.role_name;
end
$$;

comment on function baseledger.list_grants is
  'The roles that may use a restricted wallet, in the order of their names; those without a grant '
  'are not listed (operators, holders of keys). Refused with LGARG, LGWNF.';
revoke all on function baseledger.list_grants from public;
grant execute on function baseledger.list_grants to baseledger_operator, baseledger_auditor;
