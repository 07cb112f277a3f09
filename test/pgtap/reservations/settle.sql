-- settle: books what a call did cost.
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

select is(tap.told(receipt), '{
  "wallet_id": "w", "seq": 8, "event": "settled", "reservation_id": "r1", "amount": 70,
  "available": 530, "reserved": 400, "spent": 70, "idempotency_key": "s1", "replayed": false
}', 'books the amount as spent, and the rest is available again') from first;

select ok((receipt).occurred_at between now() and clock_timestamp(),
  'happens now, by the clock of the database') from first;

select is(tap.on_record('w', 8), jsonb_build_object(
  'actor', session_user, 'metadata', '{}'::jsonb, 'details', null
), 'records who asked');

select is(tap.brief(baseledger.settle('w', 'r2', 100, 's2', true, '{"model": "m"}')),
  '#9 settled 100: 530/300/170', 'the whole amount');
select is(tap.on_record('w', 9) -> 'metadata', '{"model": "m"}', 'records the metadata');
select is(tap.brief(baseledger.settle('w', 'r3', 0, 's3', null, null)),
  '#10 settled 0: 630/200/170', 'nothing at all; null means the default');
select is(tap.on_record('w', 10), jsonb_build_object(
  'actor', session_user, 'metadata', '{}'::jsonb, 'details', null
), 'which is a final settlement without metadata');
select is(tap.brief(baseledger.settle('w', 'r4', 150, 's4')),
  '#11 settled 150: 580/100/320', 'more than was reserved: in full, the rest from available');

select is(
  to_jsonb(baseledger.settle('w', 'r1', 70, 's1')),
  to_jsonb(receipt) || '{"replayed": true}',
  'a retry gets the first receipt, with the balances of then'
) from first;
select changes_nothing($$select baseledger.settle('w', 'r1', 70, 's1')$$, 'and writes nothing');
select is(tap.brief(baseledger.settle('w', 'r1', 70, 's1', true, '{}')),
  '#8 settled 70: 530/400/70 again', 'also with the defaults spelt out');

-- In parts --------------------------------------------------------------------------------------

select is(tap.told(baseledger.settle('w', 'parts', 30, 'p1', false)), '{
  "wallet_id": "w", "seq": 12, "event": "settled", "reservation_id": "parts", "amount": 30,
  "available": 580, "reserved": 70, "spent": 350, "idempotency_key": "p1", "replayed": false,
  "open": true
}', 'p_final => false books a part and keeps the rest reserved');
select is(
  (baseledger.settle('w', 'parts', 30, 'p1', false)).expires_at,
  (baseledger.reserve('w', 100, 'parts', '1 hour')).expires_at,
  'until the same deadline'
);
select is(tap.on_record('w', 12) -> 'details', '{"final": false}', 'which is on record');
select is(tap.brief(baseledger.settle('w', 'parts', 0, 'p2', false)),
  '#13 settled 0: 580/70/350', 'a part of nothing');
select is(tap.brief(baseledger.settle('w', 'parts', 70, 'p3', false)),
  '#14 settled 70: 580/0/420', 'a part that uses up the hold');
select is(tap.brief(baseledger.settle('w', 'parts', 5, 'p4', false)),
  '#15 settled 5: 575/0/425', 'a part beyond it comes from available');
select is(tap.brief(baseledger.settle('w', 'parts', 7, 'p5')),
  '#16 settled 7: 568/0/432', 'and so does the final one');
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
  '#6 settled 130: 670/200/130', 'a first part of more than is held');
select is(tap.brief(baseledger.settle('parts', 'over', 0, 'o2')),
  '#7 settled 0: 670/200/130', 'leaves nothing to give back');
select is(
  array(select tap.brief(r) from baseledger.post('parts', '[
    {"op": "settle", "reservation_id": "rest", "amount": 60, "idempotency_key": "t1",
      "final": false},
    {"op": "settle", "reservation_id": "rest", "amount": 15, "idempotency_key": "t2"}
  ]') as r),
  array['#8 settled 60: 670/140/190', '#9 settled 15: 695/100/205'],
  'the final settlement gives back what the parts have left'
);
do $$ begin perform baseledger.settle('parts', 'back', 60, 'b1', false); end $$;
select is(tap.brief(baseledger.cancel('parts', 'back', 'b2')),
  '#11 cancelled 40: 735/0/265', 'and so does a cancellation after a part');

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
), 'a reservation is settled once') from first;
select refuses($$settle('w', 'r1', 1, 'again', false)$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'r1', 'status', 'settled', 'ended_seq', 8, 'ended_at', (receipt).occurred_at
), 'no part of it either') from first;
select refuses($$settle('w', 'cancelled', 1, 'again')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'cancelled', 'status', 'cancelled', 'ended_seq', 19,
  'ended_at', (receipt).occurred_at
), 'not after it was cancelled') from cancelled;
select refuses($$settle('w', 'charged', 10, 'again')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'charged', 'status', 'settled', 'ended_seq', 17,
  'ended_at', (baseledger.charge('w', 10, 'charged')).occurred_at
), 'nor a charge');

