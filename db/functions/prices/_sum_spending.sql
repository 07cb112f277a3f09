-- What the events p_first to p_last of a wallet have spent, by the labels of their openings, and by
-- the windows whose first events are p_windows (null: none).
--
-- One pass over the events. Tokens are summed in eight columns; the price row of an event says of
-- which kinds they are, and has several parts if it has more. A row for each kind of each event
-- would take several times as long. Openings are hashed, and the few before p_first looked up;
-- without p_by they are not read, nor those with usage where only the model is asked for.
--
-- Custom plans, so that arguments are constants. Hashes only, as the planner cannot know how many
-- events a wallet has: what does not fit into work_mem goes to disk.
create or replace function baseledger._sum_spending(
  p_wallet_id text,
  p_first bigint,
  p_last bigint,
  p_by text[],
  p_windows bigint[]
)
returns table (place integer, label_values text[], calls bigint, tokens jsonb, amount numeric)
language plpgsql
stable
set plan_cache_mode = 'force_custom_plan'
set enable_nestloop = off
set enable_mergejoin = off
set enable_sort = off
set work_mem = '64MB'
set jit = off
as $$
begin
  return query
    with price as (
      select r.price_id, r.model, p.part, r.kinds[p.part * 8 + 1 : p.part * 8 + 8] as kinds
        from (
          select c.price_id, c.provider || '/' || c.model as model,
              array(select jsonb_object_keys(c.rates)) as kinds
            from baseledger.price_rows c
            offset 0
        ) as r
        join (values (0), (1), (2), (3), (4), (5), (6), (7)) as p (part)
          on p.part * 8 < cardinality(r.kinds)
    ),
    opened as (
      select e.reservation_id,
          baseledger._label_values(baseledger._labels(e.details, e.metadata), p_by) as label_values
        from baseledger.events e
        where p_by <> '{}'
          and e.wallet_id = p_wallet_id
          and e.seq between p_first and p_last
          and e.event in ('reserved', 'charged')
          and (p_by <> '{model}' or e.details -> 'price' is null)
    ),
    labelled as (
      select width_bucket(e.seq, p_windows) as place,
          case
            when p_by = '{}' then p_by
            when o.reservation_id is not null then o.label_values
            when p_by = '{model}' and e.details -> 'price' is not null then p_by
            else (
              select baseledger._label_values(baseledger._labels(l.details, l.metadata), p_by)
                from baseledger.events l
                where l.wallet_id = p_wallet_id
                  and l.reservation_id between e.reservation_id and e.reservation_id
                  and l.event in ('reserved', 'charged')
                order by l.reservation_id
                limit 1
            )
          end as label_values,
          e.event,
          case when e.event <> 'reserved' or 'model' = any (p_by)
            then (e.details -> 'price')::bigint
          end as price_id,
          case e.event when 'reserved' then 0 when 'refunded' then -e.amount else e.amount end
            as amount,
          case when e.event <> 'reserved' then e.details -> 'usage' end as usage
        from baseledger.events e
        left join opened o on o.reservation_id = e.reservation_id
        where e.wallet_id = p_wallet_id
          and e.seq between p_first and p_last
          and e.event in ('reserved', 'settled', 'charged', 'refunded')
    ),
    -- By price row, which has the model and the kinds.
    summed as (
      select l.place, l.label_values, p.price_id, p.part,
          count(*) filter (where l.event in ('reserved', 'charged')) as calls,
          sum(l.amount) as amount,
          sum((l.usage -> p.kinds[1])::bigint) as s1, sum((l.usage -> p.kinds[2])::bigint) as s2,
          sum((l.usage -> p.kinds[3])::bigint) as s3, sum((l.usage -> p.kinds[4])::bigint) as s4,
          sum((l.usage -> p.kinds[5])::bigint) as s5, sum((l.usage -> p.kinds[6])::bigint) as s6,
          sum((l.usage -> p.kinds[7])::bigint) as s7, sum((l.usage -> p.kinds[8])::bigint) as s8
        from labelled l
        left join price p on p.price_id = l.price_id
        group by l.place, l.label_values, p.price_id, p.part
    ),
    -- A row for each kind, and one without a kind for calls and amount.
    lines as (
      select s.place,
          case
            when p.model is null or array_position(p_by, 'model') is null then s.label_values
            else s.label_values[: array_position(p_by, 'model') - 1] || p.model
              || s.label_values[array_position(p_by, 'model') + 1 :]
          end as label_values,
          unnest(null::text || p.kinds) as kind,
          unnest(array[null, s.s1, s.s2, s.s3, s.s4, s.s5, s.s6, s.s7, s.s8]) as tokens,
          unnest(array[case when coalesce(s.part, 0) = 0 then s.calls end]) as calls,
          unnest(array[case when coalesce(s.part, 0) = 0 then s.amount end]) as amount
        from summed s
        left join price p on p.price_id = s.price_id and p.part = s.part
    )
    select t.place, t.label_values, sum(t.calls)::bigint,
        coalesce(jsonb_object_agg(t.kind, t.tokens) filter (where t.tokens is not null), '{}'),
        sum(t.amount)
      from (
        select l.place, l.label_values, l.kind, sum(l.tokens) as tokens, sum(l.calls) as calls,
            sum(l.amount) as amount
          from lines l
          group by l.place, l.label_values, l.kind
      ) as t
      group by t.place, t.label_values;
end
$$;

revoke all on function baseledger._sum_spending from public;
