-- The counters of a limit, as of an instant and in the order of their values: after p_after, and of
-- p_known only, as _known_values has it.
create or replace function baseledger._list_counters(
  p_wallet_id text,
  p_limit_id text,
  p_at timestamptz,
  p_window tstzrange,                 -- the one of the instant
  p_known text[],
  p_after text[],
  p_limit integer
)
returns table (label_values text[], own_amount bigint, spent numeric, held numeric)
language plpgsql
stable
as $$
declare
  c_starts_at constant timestamptz := lower(p_window);
  v_limit baseledger.limits;
  v_came_back boolean;
  v_due jsonb;                        -- what is held past its deadline, by values
  v_from text[] collate "C" := '{}';
  v_until text[] collate "C" := array[null::text];    -- null comes last
begin
  select * into v_limit from baseledger.limits l
    where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id;
  v_came_back := upper(p_window) < v_limit.counted_until;
  select jsonb_object_agg(d.label_values::text, d.held) into v_due
    from (
      select v.label_values, sum(case v_limit.of
          when 'open' then 1
          when 'tokens' then baseledger._held_tokens(p_wallet_id, r.reservation_id)
          else r.held
        end) as held
        from (
          -- In the order of the index, for the planner's sake: see _execute.
          select o.reservation_id, o.held from baseledger.reservations o
            where o.wallet_id = p_wallet_id
              and v_limit.of <> 'calls'
              and o.expires_at <= p_at
              and o.expires_at < 'infinity'
            order by o.expires_at
            offset 0
        ) as r
        cross join lateral baseledger._find_opening(p_wallet_id, r.reservation_id) as f
        cross join lateral (
          select baseledger._label_values(f.labels, v_limit."by") offset 0
        ) as v (label_values)
        group by v.label_values
    ) as d;

  -- Those with the values that are known of the first labels stand together.
  for v_n in 1 .. coalesce(cardinality(p_known), 0) loop
    exit when p_known[v_n] is null;
    v_until := v_from || (p_known[v_n] || chr(1));
    v_from := v_from || p_known[v_n];
  end loop;
  return query
    select c.label_values, c.own_amount,
        case
          when c.starts_at = c_starts_at then c.spent
          when v_came_back then baseledger._count_spent(
            p_wallet_id, p_limit_id, c.label_values, c_starts_at, upper(p_window)
          )
          else 0
        end,
        c.held - coalesce((v_due ->> c.label_values::text)::numeric, 0)
      from baseledger.counters c
      where c.wallet_id = p_wallet_id
        and c.limit_id = p_limit_id
        and c.label_values >= greatest(v_from, p_after)
        and c.label_values < v_until
        and (p_after is null or c.label_values <> p_after)
        and (p_known[1] is null or c.label_values[1] = p_known[1])
        and (p_known[2] is null or c.label_values[2] = p_known[2])
        and (p_known[3] is null or c.label_values[3] = p_known[3])
        and (p_known[4] is null or c.label_values[4] = p_known[4])
      order by c.label_values
      limit p_limit;
end
$$;

revoke all on function baseledger._list_counters from public;
