-- charge: spends at once, without a hold.
begin;
select plan(73);

do $$
begin
  perform tap.wallet('w', 1000);
  perform tap.wallet('other', 1000);
end
$$;

set local role baseledger_agent;

-- What it does ----------------------------------------------------------------------------------

create temp table first as select baseledger.charge('w', 100, 'k1') as receipt;

select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 3, "event": "charged", "reservation_id": "k1", "amount": 100,
  "available": 900, "reserved": 0, "spent": 100, "idempotency_key": "k1", "replayed": false
}', 'charge spends, and leaves a reservation whose id is the key') from first;

select ok((receipt).occurred_at between now() and clock_timestamp(),
  'the event has the time of the database''s clock') from first;
select is(tap.on_record('w', 3), jsonb_build_object(
  'actor', session_user || ' as baseledger_agent', 'metadata', '{}'::jsonb, 'details', null
), 'the event records who asked');

select is(tap.as_json(baseledger.charge('w', 50, 'k2', 'r2', '{"model": "m"}')), '{
  "wallet_id": "w", "seq": 4, "event": "charged", "reservation_id": "r2", "amount": 50,
  "available": 850, "reserved": 0, "spent": 150, "idempotency_key": "k2", "replayed": false
}', 'charge takes a reservation id');
select is(tap.on_record('w', 4) -> 'metadata', '{"model": "m"}', 'the event records the metadata');
select is(tap.brief(baseledger.charge('w', 1, 'k3', null, null)), '#5 charged 1: 849/0/151',
  'null means the default');
select is(tap.on_record('w', 5) -> 'metadata', '{}',
  'the event then has an empty object as its metadata');
select is(tap.brief(baseledger.charge('other', 1, 'k1', 'r2')), '#3 charged 1: 999/0/1',
  'a key and a reservation id belong to their wallet');

select is(
  to_jsonb(baseledger.charge('w', 100, 'k1')),
  to_jsonb(receipt) || '{"replayed": true}',
  'a retry gets the first receipt, with the balances of that event'
) from first;
select changes_nothing($$select baseledger.charge('w', 100, 'k1')$$, 'a retry writes nothing');
select is(tap.brief(baseledger.charge('w', 100, 'k1', 'k1', '{}')),
  '#3 charged 100: 900/0/100 again', 'a retry may spell out the defaults');

set local role baseledger_operator;
select is(tap.brief(baseledger.refund('w', 'k1', 100, 'f1')), '#6 refunded 100: 949/0/51',
  'a charge can be refunded');
set local role baseledger_agent;
select is(tap.brief(baseledger.charge('w', 100, 'k1')), '#3 charged 100: 900/0/100 again',
  'a retry after a refund gets the same receipt');

-- Insufficient funds ----------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('f', 100);
  perform baseledger.reserve('f', 60, 'r', '1 hour');
  perform tap.wallet('overdrawn', 10, 1000);
  perform baseledger.reserve('overdrawn', 10, 'r');
  perform baseledger.settle('overdrawn', 'r', 15, 's');
end
$$;
set local role baseledger_agent;

select refuses($$charge('f', 41, 'k')$$, 'LGNSF', jsonb_build_object(
  'requested', 41, 'available', 40, 'reserved', 60, 'shortfall', 1, 'reason', 'held',
  'retry_at', (baseledger.reserve('f', 60, 'r', '1 hour')).expires_at
), 'a charge cannot exceed what is available');
select refuses($$charge('f', 101, 'k')$$, 'LGNSF', '{
  "requested": 101, "available": 40, "reserved": 60, "shortfall": 61, "reason": "exhausted",
  "retry_at": null
}', 'the reason is exhausted when the open reservations would not cover it');
select is(tap.brief(baseledger.charge('f', 40, 'k')), '#4 charged 40: 0/60/40',
  'a refused key is free, and all that is available can be spent');
select refuses($$charge('overdrawn', 1, 'k')$$, 'LGNSF', '{
  "requested": 1, "available": -5, "reserved": 0, "shortfall": 6, "reason": "exhausted",
  "retry_at": null
}', 'a charge cannot use the overdraft limit');

set local role baseledger_operator;
do $$
begin
  perform tap.travel_back('f', '2 hours');
  perform tap.wallet('ice', 100);
  perform baseledger.charge('ice', 1, 'k1');
  perform baseledger.freeze_wallet('ice', 'a test');
end
$$;
set local role baseledger_agent;
select is(tap.brief(baseledger.charge('f', 60, 'k2')), '#6 charged 60: 0/0/100',
  'what has come due can be spent without a worker');
select is(tap.last_events('f', 2), array['expired r 60: 60/0/40', 'charged k2 60: 0/0/100'],
  'the expiry is recorded first');

select refuses($$charge('ice', 1, 'k2')$$, 'LGFRZ', '{"wallet_id": "ice"}',
  'a frozen wallet refuses charges');
select is(tap.brief(baseledger.charge('ice', 1, 'k1')), '#3 charged 1: 99/0/1 again',
  'a frozen wallet answers a retry');

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
  perform baseledger.reserve('ids', 1, 'due', '1 second');
  perform tap.travel_back('ids', '5 minutes');
