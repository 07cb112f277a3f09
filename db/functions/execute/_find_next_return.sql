-- The next deadline at which an open reservation gives its hold back: among those in the table that
-- _execute has not looked up, and among those that it has. What is due counts as returned already.
create or replace function baseledger._find_next_return(
  p_wallet_id text,
  p_now timestamptz,
  p_holds baseledger._hold[]
)
returns timestamptz
language plpgsql
stable
as $$
declare
  v_stored timestamptz;
  v_looked_up timestamptz;
begin
  select r.expires_at into v_stored
    from baseledger.reservations r
    where r.wallet_id = p_wallet_id
      and r.expires_at > p_now
      and r.expires_at < 'infinity'
      and not exists (
        select from unnest(p_holds) as h
          where h.reservation_id = r.reservation_id and h.status <> 'unknown'
      )
    order by r.expires_at
    limit 1;
  select min(h.expires_at) into v_looked_up
    from unnest(p_holds) as h
    where h.status = 'open' and h.expires_at > p_now;
  return least(v_stored, v_looked_up);
end
$$;

revoke all on function baseledger._find_next_return from public;
