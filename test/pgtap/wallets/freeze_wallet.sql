-- freeze_wallet: the kill switch, which stops new spending.
begin;
select plan(38);

do $$
begin
  perform tap.wallet('w', 1000);
  perform tap.wallet('safe', 1000);
  perform baseledger.reserve('w', 100, 'settled');
  perform baseledger.reserve('w', 100, 'cancelled');
  perform baseledger.reserve('w', 100, 'open');
  perform baseledger.charge('w', 50, 'charged');
end
$$;

set local role baseledger_operator;

-- What it does ----------------------------------------------------------------------------------

create temp table first as
  select baseledger.freeze_wallet('w', 'a runaway agent', 'z1', '{"by": "ops"}') as receipt;

select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 7, "event": "frozen", "available": 650, "reserved": 300, "spent": 50,
  "idempotency_key": "z1", "replayed": false
}', 'a freeze moves no funds') from first;
select ok((receipt).occurred_at between now() and clock_timestamp(),
  'the event has the time of the database''s clock') from first;
select is(tap.on_record('w', 7), jsonb_build_object(
  'actor', session_user || ' as baseledger_operator', 'metadata', '{"by": "ops"}'::jsonb,
  'details', '{"reason": "a runaway agent"}'::jsonb
), 'the event records who asked, and why');
select ok((baseledger.balance('w')).frozen, 'the balance shows the freeze');

select is(
  to_jsonb(baseledger.freeze_wallet('w', 'a runaway agent', 'z1', '{"by": "ops"}')),
  to_jsonb(receipt) || '{"replayed": true}',
  'a retry gets the first receipt'
) from first;
select changes_nothing(
  $$select baseledger.freeze_wallet('w', 'a runaway agent', 'z1', '{"by": "ops"}')$$,
  'a retry writes nothing'
);
select is(tap.as_json(baseledger.freeze_wallet('w', 'again', null, null)), '{
  "wallet_id": "w", "seq": 8, "event": "frozen", "available": 650, "reserved": 300, "spent": 50,
  "replayed": false
}', 'without a key each call is an event');
select is(tap.on_record('w', 8) -> 'metadata', '{}', 'null means no metadata');
select is(tap.brief(baseledger.freeze_wallet('w', 'again')), '#9 frozen: 650/300/50',
  'the same call without a key is another event');

-- What a frozen wallet refuses and accepts ------------------------------------------------------

