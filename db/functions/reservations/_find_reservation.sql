-- Finds a reservation in the tables, open or ended; status none if there never was one. How it
-- ended shows in its last event, refunds aside.
create or replace function baseledger._find_reservation(p_wallet_id text, p_reservation_id text)
returns baseledger._hold
language plpgsql
stable
as $$
declare
  v_hold baseledger._hold;
begin
  select r.reservation_id, 'open', r.amount, r.settled, r.held, r.expires_at,
      r.ctid, 0::bigint, null::bigint, null::timestamptz, false
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
      null::bigint, null::bigint, null::bigint,
      e.deadline,
      null::tid, 0::bigint, e.seq, e.occurred_at, false
    into v_hold
    from (
      -- A range of one value in the order of its index, for the planner's sake: see _execute.
      select l.event, l.details, l.seq, l.occurred_at,
          max(l.expires_at) filter (where l.event = 'expired') over () as deadline
        from (
          select * from baseledger.events o
            where o.wallet_id = p_wallet_id
              and o.reservation_id between p_reservation_id and p_reservation_id
              and o.event <> 'refunded'
            order by o.reservation_id
            offset 0
        ) as l
    ) as e
    order by e.seq desc
    limit 1;
  if not found then
    v_hold := row(p_reservation_id, 'none', null, null, null, null, null, 0, null, null, false);
  end if;
  return v_hold;
end
$$;

revoke all on function baseledger._find_reservation from public;
