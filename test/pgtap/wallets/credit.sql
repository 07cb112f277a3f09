-- credit: adds funds.
begin;
select plan(37);

do $$
begin
  perform tap.wallet('w');
  perform tap.wallet('other');
end
$$;

set local role baseledger_operator;

-- What it does ----------------------------------------------------------------------------------

create temp table first as select baseledger.credit('w', 100, 'k1') as receipt;

select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 2, "event": "credited", "amount": 100, "available": 100, "reserved": 0,
  "spent": 0, "idempotency_key": "k1", "replayed": false
}', 'credit adds to available') from first;

select ok((receipt).occurred_at between now() and clock_timestamp(),
  'the event has the time of the database''s clock') from first;
select is(tap.on_record('w', 2), jsonb_build_object(
  'actor', session_user || ' as baseledger_operator', 'metadata', '{}'::jsonb, 'details', null
), 'the event records who asked');

select is(tap.brief(baseledger.credit('w', 50, 'k2', '{"invoice": 7}')), '#3 credited 50: 150/0/0',
  'another key is another credit');
select is(tap.on_record('w', 3) -> 'metadata', '{"invoice": 7}', 'the event records the metadata');
select is(tap.brief(baseledger.credit('w', 1, 'k3', null)), '#4 credited 1: 151/0/0',
  'null means no metadata');
select is(tap.on_record('w', 4) -> 'metadata', '{}',
  'the event then has an empty object as its metadata');
select is(tap.brief(baseledger.credit('other', 1, 'k1')), '#2 credited 1: 1/0/0',
  'a key belongs to its wallet');

select is(
  to_jsonb(baseledger.credit('w', 100, 'k1')),
  to_jsonb(receipt) || '{"replayed": true}',
  'a retry gets the first receipt, with the balances of that event'
) from first;
select changes_nothing($$select baseledger.credit('w', 100, 'k1', '{}')$$,
  'a retry writes nothing');

-- Overdrawn, frozen and due ---------------------------------------------------------------------

do $$
begin
  perform tap.wallet('s', 100);
  perform baseledger.reserve('s', 60, 'r', '1 hour');
  perform baseledger.reserve('s', 40, 'q', '3 hours');
  perform baseledger.settle('s', 'q', 90, 's1');
  perform baseledger.freeze_wallet('s', 'a test');
end
$$;
select is(tap.brief(baseledger.credit('s', 5, 'k1')), '#7 credited 5: -45/60/90',
  'an overdrawn and frozen wallet accepts a credit');
do $$ begin perform tap.travel_back('s', '2 hours'); end $$;
select is(tap.brief(baseledger.credit('s', 5, 'k2')), '#9 credited 5: 20/0/90',
  'a credit counts what has come due');
select is(tap.last_events('s', 2), array['expired r 60: 15/0/90', 'credited 5: 20/0/90'],
  'a credit records the expiries before it');

-- Limits ----------------------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('max', 9223372036854775807);
  perform tap.wallet('held', 100);
  perform baseledger.reserve('held', 100, 'r');
  perform tap.wallet('spent', 100);
  perform baseledger.charge('spent', 100, 'c');
end
$$;
select is(tap.brief(baseledger.credit('max', 9223372036854775807, 'funds')),
  '#2 credited 9223372036854775807: 9223372036854775807/0/0 again',
    'the largest amount is accepted');
select refuses($$credit('max', 1, 'k')$$, 'LGOVF', '{
  "requested": 1, "available": 9223372036854775807, "reserved": 0, "spent": 0
}', 'available cannot exceed the largest amount');
select refuses($$credit('held', 9223372036854775708, 'k')$$, 'LGOVF', '{
  "requested": 9223372036854775708, "available": 0, "reserved": 100, "spent": 0
}', 'open reservations count towards the largest amount');
select is(tap.brief(baseledger.credit('held', 9223372036854775707, 'k2')),
  '#4 credited 9223372036854775707: 9223372036854775707/100/0',
    'a credit can reach the largest amount');
select is(tap.brief(baseledger.credit('spent', 9223372036854775807, 'k')),
  '#4 credited 9223372036854775807: 9223372036854775807/0/100',
    'what is spent does not count towards the largest amount');

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$credit('s', 60, 'r')$$,
      '{"field": "op", "stored": "reserve", "given": "credit"}'),
    ('amount', $$credit('w', 101, 'k1')$$, '{"field": "amount", "stored": 100, "given": 101}'),
    ('metadata', $$credit('w', 50, 'k2', '{"invoice": 8}')$$,
      '{"field": "metadata", "stored": {"invoice": 7}, "given": {"invoice": 8}}')
  ) as c(name, call, detail);

select refuses(
  format('credit(%s, %s, %s, %s)', coalesce(c.wallet_id, quote_literal('w')),
    coalesce(c.amount, '1'), coalesce(c.key, quote_literal('new')), coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name
) from (values
  ('wallet_id', 'no wallet', 'null', null, null, null),
  ('wallet_id', 'an empty wallet id', $$''$$, null, null, null),
  ('wallet_id', 'a wallet id of 300', $$repeat('x', 300)$$, null, null, null),
  ('amount', 'no amount', null, 'null', null, null),
  ('amount', 'an amount of 0', null, '0', null, null),
  ('amount', 'an amount below 0', null, '-1', null, null),
  ('idempotency_key', 'no key', null, null, 'null', null),
  ('idempotency_key', 'a blank key', null, null, $$' '$$, null),
  ('idempotency_key', 'a key of 300', null, null, $$repeat('x', 300)$$, null),
  ('metadata', 'an array', null, null, null, $$'[]'$$),
  ('metadata', 'a boolean', null, null, null, $$'true'$$),
  ('metadata', 'a megabyte', null, null, null, $$tap.metadata(1048576)$$)
) as c(field, name, wallet_id, amount, key, metadata);

select refuses($$credit('nobody', 1, 'k')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');

-- Refused in a batch ----------------------------------------------------------------------------

create temp table batch as select $json$[
  {"op": "credit", "amount": 0, "idempotency_key": "b1"},
  {"op": "credit", "amount": 101, "idempotency_key": "k1"},
  {"op": "credit", "amount": 9223372036854775807, "idempotency_key": "b2"}
]$json$::jsonb as commands;

select changes_nothing($$select baseledger.post_funds('w', commands) from batch$$,
  'a refusal in a batch changes no row');
select is(
  array(select tap.brief(r) from batch, baseledger.post_funds('w', commands) as r),
  array['LGARG', 'LGIDK', 'LGOVF'],
  'a batch refuses with the same codes'
);

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
