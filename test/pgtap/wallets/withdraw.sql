-- withdraw: takes funds out.
begin;
select plan(36);

do $$
begin
  perform tap.wallet('w', 1000);
  perform tap.wallet('other', 1000);
end
$$;

set local role baseledger_operator;

-- What it does ----------------------------------------------------------------------------------

create temp table first as select baseledger.withdraw('w', 100, 'k1') as receipt;

select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 3, "event": "withdrawn", "amount": 100, "available": 900, "reserved": 0,
  "spent": 0, "idempotency_key": "k1", "replayed": false
}', 'withdraw takes from available') from first;

select ok((receipt).occurred_at between now() and clock_timestamp(),
  'the event has the time of the database''s clock') from first;
select is(tap.on_record('w', 3), jsonb_build_object(
  'actor', session_user || ' as baseledger_operator', 'metadata', '{}'::jsonb, 'details', null
), 'the event records who asked');
select is(tap.brief(baseledger.withdraw('w', 50, 'k2', '{"to": "bank"}')),
  '#4 withdrawn 50: 850/0/0', 'another key is another withdrawal');
select is(tap.on_record('w', 4) -> 'metadata', '{"to": "bank"}', 'the event records the metadata');
select is(tap.brief(baseledger.withdraw('w', 1, 'k3', null)), '#5 withdrawn 1: 849/0/0',
  'null means no metadata');
select is(tap.on_record('w', 5) -> 'metadata', '{}',
  'the event then has an empty object as its metadata');
select is(tap.brief(baseledger.withdraw('other', 1, 'k1')), '#3 withdrawn 1: 999/0/0',
  'a key belongs to its wallet');

select is(
  to_jsonb(baseledger.withdraw('w', 100, 'k1')),
  to_jsonb(receipt) || '{"replayed": true}',
  'a retry gets the first receipt, with the balances of that event'
) from first;
select changes_nothing($$select baseledger.withdraw('w', 100, 'k1', '{}')$$,
  'a retry writes nothing');

-- Insufficient funds ----------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('f', 100);
  perform baseledger.reserve('f', 60, 'r', '1 hour');
  perform tap.wallet('overdrawn', 10, 1000);
  perform baseledger.reserve('overdrawn', 10, 'r');
  perform baseledger.settle('overdrawn', 'r', 15, 's');
end
$$;
select refuses($$withdraw('f', 41, 'k')$$, 'LGNSF', jsonb_build_object(
  'requested', 41, 'available', 40, 'reserved', 60, 'shortfall', 1, 'reason', 'held',
  'retry_at', (baseledger.reserve('f', 60, 'r', '1 hour')).expires_at
), 'a withdrawal cannot exceed what is available');
select refuses($$withdraw('f', 101, 'k')$$, 'LGNSF', '{
  "requested": 101, "available": 40, "reserved": 60, "shortfall": 61, "reason": "exhausted",
  "retry_at": null
}', 'the reason is exhausted when the open reservations would not cover it');
select is(tap.brief(baseledger.withdraw('f', 40, 'k')), '#4 withdrawn 40: 0/60/0',
  'a refused key is free, and all that is available can go');
select refuses($$withdraw('overdrawn', 1, 'k')$$, 'LGNSF', '{
  "requested": 1, "available": -5, "reserved": 0, "shortfall": 6, "reason": "exhausted",
  "retry_at": null
}', 'a withdrawal cannot use the overdraft limit');

do $$
begin
  perform tap.travel_back('f', '2 hours');
  perform tap.wallet('ice', 100);
  perform baseledger.withdraw('ice', 1, 'k1');
  perform baseledger.freeze_wallet('ice', 'a test');
end
$$;
select is(tap.brief(baseledger.withdraw('f', 60, 'k2')), '#6 withdrawn 60: 0/0/0',
  'what has come due can be withdrawn without a worker');
select is(tap.last_events('f', 2), array['expired r 60: 60/0/0', 'withdrawn 60: 0/0/0'],
  'the expiry is recorded first');

select refuses($$withdraw('ice', 1, 'k2')$$, 'LGFRZ', '{"wallet_id": "ice"}',
  'a frozen wallet refuses withdrawals');
select is(tap.brief(baseledger.withdraw('ice', 1, 'k1')), '#3 withdrawn 1: 99/0/0 again',
  'a frozen wallet answers a retry');

-- Limits ----------------------------------------------------------------------------------------

do $$ begin perform tap.wallet('max', 9223372036854775807); end $$;
select is(tap.brief(baseledger.withdraw('max', 9223372036854775807, 'k')),
  '#3 withdrawn 9223372036854775807: 0/0/0', 'the largest amount is accepted');

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$withdraw('w', 1000, 'funds')$$,
      '{"field": "op", "stored": "credit", "given": "withdraw"}'),
    ('amount', $$withdraw('w', 101, 'k1')$$, '{"field": "amount", "stored": 100, "given": 101}'),
    ('metadata', $$withdraw('w', 50, 'k2')$$,
      '{"field": "metadata", "stored": {"to": "bank"}, "given": {}}')
  ) as c(name, call, detail);

select refuses(
  format('withdraw(%s, %s, %s, %s)', coalesce(c.wallet_id, quote_literal('w')),
    coalesce(c.amount, '1'), coalesce(c.key, quote_literal('new')), coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name
) from (values
  ('wallet_id', 'no wallet', 'null', null, null, null),
  ('wallet_id', 'a blank wallet id', $$' '$$, null, null, null),
  ('amount', 'no amount', null, 'null', null, null),
  ('amount', 'an amount of 0', null, '0', null, null),
  ('amount', 'an amount below 0', null, '-1', null, null),
  ('idempotency_key', 'no key', null, null, 'null', null),
  ('idempotency_key', 'a blank key', null, null, $$' '$$, null),
  ('idempotency_key', 'a key of 256', null, null, $$repeat('x', 256)$$, null),
  ('metadata', 'a number', null, null, null, $$'1'$$),
  ('metadata', '16 KiB and 1', null, null, null, $$tap.metadata(16385)$$)
) as c(field, name, wallet_id, amount, key, metadata);

select refuses($$withdraw('nobody', 1, 'k')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');

-- Refused in a batch ----------------------------------------------------------------------------

create temp table batch as select $json$[
  {"op": "withdraw", "amount": 0, "idempotency_key": "b1"},
  {"op": "withdraw", "amount": 101, "idempotency_key": "k1"},
  {"op": "withdraw", "amount": 9999, "idempotency_key": "b2"}
]$json$::jsonb as commands;

select changes_nothing($$select baseledger.post_funds('w', commands) from batch$$,
  'a refusal in a batch changes no row');
select is(
  array(select tap.brief(r) from batch, baseledger.post_funds('w', commands) as r),
  array['LGARG', 'LGIDK', 'LGNSF'],
  'a batch refuses with the same codes'
);

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
