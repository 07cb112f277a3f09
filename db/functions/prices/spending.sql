-- What a wallet has spent, from the journal: the events from p_from up to, not including, p_to.
-- Without bounds the amounts add up to what the wallet has spent. Takes no lock.
create or replace function baseledger.spending(
  p_wallet_id text,
  p_from timestamptz default null,
  p_to timestamptz default null,
  p_by text[] default '{}',
  p_per text default null,
  p_time_zone text default 'UTC'
)
returns setof baseledger.spending_line
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set jit = off
as $$
declare
  v_field text;
  v_by text[];
  v_model integer;
  v_first bigint;
  v_last bigint;
  v_windows record;
  v_kinds text[];
begin
  -- The terms of a limit; `ever` stands for none.
  v_field := case
    when p_per in ('minute', 'year', 'ever') then 'per'
    else baseledger._find_invalid_term(
      'x', 0, coalesce(p_per, 'ever'), p_by, 'amount', p_time_zone, true, '{}'
    )
  end;
  if v_field is not null then
    perform baseledger._raise('LGARG', baseledger._describe_argument(v_field));
  end if;
  v_by := array(select b.name from unnest(p_by) with ordinality as b (name, n) order by b.n);
  v_model := array_position(v_by, 'model');
  v_first := baseledger._find_seq_before(p_wallet_id, coalesce(p_from, '-infinity')) + 1;
  v_last := baseledger._find_seq_before(p_wallet_id, coalesce(p_to, 'infinity'));
  select null::timestamptz[] as starts_at, null::bigint[] as first_seq into v_windows;
  if p_per is not null then
    v_windows := baseledger._list_windows(p_wallet_id, p_per, p_time_zone, v_first, v_last);
  end if;
  v_kinds := array(
    select distinct k.kind
      from baseledger.price_rows r
      cross join lateral jsonb_object_keys(r.rates) as k (kind)
  );
  return query
    with summed as (
      -- 16 kinds at a time, nearly always one pass: calls and amounts are those of the first.
      select v_windows.starts_at[s.place] as starts_at, s.tokens,
          v_kinds[p.pass * 16 + 1 : p.pass * 16 + 16] as kinds,
          case when p.pass = 0 then s.calls end as calls,
          case when p.pass = 0 then s.amount end as amount,
          case
            when r.price_id is null then s.label_values
            else s.label_values[: v_model - 1] || (r.provider || '/' || r.model)
              || s.label_values[v_model + 1 :]
          end as label_values
        from generate_series(0, greatest(cardinality(v_kinds) - 1, 0) / 16) as p (pass)
        cross join lateral baseledger._sum_spending(
          p_wallet_id, v_first, v_last, v_by, v_windows.first_seq,
          v_kinds[p.pass * 16 + 1 : p.pass * 16 + 16]
        ) as s
        left join baseledger.price_rows r on r.price_id = s.price_id
    ),
    -- A row for each kind, and one without a kind for calls and amount.
    by_kind as (
      select k.starts_at, k.label_values, k.kind, sum(k.tokens) as tokens, sum(k.calls) as calls,
          sum(k.amount) as amount
        from (
          select s.starts_at, s.label_values, unnest(null::text || s.kinds) as kind,
              unnest(null::numeric || s.tokens) as tokens, unnest(array[s.calls]) as calls,
              unnest(array[s.amount]) as amount
            from summed s
        ) as k
        where k.kind is null or k.tokens is not null
        group by k.starts_at, k.label_values, k.kind
    )
    select k.starts_at, k.label_values, sum(k.calls)::bigint,
        coalesce(jsonb_object_agg(k.kind, k.tokens) filter (where k.tokens is not null), '{}'),
        sum(k.amount)
      from by_kind k
      group by k.starts_at, k.label_values
      order by k.starts_at, k.label_values collate "C";
end
$$;

comment on function baseledger.spending is
  e'What a wallet has spent from p_from up to, not including, p_to: calls, tokens by kind, and '
  'amount, for each combination of values of the labels in p_by that has any, and for each window '
  'of p_per. An event counts when it happened, with the labels of the opening of its reservation; '
  'refunds are subtracted. Without bounds the amounts add up to the wallet''s spent. From the '
  'journal, so that it takes time with the number of events: some seconds for a million. Refused '
  'with LGARG, LGWNF.'
  '\np_from: The first instant. Default: the beginning.'
  '\np_to: The instant after the last. Default: the end.'
  '\np_by: At most 4 names of labels. model is that of the event''s own usage, if it has one. '
  'Default: none.'
  '\np_per: A line for each hour, day, week (from Monday) or month in which something happened. '
  'Default: one for all.'
  '\np_time_zone: Where these begin: UTC, or an Area/City of pg_timezone_names.';
revoke all on function baseledger.spending from public;
grant execute on function baseledger.spending to baseledger_operator, baseledger_auditor;
