-- Looks up a reservation. Takes no lock; a stable function has one snapshot.
create or replace function baseledger.reservation(p_wallet_id text, p_reservation_id text)
returns baseledger.reservation_state
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_clock constant timestamptz := baseledger._read_clock();
  v_restricted boolean;
  v_instant timestamptz;
  v_life record;
  v_end record;
begin
  select w.restricted, baseledger._deadline_clock(v_clock, w.last_event_at)
    into v_restricted, v_instant
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id
      and (not w.restricted or baseledger._may_read(p_wallet_id));
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  perform baseledger._require_id('reservation_id', p_reservation_id);

  select
      min(l.seq) as opened_seq,
      max(l.seq) filter (where l.event <> 'refunded') as last_seq,
      sum(l.amount) filter (where l.event in ('reserved', 'extended', 'charged')) as amount,
      coalesce(sum(l.amount) filter (where l.event in ('settled', 'charged')), 0) as settled,
      coalesce(sum(l.amount) filter (where l.event = 'refunded'), 0) as refunded,
      max(l.expires_at) filter (where l.event = 'expired') as expired_at,
      coalesce(bool_or(l.details @> '{"late": true}'), false) as late
    into v_life
    from (
      -- A range of one value in the order of its index, for the planner's sake: see _execute.
      select * from baseledger.events e
        where e.wallet_id = p_wallet_id
          and e.reservation_id between p_reservation_id and p_reservation_id
        order by e.reservation_id
        offset 0
    ) as l;
  if v_life.opened_seq is null
    or v_restricted and not baseledger._is_own(
      p_wallet_id, baseledger._find_reader(p_wallet_id), p_reservation_id
    )
  then
    perform baseledger._raise('LGRNF', jsonb_build_object('reservation_id', p_reservation_id));
  end if;

  -- As it stands on record, and by deadline.
  select e.event, e.occurred_at, r.held, r.expires_at,
      case
        when r.expires_at > v_instant then 'open'
        when r.expires_at is not null
          or e.event = 'expired'
          or e.event = 'settled' and e.details @> '{"late": true, "final": false}'
          then 'expired'
        when e.event = 'cancelled' then 'cancelled'
        else 'settled'
      end as status
    into v_end
    from baseledger.events e
    left join baseledger.reservations r
      on r.wallet_id = p_wallet_id and r.reservation_id = p_reservation_id
    where e.wallet_id = p_wallet_id and e.seq = v_life.last_seq;
  return (
    select row(
        p_wallet_id, p_reservation_id, v_end.status, v_life.amount,
        case when v_end.status = 'open' then v_end.held else 0 end,
        v_life.settled, v_life.refunded,
        case v_end.status
          when 'open' then v_end.expires_at
          when 'expired' then coalesce(v_life.expired_at, v_end.expires_at)
        end,
        o.occurred_at,
        case v_end.status
          when 'open' then null
          when 'expired' then coalesce(v_life.expired_at, v_end.expires_at)
          else v_end.occurred_at
        end,
        case v_end.status when 'open' then null when 'expired' then 'expired' else v_end.event end,
        v_life.late, o.metadata, baseledger._labels(o.details, o.metadata)
      )::baseledger.reservation_state
      from baseledger.events o
      where o.wallet_id = p_wallet_id and o.seq = v_life.opened_seq
  );
end
$$;

comment on function baseledger.reservation is
  'How a reservation stands now: open, expired (its deadline has passed, whether or not a worker '
  'has swept it), settled (also late) or cancelled; what it was granted, holds, has settled and had '
  'refunded, in the wallet''s smallest step; how and when it ended, and what it was opened with. A '
  'charge left one that is settled. Refused with LGARG, LGWNF, LGRNF.';
revoke all on function baseledger.reservation from public;
grant execute on function baseledger.reservation
  to baseledger_agent, baseledger_operator, baseledger_auditor;
