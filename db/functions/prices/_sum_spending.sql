-- What the events p_first to p_last of a wallet have spent, by the labels of their openings, by
-- price row if p_by names the model, and by the windows whose first events are p_windows (null:
-- none).
--
-- One pass over the events. Tokens are summed in a column for each of p_kinds, at most 16: a row
-- for each kind of each event would take several times as long. Openings are hashed, and the few
-- before p_first looked up; without p_by they are not read, nor those with usage where only the
-- model is asked for.
--
-- Custom plans, so that arguments are constants. Hashes only, as the planner cannot know how many
-- events a wallet has: what does not fit into work_mem goes to disk.
create or replace function baseledger._sum_spending(
  p_wallet_id text,
  p_first bigint,
  p_last bigint,
  p_by text[],
  p_windows bigint[],
  p_kinds text[]
)
returns table (
  place integer,
  label_values text[],
  price_id bigint,
  calls bigint,
  amount numeric,
  tokens numeric[]
)
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
    select width_bucket(s.seq, p_windows), case
          when p_by = '{}' or p_by = '{model}' and s.price_id is not null then p_by
          when o.reservation_id is not null then o.label_values
          else (
            select baseledger._label_values(baseledger._labels(e.details, e.metadata), p_by)
              from baseledger.events e
              where e.wallet_id = p_wallet_id
                and e.reservation_id between s.reservation_id and s.reservation_id
                and e.event in ('reserved', 'charged')
              order by e.reservation_id
              limit 1
          )
        end,
        s.price_id,
        count(*) filter (where s.event in ('reserved', 'charged')), sum(s.amount), array[
          sum((s.usage -> p_kinds[1])::bigint), sum((s.usage -> p_kinds[2])::bigint),
          sum((s.usage -> p_kinds[3])::bigint), sum((s.usage -> p_kinds[4])::bigint),
          sum((s.usage -> p_kinds[5])::bigint), sum((s.usage -> p_kinds[6])::bigint),
          sum((s.usage -> p_kinds[7])::bigint), sum((s.usage -> p_kinds[8])::bigint),
          sum((s.usage -> p_kinds[9])::bigint), sum((s.usage -> p_kinds[10])::bigint),
          sum((s.usage -> p_kinds[11])::bigint), sum((s.usage -> p_kinds[12])::bigint),
          sum((s.usage -> p_kinds[13])::bigint), sum((s.usage -> p_kinds[14])::bigint),
          sum((s.usage -> p_kinds[15])::bigint), sum((s.usage -> p_kinds[16])::bigint)
        ]
      from (
        select e.seq, e.event, e.reservation_id,
            case e.event when 'reserved' then 0 when 'refunded' then -e.amount else e.amount end
              as amount,
            case when e.event <> 'reserved' then e.details -> 'usage' end as usage,
            case when 'model' = any (p_by) then (e.details -> 'price')::bigint end as price_id
          from baseledger.events e
          where e.wallet_id = p_wallet_id
            and e.seq between p_first and p_last
            and e.event in ('reserved', 'settled', 'charged', 'refunded')
          offset 0
      ) as s
      left join (
        select l.reservation_id, (array[
              baseledger._label_value(l.labels, p_by[1]),
              baseledger._label_value(l.labels, p_by[2]),
              baseledger._label_value(l.labels, p_by[3]),
              baseledger._label_value(l.labels, p_by[4])
            ])[1 : cardinality(p_by)] as label_values
          from (
            select e.reservation_id, baseledger._labels(e.details, e.metadata) as labels
              from baseledger.events e
              where p_by <> '{}'
                and e.wallet_id = p_wallet_id
                and e.seq between p_first and p_last
                and e.event in ('reserved', 'charged')
                and (p_by <> '{model}' or e.details -> 'price' is null)
              offset 0
          ) as l
          offset 0
      ) as o on o.reservation_id = s.reservation_id
      group by 1, 2, 3;
end
$$;

revoke all on function baseledger._sum_spending from public;
