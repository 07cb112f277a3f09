-- Loads the counters of commands, as of an instant: those of the reservations that they open or name.
-- slots say which belong to each command, in the order of their limits.
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
          then coalesce(c.details -> 'labels', c.metadata) else o.labels
        end as labels
      from unnest(p_commands) with ordinality as c
      left join lateral baseledger._find_opening(
        p_wallet_id, case when c.op not in ('reserve', 'charge') then c.reservation_id end
      ) as o on true
  ),
  -- Few labels differ; each combination has one counter, whichever commands share it.
  labelled as materialized (
    select a.labels, array_agg(a.place) as places
      from asked a
      where a.labels is not null
      group by a.labels
  ),
  combinations as materialized (
    select l.places, f.counter, f.fresh,
        dense_rank() over (
          order by f.limit_id collate "C", f.label_values collate "C"
        )::integer as n
      from labelled l
      cross join lateral baseledger._find_counters(p_wallet_id, l.labels, p_at) as f
  )
  select
      (
        select array_agg(row(s.counters, s.opened_at)::baseledger._slot order by s.place)
          from (
            select u.place, array_agg(u.n order by u.n) filter (where u.n is not null) as counters,
                max(u.opened_at) as opened_at
              from (
                select p.place, c.n, null::timestamptz as opened_at
                  from combinations c
                  cross join lateral unnest(c.places) as p (place)
                union all
                select a.place, null, a.opened_at from asked a
              ) as u
              group by u.place
          ) as s
      ),
      d.counters, d.stale
    into slots, counters, v_stale
    from (
      select array_agg(n.counter order by n.n) as counters,
          array_agg(n.n) filter (where not n.fresh) as stale
        from (
          select c.n, (array_agg(c.counter))[1] as counter, bool_and(c.fresh) as fresh
            from combinations c
            group by c.n
        ) as n
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
