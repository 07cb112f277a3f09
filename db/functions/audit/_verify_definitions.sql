-- Checks the limits of wallets, the own amounts of combinations, and the low balances, against the
-- events that set them. In UTC, so that a time has the same text on both sides.
create or replace function baseledger._verify_definitions(p_wallets text[])
returns setof baseledger.discrepancy
language sql
stable
set timezone = 'UTC'
as $$
  with changes as materialized (
    select e.wallet_id, e.seq, e.event, e.details - '{ahead_us,backlog}'::text[] as details,
        e.details ->> 'limit_id' as limit_id,
        baseledger._event_clock(e.occurred_at, e.details) as instant,
        -- Whatever was set before a removal has gone with it.
        pg_catalog.max(e.seq) filter (where e.event = 'limit_removed')
          over (partition by e.wallet_id, e.details ->> 'limit_id') as removed_seq
      from baseledger.events e
      where e.wallet_id = any (p_wallets)
        and e.event in ('limit_set', 'limit_set_for', 'limit_removed', 'low_balance_set')
  ),
  defined as (
    select c.wallet_id, c.limit_id, pg_catalog.min(c.seq) as set_seq,
        (pg_catalog.array_agg(c.instant order by c.seq))[1] as set_at,
        (pg_catalog.array_agg(c.details order by c.seq desc))[1] as terms
      from changes c
      where c.event = 'limit_set' and c.seq > coalesce(c.removed_seq, 0)
      group by c.wallet_id, c.limit_id
  ),
  found as (
    select l.wallet_id, l.limit_id, l.set_seq, l.set_at,
        pg_catalog.jsonb_build_object(
          'limit_id', l.limit_id, 'amount', l.amount, 'per', l.per, 'by', l.by, 'of', l.of,
          'time_zone', l.time_zone, 'hard', l.hard, 'alert_at', l.alert_at
        ) as terms,
        l.per, l.starts_at, l.ends_at, l.counted_until
      from baseledger.limits l
      where l.wallet_id = any (p_wallets)
  ),
  own as (
    select *
      from (
        select distinct on (c.wallet_id, c.limit_id, c.details -> 'values')
            c.wallet_id, c.limit_id, c.seq,
            array(select pg_catalog.jsonb_array_elements_text(c.details -> 'values'))
              as label_values,
            (c.details ->> 'amount')::bigint as amount
          from changes c
          where c.event = 'limit_set_for' and c.seq > coalesce(c.removed_seq, 0)
          order by c.wallet_id, c.limit_id, c.details -> 'values', c.seq desc
      ) as l
      where l.amount is not null
  ),
  watched as (
    select w.wallet_id, w.seq, coalesce(w.low_balances, '{}') as found_amounts,
        array(select b.amount from pg_catalog.unnest(w.below) as b (amount) order by 1)
          as found_below,
        l.seq as set_seq,
        array(
          select a.amount::bigint
            from pg_catalog.jsonb_array_elements_text(l.details -> 'amounts') as a (amount)
            order by 1
        ) as amounts,
        coalesce(baseledger._list_below(w.low_balances, w.available, w.reserved), '{}') as below
      from baseledger.wallets w
      left join lateral (
        select c.seq, c.details from changes c
          where c.wallet_id = w.wallet_id and c.event = 'low_balance_set'
          order by c.seq desc
          limit 1
      ) as l on true
      where w.wallet_id = any (p_wallets)
  )
  select coalesce(d.wallet_id, f.wallet_id), d.set_seq, 'limit',
      case when d.wallet_id is not null
        then pg_catalog.format('%s, set by event %s at %s', d.terms, d.set_seq, d.set_at) end,
      case when f.wallet_id is not null
        then pg_catalog.format('%s, set by event %s at %s', f.terms, f.set_seq, f.set_at) end
    from defined d
    full join found f on f.wallet_id = d.wallet_id and f.limit_id = d.limit_id
    where (d.wallet_id, d.terms, d.set_seq, d.set_at)
      is distinct from (f.wallet_id, f.terms, f.set_seq, f.set_at)
  union all
  -- Rules of zones change, so that a window is checked for its length only.
  select f.wallet_id, null, 'window', f.limit_id || ': one of per ' || f.per,
      pg_catalog.format('from %s to %s, counted until %s', f.starts_at, f.ends_at, f.counted_until)
    from found f
    where case
        when not baseledger._may_be_window(f.per, f.starts_at, f.ends_at) then true
        else f.counted_until < f.ends_at
      end
  union all
  select coalesce(o.wallet_id, c.wallet_id), o.seq, 'own amount',
      case when o.wallet_id is not null
        then pg_catalog.format('%s %s: %s', o.limit_id, o.label_values, o.amount) end,
      case when c.wallet_id is not null
        then pg_catalog.format('%s %s: %s', c.limit_id, c.label_values, c.own_amount) end
    from own o
    full join (
      select * from baseledger.counters k
        where k.wallet_id = any (p_wallets) and k.own_amount is not null
    ) as c
      on c.wallet_id = o.wallet_id
      and c.limit_id = o.limit_id
      and c.label_values = o.label_values
    where o.amount is distinct from c.own_amount
  union all
  select w.wallet_id, null, 'limited', x.limited::text, w.limited::text
    from baseledger.wallets w
    cross join lateral (
      select exists (select from defined d where d.wallet_id = w.wallet_id)
    ) as x(limited)
    where w.wallet_id = any (p_wallets) and w.limited <> x.limited
  union all
  select w.wallet_id, coalesce(w.set_seq, w.seq), 'low balances',
      pg_catalog.format('%s, below %s', w.amounts, w.below),
      pg_catalog.format('%s, below %s', w.found_amounts, w.found_below)
    from watched w
    where w.amounts <> w.found_amounts or w.below <> w.found_below
$$;

revoke all on function baseledger._verify_definitions from public;
