-- extend: the heartbeat of a long call.
begin;
select plan(69);

do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.reserve('w', 100, 'r', '1 minute');
end
$$;

set local role baseledger_agent;

-- What it does ----------------------------------------------------------------------------------

create temp table first as select baseledger.extend('w', 'r', '1 hour', 'e1') as receipt;

select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 4, "event": "extended", "reservation_id": "r", "amount": 0,
  "available": 900, "reserved": 100, "spent": 0, "ttl": 3600, "idempotency_key": "e1",
  "replayed": false
}', 'extend sets a new deadline, counted from now') from first;

select ok((receipt).occurred_at between now() and clock_timestamp(),
  'the event has the time of the database''s clock') from first;
select is(tap.on_record('w', 4), jsonb_build_object(
  'actor', session_user || ' as baseledger_agent', 'metadata', '{}'::jsonb, 'details', null
), 'the event records who asked');

select is(
  tap.as_json(baseledger.extend('w', 'r', '1 second', 'e2', 150, '{"step": 2}')),
  '{
    "wallet_id": "w", "seq": 5, "event": "extended", "reservation_id": "r", "amount": 50,
    "available": 850, "reserved": 150, "spent": 0, "ttl": 1, "idempotency_key": "e2",
    "replayed": false
  }',
  'extend can set an earlier deadline, and p_amount is a larger hold'
);
select is(tap.on_record('w', 5), jsonb_build_object(
  'actor', session_user || ' as baseledger_agent', 'metadata', '{"step": 2}'::jsonb, 'details', '{"hold": 150}'::jsonb
), 'the event records the new hold and the metadata');
select is(tap.as_json(baseledger.extend('w', 'r', '30 days', 'e3', 20, null)), '{
  "wallet_id": "w", "seq": 6, "event": "extended", "reservation_id": "r", "amount": -130,
  "available": 980, "reserved": 20, "spent": 0, "ttl": 2592000, "idempotency_key": "e3",
  "replayed": false
}', 'p_amount can be a smaller hold, for at most 30 days');
select is(tap.on_record('w', 6) -> 'metadata', '{}', 'null means no metadata');
select is(tap.brief(baseledger.extend('w', 'r', '1 hour', 'e4', 20)),
  '#7 extended 0: 980/20/0', 'p_amount can be the present hold');
select is(tap.brief(baseledger.extend('w', 'r', '1 hour', 'e5', 1)),
  '#8 extended -19: 999/1/0', 'the smallest hold is 1');

do $$ begin perform baseledger.settle('w', 'r', 1, 's1', false); end $$;
select is(tap.brief(baseledger.extend('w', 'r', '1 hour', 'e6')),
  '#10 extended 0: 999/0/1', 'a used-up hold can be extended');
select is(tap.brief(baseledger.extend('w', 'r', '1 hour', 'e7', 40)),
  '#11 extended 40: 959/40/1', 'a used-up hold can be refilled: p_amount is the new hold');
select is(tap.brief(baseledger.settle('w', 'r', 15, 's2')), '#12 settled 15: 984/0/16',
  'a settlement draws on the refilled hold');

select is(
  to_jsonb(baseledger.extend('w', 'r', '60 minutes', 'e1')),
  to_jsonb(receipt) || '{"replayed": true}',
  'a retry gets the first receipt, with the balances of that event, also after the end'
) from first;
select changes_nothing($$select baseledger.extend('w', 'r', '1 hour', 'e1')$$,
  'a retry writes nothing');
select is(tap.brief(baseledger.extend('w', 'r', '1 hour', 'e7', 40)),
  '#11 extended 40: 959/40/1 again', 'a retry repeats the p_amount of the request');

-- The deadline counts ---------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('d', 100);
  perform baseledger.reserve('d', 60, 'longer', '1 hour');
  perform baseledger.reserve('d', 40, 'shorter', '5 hours');
  perform baseledger.extend('d', 'longer', '5 hours', 'e1');
  perform baseledger.extend('d', 'shorter', '1 hour', 'e2');
  perform tap.travel_back('d', '2 hours');
end
$$;
set local role baseledger_agent;
select is(tap.balances('d'), '40/60/0', 'the new deadline counts, whether later or earlier');
create temp table shorter as
  select baseledger.extend('d', 'shorter', '1 hour', 'e2') as receipt;

