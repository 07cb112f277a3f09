-- affordable: how many tokens of output an amount pays.
begin;
select plan(70);

set local role baseledger_operator;
do $$
begin
  perform baseledger.set_prices('[
    {"model": "a/m", "max_output": 128000, "valid_from": "2026-01-01",
      "rates": {"input": 1250000000, "output": 10000000000}},
    {"model": "a/m", "above": 200000, "max_output": 64000, "valid_from": "2026-01-01",
      "rates": {"input": 2500000000, "output": 15000000000}},
    {"model": "a/name", "alias_of": "a/m"},
    {"model": "a/odd", "rates": {"input": 333333333, "output": 777777777}},
    {"model": "a/tiny", "rates": {"input": 1, "output": 3}},
    {"model": "a/free", "rates": {"input": 7, "output": 0}, "max_output": 99},
    {"model": "a/gratis", "rates": {"input": 0, "output": 0}},
    {"model": "a/embedding", "rates": {"input": 20000000}},
    {"model": "a/dear", "rates": {"input": 1000000000000000000, "output": 1}}
  ]');
end
$$;

set local role baseledger_agent;
select is(baseledger.affordable(c.usage, c.amount), c.tokens, format('%s: %s', c.amount, c.usage))
  from (values
    ('{"model": "a/m", "input": 1200}'::jsonb, 10000000::bigint, 850::bigint),
    ('{"model": "a/m", "input": 1200}', 1509999, 0),
    ('{"model": "a/m", "input": 1200}', 1510000, 1),
    ('{"model": "a/m", "input": 1200}', 1500000, 0),
    ('{"model": "a/m", "input": 1200}', 1499999, 0),
    ('{"model": "a/m", "input": 1200}', 0, 0),
    ('{"model": "a/m", "input": 1200}', -5, 0),
    ('{"model": "a/m", "input": 1200}', 9223372036854775807, 128000),
    ('{"model": "a/m", "input": 1200, "output": 700}', 10000000, 850),
    ('{"model": "a/m", "input": 1200, "output": "many"}', 10000000, 850),
    ('{"model": "a/name", "input": 1200}', 10000000, 850),
    ('{"model": "a/m"}', 10000000, 1000),
    ('{"model": "a/m", "input": 200001}', 500017499, 0),
    ('{"model": "a/m", "input": 200001}', 500017500, 1),
    ('{"model": "a/m", "input": 200001}', 9223372036854775807, 64000),
    ('{"model": "a/free", "input": 1000000}', 6, 0),
    ('{"model": "a/free", "input": 1000000}', 7, 99),
    ('{"model": "a/gratis", "input": 5}', 0, 1000000000000),
    ('{"model": "a/gratis", "input": 5}', -1, 0),
    ('{"model": "a/tiny"}', 9223372036854775807, 1000000000000)
  ) as c (usage, amount, tokens);

-- The largest number whose cost is not above the amount: one more would be.
select is(
  array[
    (baseledger.quote(c.usage || jsonb_build_object('output', n.tokens), null, c.scale)).amount
      <= c.amount,
    (baseledger.quote(c.usage || jsonb_build_object('output', n.tokens + 1), null, c.scale)).amount
      > c.amount
  ],
  array[true, true], format('exact: %s at scale %s for %s', c.usage, c.scale, c.amount)
) from (
    select r.usage, s.scale,
        s.beside + (baseledger.quote(r.usage || '{"output": 0}', null, s.scale)).amount as amount
      from unnest('{a/odd,a/tiny}'::text[]) as m (model)
      cross join unnest('{0,1,999}'::integer[]) as i (input)
      cross join (values (6, 0::bigint), (6, 5), (9, 777777), (12, 1000), (18, 123456789))
        as s (scale, beside)
      cross join lateral (
        select jsonb_build_object('model', m.model, 'input', i.input) as usage
      ) as r
  ) as c
  cross join lateral (
    select baseledger.affordable(c.usage, c.amount, null, c.scale) as tokens
  ) as n;
select changes_nothing($$select baseledger.affordable('{"model": "a/m", "input": 1}', 5)$$,
  'nothing is spent');
select is(baseledger.affordable('{"model": "a/m", "input": 1}', 100000, '2026-01-01 00:00+00'),
  9::bigint, 'by the prices of an instant');

-- What is refused -------------------------------------------------------------------------------

select refuses(format('affordable(''{"model": "a/m", "input": 1}'', %s)', c.args), c.code,
  c.detail::jsonb, c.args)
  from (values
    ('null', 'LGARG', '{"field": "amount"}'),
    ('5, null, null', 'LGARG', '{"field": "scale"}'),
    ('5, null, 19', 'LGARG', '{"field": "scale"}'),
    ('5, null, -1', 'LGARG', '{"field": "scale"}'),
    ('5, null, 5', 'LGPRC', '{"reason": "scale", "scale": 5, "model": "a/m",
      "variant": "standard"}'),
    ('5, ''2025-12-31''', 'LGPRC', '{"reason": "model", "model": "a/m", "variant": "standard"}')
  ) as c (args, code, detail);
select refuses(format('affordable(%L, 5)', c.usage), 'LGARG', '{"field": "usage"}',
  'usage is not ' || coalesce(c.usage, 'null'))
  from (values
    (null), ('null'), ('[]'), ('5'), ('{"input": 1}'), ('{"model": "a/m", "input": "1"}'),
    ('{"model": "a/m", "input": -1}'), ('{"model": "a/dear", "input": 10000000000}')
  ) as c (usage);
select refuses(format('affordable(%L, 5)', c.usage), 'LGPRC', c.detail::jsonb, c.usage)
  from (values
    ('{"model": "a/x"}', '{"reason": "model", "model": "a/x", "variant": "standard"}'),
    ('{"model": "a/m", "variant": "x"}', '{"reason": "variant", "model": "a/m", "variant": "x"}'),
    ('{"model": "a/m", "pages": 1}',
      '{"reason": "kind", "kind": "pages", "model": "a/m", "variant": "standard"}'),
    ('{"model": "a/embedding", "input": 1}',
      '{"reason": "kind", "kind": "output", "model": "a/embedding", "variant": "standard"}')
  ) as c (usage, detail);

select * from finish();
rollback;
