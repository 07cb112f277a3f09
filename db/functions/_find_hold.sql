-- A reservation as it stands in the tables, open or ended; status none if there never was one.
-- Of an ended one its last event tells how it ended, refunds aside.
create or replace function baseledger._find_hold(p_wallet_id text, p_reservation_id text)
returns baseledger._hold
language plpgsql
stable
as $$
declare
  v_hold baseledger._hold;
begin
  select r.reservation_id, 'open', r.amount, r.settled, r.held, r.expires_at, true, false, 0
    into v_hold
    from baseledger.reservations r
    where r.wallet_id = p_wallet_id and r.reservation_id = p_reservation_id;
  if found then
    return v_hold;
  end if;

  select
      p_reservation_id,
      case
        when e.event = 'expired' then 'expired'
        -- A late part: more of what was spent may yet be booked.
        when e.event = 'settled' and e.details @> '{"late": true, "final": false}' then 'expired'
        when e.event = 'cancelled' then 'cancelled'
        else 'settled'
      end,
      null, null, null,
      (select x.expires_at from baseledger.events x
        where x.wallet_id = p_wallet_id
          and x.reservation_id = p_reservation_id
          and x.event = 'expired'
        limit 1),
      false, false, 0, e.seq, e.occurred_at
    into v_hold
    from (
      -- offset 0: else the planner may walk the wallet's history backwards to save the sort
      select l.event, l.details, l.seq, l.occurred_at
        from baseledger.events l
        where l.wallet_id = p_wallet_id
          and l.reservation_id = p_reservation_id
          and l.event <> 'refunded'
        offset 0
    ) as e
    order by e.seq desc
    limit 1;
  if not found then
    v_hold := row(p_reservation_id, 'none', null, null, null, null, false, false, 0, null, null);
  end if;
  return v_hold;
end
$$;

revoke all on function baseledger._find_hold from public;
