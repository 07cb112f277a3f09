-- How a reservation was opened: its labels, when, by the clock, and by
-- whom. No row, if it is not in the
-- journal. A range of one value in the order of its index, as in _look_up; the opening is nearly
-- always the first entry. A SQL function without settings, so that it is inlined.
create or replace function baseledger._find_opening(p_wallet_id text, p_reservation_id text)
returns table (labels jsonb, opened_at timestamptz, actor text, details jsonb)
language sql
stable
as $$
  select baseledger._labels(e.details, e.metadata),
      baseledger._event_clock(e.occurred_at, e.details), e.actor, e.details
    from baseledger.events e
    where e.wallet_id = p_wallet_id
      and e.reservation_id between p_reservation_id and p_reservation_id
      and e.event in ('reserved', 'charged')
    order by e.reservation_id
    limit 1
$$;

revoke all on function baseledger._find_opening from public;
