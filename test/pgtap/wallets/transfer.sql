-- transfer: moves funds between two wallets of one unit and scale.
begin;
select plan(51);

do $$
begin
  perform tap.wallet('a', 1000);
  perform tap.wallet('b', 1000);
  perform baseledger.open_wallet('tokens', 'tokens');
  perform baseledger.open_wallet('cents', p_scale => 2);
end
$$;

set local role baseledger_operator;

-- What it does ----------------------------------------------------------------------------------

create temp table first as
  select baseledger.transfer('a', 'b', 100, 'k1', '{"why": "x"}') as receipt;

select is(tap.as_json(receipt), '{
  "wallet_id": "a", "seq": 3, "event": "transferred_out", "amount": 100, "available": 900,
  "reserved": 0, "spent": 0, "idempotency_key": "k1", "replayed": false
}', 'transfer returns the sender''s receipt') from first;
select ok((receipt).occurred_at between now() and clock_timestamp(),
  'the event has the time of the database''s clock') from first;
select is(tap.on_record('a', 3), jsonb_build_object(
  'actor', session_user || ' as baseledger_operator', 'metadata', '{"why": "x"}'::jsonb, 'details', '{"to": "b"}'::jsonb
), 'the sender''s event records the receiver');

select is(tap.balances('b'), '1100/0/0', 'the receiver has the amount');
set local role baseledger_auditor;
select is(
  to_jsonb(j) - 'hash' - 'occurred_at',
  jsonb_build_object(
    'wallet_id', 'b', 'seq', 3, 'event', 'transferred_in', 'reservation_id', null, 'amount', 100,
    'available', 1100, 'reserved', 0, 'spent', 0, 'expires_at', null, 'idempotency_key', null,
    'actor', session_user || ' as baseledger_operator', 'metadata', '{"why": "x"}'::jsonb,
    'details', '{"from": "a", "from_seq": 3}'::jsonb
  ),
  'the receiver''s event records the sender and its event, without the key'
) from baseledger.journal j where j.wallet_id = 'b' and j.seq = 3;
set local role baseledger_operator;

select is(tap.brief(baseledger.transfer('b', 'a', 30, 'k1', null)),
  '#4 transferred_out 30: 1070/0/0',
    'the receiver can transfer back with the same key, which belongs to the sender');
select is(tap.on_record('b', 4) -> 'metadata', '{}', 'null means no metadata');
select is(tap.balances('a'), '930/0/0', 'the first sender has the amount back');

select is(
  to_jsonb(baseledger.transfer('a', 'b', 100, 'k1', '{"why": "x"}')),
  to_jsonb(receipt) || '{"replayed": true}',
  'a retry gets the first receipt, with the balances of that event'
) from first;
select changes_nothing($$select baseledger.transfer('a', 'b', 100, 'k1', '{"why": "x"}')$$,
  'a retry writes nothing on either side');

-- The key ---------------------------------------------------------------------------------------

do $$
begin
  perform baseledger.credit('b', 1, 'k2');
  perform baseledger.transfer('a', 'b', 1, 'k2');
  perform baseledger.transfer('a', 'b', 1, 'k3');
end
$$;
select is(tap.brief(baseledger.credit('b', 7, 'k3')), '#8 credited 7: 1080/0/0',
  'a transfer''s key does not conflict with keys of the receiver, earlier or later');
select refuses($$credit('a', 1, 'k3')$$, 'LGIDK',
  '{"field": "op", "stored": "transfer_out", "given": "credit"}',
    'a transfer''s key is taken for other commands of the sender');
select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$transfer('a', 'b', 1000, 'funds')$$,
      '{"field": "op", "stored": "credit", "given": "transfer_out"}'),
    ('amount', $$transfer('a', 'b', 101, 'k1', '{"why": "x"}')$$,
      '{"field": "amount", "stored": 100, "given": 101}'),
    ('metadata', $$transfer('a', 'b', 100, 'k1')$$,
      '{"field": "metadata", "stored": {"why": "x"}, "given": {}}')
  ) as c(name, call, detail);
do $$ begin perform tap.wallet('c'); end $$;
select refuses($$transfer('a', 'c', 100, 'k1', '{"why": "x"}')$$, 'LGIDK',
  '{"field": "to", "stored": "b", "given": "c"}', 'a key is refused for another receiver');

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
select refuses($$transfer('f', 'a', 41, 'k')$$, 'LGNSF', jsonb_build_object(
  'requested', 41, 'available', 40, 'reserved', 60, 'shortfall', 1, 'reason', 'held',
  'retry_at', (baseledger.reserve('f', 60, 'r', '1 hour')).expires_at
), 'a transfer cannot exceed what is available');
select refuses($$transfer('f', 'a', 101, 'k')$$, 'LGNSF', '{
  "requested": 101, "available": 40, "reserved": 60, "shortfall": 61, "reason": "exhausted",
  "retry_at": null
}', 'the reason is exhausted when the open reservations would not cover it');
select is(tap.brief(baseledger.transfer('f', 'a', 40, 'k')), '#4 transferred_out 40: 0/60/0',
  'a refused key is free, and all that is available can go');
