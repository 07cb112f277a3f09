-- settle: books what a call cost.
begin;
select plan(91);

do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.reserve('w', 100, 'r1', '1 hour');
  perform baseledger.reserve('w', 100, 'r2', '1 hour');
  perform baseledger.reserve('w', 100, 'r3', '1 hour');
  perform baseledger.reserve('w', 100, 'r4', '1 hour');
  perform baseledger.reserve('w', 100, 'parts', '1 hour');
end
$$;

set local role baseledger_agent;

-- What it does ----------------------------------------------------------------------------------

create temp table first as select baseledger.settle('w', 'r1', 70, 's1') as receipt;

select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 8, "event": "settled", "reservation_id": "r1", "amount": 70,
  "available": 530, "reserved": 400, "spent": 70, "idempotency_key": "s1", "replayed": false
}', 'settle books the amount as spent and returns the rest to available') from first;

select ok((receipt).occurred_at between now() and clock_timestamp(),
  'the event has the time of the database''s clock') from first;

select is(tap.on_record('w', 8), jsonb_build_object(
  'actor', session_user || ' as baseledger_agent', 'metadata', '{}'::jsonb, 'details', null
), 'the event records who asked');

select is(tap.brief(baseledger.settle('w', 'r2', 100, 's2', true, '{"model": "m"}')),
  '#9 settled 100: 530/300/170', 'a settlement can be all of the hold');
select is(tap.on_record('w', 9) -> 'metadata', '{"model": "m"}', 'the event records the metadata');
select is(tap.brief(baseledger.settle('w', 'r3', 0, 's3', null, null)),
  '#10 settled 0: 630/200/170', 'a settlement can be 0, and null means the default');
select is(tap.on_record('w', 10), jsonb_build_object(
  'actor', session_user || ' as baseledger_agent', 'metadata', '{}'::jsonb, 'details', null
), 'the default is a final settlement without metadata');
select is(tap.brief(baseledger.settle('w', 'r4', 150, 's4')),
  '#11 settled 150: 580/100/320',
    'a settlement above the hold is booked in full, the rest from available');

select is(
  to_jsonb(baseledger.settle('w', 'r1', 70, 's1')),
  to_jsonb(receipt) || '{"replayed": true}',
  'a retry gets the first receipt, with the balances of that event'
) from first;
select changes_nothing($$select baseledger.settle('w', 'r1', 70, 's1')$$, 'a retry writes nothing');
select is(tap.brief(baseledger.settle('w', 'r1', 70, 's1', true, '{}')),
  '#8 settled 70: 530/400/70 again', 'a retry may spell out the defaults');

-- In parts --------------------------------------------------------------------------------------

select is(tap.as_json(baseledger.settle('w', 'parts', 30, 'p1', false)), '{
  "wallet_id": "w", "seq": 12, "event": "settled", "reservation_id": "parts", "amount": 30,
  "available": 580, "reserved": 70, "spent": 350, "idempotency_key": "p1", "replayed": false,
  "open": true
}', 'p_final => false books a part and keeps the rest reserved');
select is(
  (baseledger.settle('w', 'parts', 30, 'p1', false)).expires_at,
  (baseledger.reserve('w', 100, 'parts', '1 hour')).expires_at,
  'a part keeps the deadline'
);
select is(tap.on_record('w', 12) -> 'details', '{"final": false}',
  'the event records that it is a part');
select is(tap.brief(baseledger.settle('w', 'parts', 0, 'p2', false)),
  '#13 settled 0: 580/70/350', 'a part can be 0');
select is(tap.brief(baseledger.settle('w', 'parts', 70, 'p3', false)),
  '#14 settled 70: 580/0/420', 'a part can use up the hold');
select is(tap.brief(baseledger.settle('w', 'parts', 5, 'p4', false)),
  '#15 settled 5: 575/0/425', 'a part above the hold comes from available');
select is(tap.brief(baseledger.settle('w', 'parts', 7, 'p5')),
  '#16 settled 7: 568/0/432', 'a final settlement above the hold comes from available');
