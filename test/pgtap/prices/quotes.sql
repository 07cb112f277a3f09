-- quotes: many usages at once. Each costs what quote says.
begin;
select plan(40);

set local role baseledger_operator;
do $$
begin
  perform baseledger.set_prices('[
    {"model": "a/m", "valid_from": "2026-01-01", "max_output": 5,
      "rates": {"input": 1250000000, "cache_read": 1, "output": 10000000000}},
    {"model": "a/m", "valid_from": "2026-01-01", "above": 200000, "context_window": 7,
      "rates": {"input": 2500000000, "cache_read": 1, "output": 15000000000}},
    {"model": "a/m", "valid_from": "2026-01-01", "variant": "batch", "rates": {"input": 3}},
    {"model": "a/m", "valid_from": "2026-01-01", "variant": "5", "rates": {"input": 3}},
    {"model": "a/name", "alias_of": "a/m", "valid_from": "2026-01-01"},
    {"model": "a/euro", "valid_from": "2026-01-01", "currency": "EUR",
      "rates": {"input": 1000000000000000000}}
  ]');
end
$$;

set local role baseledger_agent;
create function pg_temp.usages() returns jsonb
language sql immutable as $$
  select '[
    {"model": "a/m", "input": 1200, "output": 512},
    {"model": "a/m", "input": 200000, "output": 1},
    {"model": "a/m", "input": 200001, "output": 1},
    {"model": "a/name", "input": 199999, "cache_read": 2},
    {"model": "a/name", "variant": "batch", "input": 1},
    {"model": "a/m", "variant": "standard", "output": 1},
    {"model": "a/m", "variant": "5", "input": 1},
    {"model": "a/euro", "input": 9},
    {"model": "a/m", "input": 0}
  ]'::jsonb
$$;

select is(
  (select jsonb_agg(to_jsonb(q)) from baseledger.quotes(pg_temp.usages(), t.at, t.scale) as q),
  (
    select jsonb_agg(to_jsonb(baseledger.quote(u.usage, t.at, t.scale)) order by u.n)
      from jsonb_array_elements(pg_temp.usages()) with ordinality as u (usage, n)
  ),
  'each usage costs what quote says, in their order, at scale ' || t.scale
) from (values (null::timestamptz, 6), (null, 9), ('2026-01-01 00:00+00', 9), ('infinity', 9))
  as t (at, scale);
select is(array_agg(q.amount), array[6620000, 250010000, 500017500, 499997501, 1, 10000, 1,
    9000000000000, 0]::bigint[], 'the costs')
  from baseledger.quotes(pg_temp.usages()) as q;
select is(array_agg(q.model), array['a/m', 'a/m', 'a/m', 'a/m', 'a/m', 'a/m', 'a/m', 'a/euro',
    'a/m'], 'aliases are resolved')
  from baseledger.quotes(pg_temp.usages()) as q;
select is(count(*), 0::bigint, 'no usages have no quotes') from baseledger.quotes('[]') as q;
select is(
  (count(*), sum(q.amount), max(q.amount)),
  (10000::bigint, 62506250000::numeric, 12500000::bigint),
  'there may be 10,000'
) from baseledger.quotes((
    select jsonb_agg(jsonb_build_object('model', 'a/m', 'input', i)) from generate_series(1, 10000) i
  )) as q;
select changes_nothing('select baseledger.quotes(pg_temp.usages())', 'nothing is spent');

-- What is refused -------------------------------------------------------------------------------

select refuses(format('quotes(%L)', c.usages), 'LGARG', '{"field": "usages"}',
  'usages are not ' || coalesce(left(c.usages::text, 20), 'null'))
  from (values
    (null::jsonb), ('null'), ('{"model": "a/m", "input": 1}'), ('"x"'),
    ((select jsonb_agg('{}'::jsonb) from generate_series(1, 10001)))
  ) as c (usages);
select refuses(format('quotes(''[{"model": "a/m", "input": 1}, %s, {}]'')', c.usage), 'LGARG',
  '{"field": "usage", "place": 2}', 'usage is not ' || c.usage)
  from (values
    ('null'), ('5'), ('[]'), ('"x"'), ('{}'), ('{"model": "a/m"}'), ('{"input": 1}'),
    ('{"model": 5, "input": 1}'), ('{"model": null, "input": 1}'),
    ('{"model": "m", "input": 1}'), ('{"model": "a/m", "variant": 5, "input": 1}'),
    ('{"model": "a/m", "variant": null, "input": 1}'), ('{"model": "a/m", "input": "1"}'),
    ('{"model": "a/m", "input": -1}'), ('{"model": "a/m", "input": 1.5}'),
    ('{"model": "a/m", "input": 1000000000001}'), ('{"model": "a/euro", "input": 10000000000}')
  ) as c (usage);
select refuses(format('quotes(''[{"model": "a/m", "input": 1}, %s, {}]'')', c.usage), 'LGPRC',
  c.detail::jsonb || '{"place": 2}', 'no price: ' || c.usage)
  from (values
    ('{"model": "a/x", "input": 1}', '{"reason": "model", "model": "a/x", "variant": "standard"}'),
    ('{"model": "a/m", "variant": "x", "input": 1}',
      '{"reason": "variant", "model": "a/m", "variant": "x"}'),
    ('{"model": "a/name", "variant": "", "input": 1}',
      '{"reason": "variant", "model": "a/name", "variant": ""}'),
    ('{"model": "a/name", "variant": "batch", "output": 1}',
      '{"reason": "kind", "kind": "output", "model": "a/name", "variant": "batch"}')
  ) as c (usage, detail);
select refuses(format('quotes(''[{"model": "a/m", "input": 1}]'', null, %s)', c.scale), c.code,
  c.detail::jsonb, 'scale ' || c.scale)
  from (values
    ('5', 'LGPRC', '{"reason": "scale", "scale": 5, "model": "a/m", "variant": "standard",
      "place": 1}'),
    ('-1', 'LGARG', '{"field": "scale"}'), ('19', 'LGARG', '{"field": "scale"}'),
    ('null', 'LGARG', '{"field": "scale"}')
  ) as c (scale, code, detail);
select refuses($$quotes('[{"model": "a/m", "input": 1}]', '2025-12-31')$$, 'LGPRC',
  '{"reason": "model", "model": "a/m", "variant": "standard", "place": 1}',
  'before the first price');

select * from finish();
rollback;
