-- open_wallet: idempotent by the wallet's id and terms.
begin;
select plan(51);

set local role baseledger_operator;

create temp table first as select baseledger.open_wallet('w') as receipt;

select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 1, "event": "opened", "available": 0, "reserved": 0, "spent": 0,
  "replayed": false
}', 'a new wallet has no funds') from first;
select ok((receipt).occurred_at between now() and clock_timestamp(),
  'the event has the time of the database''s clock') from first;
select is(tap.on_record('w', 1), jsonb_build_object(
  'actor', session_user || ' as baseledger_operator', 'metadata', '{}'::jsonb,
  'details', '{"unit": "USD", "scale": 9, "overdraft_limit": null}'::jsonb
), 'the default is nano-dollars without an overdraft limit');

select is(
  tap.as_json(baseledger.open_wallet('t', 'tokens', 0, 500, '{"team": 7}')),
  '{
    "wallet_id": "t", "seq": 1, "event": "opened", "available": 0, "reserved": 0, "spent": 0,
    "replayed": false
  }',
  'a wallet can have another unit'
);
select is(tap.on_record('t', 1), jsonb_build_object(
  'actor', session_user || ' as baseledger_operator', 'metadata', '{"team": 7}'::jsonb,
  'details', '{"unit": "tokens", "scale": 0, "overdraft_limit": 500}'::jsonb
), 'the event records the terms and the metadata');
select is(
  to_jsonb(b) - 'as_of',
  '{
    "wallet_id": "t", "unit": "tokens", "scale": 0, "available": 0, "reserved": 0, "spent": 0,
    "overdraft_limit": 500, "frozen": false, "seq": 1
  }',
  'the balance has the terms'
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
  'a second call with the same terms gets the first receipt'
) from first;
select changes_nothing($$select baseledger.open_wallet('w', 'USD', 9, null, '{"other": 1}')$$,
  'a second call writes nothing, and other metadata is ignored');
select is(tap.brief(baseledger.open_wallet('t', 'tokens', 0, 500)), '#1 opened: 0/0/0 again',
  'a second call may have terms other than the defaults');
select is(tap.balances('w'), '90/10/0', 'a second call does not change the balance');

select refuses(c.call, 'LGIDK', c.detail::jsonb,
  'a second call with other terms is refused: ' || c.name)
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

-- Restricted ------------------------------------------------------------------------------------

select is(tap.brief(baseledger.open_wallet('r', p_restricted => true)), '#1 opened: 0/0/0',
  'a wallet can be opened restricted');
select is(tap.on_record('r', 1) -> 'details',
  '{"unit": "USD", "scale": 9, "overdraft_limit": null, "restricted": true}', 'the event says so');
select is(array_agg(l.wallet_id || ' ' || l.restricted), array['r true', 't false', 'w false'],
  'others are open') from baseledger.list_wallets() as l;
select is(tap.brief(baseledger.open_wallet('r', p_restricted => true)), '#1 opened: 0/0/0 again',
  'a second call with the same terms gets the first receipt');
select refuses($$open_wallet('r')$$, 'LGIDK',
  '{"field": "restricted", "stored": true, "given": false}', 'one that does not say so is refused');
select refuses($$open_wallet('w', p_restricted => true)$$, 'LGIDK',
  '{"field": "restricted", "stored": false, "given": true}', 'as is one that says so of another');
do $$ begin perform baseledger.allow('w', 'baseledger_agent'); end $$;
select is(tap.brief(baseledger.open_wallet('w')), '#1 opened: 0/0/0 again',
  'one that was restricted later is opened again as it was first opened');
select refuses($$open_wallet('w', p_restricted => true)$$, 'LGIDK',
  '{"field": "restricted", "stored": false, "given": true}', 'and only so');
select ok(l.restricted, 'which opens it to nobody') from baseledger.list_wallets('w') as l;
select refuses($$open_wallet('n1', p_restricted => null)$$, 'LGARG', '{"field": "restricted"}',
  'null is refused');

-- Limits ----------------------------------------------------------------------------------------

select is(
  array[
    tap.brief(baseledger.open_wallet('W')),
    tap.brief(baseledger.open_wallet(repeat('🙂', 255), repeat('₿', 255), 18,
      9223372036854775807, tap.metadata(16384))),
    tap.brief(baseledger.open_wallet('w  w'))
  ],
  array['#1 opened: 0/0/0', '#1 opened: 0/0/0', '#1 opened: 0/0/0'],
  'ids are kept as given: case, blanks inside, 255 characters of any script'
);
select is(
  (baseledger.balance(repeat('🙂', 255))).overdraft_limit, 9223372036854775807,
  'the largest overdraft limit is accepted'
);
select is(tap.on_record('W', 1) -> 'metadata', '{}',
  'without metadata the event has an empty object');
select is(tap.brief(baseledger.open_wallet('n', p_metadata => null)), '#1 opened: 0/0/0',
  'null means no metadata');
select is(tap.on_record('n', 1) -> 'metadata', '{}',
  'the event then has an empty object as its metadata');

select refuses(
  format('open_wallet(%s, %s, %s, %s, %s)', coalesce(c.wallet_id, quote_literal('new')),
    coalesce(c.unit, quote_literal('USD')), coalesce(c.scale, '9'),
    coalesce(c.overdraft_limit, 'null'), coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name
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
  'a refused call opens no wallet');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