select is(tap.brief(baseledger.settle('w', 'parts', 30, 'p1', false)),
  '#12 settled 30: 580/70/350 again', 'a retry of a part gets its receipt, also after the end');

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('parts', 1000);
  perform baseledger.reserve('parts', 100, 'over');
  perform baseledger.reserve('parts', 100, 'rest');
  perform baseledger.reserve('parts', 100, 'back');
end
$$;
set local role baseledger_agent;

select is(tap.brief(baseledger.settle('parts', 'over', 130, 'o1', false)),
  '#6 settled 130: 670/200/130', 'the first part can exceed the hold');
select is(tap.brief(baseledger.settle('parts', 'over', 0, 'o2')),
  '#7 settled 0: 670/200/130', 'after a part above the hold, the final settlement returns nothing');
select is(
  array(select tap.brief(r) from baseledger.post('parts', '[
    {"op": "settle", "reservation_id": "rest", "amount": 60, "idempotency_key": "t1",
      "final": false},
    {"op": "settle", "reservation_id": "rest", "amount": 15, "idempotency_key": "t2"}
  ]') as r),
  array['#8 settled 60: 670/140/190', '#9 settled 15: 695/100/205'],
  'the final settlement returns what the parts have left'
);
do $$ begin perform baseledger.settle('parts', 'back', 60, 'b1', false); end $$;
select is(tap.brief(baseledger.cancel('parts', 'back', 'b2')),
  '#11 cancelled 40: 735/0/265', 'a cancellation returns what the parts have left');

-- One end ---------------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform baseledger.charge('w', 10, 'charged');
  perform baseledger.reserve('w', 10, 'cancelled');
end
$$;
set local role baseledger_agent;
create temp table cancelled as select baseledger.cancel('w', 'cancelled', 'c1') as receipt;

select refuses($$settle('w', 'r1', 70, 'again')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'r1', 'status', 'settled', 'ended_seq', 8, 'ended_at', (receipt).occurred_at
), 'a settled reservation cannot be settled again') from first;
select refuses($$settle('w', 'r1', 1, 'again', false)$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'r1', 'status', 'settled', 'ended_seq', 8, 'ended_at', (receipt).occurred_at
), 'a settled reservation cannot be settled in part') from first;
select refuses($$settle('w', 'cancelled', 1, 'again')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'cancelled', 'status', 'cancelled', 'ended_seq', 19,
  'ended_at', (receipt).occurred_at
), 'a cancelled reservation cannot be settled') from cancelled;
select refuses($$settle('w', 'charged', 10, 'again')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'charged', 'status', 'settled', 'ended_seq', 17,
  'ended_at', (baseledger.charge('w', 10, 'charged')).occurred_at
), 'a charge cannot be settled');

set local role baseledger_operator;
do $$ begin perform baseledger.refund('w', 'r1', 70, 'f1'); end $$;
set local role baseledger_agent;
select refuses($$settle('w', 'r1', 1, 'again')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'r1', 'status', 'settled', 'ended_seq', 8, 'ended_at', (receipt).occurred_at
), 'a refund does not reopen a settled reservation') from first;

select refuses($$settle('w', 'none', 1, 'again')$$, 'LGRNF', '{"reservation_id": "none"}',
  'an unknown reservation is refused');
select refuses($$settle('parts', 'r1', 1, 'again')$$, 'LGRNF', '{"reservation_id": "r1"}',
  'a reservation of another wallet is refused');

-- Late ------------------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
declare
  v_id text;
begin
  -- Both are the same, but one is swept before the late settlements.
  foreach v_id in array array['swept', 'unswept'] loop
    perform tap.wallet(v_id, 100);
    perform baseledger.reserve(v_id, 60, 'r', '1 hour');
    perform baseledger.reserve(v_id, 30, 'parts', '1 hour');
    perform baseledger.settle(v_id, 'parts', 10, 'part', false);
    perform tap.travel_back(v_id, '2 hours');
  end loop;
end
$$;

select is(tap.balances('unswept'), '90/0/10', 'a reservation is returned from its deadline on');

