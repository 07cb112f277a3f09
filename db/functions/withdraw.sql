-- Takes funds out. Locks the wallet's row.
create or replace function baseledger.withdraw(
  p_wallet_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return baseledger._single(baseledger._fold(p_wallet_id, array[row(
    'withdraw', p_idempotency_key, null, p_amount,
    null, null, null, coalesce(p_metadata, '{}'), null, null, null, null
  )::baseledger._command]));
end
$$;

comment on function baseledger.withdraw is
  'Takes p_amount (above 0) out of available, never below zero. A retry with the same key gets the '
  'first receipt. Refused with LGARG, LGWNF, LGIDK, LGFRZ, LGNSF.';
revoke all on function baseledger.withdraw from public;
grant execute on function baseledger.withdraw to baseledger_operator;
