-- Lets a role use a wallet. Locks the wallet's row. Role and wallet are looked at after the event
-- was written, so that a retry gets its receipt whatever has changed since.
create or replace function baseledger.allow(
  p_wallet_id text,
  p_role text,
  p_labels jsonb default '{}',
  p_free_labels text[] default '{}',
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only('baseledger.allow(text,text,jsonb,text[],text,jsonb)');
  perform baseledger._require_labels(p_labels, p_free_labels);
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'allowed', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object(
      'role', p_role, 'labels', p_labels, 'free_labels', p_free_labels
    )
  ));
  if v_receipt.replayed then
    return v_receipt;
  end if;

  if not exists (select from pg_roles r where r.rolname = p_role) then
    perform baseledger._raise('LGARG', baseledger._describe_argument('role'));
  end if;
  perform baseledger._restrict(p_wallet_id);
  insert into baseledger.grants (wallet_id, role_name, labels, free_labels, granted_at)
    values (p_wallet_id, p_role, p_labels, p_free_labels, v_receipt.occurred_at)
    on conflict (wallet_id, role_name) do update
      set labels = excluded.labels,
        free_labels = excluded.free_labels,
        granted_at = excluded.granted_at;
  return v_receipt;
end
$$;

comment on function baseledger.allow is
  e'Lets a role use a wallet, which is restricted from then on: nobody else but operators and '
  'holders of its keys may use it, or look at it. The role is that of the session or the one in '
  'effect (set role), by its exact name: membership does not count. Allowed again, it gets these '
  'labels in place of those it had. The key is optional: a retry with the same key gets the first '
  'receipt; each call without one is an event. Refused with LGARG, LGWNF, LGIDK, LGCLO.'
  '\np_role: Name of the role.'
  '\np_labels: Fixed labels, such as {"team": "search"}: all that the role reserves or charges has '
  'them, whatever its metadata says, and it sees no reservation without them. At most 16.'
  '\np_free_labels: Labels that the role chooses itself, as metadata; {*} for all. At most 16.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.allow from public;
grant execute on function baseledger.allow to baseledger_operator;