select refuses($$extend('d', 'shorter', '1 hour', 'e3')$$, 'LGEXP', jsonb_build_object(
  'reservation_id', 'shorter', 'expired_at', (receipt).expires_at
), 'a reservation past its deadline cannot be extended') from shorter;
select changes_nothing($$select baseledger.post('d', '[
  {"op": "extend", "reservation_id": "shorter", "ttl": 60, "idempotency_key": "e3"}
]')$$, 'a refusal does not write the expiry either');
select is(tap.brief(baseledger.extend('d', 'longer', '1 hour', 'e3', 100)),
  '#8 extended 40: 0/100/0', 'what has come due is available for a larger hold');
select is(tap.last_events('d', 2), array[
  'expired shorter 40: 40/60/0', 'extended longer 40: 0/100/0'
], 'the expiry is recorded first');
select refuses($$extend('d', 'shorter', '1 hour', 'e4')$$, 'LGEXP', jsonb_build_object(
  'reservation_id', 'shorter', 'expired_at', (receipt).expires_at
), 'a reservation cannot be extended after its expiry') from shorter;

-- Exactly at the deadline, just before it, and when earlier expiries take the time until then.
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
select is(
  array(
    select tap.brief(r)
      from unnest(array['at', 'before', 'crowd']) as w(id),
        baseledger.post(w.id, '[
          {"op": "extend", "reservation_id": "r", "ttl": 60, "idempotency_key": "e"}
        ]') as r
  ),
  array['LGEXP', '#4 extended 0: 40/60/0', 'LGEXP'],
  'extend works until a microsecond before the deadline; earlier expiries take a microsecond each'
);

-- Insufficient funds ----------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('f', 100);
  perform baseledger.reserve('f', 50, 'r', '2 hours');
  perform baseledger.reserve('f', 30, 'q', '1 hour');
  perform tap.wallet('overdrawn', 100);
  perform baseledger.reserve('overdrawn', 50, 'r');
  perform baseledger.reserve('overdrawn', 50, 'q');
  perform baseledger.settle('overdrawn', 'q', 60, 's');
end
$$;
set local role baseledger_agent;

select refuses($$extend('f', 'r', '3 hours', 'e1', 71)$$, 'LGNSF', jsonb_build_object(
  'requested', 21, 'available', 20, 'reserved', 80, 'shortfall', 1, 'reason', 'held',
  'retry_at', (baseledger.reserve('f', 30, 'q', '1 hour')).expires_at
), 'a larger hold needs the difference in available');
select refuses($$extend('f', 'r', '3 hours', 'e1', 151)$$, 'LGNSF', '{
  "requested": 101, "available": 20, "reserved": 80, "shortfall": 81, "reason": "exhausted",
  "retry_at": null
}', 'the reason is exhausted when the open reservations would not cover the difference');
select is((tap.as_json(r) -> 'detail' ->> 'reserved') || ' of ' || tap.balances('f'),
  '80 of 20/80/0', 'a refusal keeps the deadline and the hold'
) from baseledger.post('f', '[
  {"op": "extend", "reservation_id": "r", "ttl": 10800, "amount": 71, "idempotency_key": "e1"}
]') as r;
select is(tap.brief(baseledger.extend('f', 'r', '3 hours', 'e1', 70)),
  '#5 extended 20: 0/100/0', 'exactly what is available is enough, and the refused key is free');
select refuses($$extend('overdrawn', 'r', '1 hour', 'e1', 51)$$, 'LGNSF', '{
  "requested": 1, "available": -10, "reserved": 50, "shortfall": 11, "reason": "held",
  "retry_at": null
}'::jsonb || jsonb_build_object(
  'retry_at', (baseledger.reserve('overdrawn', 50, 'r')).expires_at
), 'no hold grows while available is below zero');
select is(
  array[
    tap.brief(baseledger.extend('overdrawn', 'r', '1 hour', 'e1')),
    tap.brief(baseledger.extend('overdrawn', 'r', '1 hour', 'e2', 50)),
    tap.brief(baseledger.extend('overdrawn', 'r', '1 hour', 'e3', 45))
  ],
  array['#6 extended 0: -10/50/60', '#7 extended 0: -10/50/60', '#8 extended -5: -5/45/60'],
  'an overdrawn wallet extends holds that stay equal or shrink'
);

