-- close_wallet: nothing new, and what is open can be ended.
begin;
select plan(43);

do $$
begin
  perform tap.wallet('w', 1000);
  perform tap.wallet('safe', 1000);
  perform baseledger.reserve('w', 100, 'settled');
  perform baseledger.reserve('w', 100, 'cancelled');
  perform baseledger.reserve('w', 100, 'open');
  perform baseledger.reserve('w', 10, 'late', '1 second');
  perform baseledger.charge('w', 50, 'charged');
end
$$;

set local role baseledger_operator;
create temp table first as
  select baseledger.close_wallet('w', 'the contract has ended', 'z1', '{"by": "ops"}') as receipt;
select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 8, "event": "closed", "available": 640, "reserved": 310, "spent": 50,
  "idempotency_key": "z1", "replayed": false
}', 'a closing moves no funds') from first;
select is(tap.on_record('w', 8), jsonb_build_object(
  'actor', tap.actor(), 'metadata', '{"by": "ops"}'::jsonb,
  'details', '{"reason": "the contract has ended"}'::jsonb
), 'the event records who asked, and why');
select is(array(select l.wallet_id from baseledger.list_wallets() as l), array['safe'],
  'lists leave it out');
select is(
  to_jsonb(baseledger.close_wallet('w', 'the contract has ended', 'z1', '{"by": "ops"}')),
  to_jsonb(receipt) || '{"replayed": true}', 'a retry gets the first receipt'
) from first;
select changes_nothing(
  $$select baseledger.close_wallet('w', 'the contract has ended', 'z1', '{"by": "ops"}')$$,
  'a retry writes nothing'
);
select is(tap.brief(baseledger.close_wallet('w', 'again', null, null)), '#9 closed: 640/310/50',
  'without a key each call is an event');

-- What it refuses and accepts -------------------------------------------------------------------

set local role baseledger_agent;
select refuses(c.call, 'LGCLO', '{"wallet_id": "w"}', 'a closed wallet refuses ' || c.call)
  from (values
    ($$reserve('w', 1, 'k')$$), ($$reserve('w', 1, 'k', p_at_least => 1)$$),
    ($$reserve('w', 9999, 'k')$$), ($$charge('w', 1, 'k')$$),
    ($$extend('w', 'open', '1 hour', 'k', 101)$$)
  ) as c(call);
select refuses(c.call, c.code, c.detail::jsonb, 'other codes come first: ' || c.call)
  from (values
    ($$reserve('w', 1, 'k', p_reservation_id => 'open')$$, 'LGRID', '{"reservation_id": "open"}'),
    ($$charge('w', 1, 'k', 'open')$$, 'LGRID', '{"reservation_id": "open"}'),
    ($$extend('w', 'none', '1 hour', 'k', 101)$$, 'LGRNF', '{"reservation_id": "none"}')
  ) as c(call, code, detail);
set local role baseledger_operator;
select refuses(c.call, 'LGCLO', '{"wallet_id": "w"}', 'a closed wallet refuses ' || c.call)
  from (values
    ($$credit('w', 1, 'k')$$), ($$transfer('safe', 'w', 1, 'k')$$),
    ($$allow('w', 'baseledger_agent')$$), ($$create_key('w')$$)
  ) as c(call);
