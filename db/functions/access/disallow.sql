-- Takes a grant back. Locks the wallet's row.
create or replace function baseledger.disallow(
  p_wallet_id text,
  p_role text,
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
  perform baseledger._require_operators_only('baseledger.disallow(text,text,text,jsonb)');
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'disallowed', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('role', p_role)
  ));
  if not v_receipt.replayed then
    delete from baseledger.grants g where g.wallet_id = p_wallet_id and g.role_name = p_role;
    if not found then
      perform baseledger._raise('LGARG', baseledger._describe_argument('role'));
    end if;
  end if;
  return v_receipt;
end
$$;

comment on function baseledger.disallow is
  e'Takes back what allow gave to a role. What it has reserved, it can still settle, cancel and '
  'extend. The wallet stays restricted, if to nobody. The key is optional: a retry with the same '
  'key gets the first receipt. Refused with LGARG (also if the role has no grant), LGWNF, LGIDK.'
  '\np_role: Name of the role.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.disallow from public;
grant execute on function baseledger.disallow to baseledger_operator;
