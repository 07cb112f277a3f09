-- wallet_balances: every wallet with its balances now, as balance() answers.
begin;
select plan(7);

set local role baseledger_auditor;
select is_empty('select * from baseledger.wallet_balances', 'no wallets, no rows');

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('a', 1000, 500);
  perform baseledger.reserve('a', 100, 'open', '10 hours');
  perform baseledger.reserve('a', 200, 'due', '1 hour');
  perform baseledger.reserve('a', 300, 'part', '1 hour');
  perform baseledger.settle('a', 'part', 50, 's1', false);
  perform tap.travel_back('a', '2 hours');
  perform tap.wallet('b', 100);
  perform baseledger.reserve('b', 10, 'r');
  perform baseledger.settle('b', 'r', 130, 's');
  perform baseledger.freeze_wallet('b', 'a test');
  perform baseledger.open_wallet('c', 'tokens', 0);
  perform tap.wallet('d', 10);
  perform baseledger.reserve('d', 10, 'r', '1 hour');
  perform tap.travel_back('d', '2 hours');
  -- due at its last event, while the clock is behind that
  perform tap.wallet('e', 100);
  perform baseledger.reserve('e', 60, 'a', '1 hour');
  perform baseledger.reserve('e', 30, 'b', '1 hour');
  perform tap.due_after('e', 'a', -1);
  perform tap.due_after('e', 'b', 0);
end
$$;

set local role baseledger_auditor;
select is(
  array(
    select to_jsonb(w) - 'last_event_at' from baseledger.wallet_balances w order by wallet_id
  ),
  array[
    '{"wallet_id": "a", "unit": "USD", "scale": 9, "available": 850, "reserved": 100, "spent": 50,
      "overdraft_limit": 500, "frozen": false, "seq": 6}',
    '{"wallet_id": "b", "unit": "USD", "scale": 9, "available": -30, "reserved": 0, "spent": 130,
      "overdraft_limit": null, "frozen": true, "seq": 5}',
    '{"wallet_id": "c", "unit": "tokens", "scale": 0, "available": 0, "reserved": 0, "spent": 0,
      "overdraft_limit": null, "frozen": false, "seq": 1}',
    '{"wallet_id": "d", "unit": "USD", "scale": 9, "available": 10, "reserved": 0, "spent": 0,
      "overdraft_limit": null, "frozen": false, "seq": 3}',
    '{"wallet_id": "e", "unit": "USD", "scale": 9, "available": 70, "reserved": 30, "spent": 0,
      "overdraft_limit": null, "frozen": false, "seq": 4}'
  ]::jsonb[],
  'every wallet; what is past its deadline counts as returned'
);
select is_empty(
  $$select w.wallet_id from baseledger.wallet_balances w
    cross join lateral baseledger.balance(w.wallet_id) b
    where to_jsonb(w) - 'last_event_at' <> to_jsonb(b) - 'as_of'$$,
  'as balance() answers'
);
select results_eq(
  'select wallet_id, last_event_at from baseledger.wallet_balances order by wallet_id',
  $$select wallet_id, max(occurred_at) from baseledger.journal group by wallet_id
    order by wallet_id$$,
  'and when its last event happened'
);

set local role baseledger_worker;
select is(baseledger.expire_due(), 3, 'the sweep ...');
set local role baseledger_auditor;
select is(
  array(
    select format('%s/%s/%s', available, reserved, spent)
      from baseledger.wallet_balances order by wallet_id
  ),
  array['850/100/50', '-30/0/130', '0/0/0', '10/0/0', '70/30/0'],
  '... changes nothing in it'
);

select is_empty('select * from baseledger.verify()', 'the ledger is sound after all of it');

select * from finish();
rollback;
