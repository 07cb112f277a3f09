-- cancel: returns what a reservation holds.
begin;
select plan(38);

do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.reserve('w', 100, 'r1');
  perform baseledger.reserve('w', 100, 'r2');
  perform baseledger.reserve('w', 100, 'part');
  perform baseledger.settle('w', 'part', 40, 'p1', false);
  perform baseledger.reserve('w', 100, 'over');
  perform baseledger.settle('w', 'over', 150, 'o1', false);
end
$$;

set local role baseledger_agent;

-- What it does ----------------------------------------------------------------------------------

create temp table first as select baseledger.cancel('w', 'r1', 'c1') as receipt;

select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 9, "event": "cancelled", "reservation_id": "r1", "amount": 100,
  "available": 650, "reserved": 160, "spent": 190, "idempotency_key": "c1", "replayed": false
}', 'cancel returns what is held') from first;

select ok((receipt).occurred_at between now() and clock_timestamp(),
  'the event has the time of the database''s clock') from first;
select is(tap.on_record('w', 9), jsonb_build_object(
  'actor', session_user || ' as baseledger_agent', 'metadata', '{}'::jsonb, 'details', null
), 'the event records who asked');

select is(tap.brief(baseledger.cancel('w', 'part', 'c2', '{"why": "stopped"}')),
  '#10 cancelled 60: 710/100/190', 'after a part, cancel returns the rest');
select is(tap.on_record('w', 10) -> 'metadata', '{"why": "stopped"}',
  'the event records the metadata');
select is(tap.brief(baseledger.cancel('w', 'over', 'c3', null)),
  '#11 cancelled 0: 710/100/190', 'after a part above the hold, cancel returns nothing');
select is(tap.on_record('w', 11) -> 'metadata', '{}', 'null means no metadata');

select is(
  to_jsonb(baseledger.cancel('w', 'r1', 'c1')),
  to_jsonb(receipt) || '{"replayed": true}',
  'a retry gets the first receipt, with the balances of that event'
) from first;
select changes_nothing($$select baseledger.cancel('w', 'r1', 'c1')$$, 'a retry writes nothing');

-- One end ---------------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform baseledger.charge('w', 10, 'charged');
  perform baseledger.reserve('w', 10, 'settled');
  perform baseledger.settle('w', 'settled', 10, 's1');
  perform baseledger.refund('w', 'settled', 10, 'f1');
end
$$;
set local role baseledger_agent;

select refuses($$cancel('w', 'r1', 'again')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'r1', 'status', 'cancelled', 'ended_seq', 9, 'ended_at', (receipt).occurred_at
), 'a cancelled reservation cannot be cancelled again') from first;
select refuses($$cancel('w', 'settled', 'again')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'settled', 'status', 'settled', 'ended_seq', 14,
  'ended_at', (baseledger.settle('w', 'settled', 10, 's1')).occurred_at
), 'a settled reservation cannot be cancelled, even after a refund');
select refuses($$cancel('w', 'charged', 'again')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'charged', 'status', 'settled', 'ended_seq', 12,
  'ended_at', (baseledger.charge('w', 10, 'charged')).occurred_at
), 'a charge cannot be cancelled');
select refuses($$cancel('w', 'none', 'c')$$, 'LGRNF', '{"reservation_id": "none"}',
  'an unknown reservation is refused');

-- Past the deadline -----------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('due', 100);
  perform baseledger.reserve('due', 60, 'r', '1 hour');
  perform baseledger.reserve('due', 40, 'late', '1 hour');
  perform tap.travel_back('due', '2 hours');
end
$$;
set local role baseledger_agent;
create temp table due as select baseledger.reserve('due', 60, 'r', '1 hour') as receipt;
create temp table due_late as select baseledger.reserve('due', 40, 'late', '1 hour') as receipt;