-- A frozen wallet -------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('ice', 100);
  perform baseledger.reserve('ice', 50, 'r');
  perform baseledger.freeze_wallet('ice', 'a test');
end
$$;
set local role baseledger_agent;
select refuses($$extend('ice', 'r', '1 hour', 'e1', 51)$$, 'LGFRZ', '{"wallet_id": "ice"}',
  'a frozen wallet refuses a larger hold');
select is(
  array[
    tap.brief(baseledger.extend('ice', 'r', '1 hour', 'e1')),
    tap.brief(baseledger.extend('ice', 'r', '1 hour', 'e2', 50)),
    tap.brief(baseledger.extend('ice', 'r', '1 hour', 'e3', 49))
  ],
  array['#5 extended 0: 50/50/0', '#6 extended 0: 50/50/0', '#7 extended -1: 51/49/0'],
  'a frozen wallet accepts a later deadline'
);

-- Ended -----------------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('e', 100);
  perform baseledger.charge('e', 10, 'charged');
  perform baseledger.reserve('e', 10, 'cancelled');
  perform baseledger.reserve('e', 10, 'late', '1 hour');
  perform tap.travel_back('e', '2 hours');
end
$$;
set local role baseledger_agent;
create temp table late as select baseledger.reserve('e', 10, 'late', '1 hour') as receipt;
create temp table settled as select baseledger.settle('w', 'r', 15, 's2') as receipt;

select refuses($$extend('w', 'r', '1 hour', 'again')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'r', 'status', 'settled', 'ended_seq', 12, 'ended_at', (receipt).occurred_at
), 'a settled reservation cannot be extended') from settled;
select refuses($$extend('e', 'charged', '1 hour', 'again', 20)$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'charged', 'status', 'settled', 'ended_seq', 3,
  'ended_at', (baseledger.charge('e', 10, 'charged')).occurred_at
), 'a charge cannot be extended');
do $$ begin perform baseledger.settle('e', 'late', 1, 's1', false); end $$;
select refuses($$extend('e', 'late', '1 hour', 'again')$$, 'LGEXP', jsonb_build_object(
  'reservation_id', 'late', 'expired_at', (receipt).expires_at
), 'an expired reservation cannot be extended after a late part') from late;
select is(tap.last_events('e', 3), array[
  'expired cancelled 10: 80/10/10', 'expired late 10: 90/0/10', 'settled late 1: 89/0/11'
], 'the late part records the expiries before it');
do $$
begin
  perform baseledger.reserve('e', 10, 'gone');
  perform baseledger.cancel('e', 'gone', 'c1');
end
$$;
select refuses($$extend('e', 'gone', '1 hour', 'again')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'gone', 'status', 'cancelled', 'ended_seq', 10,
  'ended_at', (baseledger.cancel('e', 'gone', 'c1')).occurred_at
), 'a cancelled reservation cannot be extended');
select refuses($$extend('e', 'none', '1 hour', 'again')$$, 'LGRNF', '{"reservation_id": "none"}',
  'an unknown reservation is refused');

-- Limits ----------------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('max', 9223372036854775807);
  perform baseledger.reserve('max', 1, 'r');
  perform tap.wallet('again', 9223372036854775807);
  perform baseledger.reserve('again', 9223372036854775807, 'r');
  perform baseledger.settle('again', 'r', 9223372036854775807, 's1', false);
  perform baseledger.refund('again', 'r', 9223372036854775807, 'f1');
end
$$;
set local role baseledger_agent;
select is(tap.brief(baseledger.extend('max', 'r', '1 hour', 'e1', 9223372036854775807)),
  '#4 extended 9223372036854775806: 0/9223372036854775807/0', 'the largest hold is accepted');
