-- Recomputes the counters of wallets and compares: what the events of its window have spent
-- since the limit was set, by the clock and by the labels of the reservation's opening, and what
-- its open reservations hold. There is no counter of what has spent and holds nothing; one of an
-- earlier window has spent nothing in the limit's present one.
--
-- No nested loops: the planner cannot know how many events have a label.
create or replace function baseledger._verify_counters(p_wallets text[])
returns setof baseledger.discrepancy
language sql
stable
set timezone = 'UTC'
set enable_nestloop = off
as $$
  with l as materialized (
    select * from baseledger.limits s where s.wallet_id = any (p_wallets)
  ),
  c as materialized (
    select * from baseledger.counters s where s.wallet_id = any (p_wallets)
  ),
  limited as materialized (
    select distinct l.wallet_id from l
  ),
  opened as materialized (
    select e.wallet_id, e.reservation_id, e.seq,
        baseledger._labels(e.details, e.metadata) as labels,
        baseledger._event_clock(e.occurred_at, e.details) as instant
      from baseledger.events e
      join limited on limited.wallet_id = e.wallet_id
      where e.event in ('reserved', 'charged')
  ),
  -- By combination, what counts: amounts with the opening, which decides whether a refund does.
  counted as (
    select l.wallet_id, l.limit_id, baseledger._label_values(o.labels, l.by) as label_values,
        s.instant,
        case l.of when 'tokens' then baseledger._count_tokens(s.usage) else s.amount end as amount,
        case when s.event = 'refunded' then o.instant end as refund_of
      from l
      join (
        select e.wallet_id, e.seq, e.reservation_id, e.event,
            case when e.event = 'refunded' then -e.amount else e.amount end as amount,
            e.details -> 'usage' as usage,
            baseledger._event_clock(e.occurred_at, e.details) as instant
          from baseledger.events e
          join limited on limited.wallet_id = e.wallet_id
          where e.event in ('settled', 'charged', 'refunded')
      ) as s on s.wallet_id = l.wallet_id and s.seq > l.set_seq
      join opened o on o.wallet_id = s.wallet_id and o.reservation_id = s.reservation_id
      where l.of = 'amount' or l.of = 'tokens' and s.event <> 'refunded'
    union all
    select l.wallet_id, l.limit_id, baseledger._label_values(o.labels, l.by), o.instant, 1, null
      from l
      join opened o on o.wallet_id = l.wallet_id and o.seq > l.set_seq
      where l.of = 'calls'
  ),
  spent as (
    select s.wallet_id, s.limit_id, s.label_values,
        pg_catalog.sum(s.amount) filter (
          where s.instant >= c.starts_at and s.instant < c.ends_at
            and (s.refund_of is null or s.refund_of >= greatest(c.starts_at, l.set_at))
        ) as in_its_window,
        pg_catalog.sum(s.amount) filter (
          where s.instant >= l.starts_at and s.instant < l.ends_at
            and (s.refund_of is null or s.refund_of >= greatest(l.starts_at, l.set_at))
        ) as in_present_window
      from counted s
      join l on l.wallet_id = s.wallet_id and l.limit_id = s.limit_id
      left join c
        on c.wallet_id = s.wallet_id
        and c.limit_id = s.limit_id
        and c.label_values = s.label_values
      group by s.wallet_id, s.limit_id, s.label_values
  ),
  held as (
    select l.wallet_id, l.limit_id, baseledger._label_values(o.labels, l.by) as label_values,
        pg_catalog.sum(case l.of
          when 'open' then 1
          when 'tokens' then baseledger._held_tokens(r.wallet_id, r.reservation_id)
          else r.held
        end) as held
      from l
      join baseledger.reservations r on r.wallet_id = l.wallet_id
      join opened o on o.wallet_id = r.wallet_id and o.reservation_id = r.reservation_id
      where l.of <> 'calls'
      group by l.wallet_id, l.limit_id, baseledger._label_values(o.labels, l.by)
  ),
  expected as (
    select k.wallet_id, k.limit_id, k.label_values, c.limit_id is not null as has_counter,
        coalesce(s.in_its_window, 0) as spent, coalesce(s.in_present_window, 0) as now_spent,
        coalesce(h.held, 0) as held, coalesce(c.spent, 0) as found_spent,
        coalesce(c.held, 0) as found_held, c.starts_at, c.ends_at
      from (
        select c.wallet_id, c.limit_id, c.label_values from c
        union
        select s.wallet_id, s.limit_id, s.label_values from spent s
        union
        select h.wallet_id, h.limit_id, h.label_values from held h
      ) as k
      left join c using (wallet_id, limit_id, label_values)
      left join spent s using (wallet_id, limit_id, label_values)
      left join held h using (wallet_id, limit_id, label_values)
  )
  select x.wallet_id, null::bigint, 'counter',
      case when l.limit_id is not null then pg_catalog.format('%s %s: %sheld %s',
        x.limit_id, x.label_values,
        case
          when x.has_counter then pg_catalog.format('spent %s from %s to %s, ',
            x.spent, x.starts_at, x.ends_at)
          else pg_catalog.format('spent %s from %s to %s, ', x.now_spent, l.starts_at, l.ends_at)
        end, x.held) end,
      case when x.has_counter then pg_catalog.format('%s %s: spent %s from %s to %s, held %s',
        x.limit_id, x.label_values, x.found_spent, x.starts_at, x.ends_at, x.found_held) end
    from expected x
    left join l on l.wallet_id = x.wallet_id and l.limit_id = x.limit_id
    where l.limit_id is null
      or x.held <> x.found_held
      or x.has_counter and (
        x.spent <> x.found_spent
        or not baseledger._may_be_window(l.per, x.starts_at, x.ends_at)
          -- Made for an own amount, it has not been in any window.
          and not (x.starts_at = '-infinity' and x.ends_at = '-infinity')
      )
      -- A window that came back is counted again when it is looked at.
      or l.ends_at = l.counted_until
        and x.starts_at is distinct from l.starts_at
        and x.now_spent <> 0
  union all
  select c.wallet_id, null, 'alerted', 'a percentage of the limit, or 0', c.alerted::text
    from c
    where c.alerted < 0 or c.alerted > 1000
$$;

revoke all on function baseledger._verify_counters from public;
