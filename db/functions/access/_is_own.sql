-- Whether a reservation is the caller's to act on: he has opened it, or he has a grant whose fixed
-- labels it has. Null, if the journal has no such reservation.
create or replace function baseledger._is_own(
  p_wallet_id text,
  p_access baseledger._access,
  p_reservation_id text
)
returns boolean
language plpgsql
stable
as $$
begin
  return (
    select o.actor = p_access.actor or p_access.allowed and o.labels @> p_access.labels
      from baseledger._find_opening(p_wallet_id, p_reservation_id) as o
  );
end
$$;

revoke all on function baseledger._is_own from public;