select refuses($$cancel('due', 'r', 'c')$$, 'LGEXP', jsonb_build_object(
  'reservation_id', 'r', 'expired_at', (receipt).expires_at
), 'a reservation past its deadline cannot be cancelled') from due;
select is(tap.balances('due'), '100/0/0', 'its funds are already available');
select changes_nothing($$select baseledger.post('due', '[
  {"op": "cancel", "reservation_id": "r", "idempotency_key": "c"}
]')$$, 'a refusal does not write the expiry either');

set local role baseledger_worker;
do $$ begin perform baseledger.expire_due(); end $$;
set local role baseledger_agent;
select refuses($$cancel('due', 'r', 'c')$$, 'LGEXP', jsonb_build_object(
  'reservation_id', 'r', 'expired_at', (receipt).expires_at
), 'an expired reservation cannot be cancelled after the sweep') from due;

do $$ begin perform baseledger.settle('due', 'late', 1, 's1', false); end $$;
select refuses($$cancel('due', 'late', 'c')$$, 'LGEXP', jsonb_build_object(
  'reservation_id', 'late', 'expired_at', (receipt).expires_at
), 'an expired reservation cannot be cancelled after a late part') from due_late;
do $$ begin perform baseledger.settle('due', 'late', 1, 's2'); end $$;
select refuses($$cancel('due', 'late', 'c')$$, 'LGEND', jsonb_build_object(
  'reservation_id', 'late', 'status', 'settled', 'ended_seq', 8,
  'ended_at', (baseledger.settle('due', 'late', 1, 's2')).occurred_at
), 'after the late settlement the reservation has ended as settled');

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
          {"op": "cancel", "reservation_id": "r", "idempotency_key": "c"}
        ]') as r
  ),
  array['LGEXP', '#4 cancelled 60: 100/0/0', 'LGEXP'],
  'cancel works until a microsecond before the deadline; earlier expiries take a microsecond each'
);

-- A frozen wallet -------------------------------------------------------------------------------

set local role baseledger_operator;
do $$ begin perform baseledger.freeze_wallet('w', 'a test'); end $$;
set local role baseledger_agent;
select is(tap.brief(baseledger.cancel('w', 'r2', 'ice')), '#17 cancelled 100: 800/0/200',
  'a frozen wallet accepts cancellations');

-- Limits ----------------------------------------------------------------------------------------

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$cancel('w', 'r1', 'r1')$$,
      '{"field": "op", "stored": "reserve", "given": "cancel"}'),
    ('reservation', $$cancel('w', 'r2', 'c1')$$,
      '{"field": "reservation_id", "stored": "r1", "given": "r2"}'),
    ('metadata', $$cancel('w', 'r1', 'c1', '{"a": 1}')$$,
      '{"field": "metadata", "stored": {}, "given": {"a": 1}}')
  ) as c(name, call, detail);

select refuses(
  format('cancel(%s, %s, %s, %s)', coalesce(c.wallet_id, quote_literal('w')),
    coalesce(c.reservation_id, quote_literal('none')), coalesce(c.key, quote_literal('new')),
    coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name
) from (values
  ('wallet_id', 'no wallet', 'null', null, null, null),
  ('wallet_id', 'a blank wallet id', $$' '$$, null, null, null),
  ('reservation_id', 'no reservation', null, 'null', null, null),
  ('reservation_id', 'an empty reservation id', null, $$''$$, null, null),
  ('reservation_id', 'a reservation id of 256', null, $$repeat('x', 256)$$, null, null),
  ('idempotency_key', 'no key', null, null, 'null', null),
  ('idempotency_key', 'a blank key', null, null, $$E'\n'$$, null),
  ('idempotency_key', 'a key of 256', null, null, $$repeat('x', 256)$$, null),
  ('metadata', 'a string', null, null, null, $$'"x"'$$),
  ('metadata', '16 KiB and 1', null, null, null, $$tap.metadata(16385)$$)
) as c(field, name, wallet_id, reservation_id, key, metadata);

select refuses($$cancel('nobody', 'r', 'k')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');

-- Refused in a batch ----------------------------------------------------------------------------

create temp table batch as select $json$[
  {"op": "cancel", "reservation_id": " ", "idempotency_key": "b1"},
  {"op": "cancel", "reservation_id": "none", "idempotency_key": "b2"},
  {"op": "cancel", "reservation_id": "r1", "idempotency_key": "b3"},
  {"op": "cancel", "reservation_id": "r2", "idempotency_key": "c1"}
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
