-- set_prices: many prices, all or none of them.
begin;
select plan(52);

set local role baseledger_operator;

create function pg_temp.lines(p_prices jsonb, p_source text default null) returns text[]
language sql volatile as $$
  select array_agg(concat_ws(
      ' ', '#' || p.price_id, p.model, p.variant, p.above, p.rates ->> 'input', p.currency,
      p.context_window, p.max_output, '-> ' || p.alias_of, p.source
    ) order by p.price_id)
    from baseledger.set_prices(p_prices, p_source) as p
$$;

-- What it does ----------------------------------------------------------------------------------

select is(pg_temp.lines('[
  {"model": "a/m", "rates": {"input": 1}},
  {"model": "a/m", "rates": {"input": 2}, "variant": "batch", "above": 200000,
    "valid_from": "2026-01-01", "currency": "EUR", "context_window": "400000",
    "max_output": 128000},
  {"model": "a/name", "alias_of": "a/m"},
  {"model": "a/nulls", "rates": {"input": 3}, "variant": null, "above": null, "valid_from": null,
    "currency": null, "context_window": null, "max_output": null, "alias_of": null},
  {"model": "a/name 2", "rates": null, "alias_of": "a/nulls"}
]', 'a list'), array[
  '#1 a/m standard 0 1 USD a list',
  '#2 a/m batch 200000 2 EUR 400000 128000 a list',
  '#3 a/name 0 -> a/m a list',
  '#4 a/nulls standard 0 3 USD a list',
  '#5 a/name 2 0 -> a/nulls a list'
], 'prices are set in their order; an alias may stand for one before it');
select is(count(distinct (p.added_at, p.added_by)), 1::bigint, 'they are added at one time')
  from baseledger.prices p;
select is(count(*), 4::bigint, 'those without a time hold from then on')
  from baseledger.prices p where p.valid_from = p.added_at;
select is(pg_temp.lines('[
  {"model": "a/m", "rates": {"input": 1}},
  {"model": "a/m", "rates": {"input": 2}, "variant": "batch", "above": 200000,
    "valid_from": "2026-01-01T00:00:00Z", "currency": "EUR", "context_window": 400000,
    "max_output": 128000},
  {"model": "a/new", "rates": {"input": 1}},
  {"model": "a/name", "alias_of": "a/m"},
  {"model": "a/new", "rates": {"input": 1}}
]', 'another'), array['#6 a/new standard 0 1 USD another'],
  'it returns what was added, without what held already');
select is(pg_temp.lines('[]'), null, 'no prices add nothing');

