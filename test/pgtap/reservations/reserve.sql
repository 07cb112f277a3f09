-- reserve: holds funds before a call.
begin;
select plan(103);

do $$
begin
  perform tap.wallet('w', 1000);
  perform tap.wallet('other', 1000);
end
$$;

set local role baseledger_agent;

-- What it does ----------------------------------------------------------------------------------

create temp table first as select baseledger.reserve('w', 100, 'k1') as receipt;

select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 3, "event": "reserved", "reservation_id": "k1", "amount": 100,
  "available": 900, "reserved": 100, "spent": 0, "ttl": 600, "idempotency_key": "k1",
  "replayed": false
}', 'reserve holds the amount for ten minutes, under the key as the reservation id') from first;

select ok((receipt).occurred_at between now() and clock_timestamp(),
  'the event has the time of the database''s clock') from first;

select is(tap.on_record('w', 3), jsonb_build_object(
  'actor', session_user || ' as baseledger_agent', 'metadata', '{}'::jsonb, 'details', null
), 'the event records who asked');

select is(
  tap.as_json(baseledger.reserve('w', 50, 'k2', '90 seconds', 'r2', 50, '{"model": "m"}')),
  '{
    "wallet_id": "w", "seq": 4, "event": "reserved", "reservation_id": "r2", "amount": 50,
    "available": 850, "reserved": 150, "spent": 0, "ttl": 90, "idempotency_key": "k2",
    "replayed": false
  }',
  'reserve takes a time to live and a reservation id'
);

select is(tap.on_record('w', 4), jsonb_build_object(
  'actor', session_user || ' as baseledger_agent', 'metadata', '{"model": "m"}'::jsonb,
  'details', '{"requested": 50, "at_least": 50}'::jsonb
), 'the event records the metadata, and what was requested with p_at_least');

select is(
  tap.as_json(baseledger.reserve('w', 1, 'k3', null, null, null, null)),
  '{
    "wallet_id": "w", "seq": 5, "event": "reserved", "reservation_id": "k3", "amount": 1,
    "available": 849, "reserved": 151, "spent": 0, "ttl": 600, "idempotency_key": "k3",
    "replayed": false
  }',
  'null means the default'
);

select is(tap.on_record('w', 5) -> 'metadata', '{}',
  'the event then has an empty object as its metadata');

select is(tap.brief(baseledger.reserve('other', 1, 'k1', null, 'r2')),
  '#3 reserved 1: 999/1/0', 'a key and a reservation id belong to their wallet');

-- Retries ---------------------------------------------------------------------------------------

select is(
  to_jsonb(baseledger.reserve('w', 100, 'k1')),
  to_jsonb(receipt) || '{"replayed": true}',
  'a retry gets the first receipt, with the balances of that event'
) from first;

select changes_nothing($$select baseledger.reserve('w', 100, 'k1')$$, 'a retry writes nothing');

select is(
  tap.brief(baseledger.reserve('w', 100, 'k1', c.ttl, c.id, null, c.metadata)),
  '#3 reserved 100: 900/100/0 again',
  'a retry is compared by its meaning: ' || c.name
) from (values
  ('the default time to live, spelt out', interval '10 minutes', null, null::jsonb),
  ('another spelling of it', interval '600 seconds', null, null),
  ('the default reservation id, spelt out', null, 'k1', null),
  ('empty metadata', null, null, '{}')
) as c(name, ttl, id, metadata);

do $$
begin
  perform baseledger.reserve('w', 1, 'fraction', '1 month -1 hour 1.234567 seconds');
