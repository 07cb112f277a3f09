-- Ends a key. Locks the wallet's row.
create or replace function baseledger.revoke_key(
  p_wallet_id text,
  p_key_id text,
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
  perform baseledger._require_operators_only('baseledger.revoke_key(text,text,text,jsonb)');
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'key_revoked', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('key_id', p_key_id)
  ));
  if not v_receipt.replayed then
    update baseledger.keys k
      set revoked_at = v_receipt.occurred_at
      where k.wallet_id = p_wallet_id and k.key_id = p_key_id and k.revoked_at is null;
    if not found then
      perform baseledger._raise('LGARG', baseledger._describe_argument('key_id'));
    end if;
  end if;
  return v_receipt;
end
$$;

comment on function baseledger.revoke_key is
  e'Ends a key at once. What was reserved with it can still be settled, cancelled and extended '
  'with it. The idempotency key is optional: a retry with the same one gets the first receipt. '
  'Refused with LGARG (also if the wallet has no such key, or it is revoked already), LGWNF, LGIDK.'
  '\np_key_id: The key''s name, not its secret.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.revoke_key from public;
grant execute on function baseledger.revoke_key to baseledger_operator;
