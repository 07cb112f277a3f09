-- Adds counters to those that are loaded already, which may have changed since, and gives slots the
-- positions that theirs have then.
--
-- No nested loops: the planner takes every array for a short one.
create or replace function baseledger._merge_counters(
  p_known baseledger._counter[],
  inout counters baseledger._counter[],
  inout slots baseledger._slot[]
)
returns record
language plpgsql
stable
set enable_nestloop = off
as $$
declare
  v_places integer[];                 -- of each one to add
  v_missing integer[];
begin
  -- Those that are not there yet get the next places.
  select array_agg(coalesce(m.known, cardinality(p_known) + m.rank) order by m.place),
      array_agg(m.place order by m.place) filter (where m.known is null)
    into v_places, v_missing
    from (
      select c.ordinality::integer as place, k.place as known,
          count(*) filter (where k.place is null) over (order by c.ordinality)::integer as rank
        from unnest(counters) with ordinality as c
        left join (
          select u.limit_id, u.label_values, u.ordinality::integer as place
            from unnest(p_known) with ordinality as u
        ) as k on k.limit_id = c.limit_id and k.label_values = c.label_values
    ) as m;
  counters := p_known || array(
    select counters[m.place] from unnest(v_missing) with ordinality as m(place, n) order by m.n
  );
  slots := array(
    select row(
        array(
          select v_places[c.place] from unnest(s.counters) with ordinality as c(place, n)
            order by c.n
        ),
        s.opened_at
      )::baseledger._slot
      from unnest(slots) with ordinality as s
      order by s.ordinality
  );
end
$$;

revoke all on function baseledger._merge_counters from public;