end
$$;
select is(
  tap.brief(baseledger.reserve('w', 1, 'fraction', '29 days 23:00:01.234567')),
  '#6 reserved 1: 848/152/0 again',
  'a time to live of months and microseconds is compared in seconds'
);

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$reserve('w', 1000, 'funds')$$,
      '{"field": "op", "stored": "credit", "given": "reserve"}'),
    ('reservation', $$reserve('w', 100, 'k1', null, 'r1')$$,
      '{"field": "reservation_id", "stored": "k1", "given": "r1"}'),
    ('amount', $$reserve('w', 101, 'k1')$$,
      '{"field": "amount", "stored": 100, "given": 101}'),
    ('least amount', $$reserve('w', 100, 'k1', p_at_least => 100)$$,
      '{"field": "at_least", "stored": null, "given": 100}'),
    ('least amount than was given', $$reserve('w', 50, 'k2', '90 s', 'r2', 49, '{"model": "m"}')$$,
      '{"field": "at_least", "stored": 50, "given": 49}'),
    ('time to live', $$reserve('w', 100, 'k1', '601 seconds')$$,
      '{"field": "ttl", "stored": 600, "given": 601}'),
    ('metadata', $$reserve('w', 100, 'k1', p_metadata => '{"a": 1}')$$,
      '{"field": "metadata", "stored": {}, "given": {"a": 1}}')
  ) as c(name, call, detail);

-- As much as is there ---------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('part', 100);
end
$$;
set local role baseledger_agent;

select is(tap.brief(baseledger.reserve('part', 60, 'p1', p_at_least => 1)),
  '#3 reserved 60: 40/60/0', 'p_at_least grants all of the amount if it is available');
select is(tap.brief(baseledger.reserve('part', 60, 'p2', p_at_least => 40)),
  '#4 reserved 40: 0/100/0', 'p_at_least grants what is available if that is less');
select is(tap.on_record('part', 4) -> 'details', '{"requested": 60, "at_least": 40}',
  'the event records the request');
select is(tap.brief(baseledger.reserve('part', 60, 'p2', p_at_least => 40)),
  '#4 reserved 40: 0/100/0 again', 'a retry gets the same grant');
select refuses($$reserve('part', 40, 'p2', p_at_least => 40)$$,
  'LGIDK', '{"field": "amount", "stored": 60, "given": 40}',
  'a key is refused for another amount, even the granted one');

do $$ begin perform baseledger.cancel('part', 'p1', 'c1'); end $$;
select refuses($$reserve('part', 100, 'p3', p_at_least => 61)$$, 'LGNSF', jsonb_build_object(
  'requested', 61, 'available', 60, 'reserved', 40, 'shortfall', 1, 'reason', 'held',
  'retry_at', (baseledger.reserve('part', 60, 'p2', p_at_least => 40)).expires_at
), 'p_at_least refuses if less is available');
select is(tap.brief(baseledger.reserve('part', 100, 'p3', p_at_least => 60)),
  '#6 reserved 60: 0/100/0', 'exactly p_at_least is enough');

-- Insufficient funds ----------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('f', 100);
  perform tap.wallet('overdrawn', 100);
  perform tap.wallet('zero');
end
$$;
set local role baseledger_agent;

select is(tap.brief(baseledger.reserve('f', 60, 'late', '2 hours')), '#3 reserved 60: 40/60/0',
  'reserve grants what is available');
create temp table soon as select baseledger.reserve('f', 30, 'soon', '1 hour') as receipt;

select refuses($$reserve('f', 11, 'k')$$, 'LGNSF', jsonb_build_object(
  'requested', 11, 'available', 10, 'reserved', 90, 'shortfall', 1, 'reason', 'held',
  'retry_at', (receipt).expires_at
), 'reserve refuses one more than is available, and retry_at is the earliest deadline') from soon;
select refuses($$reserve('f', 100, 'k')$$, 'LGNSF', jsonb_build_object(
  'requested', 100, 'available', 10, 'reserved', 90, 'shortfall', 90, 'reason', 'held',
  'retry_at', (receipt).expires_at
), 'the reason is held when the open reservations would just cover it') from soon;
select refuses($$reserve('f', 101, 'k')$$, 'LGNSF', '{
  "requested": 101, "available": 10, "reserved": 90, "shortfall": 91, "reason": "exhausted",
  "retry_at": null
}', 'the reason is exhausted when the open reservations would not cover it');
select refuses($$reserve('f', 9223372036854775807, 'k')$$, 'LGNSF', '{
  "requested": 9223372036854775807, "available": 10, "reserved": 90,
  "shortfall": 9223372036854775797, "reason": "exhausted", "retry_at": null
}', 'the largest amount is refused as exhausted');

select is(tap.brief(baseledger.reserve('f', 10, 'k')), '#5 reserved 10: 0/100/0',
  'a refused key is free, and all that is available is granted');
