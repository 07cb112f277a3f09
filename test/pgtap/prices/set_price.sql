-- set_price: what a model costs from now or later on, or what a name stands for.
begin;
select plan(109);

set local role baseledger_operator;

create function pg_temp.shown(p_price baseledger.price) returns jsonb
language sql stable as $$
  select jsonb_strip_nulls(to_jsonb(p_price)) - 'added_at' - 'added_by' - 'valid_from'
$$;
create function pg_temp.id(p_price baseledger.price) returns bigint
language sql stable as 'select p_price.price_id';
create function pg_temp.rates(p_count integer) returns jsonb
language sql stable as $$
  select jsonb_object_agg('kind_' || i, i) from generate_series(1, p_count) as i
$$;

-- What it does ----------------------------------------------------------------------------------

create temp table first as
  select baseledger.set_price('openai/gpt-5', '{"input": 1250000000, "output": 10000000000}')
    as price;
select is(pg_temp.shown(price), '{
  "price_id": 1, "model": "openai/gpt-5", "variant": "standard", "above": 0, "currency": "USD",
  "rates": {"input": 1250000000, "output": 10000000000}
}', 'a price is a row of the catalogue') from first;
select ok((price).valid_from between now() and clock_timestamp(), 'it holds from now on')
  from first;
select is((price).added_at, (price).valid_from, 'it says when it was added') from first;
select is((price).added_by, tap.actor(), 'and by whom') from first;
select is(to_jsonb(p), to_jsonb(f.price), 'it is in the view')
  from baseledger.prices p, first f;

select is(
  pg_temp.shown(baseledger.set_price(
    'a/b/c', '{"input": 0}', 'flex', 200000, '2100-01-01', 'EUR', 400000, 128000,
    p_source => 'contract 7'
  )),
  '{
    "price_id": 2, "model": "a/b/c", "variant": "flex", "above": 200000, "rates": {"input": 0},
    "currency": "EUR", "context_window": 400000, "max_output": 128000, "source": "contract 7"
  }', 'it has all that was given; ids have no gaps'
);
select is(p.valid_from, '2100-01-01', 'and may hold later on')
  from baseledger.prices p where p.price_id = 2;
select is(
  pg_temp.shown(baseledger.set_price('a/null', '{"x": 1}', null, null, null, null)),
  '{"price_id": 3, "model": "a/null", "variant": "standard", "above": 0, "currency": "USD",
    "rates": {"x": 1}}', 'null means the default'
);
select is(
  pg_temp.shown(baseledger.set_price('openai/latest', null, p_alias_of => 'openai/gpt-5')),
  '{"price_id": 4, "model": "openai/latest", "above": 0, "alias_of": "openai/gpt-5"}',
  'an alias stands for a model in all variants'
);

-- What holds already ----------------------------------------------------------------------------

select is(
  to_jsonb(baseledger.set_price('openai/gpt-5', '{"output": 10000000000, "input": 1250000000}')),
  to_jsonb(price), 'what holds already is not added again: its row is returned'
) from first;
select changes_nothing($$select baseledger.set_price(
    'openai/gpt-5', '{"output": 10000000000, "input": 1250000000}', p_source => 'other'
  )$$, 'wherever it comes from');
select changes_nothing($$select baseledger.set_price(
    'openai/latest', null, p_alias_of => 'openai/gpt-5'
  )$$, 'nor is an alias');
select is(pg_temp.id(baseledger.set_price(
    'a/b/c', '{"input": 0}', 'flex', 200000, '2100-01-01', 'EUR', 400000, 128000
  )), 2::bigint, 'nor what will hold from the same time on');
select is(pg_temp.id(baseledger.set_price(
    'a/b/c', '{"input": 0}', 'flex', 200000, '2100-01-02', 'EUR', 400000, 128000
  )), 5::bigint, 'from another time on it is added');
select is(pg_temp.id(baseledger.set_price(
    'a/b/c', '{"input": 1}', 'flex', 200000, '2100-01-01', 'EUR', 400000, 128000
  )), 6::bigint, 'with other rates it is added');
select is(pg_temp.id(baseledger.set_price(
    'a/b/c', '{"input": 0}', 'flex', 200000, '2100-01-01', 'EUR', 400000, 128000
  )), 7::bigint, 'and the first again, as the one added last counts');
select is(pg_temp.id(baseledger.set_price(
    'a/b/c', '{"input": 0}', 'flex', 200000, null, 'EUR', 400000, 128000
  )), 8::bigint, 'what holds later on does not hold now');
select is(pg_temp.id(baseledger.set_price(
    'a/b/c', '{"input": 0}', 'flex', 200000, null, 'EUR', 400000, 128000
  )), 9::bigint, 'what holds now only until another price begins is added');