end
$$;
set local role baseledger_agent;
select refuses(
  format('charge(%L, 1, %L, %L)', 'ids', 'new', c.id),
  'LGRID', jsonb_build_object('reservation_id', c.id), 'a taken reservation id is refused: ' || c.id
) from unnest(array['open', 'settled', 'cancelled', 'charged', 'due']) as c(id);

-- Limits ----------------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('max', 9223372036854775807);
  perform baseledger.charge('max', 9223372036854775807, 'all');
  perform baseledger.credit('max', 1, 'more');
end
$$;
set local role baseledger_agent;
select is(tap.brief(baseledger.charge('max', 9223372036854775807, 'all')),
  '#3 charged 9223372036854775807: 0/0/9223372036854775807 again',
    'the largest amount is accepted');
select refuses($$charge('max', 1, 'k')$$, 'LGOVF', '{
  "requested": 1, "available": 1, "reserved": 0, "spent": 9223372036854775807
}', 'spent cannot exceed the largest amount');
create temp table most as select '[
  {"op": "charge", "amount": 1, "idempotency_key": "m1", "reservation_id": "m"},
  {"op": "charge", "amount": 9223372036854775807, "idempotency_key": "m2", "reservation_id": "m"}
]'::jsonb as commands;
select is(
  array(select tap.brief(r) from most, baseledger.post('ids', commands) as r),
  array['#11 charged 1: 996/1/3', 'LGRID'],
  'the largest amount on an id that the same batch has taken is refused'
);

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$charge('w', 1000, 'funds')$$,
      '{"field": "op", "stored": "credit", "given": "charge"}'),
    ('reservation', $$charge('w', 100, 'k1', 'r1')$$,
      '{"field": "reservation_id", "stored": "k1", "given": "r1"}'),
    ('amount', $$charge('w', 101, 'k1')$$, '{"field": "amount", "stored": 100, "given": 101}'),
    ('metadata', $$charge('w', 50, 'k2', 'r2')$$,
      '{"field": "metadata", "stored": {"model": "m"}, "given": {}}')
  ) as c(name, call, detail);

