-- Checks the events of wallets p_first to p_last (null: to the end), each against the event before
-- it in its wallet and the event before it of its reservation. What each event moves is written
-- here a second time on purpose: a check that called the engine would repeat its mistakes.
--
-- Three passes: in the order of the chain, in the order of each reservation, the verdicts. The life
-- of a reservation is one window: a second window, or a wider row in it, would cost as much as
-- hashing.
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
        baseledger._subtract(c.before_available, c.available) as available_by,
        baseledger._subtract(c.before_reserved, c.reserved) as reserved_by,
        baseledger._subtract(c.before_spent, c.spent) as spent_by,
        -- To sort by: a number is compared faster than a text.
        pg_catalog.hashtextextended(c.reservation_id, 0) as reservation_hash,
        nullif(pg_catalog.sha256(c.before_hash || baseledger._encode_event(
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
        baseledger._event_clock(l.occurred_at, l.details) as instant,
        baseledger._leaves_open(l.life_event, l.life_deadline) as was_open
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
        -- Only what was really spent takes available below zero.
        j.available >= 0 or j.available_by >= 0 or j.event = 'settled'
          or j.event = 'charged' and coalesce(j.details @> '{"already_spent": true}', false)
          as funds_hold,
        coalesce(case j.event
          when 'reserved' then j.life_event is null and j.expires_at > j.instant
          when 'charged' then j.life_event is null
          when 'extended' then j.was_open and j.life_deadline > j.instant
            and j.expires_at > j.instant
          when 'cancelled' then j.was_open and j.life_deadline > j.instant
            and j.amount = j.held
          when 'expired' then j.was_open and j.expires_at = j.life_deadline
            and j.expires_at <= j.instant and j.amount = j.held
          when 'settled' then
            case when j.late
              then not j.was_open and (
                j.life_event in ('expired', 'refunded')
                or j.life_details @> '{"late": true, "final": false}'
              )
              else j.was_open and j.life_deadline > j.instant
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