select is(tap.as_json(baseledger.settle('unswept', 'r', 80, 's')), '{
  "wallet_id": "unswept", "seq": 8, "event": "settled", "reservation_id": "r", "amount": 80,
  "available": 10, "reserved": 0, "spent": 90, "idempotency_key": "s", "replayed": false
}', 'a late settlement is booked from available');
select is(tap.last_events('unswept', 3), array[
  'expired r 60: 70/20/10', 'expired parts 20: 90/0/10', 'settled r 80: 10/0/90'
], 'a late settlement is recorded after the expiries');
select is(tap.on_record('unswept', 8) -> 'details', '{"late": true}',
  'the event records that it is late');
select is(tap.brief(baseledger.settle('unswept', 'r', 80, 's')),
  '#8 settled 80: 10/0/90 again', 'a retry of a late settlement gets its receipt');
select refuses($$settle('unswept', 'r', 1, 'again')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'r', 'status', 'settled', 'ended_seq', 8,
  'ended_at', (baseledger.settle('unswept', 'r', 80, 's')).occurred_at
), 'a late settlement is booked once');

set local role baseledger_worker;
select is(baseledger.expire_due(), 2, 'the sweep expires both reservations');
set local role baseledger_agent;
do $$ begin perform baseledger.settle('swept', 'r', 80, 's'); end $$;
select is(tap.last_events('swept', 6), tap.last_events('unswept', 6),
  'a late settlement books the same with or without the sweep');

select is(
  array[
    tap.as_json(baseledger.settle('swept', 'parts', 4, 'p1', false)),
    tap.as_json(baseledger.settle('swept', 'parts', 3, 'p2', false)),
    tap.as_json(baseledger.settle('swept', 'parts', 0, 'p3'))
  ],
  array[
    '{"wallet_id": "swept", "seq": 9, "event": "settled", "reservation_id": "parts", "amount": 4,
      "available": 6, "reserved": 0, "spent": 94, "idempotency_key": "p1", "replayed": false}',
    '{"wallet_id": "swept", "seq": 10, "event": "settled", "reservation_id": "parts", "amount": 3,
      "available": 3, "reserved": 0, "spent": 97, "idempotency_key": "p2", "replayed": false}',
    '{"wallet_id": "swept", "seq": 11, "event": "settled", "reservation_id": "parts", "amount": 0,
      "available": 3, "reserved": 0, "spent": 97, "idempotency_key": "p3", "replayed": false}'
  ]::jsonb[],
  'a reservation can be settled late in parts'
);
select is(
  array[tap.on_record('swept', 9) -> 'details', tap.on_record('swept', 11) -> 'details'],
  array['{"late": true, "final": false}', '{"late": true}']::jsonb[],
  'the event records that it is a part'
);
select is(tap.brief(baseledger.settle('swept', 'parts', 4, 'p1', false)),
  '#9 settled 4: 6/0/94 again', 'a retry of a late part gets its receipt');
select refuses($$settle('swept', 'parts', 1, 'again', false)$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'parts', 'status', 'settled', 'ended_seq', 11,
  'ended_at', (baseledger.settle('swept', 'parts', 0, 'p3')).occurred_at
), 'after the final late settlement, parts are refused');

-- The parts of a stream have used up the hold when the deadline passes.
set local role baseledger_operator;
do $$
begin
  perform tap.wallet('stream', 100);
  perform baseledger.reserve('stream', 60, 'r', '1 hour');
  perform baseledger.settle('stream', 'r', 60, 'p1', false);
  perform tap.travel_back('stream', '2 hours');
end
$$;
set local role baseledger_agent;
select is(
  tap.posted('stream', '[
    {"op": "charge", "amount": 1, "idempotency_key": "c1"},
    {"op": "settle", "reservation_id": "r", "amount": 5, "idempotency_key": "p2"}
  ]'),
  array['#6 charged 1: 39/0/61', '#7 settled 5: 34/0/66'],
  'a hold that parts have used up still expires'
);
select is(tap.last_events('stream', 3), array[
  'expired r 0: 40/0/60', 'charged c1 1: 39/0/61', 'settled r 5: 34/0/66'
], 'the expiry of a used-up hold returns nothing');
select is(tap.on_record('stream', 7) -> 'details', '{"late": true}',
  'a settlement after that is late');