set local role baseledger_operator;
do $$ begin perform baseledger.refund('w', 'r1', 70, 'f1'); end $$;
set local role baseledger_agent;
select refuses($$settle('w', 'r1', 1, 'again')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'r1', 'status', 'settled', 'ended_seq', 8, 'ended_at', (receipt).occurred_at
), 'nor after a refund: the end is the settlement') from first;

select refuses($$settle('w', 'none', 1, 'again')$$, 'LGRNF', '{"reservation_id": "none"}',
  'a reservation that there never was');
select refuses($$settle('parts', 'r1', 1, 'again')$$, 'LGRNF', '{"reservation_id": "r1"}',
  'or that is another wallet''s');

-- Late ------------------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
declare
  v_id text;
begin
  -- The same in each: one is swept before the late settlements, the other is not.
  foreach v_id in array array['swept', 'unswept'] loop
    perform tap.wallet(v_id, 100);
    perform baseledger.reserve(v_id, 60, 'r', '1 hour');
    perform baseledger.reserve(v_id, 30, 'parts', '1 hour');
    perform baseledger.settle(v_id, 'parts', 10, 'part', false);
    perform tap.travel_back(v_id, '2 hours');
  end loop;
end
$$;

select is(tap.balances('unswept'), '90/0/10', 'from its deadline on a reservation is returned');

select is(tap.told(baseledger.settle('unswept', 'r', 80, 's')), '{
  "wallet_id": "unswept", "seq": 8, "event": "settled", "reservation_id": "r", "amount": 80,
  "available": 10, "reserved": 0, "spent": 90, "idempotency_key": "s", "replayed": false
}', 'what was spent is booked all the same, from available');
select is(tap.last_events('unswept', 3), array[
  'expired r 60: 70/20/10', 'expired parts 20: 90/0/10', 'settled r 80: 10/0/90'
], 'after the expiries');
select is(tap.on_record('unswept', 8) -> 'details', '{"late": true}', 'as a late settlement');
select is(tap.brief(baseledger.settle('unswept', 'r', 80, 's')),
  '#8 settled 80: 10/0/90 again', 'a retry gets its receipt');
select refuses($$settle('unswept', 'r', 1, 'again')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'r', 'status', 'settled', 'ended_seq', 8,
  'ended_at', (baseledger.settle('unswept', 'r', 80, 's')).occurred_at
), 'it is booked once');

set local role baseledger_worker;
select is(baseledger.expire_due(), 2, 'swept before ...');
set local role baseledger_agent;
do $$ begin perform baseledger.settle('swept', 'r', 80, 's'); end $$;
select is(tap.last_events('swept', 6), tap.last_events('unswept', 6), '... or not, it is the same');

select is(
  array[
    tap.told(baseledger.settle('swept', 'parts', 4, 'p1', false)),
    tap.told(baseledger.settle('swept', 'parts', 3, 'p2', false)),
    tap.told(baseledger.settle('swept', 'parts', 0, 'p3'))
  ],
  array[
    '{"wallet_id": "swept", "seq": 9, "event": "settled", "reservation_id": "parts", "amount": 4,
      "available": 6, "reserved": 0, "spent": 94, "idempotency_key": "p1", "replayed": false}',
    '{"wallet_id": "swept", "seq": 10, "event": "settled", "reservation_id": "parts", "amount": 3,
      "available": 3, "reserved": 0, "spent": 97, "idempotency_key": "p2", "replayed": false}',
    '{"wallet_id": "swept", "seq": 11, "event": "settled", "reservation_id": "parts", "amount": 0,
      "available": 3, "reserved": 0, "spent": 97, "idempotency_key": "p3", "replayed": false}'
  ]::jsonb[],
  'late parts, until the final one'
);
select is(
  array[tap.on_record('swept', 9) -> 'details', tap.on_record('swept', 11) -> 'details'],
  array['{"late": true, "final": false}', '{"late": true}']::jsonb[],
  'which is on record'
);
select is(tap.brief(baseledger.settle('swept', 'parts', 4, 'p1', false)),
  '#9 settled 4: 6/0/94 again', 'a retry of a late part gets its receipt');
select refuses($$settle('swept', 'parts', 1, 'again', false)$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'parts', 'status', 'settled', 'ended_seq', 11,
  'ended_at', (baseledger.settle('swept', 'parts', 0, 'p3')).occurred_at
), 'after which there are no more');

-- a stream whose parts have used up the hold when the deadline passes
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
  'parts have used up the hold: the deadline passes all the same'
);
select is(tap.last_events('stream', 3), array[
  'expired r 0: 40/0/60', 'charged c1 1: 39/0/61', 'settled r 5: 34/0/66'
], 'which gives nothing back');
select is(tap.on_record('stream', 7) -> 'details', '{"late": true}', 'and what comes then is late');

-- exactly at the deadline, and just before
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
  'at its deadline a reservation is past it');
select is(tap.last_events('before', 2), array['reserved r 60: 40/60/0', 'settled r 50: 50/0/50'],
  'a microsecond before it is not');