select refuses($$reserve('f', 1, 'k9')$$, 'LGNSF', jsonb_build_object(
  'requested', 1, 'available', 0, 'reserved', 100, 'shortfall', 1, 'reason', 'held',
  'retry_at', (baseledger.reserve('f', 10, 'k')).expires_at
), 'reserve refuses when nothing is available');
select refuses($$reserve('zero', 1, 'k', p_at_least => 1)$$, 'LGNSF', '{
  "requested": 1, "available": 0, "reserved": 0, "shortfall": 1, "reason": "exhausted",
  "retry_at": null
}', 'p_at_least refuses in an empty wallet');

do $$
begin
  perform baseledger.reserve('overdrawn', 10, 'r');
  perform baseledger.settle('overdrawn', 'r', 150, 's');
end
$$;
select refuses($$reserve('overdrawn', 1, 'k')$$, 'LGNSF', '{
  "requested": 1, "available": -50, "reserved": 0, "shortfall": 51, "reason": "exhausted",
  "retry_at": null
}', 'nothing is reserved while available is below zero');
select refuses($$reserve('overdrawn', 9223372036854775807, 'k')$$, 'LGNSF', '{
  "requested": 9223372036854775807, "available": -50, "reserved": 0,
  "shortfall": 9223372036854775857, "reason": "exhausted", "retry_at": null
}', 'the shortfall can exceed the largest amount');

-- By deadline -----------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('d', 100);
  perform baseledger.reserve('d', 60, 'one', '1 hour');
  perform baseledger.reserve('d', 40, 'two', '3 hours');
  perform tap.travel_back('d', '2 hours');
end
$$;
set local role baseledger_agent;

create temp table too_much as
  select '[{"op": "reserve", "amount": 101, "idempotency_key": "k"}]'::jsonb as commands;
select is(tap.as_json(r) -> 'detail', '{
  "requested": 101, "available": 60, "reserved": 40, "shortfall": 41, "reason": "exhausted",
  "retry_at": null
}', 'a refusal counts what has come due as returned')
  from too_much, baseledger.post('d', commands) as r;
select changes_nothing($$select baseledger.post('d', commands) from too_much$$,
  'a refusal does not write the expiry');
select is(tap.brief(baseledger.reserve('d', 60, 'k')), '#6 reserved 60: 0/100/0',
  'what has come due can be reserved without a worker');
select is(tap.last_events('d', 2), array['expired one 60: 60/40/0', 'reserved k 60: 0/100/0'],
  'the expiry is recorded first');

-- Exactly at the deadline, and just before it.
set local role baseledger_operator;
do $$
begin
  perform tap.wallet('at', 100);
  perform baseledger.reserve('at', 100, 'r', '1 hour');
  perform tap.due_after('at', 'r', 0);
  perform tap.wallet('before', 100);
  perform baseledger.reserve('before', 100, 'r', '1 hour');
  perform tap.due_after('before', 'r', 1);
end
$$;
set local role baseledger_agent;

select is(tap.brief(baseledger.reserve('at', 100, 'k')), '#5 reserved 100: 0/100/0',
  'a reservation is due at its deadline');
select is(tap.brief(r), 'LGNSF', 'a reservation is not due a microsecond before its deadline')
  from baseledger.post('before', '[{"op": "reserve", "amount": 1, "idempotency_key": "k"}]') as r;

-- Ids that are taken ----------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('ids', 1000);
  perform baseledger.reserve('ids', 1, 'open');
  perform baseledger.reserve('ids', 1, 'settled');
  perform baseledger.settle('ids', 'settled', 1, 's1');
  perform baseledger.reserve('ids', 1, 'cancelled');
  perform baseledger.cancel('ids', 'cancelled', 'c1');
  perform baseledger.charge('ids', 1, 'charged');
  perform baseledger.charge('ids', 1, 'refunded');
  perform baseledger.refund('ids', 'refunded', 1, 'f1');
  perform baseledger.reserve('ids', 1, 'due');
  perform baseledger.reserve('ids', 1, 'swept');
  perform tap.travel_back('ids', '1 hour');
  perform baseledger.reserve('ids', 1, 'open again', p_reservation_id => 'alive');