select is(tap.balances('safe'), '1000/0/0', 'a refused transfer takes nothing from its sender');
do $$ begin perform tap.travel_back('w', '10 seconds'); end $$;
select is(
  array(select tap.brief(r) from baseledger.post_funds('w', '[
    {"op": "reserve", "amount": 1, "idempotency_key": "k"},
    {"op": "charge", "amount": 1, "idempotency_key": "k"},
    {"op": "extend", "reservation_id": "open", "ttl": 60, "amount": 101, "idempotency_key": "k"},
    {"op": "credit", "amount": 1, "idempotency_key": "k"},
    {"op": "charge", "amount": 5, "idempotency_key": "on0", "already_spent": true},
    {"op": "settle", "reservation_id": "settled", "amount": 120, "idempotency_key": "on1"},
    {"op": "settle", "reservation_id": "late", "amount": 5, "idempotency_key": "on2"},
    {"op": "cancel", "reservation_id": "cancelled", "idempotency_key": "on3"},
    {"op": "extend", "reservation_id": "open", "ttl": 60, "idempotency_key": "on4"},
    {"op": "extend", "reservation_id": "open", "ttl": 60, "amount": 99, "idempotency_key": "on5"},
    {"op": "refund", "reservation_id": "charged", "amount": 50, "idempotency_key": "on6"},
    {"op": "withdraw", "amount": 70, "idempotency_key": "on7"}
  ]') as r),
  array[
    'LGCLO', 'LGCLO', 'LGCLO', 'LGCLO',
    '#11 charged 5: 645/300/55', '#12 settled 120: 625/200/175', '#13 settled 5: 620/200/180',
    '#14 cancelled 100: 720/100/180', '#15 extended 0: 720/100/180', '#16 extended -1: 721/99/180',
    '#17 refunded 50: 771/99/130', '#18 withdrawn 70: 701/99/130'
  ],
  'a batch refuses what is new and accepts what ends'
);
select is(tap.brief(baseledger.transfer('w', 'safe', 1, 't1')),
  '#19 transferred_out 1: 700/99/130', 'a closed wallet gives transfers');
select is(tap.brief(baseledger.freeze_wallet('w', 'a test')), '#20 frozen: 700/99/130',
  'a closed wallet can be frozen');
set local role baseledger_agent;
select refuses($$reserve('w', 1, 'k')$$, 'LGCLO', '{"wallet_id": "w"}',
  'closed comes before frozen');
set local role baseledger_operator;
select refuses($$withdraw('w', 1, 'k')$$, 'LGFRZ', '{"wallet_id": "w"}',
  'frozen, it still refuses withdrawals');
do $$ begin perform baseledger.unfreeze_wallet('w', 'a test'); end $$;
do $$ begin perform tap.travel_back('w', '1 hour'); end $$;
select is(tap.balances('w'), '799/0/130', 'reservations of a closed wallet come due');
set local role baseledger_worker;
select is(baseledger.expire_due(), 1, 'the sweep expires them');

-- Several wallets --------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('m1', 100);
  perform tap.wallet('m2', 100);
  perform baseledger.reserve('m2', 10, 'due', '1 hour');
  perform baseledger.close_wallet('m1', 'a test');
  perform baseledger.close_wallet('m2', 'a test');
  perform tap.travel_back('m2', '2 hours');
end
$$;
set local role baseledger_agent;
select is(tap.posted_many('[
  {"wallet_id": "m1", "op": "reserve", "amount": 1, "idempotency_key": "k"},
  {"wallet_id": "m2", "op": "charge", "amount": 1, "idempotency_key": "k"},
  {"wallet_id": "m1", "op": "charge", "amount": 2, "idempotency_key": "k", "already_spent": true},
  {"wallet_id": "m2", "op": "settle", "reservation_id": "due", "amount": 3, "idempotency_key": "k"}
]'), array['m1 LGCLO', 'm2 LGCLO', 'm1 #4 charged 2: 98/0/2', 'm2 #6 settled 3: 97/0/3'],
  'a batch over several closed wallets does the same, whether or not something is due');

-- Opened again
set local role baseledger_operator;
do $$
begin
  perform baseledger.close_wallet('m1', 'once more', 'z1');
  perform baseledger.reopen_wallet('m1', 'a test');
end
$$;
select ok((baseledger.close_wallet('m1', 'once more', 'z1')).replayed,
  'a retry gets the first receipt after the wallet was opened again');
select is(tap.brief(baseledger.credit('m1', 1, 'c1')), '#7 credited 1: 99/0/2', 'and closes nothing');

-- Limits ----------------------------------------------------------------------------------------

set local role baseledger_operator;
select is(tap.brief(baseledger.close_wallet('safe', repeat('é', 1000), repeat('k', 255))),
  '#4 closed: 1001/0/0', 'a reason of 1000 characters is accepted');
select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$close_wallet('w', 'x', 'funds')$$,
      '{"field": "op", "stored": "credit", "given": "closed"}'),
    ('reason', $$close_wallet('w', 'x', 'z1', '{"by": "ops"}')$$,
      '{"field": "reason", "stored": "the contract has ended", "given": "x"}'),
    ('metadata', $$close_wallet('w', 'the contract has ended', 'z1')$$,
      '{"field": "metadata", "stored": {"by": "ops"}, "given": {}}')
  ) as c(name, call, detail);
select refuses(c.call, 'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name)
  from (values
    ('wallet_id', 'no wallet', $$close_wallet(null, 'x')$$),
    ('wallet_id', 'a blank wallet id', $$close_wallet(' ', 'x')$$),
    ('reason', 'no reason', $$close_wallet('w', null)$$),
    ('reason', 'a blank reason', $$close_wallet('w', E' \t\r\n')$$),
    ('reason', 'a reason of 1001 characters', $$close_wallet('w', repeat('é', 1001))$$),
    ('idempotency_key', 'a blank key', $$close_wallet('w', 'x', ' ')$$),
    ('metadata', 'an array', $$close_wallet('w', 'x', 'k', '[]')$$)
  ) as c(field, name, call);
select refuses($$close_wallet('nobody', 'x')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');
set local role baseledger_agent;
select throws_ok($$select baseledger.close_wallet('w', 'x')$$, '42501', null, 'agents may not');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
