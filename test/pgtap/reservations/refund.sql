-- refund: returns what was spent.
begin;
select plan(50);

do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.reserve('w', 100, 'r');
  perform baseledger.settle('w', 'r', 70, 's');
  perform baseledger.charge('w', 50, 'c');
end
$$;

set local role baseledger_operator;

-- What it does ----------------------------------------------------------------------------------

create temp table first as select baseledger.refund('w', 'r', 30, 'f1') as receipt;

select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 6, "event": "refunded", "reservation_id": "r", "amount": 30,
  "available": 910, "reserved": 0, "spent": 90, "idempotency_key": "f1", "replayed": false
}', 'refund moves from spent to available') from first;

select ok((receipt).occurred_at between now() and clock_timestamp(),
  'the event has the time of the database''s clock') from first;
select is(tap.on_record('w', 6), jsonb_build_object(
  'actor', session_user || ' as baseledger_operator', 'metadata', '{}'::jsonb, 'details', null
), 'the event records who asked');

select refuses($$refund('w', 'r', 41, 'f2')$$, 'LGRFD',
  '{"reservation_id": "r", "requested": 41, "refundable": 40}',
  'refunds cannot exceed what the reservation has settled');
select is(tap.brief(baseledger.refund('w', 'r', 40, 'f2', '{"case": 1}')),
  '#7 refunded 40: 950/0/50',
    'refunds can reach what the reservation has settled, and a refused key is free');
select is(tap.on_record('w', 7) -> 'metadata', '{"case": 1}', 'the event records the metadata');
select refuses($$refund('w', 'r', 1, 'f3')$$, 'LGRFD',
  '{"reservation_id": "r", "requested": 1, "refundable": 0}',
    'a reservation refunded in full has no more to refund');
select refuses($$refund('w', 'c', 51, 'f4')$$, 'LGRFD',
  '{"reservation_id": "c", "requested": 51, "refundable": 50}', 'refunds cannot exceed the charge');
select is(tap.brief(baseledger.refund('w', 'c', 50, 'f4', null)), '#8 refunded 50: 1000/0/0',
  'a charge can be refunded in full, and null means no metadata');
select is(tap.on_record('w', 8) -> 'metadata', '{}',
  'the event then has an empty object as its metadata');

select is(
  to_jsonb(baseledger.refund('w', 'r', 30, 'f1')),
  to_jsonb(receipt) || '{"replayed": true}',
  'a retry gets the first receipt, with the balances of that event, also when nothing is left'
) from first;
select changes_nothing($$select baseledger.refund('w', 'r', 30, 'f1', '{}')$$,
  'a retry writes nothing');

-- In every state of the reservation -------------------------------------------------------------

do $$
begin
  perform tap.wallet('s', 1000);
  perform baseledger.reserve('s', 100, 'parts');
  perform baseledger.settle('s', 'parts', 30, 'p1', false);
  perform baseledger.reserve('s', 100, 'unspent');
  perform baseledger.reserve('s', 100, 'cancelled');
  perform baseledger.settle('s', 'cancelled', 20, 'p2', false);
  perform baseledger.cancel('s', 'cancelled', 'c1');
end
$$;
select refuses($$refund('s', 'unspent', 1, 'x')$$, 'LGRFD',
  '{"reservation_id": "unspent", "requested": 1, "refundable": 0}',
  'an open reservation without parts has nothing to refund');
select is(tap.as_json(baseledger.refund('s', 'parts', 10, 'f1')), '{
  "wallet_id": "s", "seq": 9, "event": "refunded", "reservation_id": "parts", "amount": 10,
  "available": 790, "reserved": 170, "spent": 40, "idempotency_key": "f1", "replayed": false,
  "open": true
}', 'the parts of an open reservation can be refunded, and its hold stays');
select is(
  (baseledger.refund('s', 'parts', 10, 'f1')).expires_at,
  (baseledger.reserve('s', 100, 'parts')).expires_at,
  'the deadline stays'
);
select is(tap.brief(baseledger.settle('s', 'parts', 80, 'p3')), '#10 settled 80: 780/100/120',
  'the reservation can be settled after a refund');
select refuses($$refund('s', 'parts', 101, 'x')$$, 'LGRFD',
  '{"reservation_id": "parts", "requested": 101, "refundable": 100}',
  'all parts count, less what was refunded');
select is(tap.brief(baseledger.refund('s', 'parts', 100, 'f2')), '#11 refunded 100: 880/100/20',
  'refunds can reach the sum of all parts');
select is(tap.brief(baseledger.refund('s', 'cancelled', 20, 'f3')), '#12 refunded 20: 900/100/0',
  'a part can be refunded after the cancellation');

do $$
begin
  perform tap.wallet('late', 100);
  perform baseledger.reserve('late', 50, 'r', '1 hour');
  perform baseledger.settle('late', 'r', 10, 'p1', false);
  perform baseledger.reserve('late', 20, 'due', '1 hour');
  perform baseledger.settle('late', 'due', 5, 'p2', false);
  perform tap.travel_back('late', '2 hours');
end
$$;
select is(tap.brief(baseledger.refund('late', 'due', 5, 'f0')), '#9 refunded 5: 90/0/10',
  'a part can be refunded past the deadline');