end
$$;
set local role baseledger_agent;

select refuses(
  format('reserve(%L, 1, %L, p_reservation_id => %L)', 'ids', 'new', c.id),
  'LGRID', jsonb_build_object('reservation_id', c.id), 'a taken reservation id is refused: ' || c.id
) from unnest(array[
  'alive', 'open', 'settled', 'cancelled', 'charged', 'refunded', 'due', 'swept'
]) as c(id);

-- A frozen wallet -------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('ice', 100);
  perform baseledger.reserve('ice', 10, 'k1');
  perform baseledger.freeze_wallet('ice', 'a test');
end
$$;
set local role baseledger_agent;

select refuses($$reserve('ice', 1, 'k2')$$, 'LGFRZ', '{"wallet_id": "ice"}',
  'a frozen wallet refuses reservations');
select is(tap.brief(baseledger.reserve('ice', 10, 'k1')), '#3 reserved 10: 90/10/0 again',
  'a frozen wallet answers a retry');

-- Limits ----------------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('max', 9223372036854775807);
  perform tap.wallet(repeat('🙂', 255), 100);
end
$$;
set local role baseledger_agent;

select is(tap.brief(baseledger.reserve('max', 9223372036854775807, 'k')),
  '#3 reserved 9223372036854775807: 0/9223372036854775807/0', 'the largest amount is accepted');

select is(
  tap.as_json(baseledger.reserve(
    repeat('🙂', 255), 100, repeat('ß', 255), '1 second', repeat('漢', 255), 1, tap.metadata(16384)
  )),
  jsonb_build_object(
    'wallet_id', repeat('🙂', 255), 'seq', 3, 'event', 'reserved',
    'reservation_id', repeat('漢', 255), 'amount', 100, 'available', 0, 'reserved', 100,
    'spent', 0, 'ttl', 1, 'idempotency_key', repeat('ß', 255), 'replayed', false
  ),
  'names of 255 characters, a time to live of a second and 16 KiB of metadata are accepted'
);

select is(
  tap.as_json(baseledger.reserve('w', 1, 'longest ' || c.ttl, c.ttl::interval)) -> 'ttl',
  '2592000', 'the longest time to live is accepted: ' || c.ttl
) from unnest(array['30 days', '1 month', '2592000 seconds', '720 hours']) as c(ttl);

