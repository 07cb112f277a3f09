-- The kill switch. Locks the wallet's row.
create or replace function baseledger.freeze_wallet(
  p_wallet_id text,
  p_reason text,
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
begin
  perform baseledger._require_operators_only('baseledger.freeze_wallet(text,text,text,jsonb)');
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'freeze', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('reason', p_reason)
  ));
end
$$;

comment on function baseledger.freeze_wallet is
  e'The kill switch: from now on no new reservations, larger holds, charges, withdrawals or '
  'transfers out; settling, cancelling, crediting go on. p_reason (1 to 1000 characters) goes on '
  'record. The key is optional: a retry with the same key gets the first receipt; each call '
  'without one is an event, the wallet just stays frozen. Refused with LGARG, LGWNF, LGIDK.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.freeze_wallet from public;
grant execute on function baseledger.freeze_wallet to baseledger_operator;
