-- Gives a reservation back. Locks the wallet's row.
create or replace function baseledger.cancel(
  p_wallet_id text,
  p_reservation_id text,
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
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'cancel', p_idempotency_key, p_reservation_id, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.cancel is
  'Ends a reservation and gives what it still holds back; the receipt''s amount says how much. '
  'A retry with the same key gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGRNF, '
  'LGEND (already settled or cancelled), LGEXP (past its deadline: the funds are back already).';
revoke all on function baseledger.cancel from public;
grant execute on function baseledger.cancel to baseledger_agent, baseledger_operator;
