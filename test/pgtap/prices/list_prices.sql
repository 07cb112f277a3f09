-- list_prices and the view prices: what models cost, now, at another time, and ever.
begin;
select plan(15);

create function pg_temp.lines(
  p_prefix text, p_at timestamptz default null, p_history boolean default false
) returns text[]
language sql volatile as $$
  select array_agg(concat_ws(
      ' ', p.price_id, p.model, p.variant, p.above, p.rates ->> 'input', '-> ' || p.alias_of
    ))
    from baseledger.list_prices(p_prefix, p_at, p_history) as p
$$;

set local role baseledger_operator;
do $$
begin
  perform baseledger.set_prices('[
    {"model": "b/m", "rates": {"input": 1}, "valid_from": "2026-01-01"},
    {"model": "b/m", "rates": {"input": 2}, "valid_from": "2026-02-01"},
    {"model": "b/m", "rates": {"input": 3}, "valid_from": "2026-01-15"},
    {"model": "b/m", "rates": {"input": 4}, "valid_from": "2026-02-01"},
    {"model": "b/m", "rates": {"input": 5}, "valid_from": "2100-01-01"},
    {"model": "b/m", "rates": {"input": 6}, "valid_from": "2026-01-10", "above": 9},
    {"model": "b/m", "rates": {"input": 7}, "valid_from": "2026-01-10", "variant": "batch"},
    {"model": "b-2/m", "rates": {"input": 8}, "valid_from": "-infinity"},
    {"model": "B/m", "rates": {"input": 9}, "valid_from": "2100-01-01"},
    {"model": "b/name", "alias_of": "b/m", "valid_from": "2026-03-01"},
    {"model": "b/name", "alias_of": "b-2/m", "valid_from": "2026-04-01"},
    {"model": "b/a%", "rates": {"input": 1}}
  ]');
end
$$;

set local role baseledger_agent;
select is(pg_temp.lines(''), array[
  '8 b-2/m standard 0 8', '12 b/a% standard 0 1', '7 b/m batch 0 7', '4 b/m standard 0 4',
  '6 b/m standard 9 6', '11 b/name 0 -> b-2/m'
], 'one row for each model, variant and tier, and each alias, by name, byte by byte');
select is(pg_temp.lines(null, null, null), pg_temp.lines(''), 'nulls mean the defaults');
select is(pg_temp.lines('b/', t.at), t.lines, 'as of ' || t.at)
  from (values
    ('2025-12-31 23:59:59.999999+00'::timestamptz, null),
    ('2026-01-01 00:00+00', array['1 b/m standard 0 1']),
    ('2026-01-31 00:00+00', array['7 b/m batch 0 7', '3 b/m standard 0 3', '6 b/m standard 9 6']),
    ('2026-03-31 00:00+00', array['7 b/m batch 0 7', '4 b/m standard 0 4', '6 b/m standard 9 6',
      '10 b/name 0 -> b/m']),
    ('infinity', array['12 b/a% standard 0 1', '7 b/m batch 0 7', '5 b/m standard 0 5',
      '6 b/m standard 9 6', '11 b/name 0 -> b-2/m'])
  ) as t (at, lines);
select is(pg_temp.lines('b-'), array['8 b-2/m standard 0 8'], 'by prefix');
select is(pg_temp.lines('b/m', '-infinity'), null, 'a price may hold from no time on');
select is(pg_temp.lines('b-2', '-infinity'), array['8 b-2/m standard 0 8'], 'or from ever');
select is(pg_temp.lines('%'), null, 'a prefix is no pattern');
select is(pg_temp.lines('b/', '2026-01-01', true), array[
  '12 b/a% standard 0 1', '7 b/m batch 0 7', '1 b/m standard 0 1', '3 b/m standard 0 3',
  '2 b/m standard 0 2', '4 b/m standard 0 4', '5 b/m standard 0 5', '6 b/m standard 9 6',
  '10 b/name 0 -> b/m', '11 b/name 0 -> b-2/m'
], 'with its history, all that was ever set');

select set_eq(
  'select p.* from baseledger.prices p',
  'select l.* from baseledger.list_prices(p_history => true) as l',
  'the view has what the function lists'
);
select is(to_jsonb(p) - 'valid_from' - 'added_at', jsonb_build_object(
    'price_id', 11, 'model', 'b/name', 'variant', null, 'above', 0, 'rates', null,
    'currency', null, 'context_window', null, 'max_output', null, 'alias_of', 'b-2/m',
    'source', null, 'added_by', session_user || ' as baseledger_operator'
  ), 'an alias has neither a variant nor a currency')
  from baseledger.prices p where p.price_id = 11;
select throws_ok('update baseledger.prices set source = ''x''', '42501', null,
  'the view cannot be written to');

select * from finish();
rollback;
