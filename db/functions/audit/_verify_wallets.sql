-- Checks the rows of wallets p_first to p_last (null: to the end) against the end of their
-- journals, their open reservations, and the other side of their transfers.
create or replace function baseledger._verify_wallets(p_first text, p_last text)
returns setof baseledger.discrepancy
language sql
stable
as $$
  with w as materialized (
    select * from baseledger.wallets l
      where l.wallet_id >= p_first and l.wallet_id <= coalesce(p_last, l.wallet_id)
  ),
  -- What the journal says is open: reserved, and no event has ended it.
  lived as (
    select e.wallet_id, e.reservation_id
      from baseledger.events e
      where e.wallet_id >= p_first and e.wallet_id <= coalesce(p_last, e.wallet_id)
        and e.event = 'reserved'
        and not exists (
          select from baseledger.events d
            where d.wallet_id >= p_first and d.wallet_id <= coalesce(p_last, d.wallet_id)
              and d.wallet_id = e.wallet_id
              and d.reservation_id = e.reservation_id
              and not baseledger._leaves_open(d.event, d.expires_at)
        )
  ),
  -- Few are open at a time: what they hold, and until when, is looked up one by one.
  open as (
    select l.*, h.seq, h.amount, h.settled, h.held, h.expires_at
      from lived l
      cross join lateral (
        select
            pg_catalog.max(e.seq) as seq,
            pg_catalog.sum(e.reserved::numeric - coalesce(b.reserved, 0))
              filter (where e.event <> 'settled') as amount,
            pg_catalog.sum(e.amount) filter (where e.event = 'settled') as settled,
            pg_catalog.sum(e.reserved::numeric - coalesce(b.reserved, 0)) as held,
            (pg_catalog.array_agg(e.expires_at order by e.seq desc))[1] as expires_at
          from baseledger.events e
          left join baseledger.events b on b.wallet_id = e.wallet_id and b.seq = e.seq - 1
          where e.wallet_id = l.wallet_id and e.reservation_id = l.reservation_id
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
            and i.details @> pg_catalog.jsonb_build_object('from', t.wallet_id, 'from_seq', t.seq)
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