select refuses(
  format('reserve(%s, %s, %s, %s, %s, %s, %s)', coalesce(c.wallet_id, quote_literal('w')),
    coalesce(c.amount, '1'), coalesce(c.key, quote_literal('new')), coalesce(c.ttl, 'null'),
    coalesce(c.reservation_id, 'null'), coalesce(c.at_least, 'null'), coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name
) from (values
  ('wallet_id', 'no wallet', 'null', null, null, null, null, null, null),
  ('wallet_id', 'an empty wallet id', $$''$$, null, null, null, null, null, null),
  ('wallet_id', 'a blank wallet id', $$E' \t\n'$$, null, null, null, null, null, null),
  ('wallet_id', 'a wallet id of 256', $$repeat('x', 256)$$, null, null, null, null, null, null),
  ('amount', 'no amount', null, 'null', null, null, null, null, null),
  ('amount', 'an amount of 0', null, '0', null, null, null, null, null),
  ('amount', 'an amount below 0', null, '-1', null, null, null, null, null),
  ('amount', 'the smallest bigint', null, '-9223372036854775808', null, null, null, null, null),
  ('idempotency_key', 'no key', null, null, 'null', null, $$'r'$$, null, null),
  ('idempotency_key', 'no key and no id', null, null, 'null', null, null, null, null),
  ('idempotency_key', 'an empty key', null, null, $$''$$, null, null, null, null),
  ('idempotency_key', 'a blank key', null, null, $$E' \t\r\n'$$, null, null, null, null),
  ('idempotency_key', 'a key of 256', null, null, $$repeat('ß', 256)$$, null, null, null, null),
  ('idempotency_key', 'a key of 300', null, null, $$repeat('x', 300)$$, null, null, null, null),
  ('reservation_id', 'an empty id', null, null, null, null, $$''$$, null, null),
  ('reservation_id', 'a blank id', null, null, null, null, $$E'\n'$$, null, null),
  ('reservation_id', 'an id of 256', null, null, null, null, $$repeat('漢', 256)$$, null, null),
  ('ttl', 'no time to live', null, null, null, $$'0'$$, null, null, null),
  ('ttl', 'a negative one', null, null, null, $$'-1 minute'$$, null, null, null),
  ('ttl', 'less than a second', null, null, null, $$'0.999999 s'$$, null, null, null),
  ('ttl', '30 days and 1 µs', null, null, null, $$'30 days 0.000001 s'$$, null, null, null),
  ('ttl', 'a month and 1 µs', null, null, null, $$'1 month 0.000001 s'$$, null, null, null),
  ('ttl', 'a year', null, null, null, $$'1 year'$$, null, null, null),
  ('ttl', '100,000 years', null, null, null, $$'100000 years'$$, null, null, null),
  ('at_least', 'at least 0', null, '5', null, null, null, '0', null),
  ('at_least', 'at least -1', null, '5', null, null, null, '-1', null),
  ('at_least', 'at least more than the amount', null, '5', null, null, null, '6', null),
  ('metadata', 'an array', null, null, null, null, null, null, $$'[]'$$),
  ('metadata', 'a string', null, null, null, null, null, null, $$'"x"'$$),
  ('metadata', 'a number', null, null, null, null, null, null, $$'1'$$),
  ('metadata', 'JSON''s null', null, null, null, null, null, null, $$'null'$$),
  ('metadata', '16 KiB and 1', null, null, null, null, null, null, $$tap.metadata(16385)$$),
  ('metadata', 'a megabyte', null, null, null, null, null, null, $$tap.metadata(1048576)$$)
) as c(field, name, wallet_id, amount, key, ttl, reservation_id, at_least, metadata);

select case
  when current_setting('server_version_num')::integer < 170000
    then skip('PostgreSQL has infinite intervals since 17', 2)
  else refuses($$reserve('w', 1, 'new', 'infinity')$$, 'LGARG', '{"field": "ttl"}',
    'refused: an infinite time to live')
    || E'\n'
    || refuses($$reserve('w', 1, 'new', '-infinity')$$, 'LGARG', '{"field": "ttl"}',
      'refused: a negative infinite time to live')
end;

select refuses($$reserve('nobody', 1, 'k')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');
select refuses($$reserve('W', 1, 'k')$$, 'LGWNF', '{"wallet_id": "W"}',
  'wallet ids are case-sensitive');

-- Refused in a batch ----------------------------------------------------------------------------

create temp table batch as select $json$[
  {"op": "reserve", "amount": 0, "idempotency_key": "b1"},
  {"op": "reserve", "amount": 1, "idempotency_key": "b2", "ttl": 0},
  {"op": "reserve", "amount": 101, "idempotency_key": "k1"},
  {"op": "reserve", "amount": 1, "idempotency_key": "b3", "reservation_id": "r2"},
  {"op": "reserve", "amount": 9999, "idempotency_key": "b4"},
  {"op": "reserve", "amount": 9999, "idempotency_key": "b5", "at_least": 9000}
]$json$::jsonb as commands;

select changes_nothing($$select baseledger.post('w', commands) from batch$$,
  'a refusal in a batch changes no row');
select is(
  array(select tap.brief(r) from batch, baseledger.post('w', commands) as r),
  array['LGARG', 'LGARG', 'LGIDK', 'LGRID', 'LGNSF', 'LGNSF'],
  'a batch refuses with the same codes'
);

-- A time zone ----------------------------------------------------------------------------------

-- One that sets its clocks forward within the next days, whenever this runs.
do $$
begin
  perform set_config('TimeZone', format(
    'AAA0BBB,J%s/0,J%s/0', date_part('doy', now() + '1 day')::integer % 365 + 1,
    date_part('doy', now() + '20 days')::integer % 365 + 1
  ), true);
end
$$;
select isnt(now() + interval '5 days', now() + interval '120 hours',
  'this time zone has five days that are not 120 hours');
select is(tap.as_json(baseledger.reserve('w', 1, 'zone', '5 days')) -> 'ttl', '432000',
  'a day of a time to live is 24 hours');
reset TimeZone;

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