select refuses($$transfer('overdrawn', 'a', 1, 'k')$$, 'LGNSF', '{
  "requested": 1, "available": -5, "reserved": 0, "shortfall": 6, "reason": "exhausted",
  "retry_at": null
}', 'a transfer cannot use the overdraft limit');

-- Deadlines, on both sides.
do $$
begin
  perform tap.wallet('g', 100);
  perform baseledger.reserve('g', 70, 'q', '1 hour');
  perform tap.travel_back('f', '2 hours');
  perform tap.travel_back('g', '2 hours');
end
$$;
select is(tap.brief(baseledger.transfer('f', 'g', 60, 'k2')), '#6 transferred_out 60: 0/0/0',
  'what has come due can be sent without a worker');
select is(
  tap.last_events('f', 2) || tap.last_events('g', 2),
  array[
    'expired r 60: 60/0/0', 'transferred_out 60: 0/0/0',
    'expired q 70: 100/0/0', 'transferred_in 60: 160/0/0'
  ],
  'the expiries are recorded first, in both journals'
);

-- Frozen wallets.
do $$
begin
  perform tap.wallet('ice', 100);
  perform baseledger.transfer('ice', 'a', 1, 'k1');
  perform baseledger.freeze_wallet('ice', 'a test');
end
$$;
select refuses($$transfer('ice', 'a', 1, 'k2')$$, 'LGFRZ', '{"wallet_id": "ice"}',
  'a frozen wallet sends nothing');
select is(tap.brief(baseledger.transfer('ice', 'a', 1, 'k1')), '#3 transferred_out 1: 99/0/0 again',
  'a frozen wallet answers a retry');
select is(tap.brief(baseledger.transfer('g', 'ice', 1, 'k1')), '#6 transferred_out 1: 159/0/0',
  'a frozen wallet receives transfers');
select is(tap.balances('ice'), '100/0/0', 'the frozen wallet has the received amount');

-- Limits ----------------------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('max', 9223372036854775807);
  perform tap.wallet('held', 1);
  perform baseledger.reserve('held', 1, 'r');
end
$$;
select refuses($$transfer('a', 'max', 1, 'k')$$, 'LGOVF', '{
  "requested": 1, "available": 9223372036854775807, "reserved": 0, "spent": 0
}', 'the receiver''s available cannot exceed the largest amount');
select is(tap.balances('a'), '969/0/0', 'a refusal by the receiver leaves the sender unchanged');
select refuses($$transfer('max', 'held', 9223372036854775807, 'k')$$, 'LGOVF', '{
  "requested": 9223372036854775807, "available": 0, "reserved": 1, "spent": 0
}', 'the receiver''s reservations count towards the largest amount');
select is(tap.brief(baseledger.transfer('max', 'c', 9223372036854775807, 'k2')),
  '#3 transferred_out 9223372036854775807: 0/0/0', 'the largest amount is accepted');

select refuses($$transfer('a', 'a', 1, 'k')$$, 'LGARG', '{"field": "to"}', 'refused: to itself');
select refuses($$transfer('a', 'tokens', 1, 'k')$$, 'LGARG', '{"field": "to"}',
  'refused: to another unit');
select refuses($$transfer('a', 'cents', 1, 'k')$$, 'LGARG', '{"field": "to"}',
  'refused: to another scale');
select refuses($$transfer('cents', 'a', 1, 'k')$$, 'LGARG', '{"field": "to"}',
  'refused: from another scale');

select refuses(
  format('transfer(%s, %s, %s, %s, %s)', coalesce(c.sender, quote_literal('a')),
    coalesce(c.receiver, quote_literal('b')), coalesce(c.amount, '1'),
    coalesce(c.key, quote_literal('new')), coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name
) from (values
  ('from', 'no sender', 'null', null, null, null, null),
  ('from', 'a blank sender', $$' '$$, null, null, null, null),
  ('from', 'a sender of 256', $$repeat('x', 256)$$, null, null, null, null),
  ('to', 'no receiver', null, 'null', null, null, null),
  ('to', 'an empty receiver', null, $$''$$, null, null, null),
  ('to', 'a receiver of 256', null, $$repeat('x', 256)$$, null, null, null),
  ('amount', 'no amount', null, null, 'null', null, null),
  ('amount', 'an amount of 0', null, null, '0', null, null),
  ('amount', 'an amount below 0', null, null, '-1', null, null),
  ('idempotency_key', 'no key', null, null, null, 'null', null),
  ('idempotency_key', 'a blank key', null, null, null, $$' '$$, null),
  ('idempotency_key', 'a key of 256', null, null, null, $$repeat('x', 256)$$, null),
  ('metadata', 'an array', null, null, null, null, $$'[]'$$),
  ('metadata', '16 KiB and 1', null, null, null, null, $$tap.metadata(16385)$$)
) as c(field, name, sender, receiver, amount, key, metadata);

select refuses($$transfer('nobody', 'a', 1, 'k')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown sender is refused');
select refuses($$transfer('a', 'nobody', 1, 'k')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown receiver is refused');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