set local role baseledger_agent;
select refuses(c.call, 'LGFRZ', '{"wallet_id": "w"}',
  'a frozen wallet refuses ' || c.call) from (values
  ($$reserve('w', 1, 'k')$$), ($$reserve('w', 1, 'k', p_at_least => 1)$$),
  ($$charge('w', 1, 'k')$$), ($$extend('w', 'open', '1 hour', 'k', 101)$$)
) as c(call);
set local role baseledger_operator;
select refuses(c.call, 'LGFRZ', '{"wallet_id": "w"}',
  'a frozen wallet refuses ' || c.call) from (values
  ($$withdraw('w', 1, 'k')$$), ($$transfer('w', 'safe', 1, 'k')$$)
) as c(call);
select is(
  array(select tap.brief(r) from baseledger.post_funds('w', '[
    {"op": "reserve", "amount": 1, "idempotency_key": "k"},
    {"op": "charge", "amount": 1, "idempotency_key": "k"},
    {"op": "extend", "reservation_id": "open", "ttl": 60, "amount": 101, "idempotency_key": "k"},
    {"op": "withdraw", "amount": 1, "idempotency_key": "k"},
    {"op": "credit", "amount": 1, "idempotency_key": "on1"},
    {"op": "settle", "reservation_id": "settled", "amount": 120, "idempotency_key": "on2"},
    {"op": "cancel", "reservation_id": "cancelled", "idempotency_key": "on3"},
    {"op": "extend", "reservation_id": "open", "ttl": 60, "idempotency_key": "on4"},
    {"op": "extend", "reservation_id": "open", "ttl": 60, "amount": 99, "idempotency_key": "on5"},
    {"op": "refund", "reservation_id": "charged", "amount": 50, "idempotency_key": "on6"}
  ]') as r),
  array[
    'LGFRZ', 'LGFRZ', 'LGFRZ', 'LGFRZ',
    '#10 credited 1: 651/300/50', '#11 settled 120: 631/200/170', '#12 cancelled 100: 731/100/170',
    '#13 extended 0: 731/100/170', '#14 extended -1: 732/99/170', '#15 refunded 50: 782/99/120'
  ],
  'a frozen wallet refuses new spending and accepts settlements, cancellations, credits and refunds'
);
do $$ begin perform baseledger.transfer('safe', 'w', 1, 't1'); end $$;
select is(tap.balances('w'), '783/99/120', 'a frozen wallet receives transfers');
do $$ begin perform tap.travel_back('w', '1 hour'); end $$;
select is(tap.balances('w'), '882/0/120', 'reservations of a frozen wallet come due');
set local role baseledger_worker;
select is(baseledger.expire_due(), 1, 'the sweep expires reservations of a frozen wallet');
set local role baseledger_operator;
select ok((baseledger.balance('w')).frozen, 'the wallet stays frozen');
select ok(not (baseledger.balance('safe')).frozen, 'other wallets are not frozen');

-- A deadline that passes right after the freeze, within its transaction.
do $$
begin
  perform tap.wallet('next', 100);
  perform baseledger.reserve('next', 60, 'a', '1 hour');
  perform tap.due_after('next', 'a', 1);
  perform baseledger.freeze_wallet('next', 'a test');
end
$$;
select is(tap.last_events('next', 2), array['frozen: 40/60/0', 'expired a 60: 100/0/0'],
  'a freeze without a key and an expiry do not conflict');

-- Limits ----------------------------------------------------------------------------------------

select is(tap.brief(baseledger.freeze_wallet('safe', repeat('é', 1000), repeat('k', 255))),
  '#4 frozen: 999/0/0', 'a reason of 1000 characters is accepted');

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$freeze_wallet('w', 'x', 'funds')$$,
      '{"field": "op", "stored": "credit", "given": "freeze"}'),
    ('reason', $$freeze_wallet('w', 'x', 'z1', '{"by": "ops"}')$$,
      '{"field": "reason", "stored": "a runaway agent", "given": "x"}'),
    ('metadata', $$freeze_wallet('w', 'a runaway agent', 'z1')$$,
      '{"field": "metadata", "stored": {"by": "ops"}, "given": {}}')
  ) as c(name, call, detail);

select refuses(
  format('freeze_wallet(%s, %s, %s, %s)', coalesce(c.wallet_id, quote_literal('w')),
    coalesce(c.reason, quote_literal('x')), coalesce(c.key, 'null'),
    coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name
) from (values
  ('wallet_id', 'no wallet', 'null', null, null, null),
  ('wallet_id', 'a blank wallet id', $$' '$$, null, null, null),
  ('reason', 'no reason', null, 'null', null, null),
  ('reason', 'an empty reason', null, $$''$$, null, null),
  ('reason', 'a blank reason', null, $$E' \n'$$, null, null),
  ('reason', 'a reason of 1001', null, $$repeat('x', 1001)$$, null, null),
  ('idempotency_key', 'a blank key', null, null, $$' '$$, null),
  ('idempotency_key', 'a key of 256', null, null, $$repeat('x', 256)$$, null),
  ('metadata', 'an array', null, null, null, $$'[]'$$),
  ('metadata', '16 KiB and 1', null, null, null, $$tap.metadata(16385)$$)
) as c(field, name, wallet_id, reason, key, metadata);

select refuses($$freeze_wallet('nobody', 'x')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
