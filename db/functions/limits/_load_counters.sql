-- Loads the counters of commands, as of an instant: those of the reservations that they open or name.
-- slots say which belong to each command, in the order of their limits.
create or replace function baseledger._load_counters(
  p_wallet_id text,
  p_at timestamptz,
  p_commands baseledger._command[],
  out counters baseledger._counter[],
  out slots baseledger._slot[],
  out window_end timestamptz,         -- the first end of their windows
  out rolled boolean                  -- some of the windows are not the ones on record
)
returns record
language plpgsql
stable
as $$
begin
  if cardinality(p_commands) = 1 then
    -- All are of one reservation.
    if p_commands[1].op in ('reserve', 'charge') then
      select array_agg(c.counter order by c.limit_id), min((c.counter).ends_at),
          bool_or((c.counter).rolled)
        into counters, window_end, rolled
        from baseledger._find_counters(
          p_wallet_id, coalesce(p_commands[1].details -> 'labels', p_commands[1].metadata), p_at
        ) as c;
      slots := array[
        row(array(select generate_subscripts(counters, 1)), null)::baseledger._slot
      ];
    else
      select array_agg(c.counter order by c.limit_id),
          array[row(
            array_agg(c.ordinality::integer order by c.limit_id), min(o.opened_at)
          )::baseledger._slot],
          min((c.counter).ends_at), bool_or((c.counter).rolled)
        into counters, slots, window_end, rolled
        from baseledger._find_opening(p_wallet_id, p_commands[1].reservation_id) as o
        cross join lateral (
          select f.*, row_number() over (order by f.limit_id) as ordinality
            from baseledger._find_counters(p_wallet_id, o.labels, p_at) as f
        ) as c;
    end if;
    return;
  end if;
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
  -- Each combination has one counter, whichever commands share it.
  combinations as materialized (
    select a.place, c.counter,
        dense_rank() over (
          order by c.limit_id collate "C", c.label_values collate "C"
        )::integer as n
      from asked a
      cross join lateral baseledger._find_counters(p_wallet_id, a.labels, p_at) as c
      where a.labels is not null
  )
  select
      (
        select array_agg(row(s.counters, a.opened_at)::baseledger._slot order by a.place)
          from asked a
          left join (
            select c.place, array_agg(c.n order by c.n) as counters from combinations c group by 1
          ) as s on s.place = a.place
      ),
      d.counters, d.window_end, d.rolled
    into slots, counters, window_end, rolled
    from (
      select array_agg(n.counter order by n.n) as counters, min((n.counter).ends_at) as window_end,
          bool_or((n.counter).rolled) as rolled
        from (
          select c.n, (array_agg(c.counter))[1] as counter from combinations c group by c.n
        ) as n
    ) as d;
end
$$;

revoke all on function baseledger._load_counters from public;