select is(tap.last_events('crowd', 4), array[
  'expired a 10: 30/70/0', 'expired b 10: 40/60/0', 'expired r 60: 100/0/0',
  'settled r 50: 50/0/50'
], 'the expiries before it take their time, too: that deadline counts as well');

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
  '#5 settled 1000000: -999910/10/1000000', 'without a limit, available goes as far below zero');
select is(tap.brief(baseledger.settle('no limit', 'q', 11, 't')),
  '#6 settled 11: -999911/0/1000011', 'and further');

select refuses($$settle('limit 0', 'r', 91, 's')$$, 'LGOVD', '{
  "requested": 91, "available": 10, "would_be": -1, "overdraft_limit": 0
}', 'a limit of 0: not below zero');
select refuses($$settle('limit 0', 'r', 91, 's', false)$$, 'LGOVD', '{
  "requested": 91, "available": 10, "would_be": -1, "overdraft_limit": 0
}', 'nor by a part');
select is(
  tap.told(r), '{
    "wallet_id": "limit 0", "reservation_id": "r", "idempotency_key": "s", "replayed": false,
    "refused": "LGOVD",
    "detail": {"requested": 91, "available": 10, "would_be": -1, "overdraft_limit": 0}
  }', 'in a batch as well'
) from baseledger.post('limit 0', '[
  {"op": "settle", "reservation_id": "r", "amount": 91, "idempotency_key": "s"}
]') as r;
select is(tap.balances('limit 0'), '10/90/0', 'it is still reserved');
set local role baseledger_operator;
do $$ begin perform baseledger.credit('limit 0', 1, 'more'); end $$;
set local role baseledger_agent;
select is(tap.brief(baseledger.settle('limit 0', 'r', 91, 's')),
  '#6 settled 91: 0/10/91', 'and can be settled with the same key after a credit');
select is(tap.brief(baseledger.settle('limit 0', 'q', 10, 't')),
  '#7 settled 10: 0/0/101', 'what is held can be settled in any case');

select refuses($$settle('limit 50', 'r', 141, 's')$$, 'LGOVD', '{
  "requested": 141, "available": 10, "would_be": -51, "overdraft_limit": 50
}', 'a limit of 50: not one further');
select refuses($$settle('limit 50', 'r', 9223372036854775807, 's')$$, 'LGOVD', '{
  "requested": 9223372036854775807, "available": 10, "would_be": -9223372036854775717,
  "overdraft_limit": 50
}', 'let alone by the largest amount');
select is(tap.brief(baseledger.settle('limit 50', 'r', 140, 's', false)),
  '#5 settled 140: -50/10/140', 'down to it, also by a part');
select refuses($$settle('limit 50', 'q', 11, 't')$$, 'LGOVD', '{
  "requested": 11, "available": -50, "would_be": -51, "overdraft_limit": 50
}', 'where it ends');
select is(tap.brief(baseledger.settle('limit 50', 'q', 9, 't')),
  '#6 settled 9: -49/0/149', 'but what gives something back is booked');

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
  '#5 settled 105: -5/0/105', 'and reaches it');

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
  'a frozen wallet settles on: a part, more than was reserved, late'
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
  'the largest amount');
select refuses($$settle('spent', 'b', 1, 't')$$, 'LGOVF', '{
  "requested": 1, "available": -9223372036854775806, "reserved": 1, "spent": 9223372036854775807
}', 'spent cannot grow beyond it');
do $$ begin perform baseledger.settle('max', 'a', 10, 's'); end $$;
select refuses($$settle('max', 'b', 9223372036854775807, 't')$$, 'LGOVF', '{
  "requested": 9223372036854775807, "available": -9, "reserved": 1, "spent": 10
}', 'nor available below it');
select refuses($$settle('refunded', 'r', 1, 's2', false)$$, 'LGOVF', '{
  "requested": 1, "available": 9223372036854775807, "reserved": 0, "spent": 0
}', 'nor all that a reservation has ever settled');

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'the key stands for another ' || c.name)
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
  'LGARG', jsonb_build_object('field', c.field), c.name
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
  'a wallet that nobody opened');

-- Refused in a batch ----------------------------------------------------------------------------

create temp table batch as select $json$[
  {"op": "settle", "reservation_id": "r1", "amount": -1, "idempotency_key": "b1"},
  {"op": "settle", "reservation_id": "none", "amount": 1, "idempotency_key": "b2"},
  {"op": "settle", "reservation_id": "r1", "amount": 1, "idempotency_key": "b3"},
  {"op": "settle", "reservation_id": "r1", "amount": 71, "idempotency_key": "s1"}
]$json$::jsonb as commands;

select changes_nothing($$select baseledger.post('w', commands) from batch$$,
  'refused in a batch, no row differs either');
select is(
  array(select tap.brief(r) from batch, baseledger.post('w', commands) as r),
  array['LGARG', 'LGRNF', 'LGEND', 'LGIDK'],
  'and the refusals are the same'
);

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'the ledger is sound after all of it');

select * from finish();
rollback;