select is(tap.last_events('late', 3), array[
  'expired r 40: 70/15/15', 'expired due 15: 85/0/15', 'refunded due 5: 90/0/10'
], 'the expiries are recorded first');
do $$
begin
  perform baseledger.settle('late', 'r', 60, 's1', false);
  perform baseledger.refund('late', 'r', 1, 'f1');
end
$$;
select is(tap.brief(baseledger.settle('late', 'r', 1, 's2')), '#12 settled 1: 30/0/70',
  'a late part can be refunded before the final settlement');
select is(tap.brief(baseledger.refund('late', 'r', 70, 'f2')), '#13 refunded 70: 100/0/0',
  'all late parts can be refunded');

do $$
begin
  perform baseledger.settle('s', 'unspent', 1, 'u1', false);
  perform baseledger.freeze_wallet('s', 'a test');
end
$$;
select is(tap.brief(baseledger.refund('s', 'unspent', 1, 'u2')), '#15 refunded 1: 901/99/0',
  'a frozen wallet accepts refunds');

-- Limits ----------------------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('max', 9223372036854775807);
  perform baseledger.charge('max', 9223372036854775807, 'c');
  perform baseledger.refund('max', 'c', 9223372036854775806, 'f1');
  perform baseledger.credit('max', 1, 'more');
end
$$;
select is(tap.brief(baseledger.refund('max', 'c', 9223372036854775806, 'f1')),
  '#4 refunded 9223372036854775806: 9223372036854775806/0/1 again',
    'a refund can be as large as the largest amount less 1');
select refuses($$refund('max', 'c', 1, 'f2')$$, 'LGOVF', '{
  "requested": 1, "available": 9223372036854775807, "reserved": 0, "spent": 1
}', 'available cannot exceed the largest amount');
select refuses($$refund('max', 'c', 9223372036854775807, 'f2')$$, 'LGRFD', '{
  "reservation_id": "c", "requested": 9223372036854775807, "refundable": 1
}', 'the largest amount is refused as more than was spent');

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$refund('w', 'r', 70, 's')$$,
      '{"field": "op", "stored": "settle", "given": "refund"}'),
    ('reservation', $$refund('w', 'c', 30, 'f1')$$,
      '{"field": "reservation_id", "stored": "r", "given": "c"}'),
    ('amount', $$refund('w', 'r', 31, 'f1')$$, '{"field": "amount", "stored": 30, "given": 31}'),
    ('metadata', $$refund('w', 'r', 40, 'f2')$$,
      '{"field": "metadata", "stored": {"case": 1}, "given": {}}')
  ) as c(name, call, detail);

select refuses(
  format('refund(%s, %s, %s, %s, %s)', coalesce(c.wallet_id, quote_literal('w')),
    coalesce(c.reservation_id, quote_literal('none')), coalesce(c.amount, '1'),
    coalesce(c.key, quote_literal('new')), coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name
) from (values
  ('wallet_id', 'no wallet', 'null', null, null, null, null),
  ('wallet_id', 'a blank wallet id', $$' '$$, null, null, null, null),
  ('reservation_id', 'no reservation', null, 'null', null, null, null),
  ('reservation_id', 'a blank reservation id', null, $$' '$$, null, null, null),
  ('reservation_id', 'a reservation id of 256', null, $$repeat('x', 256)$$, null, null, null),
  ('amount', 'no amount', null, null, 'null', null, null),
  ('amount', 'an amount of 0', null, null, '0', null, null),
  ('amount', 'an amount below 0', null, null, '-1', null, null),
  ('idempotency_key', 'no key', null, null, null, 'null', null),
  ('idempotency_key', 'a blank key', null, null, null, $$' '$$, null),
  ('idempotency_key', 'a key of 256', null, null, null, $$repeat('x', 256)$$, null),
  ('metadata', 'an array', null, null, null, null, $$'[]'$$),
  ('metadata', '16 KiB and 1', null, null, null, null, $$tap.metadata(16385)$$)
) as c(field, name, wallet_id, reservation_id, amount, key, metadata);

select refuses($$refund('w', 'none', 1, 'k')$$, 'LGRNF', '{"reservation_id": "none"}',
  'an unknown reservation is refused');
select refuses($$refund('late', 'c', 1, 'k')$$, 'LGRNF', '{"reservation_id": "c"}',
  'a reservation of another wallet is refused');
select refuses($$refund('nobody', 'r', 1, 'k')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');

-- Refused in a batch ----------------------------------------------------------------------------

create temp table batch as select $json$[
  {"op": "refund", "reservation_id": "r", "amount": 0, "idempotency_key": "b1"},
  {"op": "refund", "reservation_id": "r", "amount": 31, "idempotency_key": "f1"},
  {"op": "refund", "reservation_id": "none", "amount": 1, "idempotency_key": "b2"},
  {"op": "refund", "reservation_id": "r", "amount": 1, "idempotency_key": "b3"}
]$json$::jsonb as commands;

select changes_nothing($$select baseledger.post_funds('w', commands) from batch$$,
  'a refusal in a batch changes no row');
select is(
  array(select tap.brief(r) from batch, baseledger.post_funds('w', commands) as r),
  array['LGARG', 'LGIDK', 'LGRNF', 'LGRFD'],
  'a batch refuses with the same codes'
);

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
