-- wallet_balances: every wallet with its balances now, as balance() answers.
begin;
select plan(8);

set local role baseledger_auditor;
select is_empty('select * from baseledger.wallet_balances', 'it is empty without wallets');

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
  -- the clock was ahead: 60 are due by the time of the last event, and not by the clock
  perform tap.wallet('e', 100);
  perform baseledger.reserve('e', 60, 'a', '1 hour');
  perform tap.travel_back('e', '-26 hours');
  perform baseledger.credit('e', 5, 'more');
end
$$;

set local role baseledger_auditor;
select is(
  array(
    select to_jsonb(w) - 'last_event_at' - 'ahead_by'
      from baseledger.wallet_balances w order by wallet_id
  ),
  array[
    '{"wallet_id": "a", "unit": "USD", "scale": 9, "available": 850, "reserved": 100, "spent": 50,
      "overdraft_limit": 500, "frozen": false, "seq": 6,
      "restricted": false, "closed": false, "limited": false, "low_balances": null}',
    '{"wallet_id": "b", "unit": "USD", "scale": 9, "available": -30, "reserved": 0, "spent": 130,
      "overdraft_limit": null, "frozen": true, "seq": 5,
      "restricted": false, "closed": false, "limited": false, "low_balances": null}',
    '{"wallet_id": "c", "unit": "tokens", "scale": 0, "available": 0, "reserved": 0, "spent": 0,
      "overdraft_limit": null, "frozen": false, "seq": 1,
      "restricted": false, "closed": false, "limited": false, "low_balances": null}',
    '{"wallet_id": "d", "unit": "USD", "scale": 9, "available": 10, "reserved": 0, "spent": 0,
      "overdraft_limit": null, "frozen": false, "seq": 3,
      "restricted": false, "closed": false, "limited": false, "low_balances": null}',
    '{"wallet_id": "e", "unit": "USD", "scale": 9, "available": 45, "reserved": 60, "spent": 0,
      "overdraft_limit": null, "frozen": false, "seq": 4,
      "restricted": false, "closed": false, "limited": false, "low_balances": null}'
  ]::jsonb[],
  'it has every wallet, and a reservation past its deadline counts as returned'
);
select is_empty(
  $$select w.wallet_id from baseledger.wallet_balances w
    cross join lateral baseledger.balance(w.wallet_id) b
    where to_jsonb(w) - '{last_event_at,ahead_by,restricted,closed,limited,low_balances}'::text[]
      <> to_jsonb(b) - 'as_of'$$,
  'its rows are what balance() returns'
);
select is(
  array_agg(w.wallet_id || ' ' || (w.ahead_by = w.last_event_at - statement_timestamp())),
  array['e true'], 'ahead_by is how far the last event is ahead of the clock'
) from baseledger.wallet_balances w where w.ahead_by is not null;
select results_eq(
  'select wallet_id, last_event_at from baseledger.wallet_balances order by wallet_id',
  $$select wallet_id, max(occurred_at) from baseledger.journal group by wallet_id
    order by wallet_id$$,
  'last_event_at is the time of the last event'
);

set local role baseledger_worker;
select is(baseledger.expire_due(), 3, 'the sweep expires what is past its deadline');
set local role baseledger_auditor;
select is(
  array(
    select format('%s/%s/%s', available, reserved, spent)
      from baseledger.wallet_balances order by wallet_id
  ),
  array['850/100/50', '-30/0/130', '0/0/0', '10/0/0', '45/60/0'],
  'the sweep does not change the view'
);

select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
