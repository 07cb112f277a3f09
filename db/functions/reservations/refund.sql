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
set jit = off
as $$
begin
  perform baseledger._require_operators_only('baseledger.refund(text,text,bigint,text,jsonb)');
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'refund', p_idempotency_key, p_reservation_id, p_amount, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.refund is
  'Takes p_amount (above 0) from spent back to available, in all never more than the reservation '
  'has settled. A retry with the same key gets the first receipt. Refused with LGARG, LGWNF, '
  'LGIDK, LGRNF, LGRFD (more than is refundable), LGOVF.';
revoke all on function baseledger.refund from public;
grant execute on function baseledger.refund to baseledger_operator;
