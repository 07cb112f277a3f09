--! Previous: sha1:09e4472a3be564f48d5992cab6ec53452acdc66d
--! Hash: sha1:710b86221dcf4c8b83b9020fd574635033ead945
--! Message: Verify with fewer passes

--! Included functions/_change.sql
-- By how much a balance has changed; null if that is more than any event moves, which a journal that
-- was tampered with may say. A SQL function without settings, so that it is inlined.
create or replace function baseledger._change(p_from bigint, p_to bigint)
returns bigint
language sql
immutable
parallel safe
as $$
  select case
    when (p_from < 0) = (p_to < 0) then p_to - p_from
    when p_to::numeric - p_from between -9223372036854775807 and 9223372036854775807
      then p_to - p_from
  end
$$;

revoke all on function baseledger._change from public;
--! EndIncluded functions/_change.sql
--! Included functions/_verify_events.sql
-- The events of wallets p_first to p_last (null: to the end), each against the one before it in
-- its wallet and the one before it of its reservation. Three passes: the chain's order, the
-- reservation's order, the verdicts. Each reservation's life is one window: another, or a wider row
-- in it, costs as much as the hash.
create or replace function baseledger._verify_events(p_first text, p_last text)
returns setof baseledger.discrepancy
language sql
stable
as $$
  with chained as (
    select e.*,
        pg_catalog.lag(e.seq, 1, 0::bigint) over chain as before_seq,
        pg_catalog.lag(e.occurred_at) over chain as before_at,
        pg_catalog.lag(e.hash, 1, pg_catalog.decode(pg_catalog.repeat('00', 32), 'hex'))
          over chain as before_hash,
        pg_catalog.lag(e.available, 1, 0::bigint) over chain as before_available,
        pg_catalog.lag(e.reserved, 1, 0::bigint) over chain as before_reserved,
        pg_catalog.lag(e.spent, 1, 0::bigint) over chain as before_spent
      from baseledger.events e
      where e.wallet_id >= p_first
        and e.wallet_id <= coalesce(p_last, e.wallet_id)
      window chain as (partition by e.wallet_id order by e.seq)
  ),
  -- Hashed here, so that what is only hashed need not be sorted.
  hashed as (
    select c.wallet_id, c.seq, c.event, c.reservation_id, c.amount, c.available, c.reserved,
        c.spent, c.expires_at, c.occurred_at, c.details, c.before_seq, c.before_at,
        c.before_available, c.before_reserved, c.before_spent,
        baseledger._change(c.before_available, c.available) as available_by,
        baseledger._change(c.before_reserved, c.reserved) as reserved_by,
        baseledger._change(c.before_spent, c.spent) as spent_by,
        -- To sort by: a number is compared faster than a text.
        pg_catalog.hashtextextended(c.reservation_id, 0) as reservation_hash,
        nullif(pg_catalog.sha256(c.before_hash || baseledger._canonical(
          c.wallet_id, c.seq, c.event, c.reservation_id, c.amount, c.available, c.reserved,
          c.spent, c.expires_at, c.occurred_at, c.idempotency_key, c.actor, c.metadata, c.details
        )), c.hash) as other_hash
      from chained c
  ),
  lived as (
    select c.*,
        pg_catalog.lag(c.event) over life as life_event,
        pg_catalog.lag(c.expires_at) over life as life_deadline,
        pg_catalog.lag(c.details) over life as life_details,
        coalesce(pg_catalog.sum(c.reserved_by) over life, 0) as held,
        coalesce(pg_catalog.sum(c.spent_by) over life, 0) as refundable
      from hashed c
      window life as (
        partition by c.wallet_id, c.reservation_hash, c.reservation_id order by c.seq
        rows between unbounded preceding and 1 preceding
      )
  ),
  judged as (
    select l.*,
        coalesce((l.details ->> 'late')::boolean, false) as late,
        coalesce((l.details ->> 'final')::boolean, true) as final,
        -- An event that leaves its reservation open carries the deadline in force.
        l.life_deadline is not null and l.life_event <> 'expired' as was_open
      from lived l
  ),
  expected as (
    select j.*, m.available_due, m.reserved_due, m.spent_due,
        j.seq = j.before_seq + 1 as seq_holds,
        j.before_at is null or j.occurred_at > j.before_at as time_holds,
        j.other_hash is null as hash_holds,
        j.available_by is not distinct from m.available_due
          and j.reserved_by is not distinct from m.reserved_due
          and j.spent_by is not distinct from m.spent_due as balances_hold,
        -- Nothing but a settlement takes available below zero.
        j.available >= 0 or j.available_by >= 0 or j.event = 'settled' as funds_hold,
        coalesce(case j.event
          when 'reserved' then j.life_event is null and j.expires_at > j.occurred_at
          when 'charged' then j.life_event is null
          when 'extended' then j.was_open and j.life_deadline > j.occurred_at
            and j.expires_at > j.occurred_at
          when 'cancelled' then j.was_open and j.life_deadline > j.occurred_at
            and j.amount = j.held
          when 'expired' then j.was_open and j.expires_at = j.life_deadline
            and j.expires_at <= j.occurred_at and j.amount = j.held
          when 'settled' then
            case when j.late
              then not j.was_open and (
                j.life_event in ('expired', 'refunded')
                or j.life_details @> '{"late": true, "final": false}'
              )
              else j.was_open and j.life_deadline > j.occurred_at
                and j.final = (j.expires_at is null)
            end
          when 'refunded' then j.refundable >= j.amount
          else j.reservation_id is null
        end, false) as life_holds
      from judged j
      cross join lateral (
        select
          case
            when j.event in ('credited', 'transferred_in', 'refunded') then j.amount
            when j.event in ('withdrawn', 'transferred_out', 'reserved', 'charged', 'extended')
              then -j.amount
            when j.event in ('cancelled', 'expired') then j.held
            when j.event <> 'settled' then 0
            when j.late then -j.amount
            when j.final then j.held - j.amount
            else -greatest(j.amount - j.held, 0)
          end,
          case
            when j.event in ('reserved', 'extended') then j.amount
            when j.event in ('cancelled', 'expired') then -j.held
            when j.event <> 'settled' or j.late then 0
            when j.final then -j.held
            else -least(j.amount, j.held)
          end,
          case
            when j.event in ('settled', 'charged') then j.amount
            when j.event = 'refunded' then -j.amount
            else 0
          end
      ) as m(available_due, reserved_due, spent_due)
  )
  select x.wallet_id, x.seq, f.name, f.expected, f.found
    from expected x
    cross join lateral (
      values
        ('seq', x.seq_holds, (x.before_seq + 1)::text, x.seq::text),
        ('time', x.time_holds, 'after ' || x.before_at::text, x.occurred_at::text),
        ('hash', x.hash_holds,
          pg_catalog.encode(x.other_hash, 'hex'), (
            select pg_catalog.encode(e.hash, 'hex') from baseledger.events e
              where e.wallet_id = x.wallet_id and e.seq = x.seq
          )),
        ('balances', x.balances_hold,
          pg_catalog.format('available %s, reserved %s, spent %s',
            x.before_available + x.available_due,
            x.before_reserved + x.reserved_due,
            x.before_spent::numeric + x.spent_due),
          pg_catalog.format('available %s, reserved %s, spent %s',
            x.available, x.reserved, x.spent)),
        ('reservation', x.life_holds, 'an event that may follow ' || coalesce(
            x.life_event::text || coalesce(' (deadline ' || x.life_deadline::text || ')', ''),
            'nothing'
          ),
          x.event::text || ' at ' || x.occurred_at::text),
        ('funds', x.funds_hold, 'available of at least 0', x.available::text)
    ) as f(name, holds, expected, found)
    where not (
      x.seq_holds and x.time_holds and x.hash_holds and x.balances_hold and x.life_holds
      and x.funds_hold
    )
    and f.holds is not true
    order by x.wallet_id, x.seq
