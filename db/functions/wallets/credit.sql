-- Adds funds. Locks the wallet's row.
create or replace function baseledger.credit(
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
  perform baseledger._require_operators_only('baseledger.credit(text,bigint,text,jsonb)');
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'credit', p_idempotency_key, p_amount => p_amount, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.credit is
  'Adds p_amount (above 0, in the wallet''s smallest step) to available. A retry with the same key '
  'gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGOVF.';
revoke all on function baseledger.credit from public;
grant execute on function baseledger.credit to baseledger_operator;