select is(pg_temp.lines('[
  {"model": "d/m", "rates": {"input": 1}, "valid_from": "-infinity"},
  {"model": "d/m", "rates": {"input": 2}, "valid_from": "2026-02-01"},
  {"model": "d/m", "rates": {"input": 3}, "valid_from": "2026-01-01", "above": 5},
  {"model": "d/m", "rates": {"input": 4}, "valid_from": "-infinity", "variant": "batch"}
]'), array[
  '#7 d/m standard 0 1 USD', '#8 d/m standard 0 2 USD', '#9 d/m standard 5 3 USD',
  '#10 d/m batch 0 4 USD'
], 'a model without a price gets its whole history at once');
select changes_nothing($$select baseledger.set_prices('[
  {"model": "d/m", "rates": {"input": 1}, "valid_from": "-infinity"},
  {"model": "d/m", "rates": {"input": 2}, "valid_from": "2026-02-01"}
]')$$, 'and the same again adds nothing');
select is((baseledger.quote('{"model": "d/m", "input": 1000000}', t.at)).amount, t.amount, t.at::text)
  from (values
    ('1900-01-01 00:00+00'::timestamptz, 1::bigint), ('2026-01-31 23:59:59.999999+00', 3),
    ('2026-02-01 00:00+00', 3)
  ) as t (at, amount);

-- Times -----------------------------------------------------------------------------------------

set local "TimeZone" = 'Asia/Kathmandu';
set local "DateStyle" = 'SQL, DMY';
select is(
  (select p.valid_from from baseledger.set_prices(jsonb_build_array(jsonb_build_object(
    'model', 't/' || t.n, 'rates', '{"input": 1}'::jsonb, 'valid_from', t.given
  ))) as p),
  t.expected, 'a time may be written as ' || t.given
) from (values
    (1, '2026-03-04', timestamptz '2026-03-04 00:00+00'),
    (2, '2026-03-04T05:06', '2026-03-04 05:06+00'),
    (3, '2026-03-04 05:06:07', '2026-03-04 05:06:07+00'),
    (4, '2026-03-04T05:06:07.123456Z', '2026-03-04 05:06:07.123456+00'),
    (5, '2026-03-04T05:06:07+02', '2026-03-04 03:06:07+00'),
    (6, '2026-03-04T05:06:07-02:30', '2026-03-04 07:36:07+00'),
    (7, '-infinity', '-infinity')
  ) as t (n, given, expected);
reset "TimeZone";
reset "DateStyle";

-- What is refused -------------------------------------------------------------------------------

select refuses(format('set_prices(%L)', c.prices), 'LGARG', '{"field": "prices"}',
  'prices are not ' || coalesce(left(c.prices::text, 20), 'null'))
  from (values
    (null::jsonb), ('null'), ('{}'), ('5'), ('[5]'), ('[{"model": "a/b", "rates": {"x": 1}}, null]'),
    ((select jsonb_agg('{}'::jsonb) from generate_series(1, 10001)))
  ) as c (prices);
select refuses(
  format('set_prices(''[{"model": "z/1", "rates": {"input": 1}}, %s]'')', c.price), 'LGARG',
  jsonb_build_object('field', c.field, 'place', 2), c.price
) from (values
    ('model', '{}'),
    ('model', '{"model": 5, "rates": {"input": 1}}'),
    ('model', '{"model": "z", "rates": {"input": 1}}'),
    ('rates', '{"model": "z/m"}'),
    ('rates', '{"model": "z/m", "rates": "x"}'),
    ('rates', '{"model": "z/m", "rates": {"input": "1"}}'),
    ('rate', '{"model": "z/m", "rate": {"input": 1}}'),
    ('source', '{"model": "z/m", "rates": {"input": 1}, "source": "x"}'),
    ('price_id', '{"model": "z/m", "rates": {"input": 1}, "price_id": 1}'),
    ('variant', '{"model": "z/m", "rates": {"input": 1}, "variant": 5}'),
    ('above', '{"model": "z/m", "rates": {"input": 1}, "above": 0.5}'),
    ('above', '{"model": "z/m", "rates": {"input": 1}, "above": "x"}'),
    ('above', '{"model": "z/m", "rates": {"input": 1}, "above": -1}'),
    ('currency', '{"model": "z/m", "rates": {"input": 1}, "currency": ["USD"]}'),
    ('context_window', '{"model": "z/m", "rates": {"input": 1}, "context_window": true}'),
    ('max_output', '{"model": "z/m", "rates": {"input": 1}, "max_output": 1e19}'),
    ('valid_from', '{"model": "z/m", "rates": {"input": 1}, "valid_from": 5}'),
    ('valid_from', '{"model": "z/m", "rates": {"input": 1}, "valid_from": "now"}'),
    ('valid_from', '{"model": "z/m", "rates": {"input": 1}, "valid_from": "2026-02-30"}'),
    ('valid_from', '{"model": "z/m", "rates": {"input": 1}, "valid_from": "01/02/2026"}'),
    ('valid_from', '{"model": "z/m", "rates": {"input": 1}, "valid_from": "infinity"}'),
    ('valid_from', '{"model": "d/m", "rates": {"input": 9}, "valid_from": "2026-03-01"}'),
    ('alias_of', '{"model": "z/m", "alias_of": 5}'),
    ('alias_of', '{"model": "z/m", "alias_of": "z/2"}'),
    ('model', '{"model": "z/1", "alias_of": "a/m"}')
  ) as c (field, price);
select refuses('set_prices(''[{"model": "z/m", "rates": {"input": 1}}]'', '' '')', 'LGARG',
  '{"field": "source", "place": 1}', 'a blank source');
select is(count(*), 0::bigint, 'none of the prices before a wrong one was set')
  from baseledger.prices p where p.model like 'z/%';
select is(max(p.price_id), count(*), 'ids have no gaps') from baseledger.prices p;

select * from finish();
rollback;
