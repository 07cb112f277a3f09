-- The operator opens a wallet in nano-dollars and credits 10 dollars.
select event, available from baseledger.open_wallet('acme');
select event, amount, available from baseledger.credit('acme', 10000000000, 'invoice-17');

-- The agent, before a call: hold the most that it may cost.
select event, amount, available, reserved, replayed
  from baseledger.reserve('acme', 250000000, 'call-1', p_ttl => '2 minutes');

-- The answer was lost? Send it again: nothing is held twice.
select event, amount, available, reserved, replayed
  from baseledger.reserve('acme', 250000000, 'call-1', p_ttl => '2 minutes');

-- After the call: book what it cost. The rest is available again.
select event, amount, available, reserved, spent
  from baseledger.settle('acme', 'call-1', 181500000, 'call-1-cost');

-- More than there is: refused, and nothing changes.
select * from baseledger.reserve('acme', 99000000000, 'call-2');

-- Or take what is there, and lower the output limit of the call accordingly.
select amount, available from baseledger.reserve('acme', 99000000000, 'call-3', p_at_least => 1);
select event, amount, available from baseledger.cancel('acme', 'call-3', 'call-3-cancel');

-- Many commands in one round trip: one lock, one commit; each is granted or refused separately.
select seq, event, reservation_id, amount, available, refused from baseledger.post('acme', '[
  {"op": "reserve", "idempotency_key": "call-4", "amount": 400000000, "ttl": 120},
  {"op": "settle", "idempotency_key": "call-4-cost", "reservation_id": "call-4", "amount": 350000000},
  {"op": "cancel", "idempotency_key": "call-1-cancel", "reservation_id": "call-1"}
]');

-- The auditor: what happened, and is it sound?
select seq, event, amount, available, reserved, spent
  from baseledger.journal where wallet_id = 'acme' order by seq;
select account, sum(amount) from baseledger.postings where wallet_id = 'acme'
  group by account order by account;
select * from baseledger.verify();