-- Exactly at the deadline, and just before it.
set local role baseledger_operator;
do $$
begin
  perform tap.wallet('at', 100);
  perform baseledger.reserve('at', 60, 'r', '1 hour');
  perform tap.due_after('at', 'r', 0);
  perform tap.wallet('before', 100);
  perform baseledger.reserve('before', 60, 'r', '1 hour');
  perform tap.due_after('before', 'r', 1);
  perform tap.wallet('crowd', 100);
  perform baseledger.reserve('crowd', 10, 'a', '1 hour');
  perform baseledger.reserve('crowd', 10, 'b', '1 hour');
  perform baseledger.reserve('crowd', 60, 'r', '1 hour');
  perform tap.due_after('crowd', 'a', 0);
  perform tap.due_after('crowd', 'b', 0);
  perform tap.due_after('crowd', 'r', 2);
end
$$;
set local role baseledger_agent;
do $$
begin
  perform baseledger.settle('at', 'r', 50, 's');
  perform baseledger.settle('before', 'r', 50, 's');
  perform baseledger.settle('crowd', 'r', 50, 's');
end
$$;
select is(tap.last_events('at', 2), array['expired r 60: 100/0/0', 'settled r 50: 50/0/50'],
  'at its deadline a reservation has expired');
select is(tap.last_events('before', 2), array['reserved r 60: 40/60/0', 'settled r 50: 50/0/50'],
  'a microsecond before its deadline a reservation has not expired');
select is(tap.last_events('crowd', 4), array[
  'expired a 10: 30/70/0', 'expired b 10: 40/60/0', 'expired r 60: 100/0/0',
  'settled r 50: 50/0/50'
], 'the microseconds of earlier expiries count towards the deadline');

-- The overdraft limit ---------------------------------------------------------------------------

set local role baseledger_operator;
do $$
declare
  v_id text;
begin
  perform tap.wallet('no limit', 100);
  perform tap.wallet('limit 0', 100, 0);
  perform tap.wallet('limit 50', 100, 50);
  foreach v_id in array array['no limit', 'limit 0', 'limit 50'] loop
    perform baseledger.reserve(v_id, 80, 'r');
    perform baseledger.reserve(v_id, 10, 'q');
  end loop;
end
$$;
set local role baseledger_agent;

select is(tap.brief(baseledger.settle('no limit', 'r', 1000000, 's')),
  '#5 settled 1000000: -999910/10/1000000',
    'without an overdraft limit, available goes below zero');
select is(tap.brief(baseledger.settle('no limit', 'q', 11, 't')),
  '#6 settled 11: -999911/0/1000011',
    'without an overdraft limit, available goes further below zero');

select refuses($$settle('limit 0', 'r', 91, 's')$$, 'LGOVD', '{
  "requested": 91, "available": 10, "would_be": -1, "overdraft_limit": 0
}', 'an overdraft limit of 0 keeps available from going below zero');
select refuses($$settle('limit 0', 'r', 91, 's', false)$$, 'LGOVD', '{
  "requested": 91, "available": 10, "would_be": -1, "overdraft_limit": 0
}', 'the limit holds for a part');
select is(
  tap.as_json(r), '{
    "wallet_id": "limit 0", "reservation_id": "r", "idempotency_key": "s", "replayed": false,
    "refused": "LGOVD",
    "detail": {"requested": 91, "available": 10, "would_be": -1, "overdraft_limit": 0}
  }', 'the limit holds in a batch'
) from baseledger.post('limit 0', '[
  {"op": "settle", "reservation_id": "r", "amount": 91, "idempotency_key": "s"}
]') as r;
select is(tap.balances('limit 0'), '10/90/0', 'the refused settlement keeps the reservation');
set local role baseledger_operator;
do $$ begin perform baseledger.credit('limit 0', 1, 'more'); end $$;
set local role baseledger_agent;
select is(tap.brief(baseledger.settle('limit 0', 'r', 91, 's')),
  '#6 settled 91: 0/10/91', 'the refused settlement is booked with the same key after a credit');
