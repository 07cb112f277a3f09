-- set_limit_for: one combination's own amount. remove_limit: a limit and its counters.
begin;
select plan(51);

do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.set_limit('w', 'day', 100, 'day', '{user}');
  perform baseledger.set_limit('w', 'few', null, 'ever', '{team,user}');
  perform baseledger.set_limit('w', 'all', 1000, 'ever');
  perform baseledger.charge('w', 30, 'c1', p_metadata => '{"user": "ann"}');
end
$$;

set local role baseledger_operator;

-- Own amounts -----------------------------------------------------------------------------------

create temp table first as
  select baseledger.set_limit_for('w', 'day', '{ann}', 50, 'k1', '{"by": "ops"}') as receipt;
select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 7, "event": "limit_set_for", "available": 970, "reserved": 0,
  "spent": 30, "idempotency_key": "k1", "replayed": false
}', 'an own amount is an event that moves nothing') from first;
select is(tap.on_record('w', 7) -> 'details',
  '{"limit_id": "day", "values": ["ann"], "amount": 50}', 'the event says for whom');
select is(to_jsonb(baseledger.set_limit_for('w', 'day', '{ann}', 50, 'k1', '{"by": "ops"}')),
  to_jsonb(receipt) || '{"replayed": true}', 'a retry gets the first receipt') from first;
select changes_nothing(
  $$select baseledger.set_limit_for('w', 'day', '{ann}', 50, 'k1', '{"by": "ops"}')$$,
  'a retry writes nothing');
select is(array[own_amount, amount, used, remaining], '{50,100,30,20}'::bigint[],
  'the combination has its own amount, and what it has used')
  from baseledger.limits('w', 'day');
select is(tap.posted('w', '[
  {"op": "charge", "amount": 21, "idempotency_key": "x", "metadata": {"user": "ann"}},
  {"op": "charge", "amount": 20, "idempotency_key": "y", "metadata": {"user": "ann"}},
  {"op": "charge", "amount": 100, "idempotency_key": "z", "metadata": {"user": "bob"}}
]'), '{LGLIM,"#8 charged 20: 950/0/50","#9 charged 100: 850/0/150"}',
  'its own amount is what it may use, and others have the limit''s');