select refuses(
  format('charge(%s, %s, %s, %s, %s)', coalesce(c.wallet_id, quote_literal('w')),
    coalesce(c.amount, '1'), coalesce(c.key, quote_literal('new')),
    coalesce(c.reservation_id, 'null'), coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name
) from (values
  ('wallet_id', 'no wallet', 'null', null, null, null, null),
  ('wallet_id', 'a blank wallet id', $$' '$$, null, null, null, null),
  ('amount', 'no amount', null, 'null', null, null, null),
  ('amount', 'an amount of 0', null, '0', null, null, null),
  ('amount', 'an amount below 0', null, '-1', null, null, null),
  ('idempotency_key', 'no key', null, null, 'null', $$'r'$$, null),
  ('idempotency_key', 'a blank key', null, null, $$' '$$, null, null),
  ('idempotency_key', 'a key of 256', null, null, $$repeat('x', 256)$$, null, null),
  ('reservation_id', 'a blank reservation id', null, null, null, $$' '$$, null),
  ('reservation_id', 'a reservation id of 256', null, null, null, $$repeat('x', 256)$$, null),
  ('metadata', 'an array', null, null, null, null, $$'[]'$$),
  ('metadata', '16 KiB and 1', null, null, null, null, $$tap.metadata(16385)$$)
) as c(field, name, wallet_id, amount, key, reservation_id, metadata);

select refuses($$charge('nobody', 1, 'k')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');

-- Refused in a batch ----------------------------------------------------------------------------

create temp table batch as select $json$[
  {"op": "charge", "amount": 0, "idempotency_key": "b1"},
  {"op": "charge", "amount": 101, "idempotency_key": "k1"},
  {"op": "charge", "amount": 1, "idempotency_key": "b2", "reservation_id": "r2"},
  {"op": "charge", "amount": 9999, "idempotency_key": "b3"}
]$json$::jsonb as commands;

select changes_nothing($$select baseledger.post('w', commands) from batch$$,
  'a refusal in a batch changes no row');
select is(
  array(select tap.brief(r) from batch, baseledger.post('w', commands) as r),
  array['LGARG', 'LGIDK', 'LGRID', 'LGNSF'],
  'a batch refuses with the same codes'
);

-- What is spent already -------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('s', 100, 50);
  perform baseledger.reserve('s', 60, 'r');
  perform baseledger.freeze_wallet('s', 'a test');
  perform baseledger.close_wallet('s', 'a test');
end
$$;
set local role baseledger_agent;
create temp table spent as
  select baseledger.charge('s', 30, 'a1', p_already_spent => true) as receipt;
select is(tap.as_json(receipt), '{
  "wallet_id": "s", "seq": 6, "event": "charged", "reservation_id": "a1", "amount": 30,
  "available": 10, "reserved": 60, "spent": 30, "idempotency_key": "a1", "replayed": false
}', 'what is spent already is booked on a wallet that is frozen and closed') from spent;
select is(tap.on_record('s', 6) -> 'details', '{"already_spent": true}', 'the event says so');
select is(to_jsonb(baseledger.charge('s', 30, 'a1', p_already_spent => true)),
  to_jsonb(receipt) || '{"replayed": true}', 'a retry gets the first receipt') from spent;
select changes_nothing($$select baseledger.charge('s', 30, 'a1', p_already_spent => true)$$,
  'a retry writes nothing');
select is(tap.brief(baseledger.charge('s', 60, 'a2', p_already_spent => true)),
  '#7 charged 60: -50/60/90', 'it takes available down to the overdraft limit');
select refuses($$charge('s', 1, 'a3', p_already_spent => true)$$, 'LGOVD',
  '{"requested": 1, "available": -50, "would_be": -51, "overdraft_limit": 50}', 'and no further');
select refuses($$charge('s', 1, 'a3', 'r', p_already_spent => true)$$, 'LGRID',
  '{"reservation_id": "r"}', 'a taken reservation id is refused first');
select refuses($$charge('s', 1, 'a3')$$, 'LGCLO', '{"wallet_id": "s"}',
  'what is not spent yet is refused by a wallet that is closed');
select refuses($$charge('max', 9223372036854775807, 'k', p_already_spent => true)$$, 'LGOVF', '{
  "requested": 9223372036854775807, "available": 1, "reserved": 0, "spent": 9223372036854775807
}', 'spent cannot exceed the largest amount');
select refuses(c.call, 'LGIDK', c.detail::jsonb, c.name)
  from (values
    ('a key is refused for what was not spent', $$charge('s', 30, 'a1')$$,
      '{"field": "already_spent", "stored": true, "given": null}'),
    ('and for what was', $$charge('w', 100, 'k1', p_already_spent => true)$$,
      '{"field": "already_spent", "stored": null, "given": true}')
  ) as c(name, call, detail);
select is(tap.brief(baseledger.charge('w', 100, 'k1', p_already_spent => c.given)),
  '#3 charged 100: 900/0/100 again', 'a retry may spell out the default: ' || coalesce(c.given::text, 'null'))
  from unnest(array[false, null]) as c(given);
set local role baseledger_operator;
do $$ begin perform tap.wallet('deep', 10); end $$;
set local role baseledger_agent;
select is(tap.brief(baseledger.charge('deep', 1000, 'k', p_already_spent => true)),
  '#3 charged 1000: -990/0/1000', 'without an overdraft limit, all of it is booked');
select is(
  tap.posted('deep', '[
    {"op": "charge", "amount": 1, "idempotency_key": "b1", "already_spent": true},
    {"op": "charge", "amount": 1, "idempotency_key": "b2", "already_spent": false},
    {"op": "charge", "amount": 1, "idempotency_key": "b3", "already_spent": null},
    {"op": "charge", "amount": 1000, "idempotency_key": "k", "already_spent": true},
    {"op": "charge", "amount": 1000, "idempotency_key": "k"}
  ]'),
  array['#4 charged 1: -991/0/1001', 'LGNSF', 'LGNSF', '#3 charged 1000: -990/0/1000 again', 'LGIDK'],
  'a batch takes it as true or false'
);
select is(tap.on_record('deep', 4) -> 'details', '{"already_spent": true}',
  'the event says so, in a batch');
select is(
  (select jsonb_agg(r.refused || ' ' || (r.detail ->> 'field')) from baseledger.post('deep', c.command) as r),
  jsonb_build_array('LGARG already_spent'), 'a batch refuses ' || c.command::text
) from (values
  ('[{"op": "charge", "amount": 1, "idempotency_key": "b", "already_spent": "true"}]'::jsonb),
  ('[{"op": "charge", "amount": 1, "idempotency_key": "b", "already_spent": 1}]'),
  ('[{"op": "charge", "amount": 1, "idempotency_key": "b", "already_spent": {}}]'),
  ('[{"op": "charge", "amount": 1, "idempotency_key": "b", "already_spent": []}]'),
  ('[{"op": "settle", "amount": 1, "idempotency_key": "b", "reservation_id": "k", "already_spent": true}]'),
  ('[{"op": "reserve", "amount": 1, "idempotency_key": "b", "already_spent": false}]')
) as c(command);

-- More is due than commands expire.
reset role;
create or replace function baseledger._due_chunk_size()
  returns integer language sql immutable parallel safe as 'select 1';
do $$
begin
  perform tap.wallet('due', 200, 0);
  for v_n in 1 .. 20 loop
    perform baseledger.reserve('due', 10, 'r' || v_n, '1 hour');
  end loop;
  perform tap.travel_back('due', '2 hours');
end
$$;
set local role baseledger_agent;
select refuses($$charge('due', 201, 'd1', p_already_spent => true)$$, 'LGOVD',
  '{"requested": 201, "available": 200, "would_be": -1, "overdraft_limit": 0}',
  'what is due counts as returned');
do $$ begin perform baseledger.charge('due', 195, 'd2', p_already_spent => true); end $$;
select is(tap.balances('due'), '5/0/195', 'and pays for what is spent already');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
