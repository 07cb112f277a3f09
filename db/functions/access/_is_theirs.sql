-- Whether the caller may see and use a reservation: it has the labels that are fixed for the
-- caller, or the caller has opened it, whoever may use the wallet since. With null in place of a
-- reservation, whether the caller may see what belongs to none.
create or replace function baseledger._is_theirs(
  p_wallet_id text,
  p_reservation_id text,
  p_access baseledger._access
)
returns boolean
language plpgsql
stable
as $$
declare
  v_opening record;
begin
  if p_access.allowed and p_access.labels = '{}' then
    return true;
  end if;
  -- A range of one value in the order of its index, for the planner's sake: see _execute.
  select l.actor, coalesce(l.details -> 'labels', l.metadata) as labels into v_opening
    from (
      select * from baseledger.events e
        where e.wallet_id = p_wallet_id
          and e.reservation_id between p_reservation_id and p_reservation_id
        order by e.reservation_id
        offset 0
    ) as l
    order by l.seq
    limit 1;
  return coalesce(
    v_opening.actor = p_access.actor
      or p_access.allowed and v_opening.labels @> p_access.labels,
    false
  );
end
$$;

revoke all on function baseledger._is_theirs from public;
