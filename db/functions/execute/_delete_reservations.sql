-- Deletes rows of reservations where they are: in one wallet, or in several if p_wallet_id is null.
--
-- All but the way by the rows' places is off: the planner takes every array for a short one, and on
-- a small table would walk over all rows instead, also when it has grown since.
create or replace function baseledger._delete_reservations(p_wallet_id text, p_rows tid[])
returns void
language plpgsql
volatile
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_bitmapscan = off
as $$
begin
  if p_wallet_id is null then
    delete from baseledger.reservations r where r.ctid = any(p_rows);
  else
    delete from baseledger.reservations r
      where r.wallet_id = p_wallet_id and r.ctid = any(p_rows);
  end if;
end
$$;

revoke all on function baseledger._delete_reservations from public;