$$;

revoke all on function baseledger._verify_events from public;
--! EndIncluded functions/_verify_events.sql
--! Included functions/_verify_wallets.sql
-- Wallets p_first to p_last (null: to the end) against the end of their journals, their open
-- reservations, and the other side of their transfers.
create or replace function baseledger._verify_wallets(p_first text, p_last text)
returns setof baseledger.discrepancy
language sql
stable
as $$
  with w as materialized (
    select * from baseledger.wallets l
      where l.wallet_id >= p_first and l.wallet_id <= coalesce(p_last, l.wallet_id)
  ),
  -- What the journal says is open: the last event of a reservation, if it carries a deadline.
  lived as (
    select e.wallet_id, e.reservation_id,
        pg_catalog.max(e.seq) as seq,
        pg_catalog.sum(e.amount) filter (where e.event in ('reserved', 'extended')) as amount,
        pg_catalog.sum(e.amount) filter (where e.event = 'settled') as settled
      from baseledger.events e
      where e.wallet_id >= p_first and e.wallet_id <= coalesce(p_last, e.wallet_id)
        and e.reservation_id is not null
      group by e.wallet_id, e.reservation_id
      having pg_catalog.bool_or(e.event = 'reserved') and not pg_catalog.bool_or(
        e.event in ('cancelled', 'expired') or e.event = 'settled' and e.expires_at is null
      )
  ),
  open as (
    select l.*, e.expires_at, h.held
      from lived l
      join baseledger.events e on e.wallet_id = l.wallet_id and e.seq = l.seq
      cross join lateral (
        select pg_catalog.sum(o.reserved::numeric - coalesce(b.reserved, 0)) as held
          from baseledger.events o
          left join baseledger.events b on b.wallet_id = o.wallet_id and b.seq = o.seq - 1
          where o.wallet_id = l.wallet_id and o.reservation_id = l.reservation_id
      ) as h
  ),
  r as (
    select * from baseledger.reservations s
      where s.wallet_id >= p_first and s.wallet_id <= coalesce(p_last, s.wallet_id)
  )
  -- Each wallet's row is its last event.
  select w.wallet_id, w.seq, 'wallet',
      pg_catalog.format('seq %s, available %s, reserved %s, spent %s, at %s, hash %s',
        e.seq, e.available, e.reserved, e.spent, e.occurred_at, pg_catalog.encode(e.hash, 'hex')),
      pg_catalog.format('seq %s, available %s, reserved %s, spent %s, at %s, hash %s',
        w.seq, w.available, w.reserved, w.spent, w.last_event_at, pg_catalog.encode(w.hash, 'hex'))
    from w
    left join lateral (
      select * from baseledger.events l where l.wallet_id = w.wallet_id order by l.seq desc limit 1
    ) as e on true
    where (w.seq, w.available, w.reserved, w.spent, w.last_event_at, w.hash)
      is distinct from (e.seq, e.available, e.reserved, e.spent, e.occurred_at, e.hash)
  union all
  -- Its terms are those it was opened on.
  select w.wallet_id, 1::bigint, 'terms', e.details::text,
      pg_catalog.jsonb_build_object(
        'unit', w.unit, 'scale', w.scale, 'overdraft_limit', w.overdraft_limit
      )::text
    from w
    left join lateral (
      select l.details from baseledger.events l
        where l.wallet_id = w.wallet_id and l.seq = 1 and l.event = 'opened'
        limit 1
    ) as e on true
    where e.details is distinct from pg_catalog.jsonb_build_object(
      'unit', w.unit, 'scale', w.scale, 'overdraft_limit', w.overdraft_limit
    )
  union all
  select w.wallet_id, f.seq, 'frozen', coalesce(f.event = 'frozen', false)::text, w.frozen::text
    from w
    left join lateral (
      select l.seq, l.event from baseledger.events l
        where l.wallet_id = w.wallet_id and l.event in ('frozen', 'unfrozen')
        order by l.seq desc limit 1
    ) as f on true
    where w.frozen is distinct from coalesce(f.event = 'frozen', false)
  union all
  -- Every event has a wallet.
  select e.wallet_id, pg_catalog.min(e.seq), 'orphan', 'a wallet', 'none'
    from baseledger.events e
    where e.wallet_id >= p_first and e.wallet_id <= coalesce(p_last, e.wallet_id)
      and not exists (select from w where w.wallet_id = e.wallet_id)
    group by e.wallet_id
  union all
  -- The open reservations are those that the journal left open, with what they hold.
  select coalesce(o.wallet_id, r.wallet_id), o.seq, 'open reservation',
      case when o.wallet_id is not null then pg_catalog.format(
        '%s: amount %s, settled %s, held %s, until %s', o.reservation_id, o.amount,
        coalesce(o.settled, 0), o.held, o.expires_at
      ) end,
      case when r.wallet_id is not null then pg_catalog.format(
        '%s: amount %s, settled %s, held %s, until %s', r.reservation_id, r.amount, r.settled,
        r.held, r.expires_at
      ) end
    from open o
    full join r on r.wallet_id = o.wallet_id and r.reservation_id = o.reservation_id
    where (o.amount, coalesce(o.settled, 0), o.held, o.expires_at)
      is distinct from (r.amount::numeric, r.settled::numeric, r.held::numeric, r.expires_at)
  union all
  select w.wallet_id, w.seq, 'reserved', coalesce(h.held, 0)::text, w.reserved::text
    from w
    left join (
      select r.wallet_id, pg_catalog.sum(r.held) as held from r group by r.wallet_id
    ) as h on h.wallet_id = w.wallet_id
    where w.reserved <> coalesce(h.held, 0)
  union all
  select w.wallet_id, null, 'next deadline', 'not after ' || d.first::text,
      coalesce(w.next_deadline::text, 'none')
    from w
    join (
      select r.wallet_id, pg_catalog.min(r.expires_at) as first from r group by r.wallet_id
    ) as d on d.wallet_id = w.wallet_id
    where coalesce(w.next_deadline > d.first, true)
  union all
  -- A transfer has two sides.
  select t.wallet_id, t.seq, 'transfer', 'transferred_in to ' || (t.details ->> 'to'), 'none'
    from baseledger.events t
    where t.wallet_id >= p_first and t.wallet_id <= coalesce(p_last, t.wallet_id)
      and t.event = 'transferred_out'
      and not exists (
        select from baseledger.events i
          where i.wallet_id = t.details ->> 'to'
            and i.event = 'transferred_in'
            and i.details = pg_catalog.jsonb_build_object('from', t.wallet_id, 'from_seq', t.seq)
            and i.amount = t.amount
      )
  union all
  select t.wallet_id, t.seq, 'transfer', 'transferred_out from ' || (t.details ->> 'from'), 'none'
    from baseledger.events t
    where t.wallet_id >= p_first and t.wallet_id <= coalesce(p_last, t.wallet_id)
      and t.event = 'transferred_in'
      and not exists (
        select from baseledger.events o
          where o.wallet_id = t.details ->> 'from'
            and o.seq = (t.details ->> 'from_seq')::bigint
            and o.event = 'transferred_out'
            and o.details ->> 'to' = t.wallet_id
            and o.amount = t.amount
      )
$$;

revoke all on function baseledger._verify_wallets from public;
--! EndIncluded functions/_verify_wallets.sql
