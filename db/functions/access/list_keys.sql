-- The keys of a wallet, also those that can no longer be used.
create or replace function baseledger.list_keys(p_wallet_id text)
returns setof baseledger.wallet_key
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
    select k.key_id, k.labels, k.free_labels, k.created_at, k.expires_at, k.revoked_at
      from baseledger.keys k
      where k.wallet_id = p_wallet_id
      order by k.created_at, k.key_id;
end
$$;

comment on function baseledger.list_keys is
  'The keys of a wallet in the order of their making, revoked and expired ones included; never '
  'their secrets. Refused with LGARG, LGWNF.';
revoke all on function baseledger.list_keys from public;
grant execute on function baseledger.list_keys to baseledger_operator, baseledger_auditor;
