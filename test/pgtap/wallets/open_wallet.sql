-- open_wallet: idempotent by the wallet's id and terms.
begin;
select plan(41);

set local role baseledger_operator;

create temp table first as select baseledger.open_wallet('w') as receipt;

select is(tap.told(receipt), '{
  "wallet_id": "w", "seq": 1, "event": "opened", "available": 0, "reserved": 0, "spent": 0,
  "replayed": false
}', 'opens a wallet without funds') from first;
select ok((receipt).occurred_at between now() and clock_timestamp(),
  'happens now, by the clock of the database') from first;
select is(tap.on_record('w', 1), jsonb_build_object(
  'actor', session_user, 'metadata', '{}'::jsonb,
  'details', '{"unit": "USD", "scale": 9, "overdraft_limit": null}'::jsonb
), 'in nano-dollars, without an overdraft limit, unless it is told otherwise');

select is(
  tap.told(baseledger.open_wallet('t', 'tokens', 0, 500, '{"team": 7}')),
  '{
    "wallet_id": "t", "seq": 1, "event": "opened", "available": 0, "reserved": 0, "spent": 0,
    "replayed": false
  }',
  'or in another unit'
);
select is(tap.on_record('t', 1), jsonb_build_object(
  'actor', session_user, 'metadata', '{"team": 7}'::jsonb,
  'details', '{"unit": "tokens", "scale": 0, "overdraft_limit": 500}'::jsonb
), 'with other terms, and metadata');
select is(
  to_jsonb(b) - 'as_of',
  '{
    "wallet_id": "t", "unit": "tokens", "scale": 0, "available": 0, "reserved": 0, "spent": 0,
    "overdraft_limit": 500, "frozen": false, "seq": 1
  }',
  'which the balance tells'
) from baseledger.balance('t') as b;

-- Again -----------------------------------------------------------------------------------------

do $$
begin
  perform baseledger.credit('w', 100, 'k1');
  perform baseledger.reserve('w', 10, 'k2');
end
$$;
select is(
  to_jsonb(baseledger.open_wallet('w')),
  to_jsonb(receipt) || '{"replayed": true}',
  'opened again on the same terms, the first receipt'
) from first;
select changes_nothing($$select baseledger.open_wallet('w', 'USD', 9, null, '{"other": 1}')$$,
  'and nothing is written, the metadata stays as it was');
select is(tap.brief(baseledger.open_wallet('t', 'tokens', 0, 500)), '#1 opened: 0/0/0 again',
  'also with other terms than the defaults');
select is(tap.balances('w'), '90/10/0', 'its funds are where they were');

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'other terms: ' || c.name)
  from (values
    ('the unit', $$open_wallet('w', 'EUR')$$,
      '{"field": "unit", "stored": "USD", "given": "EUR"}'),
    ('its case', $$open_wallet('w', 'usd')$$,
      '{"field": "unit", "stored": "USD", "given": "usd"}'),
    ('the scale', $$open_wallet('w', p_scale => 2)$$,
      '{"field": "scale", "stored": 9, "given": 2}'),
    ('an overdraft limit', $$open_wallet('w', p_overdraft_limit => 0)$$,
      '{"field": "overdraft_limit", "stored": null, "given": 0}'),
    ('another', $$open_wallet('t', 'tokens', 0, 501)$$,
      '{"field": "overdraft_limit", "stored": 500, "given": 501}'),
    ('none', $$open_wallet('t', 'tokens', 0)$$,
      '{"field": "overdraft_limit", "stored": 500, "given": null}')
  ) as c(name, call, detail);

-- Limits ----------------------------------------------------------------------------------------

select is(
  array[
    tap.brief(baseledger.open_wallet('W')),
    tap.brief(baseledger.open_wallet(repeat('🙂', 255), repeat('₿', 255), 18,
      9223372036854775807, tap.metadata(16384))),
    tap.brief(baseledger.open_wallet('w  w'))
  ],
  array['#1 opened: 0/0/0', '#1 opened: 0/0/0', '#1 opened: 0/0/0'],
  'ids are taken as they are: case, blanks inside, 255 characters of any script'
);
select is(
  (baseledger.balance(repeat('🙂', 255))).overdraft_limit, 9223372036854775807,
  'the largest overdraft limit'
);
select is(tap.on_record('W', 1) -> 'metadata', '{}', 'no metadata is an empty object');
select is(tap.brief(baseledger.open_wallet('n', p_metadata => null)), '#1 opened: 0/0/0',
  'null means no metadata');
select is(tap.on_record('n', 1) -> 'metadata', '{}', 'which is on record so');

select refuses(
  format('open_wallet(%s, %s, %s, %s, %s)', coalesce(c.wallet_id, quote_literal('new')),
    coalesce(c.unit, quote_literal('USD')), coalesce(c.scale, '9'),
    coalesce(c.overdraft_limit, 'null'), coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), c.name
) from (values
  ('wallet_id', 'no id', 'null', null, null, null, null),
  ('wallet_id', 'an empty id', $$''$$, null, null, null, null),
  ('wallet_id', 'a blank id', $$E' \t\r\n'$$, null, null, null, null),
  ('wallet_id', 'an id of 256', $$repeat('é', 256)$$, null, null, null, null),
  ('wallet_id', 'an id of 300', $$repeat('x', 300)$$, null, null, null, null),
  ('unit', 'no unit', null, 'null', null, null, null),
  ('unit', 'a blank unit', null, $$' '$$, null, null, null),
  ('unit', 'a unit of 256', null, $$repeat('x', 256)$$, null, null, null),
  ('scale', 'no scale', null, null, 'null', null, null),
  ('scale', 'a scale below 0', null, null, '-1', null, null),
  ('scale', 'a scale above 18', null, null, '19', null, null),
  ('scale', 'a scale that is no smallint', null, null, '100000', null, null),
  ('overdraft_limit', 'a limit below 0', null, null, null, '-1', null),
  ('metadata', 'an array', null, null, null, null, $$'[]'$$),
  ('metadata', 'JSON''s null', null, null, null, null, $$'null'$$),
  ('metadata', '16 KiB and 1', null, null, null, null, $$tap.metadata(16385)$$),
  ('metadata', 'a megabyte', null, null, null, null, $$tap.metadata(1048576)$$),
  ('metadata', 'an array, opened again', $$'w'$$, null, null, null, $$'[]'$$)
) as c(field, name, wallet_id, unit, scale, overdraft_limit, metadata);

select refuses($$balance('new')$$, 'LGWNF', '{"wallet_id": "new"}',
  'refused, there is no such wallet');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'the ledger is sound after all of it');

select * from finish();
rollback;