select is(
  pg_temp.id(baseledger.set_price('openai/gpt-5', price_args.rates::jsonb, price_args.variant,
    price_args.above, null, price_args.currency, price_args.context_window,
    price_args.max_output)),
  price_args.id, 'another ' || price_args.name || ' is added'
) from (values
    (10::bigint, 'set of rates', '{"input": 1250000000}', 'standard', 0, 'USD', null::bigint,
      null::bigint),
    (11, 'rate', '{"input": 1250000001}', 'standard', 0, 'USD', null, null),
    (12, 'variant', '{"input": 1250000001}', 'batch', 0, 'USD', null, null),
    (13, 'tier', '{"input": 1250000001}', 'standard', 1, 'USD', null, null),
    (14, 'currency', '{"input": 1250000001}', 'standard', 0, 'EUR', null, null),
    (15, 'context window', '{"input": 1250000001}', 'standard', 0, 'EUR', 1, null),
    (16, 'output limit', '{"input": 1250000001}', 'standard', 0, 'EUR', 1, 1)
  ) as price_args (id, name, rates, variant, above, currency, context_window, max_output);
select is(pg_temp.id(baseledger.set_price('openai/latest', null, p_alias_of => 'a/b/c')),
  17::bigint, 'an alias may stand for another model from now on');

-- The past --------------------------------------------------------------------------------------

select is(pg_temp.id(baseledger.set_price('a/old', '{"input": 1}', p_valid_from => '-infinity')),
  18::bigint, 'a model''s first price may hold from ever');
select is(pg_temp.id(baseledger.set_price('a/old', '{"input": 1}', p_valid_from => '-infinity')),
  18::bigint, 'set again, it is not added');
select is(pg_temp.id(baseledger.set_price('a/old', '{"input": 1}')), 18::bigint,
  'nor as the price from now on');
select is(pg_temp.id(baseledger.set_price('a/old', '{"input": 1}', 'batch',
  p_valid_from => '2026-01-01')), 19::bigint, 'the first price of a variant may hold in the past');
select is(pg_temp.id(baseledger.set_price('a/name', null, p_alias_of => 'a/old',
  p_valid_from => '-infinity')), 20::bigint, 'a new alias may');
select refuses(format('set_price(%s)', c.call), 'LGARG', '{"field": "valid_from"}', c.name)
  from (values
    ('a second price may not hold in the past',
      $$'a/old', '{"input": 2}', p_valid_from => '2026-01-01'$$),
    ('nor from ever', $$'a/old', '{"input": 2}', p_valid_from => '-infinity'$$),
    ('nor as another tier',
      $$'a/old', '{"input": 2}', p_above => 5, p_valid_from => '-infinity'$$),
    ('nor where the first will only hold later on',
      $$'a/b/c', '{"input": 2}', 'flex', p_valid_from => '2026-01-01'$$),
    ('nor a second alias',
      $$'a/name', null, p_alias_of => 'a/b/c', p_valid_from => '2026-01-01'$$),
    ('no price holds from infinity on', $$'a/x', '{"input": 2}', p_valid_from => 'infinity'$$)
  ) as c (name, call);

-- Models and aliases ----------------------------------------------------------------------------

select refuses(format('set_price(%s)', c.call), 'LGARG', jsonb_build_object('field', c.field),
  c.name)
  from (values
    ('model', 'an alias gets no rates', $$'openai/latest', '{"input": 1}'$$),
    ('model', 'a model becomes no alias', $$'openai/gpt-5', null, p_alias_of => 'a/old'$$),
    ('model', 'not even of itself', $$'openai/gpt-5', null, p_alias_of => 'openai/gpt-5'$$),
    ('alias_of', 'a new name is no alias of itself', $$'x/new', null, p_alias_of => 'x/new'$$),
    ('alias_of', 'an alias is none of an alias', $$'x/new', null, p_alias_of => 'a/name'$$),
    ('alias_of', 'nor of an unknown name', $$'x/new', null, p_alias_of => 'x/unknown'$$),
    ('alias_of', 'a name is matched exactly', $$'x/new', null, p_alias_of => 'openai/GPT-5'$$),
    ('alias_of', 'an alias is no provider', $$'x/new', null, p_alias_of => 'openai'$$),
    ('alias_of', 'nor the empty text', $$'x/new', null, p_alias_of => ''$$),
    ('rates', 'an alias has no rates', $$'x/new', '{"input": 1}', p_alias_of => 'a/old'$$),
    ('variant', 'an alias has no variant',
      $$'x/new', null, 'batch', p_alias_of => 'a/old'$$),
    ('above', 'an alias has no tiers', $$'x/new', null, p_above => 1, p_alias_of => 'a/old'$$),
    ('currency', 'an alias has no currency',
      $$'x/new', null, p_currency => 'EUR', p_alias_of => 'a/old'$$),
    ('context_window', 'an alias has no context window',
      $$'x/new', null, p_context_window => 1, p_alias_of => 'a/old'$$),
    ('max_output', 'an alias has no output limit',
      $$'x/new', null, p_max_output => 1, p_alias_of => 'a/old'$$)
  ) as c (field, name, call);