select is(tap.brief(baseledger.settle('limit 0', 'q', 10, 't')),
  '#7 settled 10: 0/0/101', 'what is held can be settled at the limit');

select refuses($$settle('limit 50', 'r', 141, 's')$$, 'LGOVD', '{
  "requested": 141, "available": 10, "would_be": -51, "overdraft_limit": 50
}', 'an overdraft limit of 50 refuses -51');
select refuses($$settle('limit 50', 'r', 9223372036854775807, 's')$$, 'LGOVD', '{
  "requested": 9223372036854775807, "available": 10, "would_be": -9223372036854775717,
  "overdraft_limit": 50
}', 'an overdraft limit refuses the largest amount');
select is(tap.brief(baseledger.settle('limit 50', 'r', 140, 's', false)),
  '#5 settled 140: -50/10/140', 'an overdraft limit of 50 allows -50, also by a part');
select refuses($$settle('limit 50', 'q', 11, 't')$$, 'LGOVD', '{
  "requested": 11, "available": -50, "would_be": -51, "overdraft_limit": 50
}', 'a settlement that goes below the limit is refused');
select is(tap.brief(baseledger.settle('limit 50', 'q', 9, 't')),
  '#6 settled 9: -49/0/149', 'a settlement that returns funds is booked at the limit');

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('late, limit 5', 100, 5);
  perform baseledger.reserve('late, limit 5', 100, 'r', '1 hour');
  perform tap.travel_back('late, limit 5', '2 hours');
end
$$;
set local role baseledger_agent;
select refuses($$settle('late, limit 5', 'r', 106, 's')$$, 'LGOVD', '{
  "requested": 106, "available": 100, "would_be": -6, "overdraft_limit": 5
}', 'a late settlement has the same limit');
select is(tap.brief(baseledger.settle('late, limit 5', 'r', 105, 's')),
  '#5 settled 105: -5/0/105', 'a late settlement can reach the limit');

-- A frozen wallet -------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('ice', 100);
  perform baseledger.reserve('ice', 50, 'due', '1 hour');
  perform baseledger.reserve('ice', 50, 'r', '3 hours');
  perform baseledger.freeze_wallet('ice', 'a test');
  perform tap.travel_back('ice', '2 hours');
end
$$;
set local role baseledger_agent;
select is(
  array[
    tap.brief(baseledger.settle('ice', 'r', 20, 'i1', false)),
    tap.brief(baseledger.settle('ice', 'r', 40, 'i2')),
    tap.brief(baseledger.settle('ice', 'due', 60, 'i3'))
  ],
  array['#7 settled 20: 50/30/20', '#8 settled 40: 40/0/60', '#9 settled 60: -20/0/120'],
  'a frozen wallet accepts settlements: a part, above the hold, late'
);

-- Limits ----------------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('max', 2);
  perform baseledger.reserve('max', 1, 'a');
  perform baseledger.reserve('max', 1, 'b');
  perform tap.wallet('spent', 2);
  perform baseledger.reserve('spent', 1, 'a');
  perform baseledger.reserve('spent', 1, 'b');
  perform tap.wallet('refunded', 9223372036854775807);
  perform baseledger.reserve('refunded', 9223372036854775807, 'r');
  perform baseledger.settle('refunded', 'r', 9223372036854775807, 's1', false);
  perform baseledger.refund('refunded', 'r', 9223372036854775807, 'f1');
end
$$;
set local role baseledger_agent;

select is(tap.brief(baseledger.settle('spent', 'a', 9223372036854775807, 's')),
  '#5 settled 9223372036854775807: -9223372036854775806/1/9223372036854775807',
  'the largest amount is accepted');