select refuses($$extend('again', 'r', '1 hour', 'e1', 1)$$, 'LGOVF', '{
  "requested": 1, "available": 9223372036854775807, "reserved": 0, "spent": 0
}', 'the sum granted to a reservation cannot exceed the largest amount');

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$extend('w', 'r', '1 minute', 'r')$$,
      '{"field": "op", "stored": "reserve", "given": "extend"}'),
    ('reservation', $$extend('w', 'x', '1 hour', 'e1')$$,
      '{"field": "reservation_id", "stored": "r", "given": "x"}'),
    ('time to live', $$extend('w', 'r', '1 minute', 'e1')$$,
      '{"field": "ttl", "stored": 3600, "given": 60}'),
    ('amount', $$extend('w', 'r', '1 hour', 'e7', 41)$$,
      '{"field": "amount", "stored": 40, "given": 41}'),
    ('amount: none', $$extend('w', 'r', '1 hour', 'e7')$$,
      '{"field": "amount", "stored": 40, "given": null}'),
    ('amount: one', $$extend('w', 'r', '1 hour', 'e1', 100)$$,
      '{"field": "amount", "stored": null, "given": 100}'),
    ('metadata', $$extend('w', 'r', '1 hour', 'e1', null, '{"a": 1}')$$,
      '{"field": "metadata", "stored": {}, "given": {"a": 1}}')
  ) as c(name, call, detail);

select refuses(
  format('extend(%s, %s, %s, %s, %s, %s)', coalesce(c.wallet_id, quote_literal('w')),
    coalesce(c.reservation_id, quote_literal('none')), coalesce(c.ttl, $$'1 hour'$$),
    coalesce(c.key, quote_literal('new')), coalesce(c.amount, 'null'),
    coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name
) from (values
  ('wallet_id', 'no wallet', 'null', null, null, null, null, null),
  ('reservation_id', 'no reservation', null, 'null', null, null, null, null),
  ('reservation_id', 'a blank reservation id', null, $$' '$$, null, null, null, null),
  ('reservation_id', 'a reservation id of 256', null, $$repeat('x', 256)$$, null, null, null, null),
  ('ttl', 'no time to live', null, null, 'null', null, null, null),
  ('ttl', 'a time to live of 0', null, null, $$'0'$$, null, null, null),
  ('ttl', 'less than a second', null, null, $$'0.999999 s'$$, null, null, null),
  ('ttl', '30 days and 1 µs', null, null, $$'30 days 0.000001 s'$$, null, null, null),
  ('ttl', 'a year', null, null, $$'1 year'$$, null, null, null),
  ('idempotency_key', 'no key', null, null, null, 'null', null, null),
  ('idempotency_key', 'a blank key', null, null, null, $$' '$$, null, null),
  ('idempotency_key', 'a key of 256', null, null, null, $$repeat('x', 256)$$, null, null),
  ('amount', 'an amount of 0', null, null, null, null, '0', null),
  ('amount', 'an amount below 0', null, null, null, null, '-1', null),
  ('metadata', 'an array', null, null, null, null, null, $$'[]'$$),
  ('metadata', '16 KiB and 1', null, null, null, null, null, $$tap.metadata(16385)$$)
) as c(field, name, wallet_id, reservation_id, ttl, key, amount, metadata);

select case
  when current_setting('server_version_num')::integer < 170000
    then skip('PostgreSQL has infinite intervals since 17', 1)
  else refuses($$extend('w', 'r', 'infinity', 'new')$$, 'LGARG', '{"field": "ttl"}',
    'refused: an infinite time to live')
end;

select refuses($$extend('nobody', 'r', '1 hour', 'k')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');

-- Refused in a batch ----------------------------------------------------------------------------

create temp table batch as select $json$[
  {"op": "extend", "reservation_id": "longer", "idempotency_key": "b1"},
  {"op": "extend", "reservation_id": "none", "ttl": 60, "idempotency_key": "b2"},
  {"op": "extend", "reservation_id": "shorter", "ttl": 60, "idempotency_key": "b3"},
  {"op": "extend", "reservation_id": "longer", "ttl": 60, "idempotency_key": "e1"},
  {"op": "extend", "reservation_id": "longer", "ttl": 60, "amount": 500, "idempotency_key": "b4"}
]$json$::jsonb as commands;

select changes_nothing($$select baseledger.post('d', commands) from batch$$,
  'a refusal in a batch changes no row');
select is(
  array(select tap.brief(r) from batch, baseledger.post('d', commands) as r),
  array['LGARG', 'LGRNF', 'LGEXP', 'LGIDK', 'LGNSF'],
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
select is(tap.as_json(baseledger.reserve('w', 1, 'zone', '1 hour')) -> 'ttl', '3600',
  'a time to live in hours does not depend on the time zone');
select is(tap.as_json(baseledger.extend('w', 'zone', '5 days', 'zone extended')) -> 'ttl', '432000',
  'a day of a time to live is 24 hours');
reset TimeZone;

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
