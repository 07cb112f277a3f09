-- Loads the counters of commands, as of an instant: those of the reservations that they open or
-- name. slots say which belong to each command, in the order of their limits.
create or replace function baseledger._load_batch(
  p_wallet_id text,
  p_at timestamptz,
  p_commands baseledger._command[],
  out counters baseledger._counter[],
  out slots baseledger._slot[],
  out tight boolean                   -- see _load_single; a batch always looks
)
returns record
language plpgsql
stable
as $$
declare
  v_stale integer[];
  v_i integer;
begin
  with asked as materialized (
    select c.ordinality as place, o.opened_at,
        case when c.op in ('reserve', 'charge')
          then baseledger._labels(c.details, c.metadata) else o.labels
        end as labels
      from unnest(p_commands) with ordinality as c
      left join lateral baseledger._find_opening(
        p_wallet_id, case when c.op not in ('reserve', 'charge') then c.reservation_id end
      ) as o on true
  ),
  -- Each combination has one counter, whichever commands share it.
  combinations as materialized (
    select v.place, v.opened_at, v.limit_id, v.label_values,
        dense_rank() over (order by v.limit_id, v.label_values)::integer as n,
        row_number() over (partition by v.limit_id, v.label_values) = 1 as is_first
      from (
        select a.place, a.opened_at, l.limit_id,
            baseledger._label_values(a.labels, l.by) collate "C" as label_values
          from asked a
          cross join baseledger.limits l
          where l.wallet_id = p_wallet_id and a.labels is not null
      ) as v
  )
  select
      (
        select array_agg(row(s.counters, s.opened_at)::baseledger._slot order by s.place)
          from (
            select u.place, array_agg(u.n order by u.n) filter (where u.n is not null) as counters,
                min(u.opened_at) as opened_at
              from (
                select c.place, c.n, c.opened_at from combinations c
                union all
                select a.place, null, null from asked a where a.labels is null
              ) as u
              group by u.place
          ) as s
      ),
      d.counters, d.stale
    into slots, counters, v_stale
    from (
      select array_agg(f.counter order by c.n) as counters,
          array_agg(c.n) filter (where not f.fresh) as stale
        from combinations c
        cross join lateral baseledger._find_counters(
          p_wallet_id, null, c.limit_id, c.label_values, p_at
        ) as f
        where c.is_first
    ) as d;
  if v_stale is not null then
    foreach v_i in array v_stale loop
      counters[v_i] := baseledger._refresh_counter(p_wallet_id, counters[v_i], p_at);
    end loop;
  end if;
  tight := true;
end
$$;

revoke all on function baseledger._load_batch from public;
