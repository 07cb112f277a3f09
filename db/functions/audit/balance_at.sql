-- The balances at an instant: those after the last event before it, plus what had come due by then
-- and was swept later. No search is needed: whatever writes to a wallet expires what is due first,
-- or records in its details that a backlog is left. So the expiries in question precede the next
-- event that is neither an expiry nor records a backlog; if there is none, the rest is still in
-- reservations.
--
-- Events count by their own time, deadlines by the clock: up to the instant asked for, but no
-- further than the clock was at the next event, and is now.
create or replace function baseledger.balance_at(p_wallet_id text, p_at timestamptz)
returns baseledger.wallet_balance
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_clock constant timestamptz := baseledger._read_clock();
  v_at timestamptz;
  v_as_of timestamptz;
  v_seq bigint;
  v_next bigint;
  v_due bigint;
  v_balance baseledger.wallet_balance;
begin
  if p_at is null then
    perform baseledger._raise('LGARG', baseledger._describe_argument('at'));
  end if;
  -- The future is not known: at most now, which is never before the last event.
  select least(p_at, greatest(v_clock, w.last_event_at)) into v_at
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id;
  v_seq := baseledger._find_seq_before(p_wallet_id, v_at + interval '1 microsecond');
  select least(
      v_at,
      baseledger._deadline_clock(v_clock, w.last_event_at),
      baseledger._event_clock(e.occurred_at, e.details)
    ) into v_as_of
    from baseledger.wallets w
    left join baseledger.events e on e.wallet_id = w.wallet_id and e.seq = v_seq + 1
    where w.wallet_id = p_wallet_id;

  select e.seq into v_next
    from baseledger.events e
    where e.wallet_id = p_wallet_id
      and e.seq > v_seq
      and e.event <> 'expired'
      and e.details -> 'backlog' is null
    order by e.seq
    limit 1;
  select coalesce(sum(x.amount), 0) into v_due
    from (
      select e.amount
        from baseledger.events e
        where e.wallet_id = p_wallet_id
          and e.seq > v_seq
          and (e.seq < v_next or v_next is null)
          and e.event = 'expired'
          and e.expires_at <= v_as_of
      union all
      select o.held
        from (
          -- In the order of the index, for the planner's sake: see _execute.
          select r.held from baseledger.reservations r
            where r.wallet_id = p_wallet_id
              and v_next is null
              and r.expires_at <= v_as_of
              and r.expires_at < 'infinity'
            order by r.expires_at
            offset 0
        ) as o
    ) as x;

  select w.wallet_id, w.unit, w.scale, coalesce(e.available, 0) + v_due,
      coalesce(e.reserved, 0) - v_due, coalesce(e.spent, 0), w.overdraft_limit,
      coalesce((
        select f.event = 'frozen'
          from baseledger.events f
          where f.wallet_id = p_wallet_id
            and f.seq <= v_seq
            and f.event in ('frozen', 'unfrozen')
          order by f.seq desc
          limit 1
      ), false),
      v_seq, v_as_of
    into v_balance
    from baseledger.wallets w
    left join baseledger.events e on e.wallet_id = w.wallet_id and e.seq = v_seq
    where w.wallet_id = p_wallet_id;
  return v_balance;
end
$$;

comment on function baseledger.balance_at is
  'The balances of a wallet at an instant (at most now; zero before it was opened), in its '
  'smallest step, exactly as balance() would have answered then: reservations past their '
  'deadline count as returned. While the server''s clock had been ahead, a wallet''s events are '
  'dated ahead, and count from then. Refused with LGARG, LGWNF.';
revoke all on function baseledger.balance_at from public;
grant execute on function baseledger.balance_at to baseledger_operator, baseledger_auditor;
