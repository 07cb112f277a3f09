-- Takes spending back. Locks the wallet's row.
create or replace function baseledger.refund(
  p_wallet_id text,
  p_reservation_id text,
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
    'refund', p_idempotency_key, p_reservation_id, p_amount,
    null, null, null, coalesce(p_metadata, '{}'), null, null, null, null
  )::baseledger._command]));
end
$$;

comment on function baseledger.refund is
  'Takes p_amount (above 0) from spent back to available, in all never more than the reservation '
  'has settled. A retry with the same key gets the first receipt. Refused with LGARG, LGWNF, '
  'LGIDK, LGRNF, LGRFD (more than is refundable), LGOVF.';
revoke all on function baseledger.refund from public;
grant execute on function baseledger.refund to baseledger_operator;
