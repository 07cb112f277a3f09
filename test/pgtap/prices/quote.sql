-- quote: what usage costs, by which price.
begin;
select plan(80);

create function pg_temp.cost(
  p_usage jsonb, p_at timestamptz default null, p_scale integer default 9
) returns bigint
language sql volatile as $$
  select q.amount from baseledger.quote(p_usage, p_at, p_scale) as q
$$;

set local role baseledger_operator;
do $$
begin
  perform baseledger.set_prices('[
    {"model": "openai/gpt-5", "valid_from": "2025-08-07", "context_window": 400000,
      "max_output": 128000,
      "rates": {"input": 1250000000, "cache_read": 125000000, "output": 10000000000}},
    {"model": "openai/gpt-5", "variant": "batch", "valid_from": "2025-08-07",
      "rates": {"input": 625000000, "output": 5000000000}},
    {"model": "openai/latest", "alias_of": "openai/gpt-5", "valid_from": "2025-09-01"},
    {"model": "google/pro", "valid_from": "-infinity", "max_output": 65536, "rates":
      {"input": 1250000000, "cache_read": 310000000, "cache_write": 1, "input_audio": 1,
        "output": 10000000000}},
    {"model": "google/pro", "valid_from": "-infinity", "above": 200000, "max_output": 65535,
      "rates": {"input": 2500000000, "cache_read": 625000000, "cache_write": 1,
        "input_audio": 1, "output": 15000000000}},
    {"model": "t/tiers", "rates": {"input": 1000000}},
    {"model": "t/tiers", "above": 10, "rates": {"input": 2000000}},
    {"model": "t/tiers", "above": 20, "rates": {"input": 3000000}},
    {"model": "t/step", "rates": {"input": 1, "output": 1000000, "x": 999999}},
    {"model": "t/free", "rates": {"input": 0, "output": 1}},
    {"model": "t/dear", "rates": {"input": 1000000000000000000, "searches": 10000000000000}},
    {"model": "t/euro", "currency": "EUR", "rates": {"input": 5000000}},
    {"model": "t/again", "valid_from": "2026-01-01", "rates": {"input": 1000000}},
    {"model": "t/again", "valid_from": "2026-01-01", "rates": {"input": 2000000}},
    {"model": "t/name", "valid_from": "2026-01-01", "alias_of": "t/euro"},
    {"model": "t/name", "valid_from": "2026-01-01", "alias_of": "t/again"},
    {"model": "t/only-above", "above": 100, "rates": {"input": 5000000}}
  ]');
end
$$;

-- What it says ----------------------------------------------------------------------------------

set local role baseledger_agent;
select is(to_jsonb(baseledger.quote('{"model": "openai/gpt-5", "input": 1200, "output": 512}')), '{
  "amount": 6620000, "currency": "USD", "scale": 9, "model": "openai/gpt-5",
  "variant": "standard", "price_id": 1, "context_window": 400000, "max_output": 128000
}', 'the cost, the price and the limits of the model');
select is(to_jsonb(baseledger.quote(
    '{"model": "openai/latest", "variant": "batch", "input": 1}', p_scale => 12
  )), '{
  "amount": 625000, "currency": "USD", "scale": 12, "model": "openai/gpt-5", "variant": "batch",
  "price_id": 2, "context_window": null, "max_output": null
}', 'an alias is resolved, a variant has its own price');
select is(to_jsonb(baseledger.quote('{"model": "google/pro", "input": 200001}'))
    - 'amount', '{
  "currency": "USD", "scale": 9, "model": "google/pro", "variant": "standard", "price_id": 5,
  "context_window": null, "max_output": 65535
}', 'the row of the tier counts');
select is(to_jsonb(baseledger.quote('{"model": "t/euro", "input": 3}')) -> 'currency', '"EUR"',
  'in the currency of the price');
select changes_nothing($$select baseledger.quote('{"model": "openai/gpt-5", "input": 1200}')$$,
  'nothing is spent');

-- Tiers -----------------------------------------------------------------------------------------

select is(pg_temp.cost(c.usage || '{"model": "google/pro"}'), c.cost, 'tier of ' || c.usage::text)
  from (values
    ('{"input": 200000}'::jsonb, 250000000::bigint),
    ('{"input": 200001}', 500002500),
    ('{"input": 199999, "cache_read": 1}', 249999060),
    ('{"input": 199999, "cache_read": 2}', 499998750),
    ('{"input": 199999, "cache_write": 2}', 499997501),
    ('{"input": 199999, "input_audio": 2}', 499997501),
    ('{"input": 1, "cache_read": 200000}', 125002500),
    ('{"input": 200000, "output": 1000000}', 10250000000),
    ('{"output": 200001}', 2000010000),
    ('{"input": 200001, "output": 1}', 500017500)
  ) as c (usage, cost);
select is(pg_temp.cost(jsonb_build_object('model', 't/tiers', 'input', c.input)), c.cost,
  c.input || ' of three tiers')
  from (values (0, 0::bigint), (10, 10), (11, 22), (20, 40), (21, 63)) as c (input, cost);
select is(pg_temp.cost('{"model": "t/only-above", "input": 101}'), 505::bigint,
  'a model may have a price above a number of tokens only');

-- Rounding --------------------------------------------------------------------------------------

