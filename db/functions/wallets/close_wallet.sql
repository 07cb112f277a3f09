-- Closes a wallet for all that is new. Locks the wallet's row.
create or replace function baseledger.close_wallet(
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
declare
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only('baseledger.close_wallet(text,text,text,jsonb)');
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'closed', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('reason', p_reason)
  ));
  if not v_receipt.replayed then
    update baseledger.wallets w set closed = true where w.wallet_id = p_wallet_id;
  end if;
  return v_receipt;
end
$$;

comment on function baseledger.close_wallet is
  e'Closes a wallet: from now on no new reservations, larger holds, charges, credits or transfers '
  'into it. Reservations can be settled, late ones too, cancelled and extended, charges refunded, '
  'and funds withdrawn or transferred out; list_wallets leaves it out unless asked. p_reason (1 to '
  '1000 characters) goes on record. The key is optional: a retry with the same key gets the first '
  'receipt; each call without one is an event, the wallet just stays closed. Refused with LGARG, '
  'LGWNF, LGIDK.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.close_wallet from public;
grant execute on function baseledger.close_wallet to baseledger_operator;
