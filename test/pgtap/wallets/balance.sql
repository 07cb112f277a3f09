-- balance: what a wallet has now; reservations past their deadline count as returned.
begin;
select plan(17);

do $$
begin
  perform tap.wallet('w', 1000, 500);
  perform baseledger.open_wallet('t', 'tokens', 0);
  perform baseledger.reserve('w', 100, 'open', '10 hours');
  perform baseledger.reserve('w', 200, 'due', '1 hour');
  perform baseledger.reserve('w', 300, 'part', '1 hour');
  perform baseledger.settle('w', 'part', 50, 's1', false);
  perform baseledger.reserve('w', 10, 'used', '1 hour');
  perform baseledger.settle('w', 'used', 15, 's2', false);
end
$$;

set local role baseledger_agent;

select is(to_jsonb(b) - 'as_of', '{
  "wallet_id": "w", "unit": "USD", "scale": 9, "available": 385, "reserved": 550, "spent": 65,
  "overdraft_limit": 500, "frozen": false, "seq": 8
}', 'the balance has the amounts, the terms and the last event') from baseledger.balance('w') as b;
select ok((b).as_of between now() and clock_timestamp(), 'as_of is now')
  from baseledger.balance('w') as b;
select is(to_jsonb(b) - 'as_of', '{
  "wallet_id": "t", "unit": "tokens", "scale": 0, "available": 0, "reserved": 0, "spent": 0,
  "overdraft_limit": null, "frozen": false, "seq": 1
}', 'a wallet that was just opened has zero balances') from baseledger.balance('t') as b;
select changes_nothing($$select baseledger.balance('w')$$, 'it writes nothing');

-- By deadline, whether or not a worker runs.
do $$ begin perform tap.travel_back('w', '2 hours'); end $$;
select is(to_jsonb(b) - 'as_of', '{
  "wallet_id": "w", "unit": "USD", "scale": 9, "available": 835, "reserved": 100, "spent": 65,
  "overdraft_limit": 500, "frozen": false, "seq": 8
}', 'a reservation past its deadline counts as returned with what it still held')
  from baseledger.balance('w') as b;
select changes_nothing($$select baseledger.balance('w')$$, 'balance writes no expiry');
set local role baseledger_worker;
do $$ begin perform baseledger.expire_due(); end $$;
set local role baseledger_operator;
select is(tap.balances('w'), '835/100/65', 'the balance is the same after the sweep');

-- Exactly at the deadline.
do $$
begin
  perform tap.wallet('at', 100);
  perform baseledger.reserve('at', 60, 'a', '1 hour');
  perform baseledger.reserve('at', 30, 'b', '1 hour');
  perform tap.due_after('at', 'a', -1);
  perform tap.due_after('at', 'b', 0);
end
$$;
select is(tap.balances('at'), '70/30/0',
  'a reservation is returned at its deadline, and not just before it');
select is((baseledger.balance('at')).as_of, tap.last_event_at('at'),
  'as_of is never before the last event');

do $$
begin
  perform baseledger.settle('w', 'open', 1000, 's3');
  perform baseledger.freeze_wallet('w', 'a test');
end
$$;
set local role baseledger_auditor;
select is(to_jsonb(b) - 'as_of', '{
  "wallet_id": "w", "unit": "USD", "scale": 9, "available": -65, "reserved": 0, "spent": 1065,
  "overdraft_limit": 500, "frozen": true, "seq": 13
}', 'a wallet can be overdrawn and frozen') from baseledger.balance('w') as b;

reset role;
do $$
begin
  perform tap.wallet('max', 9223372036854775807);
  perform baseledger.reserve('max', 9223372036854775807, 'r', '1 hour');
  perform tap.travel_back('max', '2 hours');
end
$$;
set local role baseledger_agent;
select is(tap.balances('max'), '9223372036854775807/0/0',
  'the largest amount is returned at its deadline');

select refuses(c.call, c.code, c.detail::jsonb, 'refused: ' || c.name) from (values
  ('no wallet', 'balance(null)', 'LGARG', '{"field": "wallet_id"}'),
  ('an empty id', $$balance('')$$, 'LGARG', '{"field": "wallet_id"}'),
  ('a blank id', $$balance(E' \t\n')$$, 'LGARG', '{"field": "wallet_id"}'),
  ('an id of 256', $$balance(repeat('x', 256))$$, 'LGARG', '{"field": "wallet_id"}'),
  ('an unknown wallet', $$balance('nobody')$$, 'LGWNF', '{"wallet_id": "nobody"}')
) as c(name, call, code, detail);

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