select is(pg_temp.cost(c.usage || '{"model": "t/step"}', null, c.scale), c.cost,
  format('%s at scale %s', c.usage, c.scale))
  from (values
    ('{"input": 0}'::jsonb, 6, 0::bigint),
    ('{"input": 1}', 6, 1),
    ('{"input": 1000000000}', 6, 1),
    ('{"input": 1000000001}', 6, 2),
    ('{"input": 1}', 9, 1),
    ('{"input": 1000000}', 9, 1),
    ('{"input": 1000001}', 9, 2),
    ('{"input": 1, "x": 1}', 9, 1),
    ('{"input": 2, "x": 1}', 9, 2),
    ('{"input": 1}', 12, 1),
    ('{"input": 1000}', 12, 1),
    ('{"input": 1001}', 12, 2),
    ('{"input": 1}', 15, 1),
    ('{"input": 1001}', 15, 1001),
    ('{"input": 1}', 18, 1000),
    ('{"input": 3}', 18, 3000)
  ) as c (usage, scale, cost);
select is(pg_temp.cost('{"model": "t/free", "input": 1000000000000}'), 0::bigint,
  'a price of 0 is free');
select is(pg_temp.cost('{"model": "t/free", "input": 1000000000000, "output": 1}'), 1::bigint,
  'of what it is the price');
select is(pg_temp.cost('{"model": "t/dear", "searches": 3}'), 30000000::bigint,
  '$10 per 1,000 searches are 10^13 per million');
select is(pg_temp.cost('{"model": "t/dear", "input": 9223372}'), 9223372000000000000,
  'a cost may be as large as an amount');

-- Times -----------------------------------------------------------------------------------------

select is(pg_temp.cost('{"model": "openai/gpt-5", "input": 1}', '2025-08-07 00:00+00'), 1250::bigint,
  'a price holds from its valid_from on');
select refuses($$quote('{"model": "openai/gpt-5", "input": 1}', '2025-08-06 23:59:59.999999+00')$$,
  'LGPRC', '{"reason": "model", "model": "openai/gpt-5", "variant": "standard"}', 'and not before');
select refuses($$quote('{"model": "openai/latest", "input": 1}', '2025-08-31 23:59+00')$$,
  'LGPRC', '{"reason": "model", "model": "openai/latest", "variant": "standard"}',
  'nor does an alias');
select is(pg_temp.cost('{"model": "t/name", "input": 1}'), 2::bigint,
  'of prices and aliases from one time on, those count that were added last');
select is(pg_temp.cost('{"model": "openai/gpt-5", "input": 1}', 'infinity'), 1250::bigint,
  'prices of a time to come may be asked for');

-- What is refused -------------------------------------------------------------------------------

select refuses(format('quote(%L)', c.usage), 'LGPRC', c.detail::jsonb, c.name)
  from (values
    ('an unknown model', '{"model": "openai/gpt-6", "input": 1}',
      '{"reason": "model", "model": "openai/gpt-6", "variant": "standard"}'),
    ('a model in capitals', '{"model": "openai/GPT-5", "input": 1}',
      '{"reason": "model", "model": "openai/GPT-5", "variant": "standard"}'),
    ('an unknown variant', '{"model": "openai/gpt-5", "variant": "flex", "input": 1}',
      '{"reason": "variant", "model": "openai/gpt-5", "variant": "flex"}'),
    ('the variant of aliases', '{"model": "openai/latest", "variant": "", "input": 1}',
      '{"reason": "variant", "model": "openai/latest", "variant": ""}'),
    ('an unknown kind', '{"model": "openai/gpt-5", "input": 1, "pages": 1}',
      '{"reason": "kind", "kind": "pages", "model": "openai/gpt-5", "variant": "standard"}'),
    ('an unknown kind of 0', '{"model": "openai/gpt-5", "input": 1, "pages": 0}',
      '{"reason": "kind", "kind": "pages", "model": "openai/gpt-5", "variant": "standard"}'),
    ('a kind that only another variant has',
      '{"model": "openai/gpt-5", "variant": "batch", "cache_read": 1}',
      '{"reason": "kind", "kind": "cache_read", "model": "openai/gpt-5", "variant": "batch"}'),
    ('less than the only tier', '{"model": "t/only-above", "input": 100}',
      '{"reason": "variant", "model": "t/only-above", "variant": "standard"}')
  ) as c (name, usage, detail);
select refuses($$quote('{"model": "openai/gpt-5", "input": 1}', null, 5)$$, 'LGPRC',
  '{"reason": "scale", "scale": 5, "model": "openai/gpt-5", "variant": "standard"}',
  'a wallet of 5 decimals pays no usage');
select refuses(format('quote(''{"model": "openai/gpt-5", "input": 1}'', null, %s)', s), 'LGARG',
  '{"field": "scale"}', 'no wallet has a scale of ' || s)
  from unnest('{-1,19,"null"}'::text[]) as s;
select refuses(format('quote(%L)', c.usage), 'LGARG', '{"field": "usage"}',
  'usage is not ' || coalesce(c.usage, 'null'))
  from (values
    (null), ('null'), ('5'), ('"x"'), ('[]'), ('{}'), ('{"model": "openai/gpt-5"}'),
    ('{"input": 1}'), ('{"model": null, "input": 1}'), ('{"model": 5, "input": 1}'),
    ('{"model": "gpt-5", "input": 1}'), ('{"model": "openai/gpt-5", "variant": 5, "input": 1}'),
    ('{"model": "openai/gpt-5", "variant": null, "input": 1}'),
    ('{"model": "openai/gpt-5", "input": "1"}'), ('{"model": "openai/gpt-5", "input": -1}'),
    ('{"model": "openai/gpt-5", "input": 0.5}'), ('{"model": "openai/gpt-5", "input": 1.0}'),
    ('{"model": "openai/gpt-5", "input": null}'), ('{"model": "openai/gpt-5", "input": [1]}'),
    ('{"model": "openai/gpt-5", "input": 1000000000001}'),
    ('{"model": "openai/gpt-5", "input": 1000000000000000000}'),
    ('{"model": "t/dear", "input": 9223373}')
  ) as c (usage);

select * from finish();
rollback;
