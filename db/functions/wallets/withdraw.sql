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
set jit = off
as $$
begin
  perform baseledger._require_operators_only('baseledger.withdraw(text,bigint,text,jsonb)');
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'withdraw', p_idempotency_key, p_amount => p_amount, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.withdraw is
  'Takes p_amount (above 0) out of available, never below zero. A retry with the same key gets the '
  'first receipt. Refused with LGARG, LGWNF, LGIDK, LGFRZ, LGNSF.';
revoke all on function baseledger.withdraw from public;
grant execute on function baseledger.withdraw to baseledger_operator;