-- What is refused -------------------------------------------------------------------------------

select refuses(format('set_price(%L, ''{"input": 1}'')', c.model), 'LGARG', '{"field": "model"}',
  c.name || ' is no model')
  from (values
    ('null', null), ('the empty text', ''), ('a name without a provider', 'gpt-5'),
    ('an empty provider', '/gpt-5'), ('a provider without a model', 'openai/'), ('a slash', '/'),
    ('a name with a blank after it', 'a/b '), ('a name with a blank before it', ' a/b'),
    ('a name of 256 characters', 'a/' || repeat('b', 254))
  ) as c (name, model);
select is(
  (baseledger.set_price('a/' || repeat('é', 253), '{"input": 1}')).price_id, 21::bigint,
  'a name has up to 255 characters'
);
select refuses(format('set_price(''x/y'', %L)', c.rates), 'LGARG', '{"field": "rates"}',
  'rates are not ' || coalesce(c.rates, 'null'))
  from (values
    (null), ('null'), ('{}'), ('[]'), ('5'), ('"input"'), ('{"input": null}'),
    ('{"input": "5"}'), ('{"input": -1}'), ('{"input": 0.5}'), ('{"input": 1.0}'),
    ('{"input": 1000000000000000001}'), ('{"input": true}'), ('{"input": {}}'), ('{"": 1}'),
    ('{"Input": 1}'), ('{"1st": 1}'), ('{"in-put": 1}'), ('{"in put": 1}'), ('{"_x": 1}'),
    ('{"input\n": 1}'), ('{"ä": 1}'), ('{"model": 1}'), ('{"variant": 1}'),
    ('{"input": 1, "output": "1"}')
  ) as c (rates);
select refuses('set_price(''x/y'', ''' || pg_temp.rates(65)::text || ''')', 'LGARG',
  '{"field": "rates"}', 'nor 65 kinds');
select refuses('set_price(''x/y'', ''{"' || repeat('k', 64) || '": 1}'')', 'LGARG',
  '{"field": "rates"}', 'nor a kind of 64 letters');
select is(
  (baseledger.set_price('x/y', pg_temp.rates(63)
    || jsonb_build_object(repeat('k', 63), 1000000000000000000))).price_id,
  22::bigint, 'there may be 64 kinds, of 63 letters, and rates of 10^18'
);
select refuses(format('set_price(''x/y'', ''{"input": 1}'', %s)', c.args), 'LGARG',
  jsonb_build_object('field', c.field), c.args)
  from (values
    ('variant', $$p_variant => ''$$),
    ('variant', $$p_variant => ' batch'$$),
    ('variant', $$p_variant => repeat('v', 256)$$),
    ('above', $$p_above => -1$$),
    ('currency', $$p_currency => ''$$),
    ('currency', $$p_currency => E'USD\n'$$),
    ('currency', $$p_currency => 'USDUSDUSDUSDUSDUS'$$),
    ('context_window', $$p_context_window => 0$$),
    ('max_output', $$p_max_output => 0$$),
    ('max_output', $$p_max_output => -1$$),
    ('source', $$p_source => ''$$),
    ('source', $$p_source => ' '$$),
    ('source', $$p_source => repeat('s', 256)$$)
  ) as c (field, args);

select is(array_agg(p.price_id order by p.price_id), array_agg(n.n::bigint order by p.price_id),
  'ids have no gaps, whatever was refused')
  from (select price_id, row_number() over (order by price_id) as rank from baseledger.prices) as p
  join generate_series(1, 22) as n (n) on n.n = p.rank;
select is(count(*), 22::bigint, 'no other row was added') from baseledger.prices;

-- Who may ---------------------------------------------------------------------------------------

create function pg_temp.as_role(p_role text) returns text
language plpgsql as $$
begin
  perform set_config('role', p_role, true);
  begin
    perform baseledger.set_price('a/role', '{"input": 1}');
    return null;
  exception
    when others then
      return sqlstate;
  end;
end
$$;
reset role;
select is(pg_temp.as_role('baseledger_' || r), '42501', r || ' may set no price')
  from unnest('{agent,auditor,worker}'::text[]) as r;
reset role;
grant execute on function baseledger.set_price to baseledger_agent;
select is(pg_temp.as_role('baseledger_operator'), '42501',
  'nobody may, while others than operators could');

select * from finish();
rollback;
