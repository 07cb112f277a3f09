-- Whether the caller may send a command to a restricted wallet: he has access to it, or the command
-- concerns what he has opened.
create or replace function baseledger._may_send(
  p_wallet_id text,
  p_idempotency_key text,
  p_reservation_id text
)
returns boolean
language plpgsql
volatile
as $$
declare
  v_access constant baseledger._access := baseledger._find_access(p_wallet_id);
begin
  return v_access.allowed
    or coalesce(baseledger._owns_key(p_wallet_id, v_access, p_idempotency_key), false)
    or coalesce(baseledger._is_own(p_wallet_id, v_access, p_reservation_id), false);
end
$$;

revoke all on function baseledger._may_send from public;
