-- What the caller may do in a wallet, restricted or not. Who calls: where the setting
-- baseledger.key holds a secret, its key, and nobody else; else the role of the session, or else
-- the role in effect. Names match exactly: a member of a role has not what the role has. Operators
-- may use every wallet.
--
-- Volatile: called again under the wallet's lock, it sees the grants as they are then.
create or replace function baseledger._find_access(p_wallet_id text)
returns baseledger._access
language plpgsql
volatile
as $$
declare
  c_secret constant text := nullif(current_setting('baseledger.key', true), '');
  v_key baseledger.keys;
  v_grant baseledger.grants;
begin
  if c_secret is not null then
    select * into v_key from baseledger.keys k
      where k.wallet_id = p_wallet_id
        and k.secret_sha256 = sha256(convert_to(c_secret, 'UTF8'));
    return row(
      v_key.key_id is not null and v_key.revoked_at is null
        and coalesce(v_key.expires_at, 'infinity') > clock_timestamp(),
      v_key.labels, v_key.free_labels, baseledger._describe_actor(v_key.key_id)
    )::baseledger._access;
  end if;
  if baseledger._has_role('baseledger_operator') then
    return row(true, '{}', '{*}', baseledger._describe_actor(null))::baseledger._access;
  end if;
  select * into v_grant from baseledger.grants g
    where g.wallet_id = p_wallet_id and g.role_name in (session_user, current_setting('role'))
    order by g.role_name = session_user desc
    limit 1;
  return row(
    v_grant.role_name is not null, v_grant.labels, v_grant.free_labels,
    baseledger._describe_actor(null)
  )::baseledger._access;
end
$$;

revoke all on function baseledger._find_access from public;