do $$ begin perform baseledger.set_limit_for('w', 'day', '{ann}', 300); end $$;
select is(tap.posted('w', '[
  {"op": "charge", "amount": 200, "idempotency_key": "x", "metadata": {"user": "ann"}},
  {"op": "charge", "amount": 51, "idempotency_key": "y2", "metadata": {"user": "ann"}}
]'), '{"#11 charged 200: 650/0/350",LGLIM}', 'it may be more than the limit''s');
do $$ begin perform baseledger.set_limit_for('w', 'day', '{ann}', null); end $$;
select is(tap.used('w', 'day'), array['day {ann}: 250 used, 0 held, 0 left',
  'day {bob}: 100 used, 0 held, 0 left'], 'null takes it back');
select is((select own_amount from baseledger.limits('w', 'day') limit 1), null, 'it has none then');
select is(tap.brief(baseledger.set_limit_for('w', 'day', '{nobody}', null)),
  '#13 limit_set_for: 650/0/350', 'taken back where there is none, it is just an event');
select is(array_length(tap.used('w', 'day'), 1), 2, 'and makes no counter');

-- Only own amounts
do $$ begin perform baseledger.set_limit_for('w', 'few', '{a,ann}', 10); end $$;
select is(tap.used('w', 'few'), array[
  'few {"",ann}: 250 used, 0 held, all left', 'few {"",bob}: 100 used, 0 held, all left',
  'few {a,ann}: 0 used, 0 held, 10 left'
], 'a new counter has used nothing');
select is(tap.posted('w', '[
  {"op": "charge", "amount": 11, "idempotency_key": "f1",
    "metadata": {"team": "a", "user": "ann"}},
  {"op": "charge", "amount": 11, "idempotency_key": "f2", "metadata": {"team": "a"}}
]'), '{LGLIM,"#15 charged 11: 639/0/361"}', 'without an amount others are not limited');
do $$ begin perform baseledger.set_limit_for('w', 'few', '{"",""}', 0); end $$;
select is(tap.posted('w', '[
  {"op": "charge", "amount": 1, "idempotency_key": "f3"},
  {"op": "charge", "amount": 1, "idempotency_key": "f4", "metadata": {"team": "", "user": 7}}
]'), '{LGLIM,LGLIM}', 'what has no label has the empty value');

-- An own amount before anything was counted, in a window that ends.
do $$
begin
  perform tap.wallet('later', 100);
  perform baseledger.set_limit('later', 'day', 5, 'day', '{user}');
  perform baseledger.set_limit_for('later', 'day', '{ann}', 10);
  perform tap.travel_back('later', '2 days');
  perform baseledger.charge('later', 10, 'c', p_metadata => '{"user": "ann"}');
end
$$;
select is(tap.used('later'), '{"day {ann}: 10 used, 0 held, 0 left"}', 'it counts in its window');

-- Retries, and bad input ------------------------------------------------------------------------

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('amount', $$set_limit_for('w', 'day', '{ann}', 51, 'k1', '{"by": "ops"}')$$,
      '{"field": "amount", "stored": 50, "given": 51}'),
    ('combination', $$set_limit_for('w', 'day', '{bob}', 50, 'k1', '{"by": "ops"}')$$,
      '{"field": "values", "stored": ["ann"], "given": ["bob"]}'),
    ('limit', $$set_limit_for('w', 'few', '{ann}', 50, 'k1', '{"by": "ops"}')$$,
      '{"field": "limit_id", "stored": "day", "given": "few"}')
  ) as c(name, call, detail);
create temp table unchanged as select tap.digest();
select refuses(c.call, 'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name)
  from (values
    ('no wallet', 'wallet_id', $$set_limit_for(null, 'day', '{ann}', 1)$$),
    ('no limit', 'limit_id', $$set_limit_for('w', null, '{ann}', 1)$$),
    ('an unknown limit', 'limit_id', $$set_limit_for('w', 'none', '{ann}', 1)$$),
    ('an amount below 0', 'amount', $$set_limit_for('w', 'day', '{ann}', -1)$$),
    ('no values', 'values', $$set_limit_for('w', 'day', null, 1)$$),
    ('none at all', 'values', $$set_limit_for('w', 'day', '{}', 1)$$),
    ('none for the wallet as a whole', 'values', $$set_limit_for('w', 'all', '{}', 1)$$),
    ('some for the wallet as a whole', 'values', $$set_limit_for('w', 'all', '{ann}', 1)$$),
    ('too few values', 'values', $$set_limit_for('w', 'few', '{ann}', 1)$$),
    ('too many values', 'values', $$set_limit_for('w', 'day', '{ann,bob}', 1)$$),
    ('a null among them', 'values', $$set_limit_for('w', 'few', '{ann,null}', 1)$$),
    ('a value of 256 bytes', 'values', $$set_limit_for('w', 'day', array[repeat('é', 128)], 1)$$),
    ('a table of values', 'values', $$set_limit_for('w', 'few', '{{a},{b}}', 1)$$),
    ('a blank key', 'idempotency_key', $$set_limit_for('w', 'day', '{ann}', 1, ' ')$$),
    ('no limit to remove', 'limit_id', $$remove_limit('w', null)$$),
    ('an unknown limit to remove', 'limit_id', $$remove_limit('w', 'none')$$),
    ('metadata that is no object', 'metadata', $$remove_limit('w', 'all', null, '[]')$$)
  ) as c(name, field, call);
select refuses(c.call, 'LGWNF', '{"wallet_id": "nobody"}', 'an unknown wallet is refused')
  from (values ($$set_limit_for('nobody', 'day', '{ann}', 1)$$),
    ($$remove_limit('nobody', 'day')$$)) as c(call);
select is(tap.digest(), (select digest from unchanged), 'refusals change nothing');
select lives_ok($$select baseledger.set_limit_for('w', 'day', array[repeat('x', 255)], 1)$$,
  'a value of 255 bytes is accepted');

-- Removing --------------------------------------------------------------------------------------

create temp table removed as select baseledger.remove_limit('w', 'day', 'k2') as receipt;
select is(tap.brief(receipt), '#18 limit_removed: 639/0/361', 'a removal is an event')
  from removed;
select is(tap.used('w', 'day'), null, 'the limit is gone, and its counters');
select ok((baseledger.remove_limit('w', 'day', 'k2')).replayed, 'a retry gets the first receipt');
select refuses($$charge('w', 11, 'new', p_metadata => '{"team": "a", "user": "ann"}')$$, 'LGLIM', '{
  "limit_id": "few", "values": ["a", "ann"], "per": "ever", "of": "amount", "amount": 10, "used": 0,
  "held": 0, "requested": 11, "shortfall": 1, "reason": "exhausted", "retry_at": null,
  "resets_at": null
}', 'the others stay');
do $$ begin perform baseledger.set_limit('w', 'day', 20, 'week', '{user}'); end $$;
select is(tap.used('w', 'day'), '{"day : 0 used, 0 held, 20 left"}',
  'set again, it counts from then on, and own amounts are gone');
do $$
begin
  perform baseledger.remove_limit('w', 'day');
  perform baseledger.remove_limit('w', 'few');
  perform baseledger.close_wallet('w', 'the end');
end
$$;
select refuses($$set_limit_for('w', 'all', '{ann}', 1)$$, 'LGCLO', '{"wallet_id": "w"}',
  'a closed wallet gets no own amounts');
select ok((baseledger.set_limit_for('w', 'day', '{ann}', 50, 'k1', '{"by": "ops"}')).replayed,
  'a retry still gets its receipt');
select is(tap.brief(baseledger.remove_limit('w', 'all')), '#23 limit_removed: 639/0/361',
  'of a closed wallet limits can be removed');
select is_empty($$select * from baseledger.limits('w')$$, 'none is left');
set local role baseledger_agent;
select throws_ok(c.call, '42501', null, 'an agent may not: ' || c.call) from (values
  ($$select baseledger.set_limit_for('w', 'all', '{ann}', 1)$$),
  ($$select baseledger.remove_limit('w', 'all')$$)) as c(call);

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