select refuses($$settle('spent', 'b', 1, 't')$$, 'LGOVF', '{
  "requested": 1, "available": -9223372036854775806, "reserved": 1, "spent": 9223372036854775807
}', 'spent cannot exceed the largest amount');
do $$ begin perform baseledger.settle('max', 'a', 10, 's'); end $$;
select refuses($$settle('max', 'b', 9223372036854775807, 't')$$, 'LGOVF', '{
  "requested": 9223372036854775807, "available": -9, "reserved": 1, "spent": 10
}', 'available cannot go below the smallest amount');
select refuses($$settle('refunded', 'r', 1, 's2', false)$$, 'LGOVF', '{
  "requested": 1, "available": 9223372036854775807, "reserved": 0, "spent": 0
}', 'the sum settled of a reservation cannot exceed the largest amount');

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$settle('w', 'r1', 70, 'r1')$$,
      '{"field": "op", "stored": "reserve", "given": "settle"}'),
    ('reservation', $$settle('w', 'r2', 70, 's1')$$,
      '{"field": "reservation_id", "stored": "r1", "given": "r2"}'),
    ('amount', $$settle('w', 'r1', 71, 's1')$$, '{"field": "amount", "stored": 70, "given": 71}'),
    ('kind: a part', $$settle('w', 'r1', 70, 's1', false)$$,
      '{"field": "final", "stored": true, "given": false}'),
    ('kind: the final one', $$settle('w', 'parts', 30, 'p1')$$,
      '{"field": "final", "stored": false, "given": true}'),
    ('kind: the final one, late', $$settle('swept', 'parts', 4, 'p1')$$,
      '{"field": "final", "stored": false, "given": true}'),
    ('metadata', $$settle('w', 'r1', 70, 's1', true, '{"a": 1}')$$,
      '{"field": "metadata", "stored": {}, "given": {"a": 1}}')
  ) as c(name, call, detail);

select refuses(
  format('settle(%s, %s, %s, %s, true, %s)', coalesce(c.wallet_id, quote_literal('w')),
    coalesce(c.reservation_id, quote_literal('none')), coalesce(c.amount, '1'),
    coalesce(c.key, quote_literal('new')), coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name
) from (values
  ('wallet_id', 'no wallet', 'null', null, null, null, null),
  ('wallet_id', 'a blank wallet id', $$' '$$, null, null, null, null),
  ('reservation_id', 'no reservation', null, 'null', null, null, null),
  ('reservation_id', 'a blank reservation id', null, $$E'\t'$$, null, null, null),
  ('reservation_id', 'a reservation id of 256', null, $$repeat('x', 256)$$, null, null, null),
  ('amount', 'no amount', null, null, 'null', null, null),
  ('amount', 'an amount below 0', null, null, '-1', null, null),
  ('idempotency_key', 'no key', null, null, null, 'null', null),
  ('idempotency_key', 'an empty key', null, null, null, $$''$$, null),
  ('idempotency_key', 'a key of 256', null, null, null, $$repeat('x', 256)$$, null),
  ('metadata', 'an array', null, null, null, null, $$'[1]'$$),
  ('metadata', '16 KiB and 1', null, null, null, null, $$tap.metadata(16385)$$)
) as c(field, name, wallet_id, reservation_id, amount, key, metadata);

select refuses($$settle('nobody', 'r', 1, 'k')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');

-- Refused in a batch ----------------------------------------------------------------------------

create temp table batch as select $json$[
  {"op": "settle", "reservation_id": "r1", "amount": -1, "idempotency_key": "b1"},
  {"op": "settle", "reservation_id": "none", "amount": 1, "idempotency_key": "b2"},
  {"op": "settle", "reservation_id": "r1", "amount": 1, "idempotency_key": "b3"},
  {"op": "settle", "reservation_id": "r1", "amount": 71, "idempotency_key": "s1"}
]$json$::jsonb as commands;

select changes_nothing($$select baseledger.post('w', commands) from batch$$,
  'a refusal in a batch changes no row');
select is(
  array(select tap.brief(r) from batch, baseledger.post('w', commands) as r),
  array['LGARG', 'LGRNF', 'LGEND', 'LGIDK'],
  'a batch refuses with the same codes'
);

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
