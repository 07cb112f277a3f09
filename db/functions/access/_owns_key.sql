-- Whether a key that was used before is the caller's: it stands for an event of a reservation that
-- is his. Null, if it was not used.
create or replace function baseledger._owns_key(
  p_wallet_id text,
  p_access baseledger._access,
  p_idempotency_key text
)
returns boolean
language plpgsql
stable
as $$
declare
  v_used boolean;
  v_reservation_id text;
begin
  select true, e.reservation_id into v_used, v_reservation_id
    from baseledger.events e
    where e.wallet_id = p_wallet_id
      and e.idempotency_key between p_idempotency_key and p_idempotency_key
    order by e.idempotency_key
    limit 1;
  if v_used then
    return coalesce(
      baseledger._is_own(p_wallet_id, p_access, v_reservation_id),
      -- Of an event without a reservation, such as a credit.
      p_access.allowed and p_access.labels = '{}'
    );
  end if;
  return null;
end
$$;

revoke all on function baseledger._owns_key from public;
