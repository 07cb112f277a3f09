-- set_low_balance: amounts below which funds alert.
begin;
select plan(37);

do $$ begin perform tap.wallet('w', 1000); end $$;
create function tap.low_balances(p_wallet_id text) returns text
language sql stable security definer as $$
  select format('%s below %s', w.low_balances, array(select unnest(w.below) order by 1))
    from baseledger.wallets w where w.wallet_id = p_wallet_id
$$;
create function tap.low_alerts(p_wallet_id text) returns text[]
language sql stable security definer as $$
  select array_agg(format('#%s.%s %s: %s', a.seq, a.number, a.threshold, a.value)
      order by a.seq, a.number)
    from baseledger.raised_alerts a
    where a.wallet_id = p_wallet_id and a.kind = 'low_balance' and a.amount = a.threshold
$$;

set local role baseledger_operator;

create temp table first as
  select baseledger.set_low_balance('w', '{500,900,2000}', 'k1', '{"by": "ops"}') as receipt;
select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 3, "event": "low_balance_set", "available": 1000, "reserved": 0,
  "spent": 0, "idempotency_key": "k1", "replayed": false
}', 'a low balance is an event that moves nothing') from first;
select is(tap.on_record('w', 3) -> 'details', '{"amounts": [500, 900, 2000]}',
  'the event has the amounts');
select is(tap.low_balances('w'), '{500,900,2000} below {2000}', 'they are watched');
select is(tap.low_alerts('w'), null, 'setting alerts nothing');
select is(to_jsonb(baseledger.set_low_balance('w', '{2000,900,500}', 'k1', '{"by": "ops"}')),
  to_jsonb(receipt) || '{"replayed": true}', 'a retry gets the first receipt, in whatever order')
  from first;
select changes_nothing(
  $$select baseledger.set_low_balance('w', '{500,900,2000}', 'k1', '{"by": "ops"}')$$,
  'a retry writes nothing');
select refuses($$set_low_balance('w', '{500}', 'k1', '{"by": "ops"}')$$, 'LGIDK',
  '{"field": "amounts", "stored": [500, 900, 2000], "given": [500]}',
  'a key is refused for other amounts');

-- Alerts
select is(tap.posted_funds('w', '[
  {"op": "charge", "amount": 100, "idempotency_key": "1"},
  {"op": "reserve", "amount": 800, "idempotency_key": "2"},
  {"op": "charge", "amount": 1, "idempotency_key": "3"},
  {"op": "charge", "amount": 1, "idempotency_key": "4"},
  {"op": "credit", "amount": 1, "idempotency_key": "5"},
  {"op": "credit", "amount": 1, "idempotency_key": "6"},
  {"op": "withdraw", "amount": 1, "idempotency_key": "7"},
  {"op": "settle", "reservation_id": "2", "amount": 400, "idempotency_key": "8"}
]'), array['#4 charged 100: 900/0/100', '#5 reserved 800: 100/800/100',
  '#6 charged 1: 99/800/101', '#7 charged 1: 98/800/102', '#8 credited 1: 99/800/102',
  '#9 credited 1: 100/800/102', '#10 withdrawn 1: 99/800/102', '#11 settled 400: 499/0/502'],
  'funds fall below amounts, and rise');
select is(tap.low_alerts('w'), '{"#11.1 900: 899","#11.2 900: 899","#11.3 500: 499"}',
  'each time they fall below one, not when they stay there, nor by a reservation');
select is(tap.low_balances('w'), '{500,900,2000} below {500,900,2000}',
  'it is known which they are below');
do $$ begin perform baseledger.credit('w', 2000, 'rich'); end $$;
select is(tap.low_balances('w'), '{500,900,2000} below {}', 'a credit ends it');
do $$ begin perform baseledger.charge('w', 2000, 'poor'); end $$;
select is((tap.low_alerts('w'))[4:], '{"#13.1 500: 499","#13.2 900: 499","#13.3 2000: 499"}',
  'then they alert again, all that one command crosses');
do $$ begin perform baseledger.set_low_balance('w', '{400,450}'); end $$;
select is(tap.low_balances('w'), '{400,450} below {}', 'amounts are replaced');
do $$
begin
  perform baseledger.reserve('w', 100, 'r', '1 hour');
  perform tap.due_after('w', 'r', 0);
  perform baseledger.charge('w', 60, 'c');
end
$$;
select is((tap.low_alerts('w'))[7:], '{"#17.1 450: 439"}', 'an expiry alerts nothing');
do $$ begin perform baseledger.set_low_balance('w', null); end $$;
select is(tap.low_balances('w'), ' below {}', 'null takes them back');
do $$ begin perform baseledger.charge('w', 400, 'last'); end $$;
select is(cardinality(tap.low_alerts('w')), 7, 'nothing alerts then');
select is(tap.on_record('w', 18) -> 'details' -> 'amounts', '[]', 'the event says none');
do $$ begin perform baseledger.set_low_balance('w', '{}'); end $$;
select is(tap.low_balances('w'), ' below {}', 'an empty list as well');

do $$
begin
  perform tap.wallet('edge', 100);
  perform baseledger.set_low_balance('edge', '{100,101}');
end
$$;
select is(tap.low_balances('edge'), '{100,101} below {101}', 'funds of an amount are not below it');
do $$
begin
  perform tap.wallet('reserved', 100);
  perform baseledger.reserve('reserved', 60, 'r', '1 hour');
  perform baseledger.set_low_balance('reserved', '{100}');
end
$$;
select is(tap.low_balances('reserved'), '{100} below {}', 'what is reserved is there');

-- Bad input
create temp table unchanged as select tap.digest();
select refuses(c.call, 'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name)
  from (values
    ('no wallet', 'wallet_id', $$set_low_balance(null, '{1}')$$),
    ('an amount of 0', 'amounts', $$set_low_balance('w', '{0}')$$),
    ('an amount below 0', 'amounts', $$set_low_balance('w', '{5,-1}')$$),
    ('a null among them', 'amounts', $$set_low_balance('w', '{5,null}')$$),
    ('an amount twice', 'amounts', $$set_low_balance('w', '{5,5}')$$),
    ('a table', 'amounts', $$set_low_balance('w', '{{5},{6}}')$$),
    ('eleven amounts', 'amounts', $$set_low_balance('w', '{1,2,3,4,5,6,7,8,9,10,11}')$$),
    ('a blank key', 'idempotency_key', $$set_low_balance('w', '{1}', ' ')$$),
    ('a key of 256', 'idempotency_key', $$set_low_balance('w', '{1}', repeat('x', 256))$$),
    ('metadata that is no object', 'metadata', $$set_low_balance('w', '{1}', null, '[]')$$)
  ) as c(name, field, call);
select refuses($$set_low_balance('nobody', '{1}')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');
select is(tap.digest(), (select digest from unchanged), 'refusals change nothing');
select lives_ok($$select baseledger.set_low_balance('w', '{1,2,3,4,5,6,7,8,9,9223372036854775807}')$$,
  'ten amounts, and the largest, are accepted');
do $$ begin perform baseledger.close_wallet('w', 'the end'); end $$;
select refuses($$set_low_balance('w', '{1}')$$, 'LGCLO', '{"wallet_id": "w"}',
  'a closed wallet gets none');
select ok((baseledger.set_low_balance('w', '{500,900,2000}', 'k1', '{"by": "ops"}')).replayed,
  'a retry still gets its receipt');
set local role baseledger_agent;
select throws_ok($$select baseledger.set_low_balance('w', '{1}')$$, '42501', null,
  'an agent may not set them');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
