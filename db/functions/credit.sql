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
as $$
begin
  return baseledger._single(baseledger._fold(p_wallet_id, array[row(
    'credit', p_idempotency_key, null, p_amount,
    null, null, null, coalesce(p_metadata, '{}'), null, null, null, null
  )::baseledger._command]));
end
$$;

comment on function baseledger.credit is
  'Adds p_amount (above 0, in the wallet''s smallest step) to available. A retry with the same key '
  'gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGOVF.';
revoke all on function baseledger.credit from public;
grant execute on function baseledger.credit to baseledger_operator;
