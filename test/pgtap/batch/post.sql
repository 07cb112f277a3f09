-- post: a batch of commands for one wallet, executed in order.
begin;
select plan(170);

do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.reserve('w', 100, 'old', '1 hour');
end
$$;

set local role baseledger_agent;

-- Receipts and refusals -------------------------------------------------------------------------

create temp table batch as select $json$[
  {"op": "reserve", "amount": 100, "idempotency_key": "k1", "ttl": 60, "reservation_id": "r1",
    "at_least": 1, "metadata": {"step": 1}},
  {"op": "settle", "reservation_id": "r1", "amount": 30, "idempotency_key": "k2", "final": false,
    "metadata": {"step": 2}},
  {"op": "extend", "reservation_id": "r1", "ttl": 120, "amount": 50, "idempotency_key": "k3",
    "metadata": {"step": 3}},
  {"op": "charge", "amount": 5, "idempotency_key": "k4", "reservation_id": "r2",
    "metadata": {"step": 4}},
  {"op": "reserve", "amount": 9999, "idempotency_key": "k5"},
  {"op": "cancel", "reservation_id": "r1", "idempotency_key": "k6", "metadata": {"step": 6}},
  {"op": "credit", "amount": 1, "idempotency_key": "k7"},
  {"op": "settle", "reservation_id": "old", "amount": 100, "idempotency_key": "k8"},
  {"op": "reserve", "amount": 1, "idempotency_key": "k9"}
]$json$::jsonb as commands;
create temp table first as select baseledger.post('w', commands) as receipt from batch;

select is(array_agg(tap.as_json(receipt)), array[
  '{
    "wallet_id": "w", "seq": 4, "event": "reserved", "reservation_id": "r1", "amount": 100,
    "available": 800, "reserved": 200, "spent": 0, "ttl": 60, "idempotency_key": "k1",
    "replayed": false
  }', '{
    "wallet_id": "w", "seq": 5, "event": "settled", "reservation_id": "r1", "amount": 30,
    "available": 800, "reserved": 170, "spent": 30, "idempotency_key": "k2", "replayed": false,
    "open": true
  }', '{
    "wallet_id": "w", "seq": 6, "event": "extended", "reservation_id": "r1", "amount": -20,
    "available": 820, "reserved": 150, "spent": 30, "ttl": 120, "idempotency_key": "k3",
    "replayed": false
  }', '{
    "wallet_id": "w", "seq": 7, "event": "charged", "reservation_id": "r2", "amount": 5,
    "available": 815, "reserved": 150, "spent": 35, "idempotency_key": "k4", "replayed": false
  }', '{
    "wallet_id": "w", "reservation_id": "k5", "idempotency_key": "k5", "replayed": false,
    "refused": "LGNSF", "detail": {
      "requested": 9999, "available": 815, "reserved": 150, "shortfall": 9184,
      "reason": "exhausted", "retry_at": null
    }
  }', '{
    "wallet_id": "w", "seq": 8, "event": "cancelled", "reservation_id": "r1", "amount": 50,
    "available": 865, "reserved": 100, "spent": 35, "idempotency_key": "k6", "replayed": false
  }', '{
    "wallet_id": "w", "idempotency_key": "k7", "replayed": false, "refused": "LGUNK",
    "detail": {"op": "credit"}
  }', '{
    "wallet_id": "w", "seq": 9, "event": "settled", "reservation_id": "old", "amount": 100,
    "available": 865, "reserved": 0, "spent": 135, "idempotency_key": "k8", "replayed": false
  }', '{
    "wallet_id": "w", "seq": 10, "event": "reserved", "reservation_id": "k9", "amount": 1,
    "available": 864, "reserved": 1, "spent": 135, "ttl": 600, "idempotency_key": "k9",
    "replayed": false
  }'
]::jsonb[], 'a batch returns a receipt or a refusal for each command, and no refusal stops it')
  from first;

select is(
  array_agg(distinct tap.on_record('w', (receipt).seq) ->> 'actor'), array[session_user || ' as baseledger_agent'],
  'the event records who asked'
) from first where (receipt).refused is null;
select is(
  array_agg(tap.on_record('w', s.n) -> 'metadata'),
  array['{"step": 1}', '{"step": 2}', '{"step": 3}', '{"step": 4}', '{"step": 6}', '{}',
    '{}']::jsonb[],
  'each event records the metadata of its command'
) from generate_series(4, 10) as s(n);

select changes_nothing($$select baseledger.post('w', commands) from batch$$,
  'a retried batch writes nothing');
select results_eq(
  $$select to_jsonb(r) from batch, baseledger.post('w', commands) as r
    where r.refused is null$$,
  $$select to_jsonb(receipt) || '{"replayed": true}' from first where (receipt).refused is null$$,
  'a retried batch gets the first receipts, with the balances of those events'
);
select is(
  tap.posted('w', '[
    {"op": "charge", "amount": 1, "idempotency_key": "new"},
    {"op": "settle", "reservation_id": "r1", "amount": 30, "idempotency_key": "k2", "final": false,
      "metadata": {"step": 2}},
    {"op": "charge", "amount": 2, "idempotency_key": "newer"}
  ]'),
  array['#11 charged 1: 863/1/136', '#5 settled 30: 800/170/30 again', '#12 charged 2: 861/1/138'],
  'a batch can mix retries and new commands'
);
select is(tap.as_json(baseledger.settle('w', 'old', 100, 'k8')), '{
  "wallet_id": "w", "seq": 9, "event": "settled", "reservation_id": "old", "amount": 100,
  "available": 865, "reserved": 0, "spent": 135, "idempotency_key": "k8", "replayed": true
}', 'a single command can be a retry of one in a batch');
select is(
  (select array_agg(distinct r.wallet_id) from baseledger.post('w', '[
    {"op": "charge", "amount": 1, "idempotency_key": "new"}, {"op": "charge"}, {}
  ]') as r),
  array['w'], 'each row names the wallet'
);

-- The call as such ------------------------------------------------------------------------------

select is_empty($$select * from baseledger.post('w', '[]')$$, 'an empty batch returns no rows');
select changes_nothing($$select baseledger.post('w', '[]')$$, 'an empty batch writes nothing');

select refuses(
  format('post(%s, %s)', c.wallet_id, c.commands), c.code, c.detail::jsonb, 'refused: ' || c.name
) from (values
    ('no commands', $$'w'$$, 'null', 'LGARG', '{"field": "commands"}'),
    ('JSON''s null', $$'w'$$, $$'null'$$, 'LGARG', '{"field": "commands"}'),
    ('an object', $$'w'$$, $$'{"op": "charge", "amount": 1, "idempotency_key": "x"}'$$, 'LGARG',
      '{"field": "commands"}'),
    ('a string', $$'w'$$, $$'"[]"'$$, 'LGARG', '{"field": "commands"}'),
    ('a number', $$'w'$$, $$'1'$$, 'LGARG', '{"field": "commands"}'),
    ('a number among the commands', $$'w'$$,
      $$'[{"op": "charge", "amount": 1, "idempotency_key": "x"}, 1]'$$, 'LGARG',
      '{"field": "commands"}'),
    ('a null among them', $$'w'$$, $$'[null]'$$, 'LGARG', '{"field": "commands"}'),
    ('an array of arrays', $$'w'$$,
      $$'[[{"op": "charge", "amount": 1, "idempotency_key": "x"}]]'$$, 'LGARG',
      '{"field": "commands"}'),
    ('10,001 commands', $$'w'$$, $$(select jsonb_agg('{}'::jsonb) from generate_series(1, 10001))$$,
      'LGARG', '{"field": "commands"}'),
    ('no wallet', 'null', $$'[]'$$, 'LGARG', '{"field": "wallet_id"}'),
    ('no wallet, but commands', 'null', $$'[{}]'$$, 'LGARG', '{"field": "wallet_id"}'),
    ('a blank wallet id', $$' '$$, $$'[{}]'$$, 'LGARG', '{"field": "wallet_id"}'),
    ('a wallet id of 256', $$repeat('x', 256)$$, $$'[]'$$, 'LGARG', '{"field": "wallet_id"}'),
    ('an unknown wallet', $$'nobody'$$, $$'[{}]'$$, 'LGWNF', '{"wallet_id": "nobody"}'),
    ('an unknown wallet without commands', $$'nobody'$$, $$'[]'$$, 'LGWNF',
      '{"wallet_id": "nobody"}')
  ) as c(name, wallet_id, commands, code, detail);

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('many', 10000);
  perform tap.wallet('dots', 100);
end
$$;
set local role baseledger_agent;

select results_eq(
  $$select count(*), count(distinct r.seq), min(r.seq), max(r.seq), min(r.available),
      count(r.refused)
    from baseledger.post('many', (
      select jsonb_agg(jsonb_build_object(
          'op', case n % 2 when 0 then 'charge' else 'reserve' end, 'amount', 1,
          'idempotency_key', 'k' || n
        ) order by n)
        from generate_series(1, 10000) as s(n)
    )) as r$$,
  $$values (10000::bigint, 10000::bigint, 3::bigint, 10002::bigint, 0::bigint, 0::bigint)$$,
  'a batch takes 10,000 commands'
);
select is(tap.balances('many'), '0/5000/5000', 'all 10,000 commands are executed');

-- The wallet's row is written once a batch, and not at all when nothing is granted.
create temp table written as
  select pg_stat_get_xact_tuples_updated('baseledger.wallets'::regclass) as rows;
do $$
begin
  perform baseledger.post('dots', (
    select jsonb_agg(jsonb_build_object('op', 'charge', 'amount', 1, 'idempotency_key', 'k' || n))
      from generate_series(1, 50) as s(n)
  ));
  perform baseledger.post('dots', '[
    {"op": "charge", "amount": 0, "idempotency_key": "x"},
    {"op": "charge", "amount": 1, "idempotency_key": "k1"},
    {"op": "charge", "amount": 51, "idempotency_key": "y"}
  ]');
end
$$;
select is(
  pg_stat_get_xact_tuples_updated('baseledger.wallets'::regclass) - rows, 1::bigint,
  'a batch writes the wallet''s row once'
) from written;

-- Strict parsing --------------------------------------------------------------------------------

set local role baseledger_operator;
do $$ begin perform tap.wallet('read', 9223372036854775807); end $$;
set local role baseledger_agent;

-- An amount is an integer, as a JSON number or a string of digits.
select is(
  tap.as_json(r) -> case when c.amount_read is null then 'detail' else 'amount' end,
  coalesce(c.amount_read, '{"field": "amount"}')::jsonb,
  'an amount of ' || c.amount
) from (values
    ('1', '1'), ('"2"', '2'), ('3.0', '3'), ('4.000', '4'), ('1e3', '1000'), ('5E+0', '5'),
    ('0.6e1', '6'), ('70e-1', '7'), ('"0008"', '8'),
    ('9007199254740993', '9007199254740993'), ('"9007199254740995"', '9007199254740995'),
    ('999999999999999999', '999999999999999999'), ('"1000000000000000000"', '1000000000000000000'),
    ('10.5', null), ('0.1', null), ('1e-1', null), ('"10.5"', null), ('"3.0"', null),
    ('"1e3"', null), ('"0x10"', null), ('"1_000"', null), ('" 10"', null), ('"10 "', null),
    ('"10\n"', null), ('"+10"', null), ('"-"', null), ('""', null), ('"ten"', null),
    ('"NaN"', null), ('"Infinity"', null), ('"٣"', null), ('"１"', null),
    ('0', null), ('-0', null), ('"0"', null), ('-1', null), ('"-1"', null), ('-1.0', null),
    ('9223372036854775808', null), ('"9223372036854775808"', null), ('-9223372036854775808', null),
    ('-9223372036854775809', null), ('"-9223372036854775809"', null), ('1e19', null),
    ('1e400', null), ('1e-400', null), ('"99999999999999999999999999"', null),
    ('true', null), ('false', null), ('null', null), ('[1]', null), ('{"amount": 1}', null)
  ) as c(amount, amount_read)
  cross join lateral baseledger.post('read', jsonb_build_array(jsonb_build_object(
    'op', 'charge', 'amount', c.amount::jsonb, 'idempotency_key', 'amount ' || c.amount
  ))) as r;
select is(
  tap.posted('many', '[
    {"op": "settle", "reservation_id": "k1", "amount": 9223372036854775807, "idempotency_key": "x"},
    {"op": "settle", "reservation_id": "k1", "amount": "9223372036854775806",
      "idempotency_key": "y"},
    {"op": "settle", "reservation_id": "k1", "amount": -0, "idempotency_key": "z"}
  ]'),
  array['LGOVF', 'LGOVF', '#10003 settled 0: 1/4999/5000'],
  'the largest amounts are parsed to the last digit, and a settlement can be 0'
);

select is(
  tap.as_json(r) -> 'detail', '{"field": "amount"}', 'an extension to ' || c.amount
) from (values ('10.5'), ('"1e1"'), ('""'), ('true'), ('[]'), ('9223372036854775808')) as c(amount)
  cross join lateral baseledger.post('many', jsonb_build_array(jsonb_build_object(
    'op', 'extend', 'reservation_id', 'k3', 'ttl', 60, 'amount', c.amount::jsonb,
    'idempotency_key', 'x'
  ))) as r;

-- A time to live is a number of seconds, or an interval.
select is(
  tap.as_json(r) -> case when c.ttl_read is null then 'detail' else 'ttl' end,
  coalesce(c.ttl_read, '{"field": "ttl"}')::jsonb,
  'a time to live of ' || c.ttl
) from (values
    ('1', '1'), ('60', '60'), ('1.5', '1.5'), ('6e1', '60'), ('"60"', '60'), ('"1.25"', '1.25'),
    ('"90 seconds"', '90'), ('"PT1M30S"', '90'), ('"1 day"', '86400'), ('"1 month"', '2592000'),
    ('"00:10"', '600'), ('2592000', '2592000'), ('"720:00:00"', '2592000'), ('null', '600'),
    ('0', null), ('0.5', null), ('0.999999', null), ('-1', null), ('-60', null), ('2592001', null),
    ('2592000.000001', null), ('99999999', null), ('1e20', null), ('1e400', null), ('-1e400', null),
    ('"0"', null), ('"-5"', null), ('"soon"', null), ('""', null), ('" "', null),
    ('"999999999 years"', null), ('"99999999999999999999"', null), ('"1 year"', null),
    ('"31 days"', null), ('"infinity"', null), ('"-infinity"', null), ('"now"', null),
    ('true', null), ('[60]', null), ('{"seconds": 60}', null)
  ) as c(ttl, ttl_read)
  cross join lateral baseledger.post('read', jsonb_build_array(jsonb_build_object(
    'op', 'reserve', 'amount', 1, 'ttl', c.ttl::jsonb, 'idempotency_key', 'ttl ' || c.ttl
  ))) as r;

-- The other fields: names are strings, final is a boolean, metadata is an object.
select is(
  jsonb_build_array(r.refused, facts(r.refused, r.detail)), c.refusal::jsonb, 'refused: ' || c.name
) from (values
    ('no op', '["LGARG", {"field": "op"}]', '{"amount": 1, "idempotency_key": "x"}'),
    ('an op of null', '["LGARG", {"field": "op"}]', '{"op": null, "idempotency_key": "x"}'),
    ('an op that is a number', '["LGARG", {"field": "op"}]', '{"op": 1, "idempotency_key": "x"}'),
    ('an op that is an object', '["LGARG", {"field": "op"}]',
      '{"op": {"op": "charge"}, "amount": 1, "idempotency_key": "x"}'),
    ('an empty command', '["LGARG", {"field": "op"}]', '{}'),
    ('an empty op', '["LGUNK", {"op": ""}]', '{"op": "", "amount": 1, "idempotency_key": "x"}'),
    ('an op in capitals', '["LGUNK", {"op": "Charge"}]',
      '{"op": "Charge", "amount": 1, "idempotency_key": "x"}'),
    ('an unknown op', '["LGUNK", {"op": "chargé"}]', '{"op": "chargé", "foo": 1}'),
    ('a key that is a number', '["LGARG", {"field": "idempotency_key"}]',
      '{"op": "charge", "amount": 1, "idempotency_key": 7}'),
    ('a key that is a boolean', '["LGARG", {"field": "idempotency_key"}]',
      '{"op": "charge", "amount": 1, "idempotency_key": true}'),
    ('a key that is an object', '["LGARG", {"field": "idempotency_key"}]',
      '{"op": "charge", "amount": 1, "idempotency_key": {}}'),
    ('no key', '["LGARG", {"field": "idempotency_key"}]',
      '{"op": "charge", "amount": 1, "reservation_id": "r"}'),
    ('a key of null', '["LGARG", {"field": "idempotency_key"}]',
      '{"op": "charge", "amount": 1, "idempotency_key": null}'),
    ('a blank key', '["LGARG", {"field": "idempotency_key"}]',
      '{"op": "charge", "amount": 1, "idempotency_key": " \t\r\n"}'),
    ('a reservation id that is a number', '["LGARG", {"field": "reservation_id"}]',
      '{"op": "cancel", "reservation_id": 7, "idempotency_key": "x"}'),
    ('a reservation id that is an array', '["LGARG", {"field": "reservation_id"}]',
      '{"op": "charge", "amount": 1, "reservation_id": [], "idempotency_key": "x"}'),
    ('no reservation id', '["LGARG", {"field": "reservation_id"}]',
      '{"op": "cancel", "idempotency_key": "x"}'),
    ('an empty reservation id', '["LGARG", {"field": "reservation_id"}]',
      '{"op": "charge", "amount": 1, "reservation_id": "", "idempotency_key": "x"}'),
    ('an at_least of 0', '["LGARG", {"field": "at_least"}]',
      '{"op": "reserve", "amount": 5, "at_least": 0, "idempotency_key": "x"}'),
    ('an at_least above the amount', '["LGARG", {"field": "at_least"}]',
      '{"op": "reserve", "amount": 5, "at_least": "6", "idempotency_key": "x"}'),
    ('an at_least that is not an integer', '["LGARG", {"field": "at_least"}]',
      '{"op": "reserve", "amount": 5, "at_least": 1.5, "idempotency_key": "x"}'),
    ('an at_least that is a boolean', '["LGARG", {"field": "at_least"}]',
      '{"op": "reserve", "amount": 5, "at_least": true, "idempotency_key": "x"}'),
    ('a final that is a string', '["LGARG", {"field": "final"}]',
      '{"op": "settle", "reservation_id": "r", "amount": 1, "idempotency_key": "x",
        "final": "true"}'),
    ('a final that is a number', '["LGARG", {"field": "final"}]',
      '{"op": "settle", "reservation_id": "r", "amount": 1, "idempotency_key": "x", "final": 0}'),
    ('no amount', '["LGARG", {"field": "amount"}]',
      '{"op": "settle", "reservation_id": "r", "idempotency_key": "x"}'),
    ('no time to live', '["LGARG", {"field": "ttl"}]',
      '{"op": "extend", "reservation_id": "r", "idempotency_key": "x"}'),
    ('metadata that is an array', '["LGARG", {"field": "metadata"}]',
      '{"op": "charge", "amount": 1, "idempotency_key": "x", "metadata": []}'),
    ('metadata that is a string', '["LGARG", {"field": "metadata"}]',
      '{"op": "charge", "amount": 1, "idempotency_key": "x", "metadata": "{}"}'),
    ('metadata of a megabyte', '["LGARG", {"field": "metadata"}]',
      format('{"op": "charge", "amount": 1, "idempotency_key": "x", "metadata": {"x": "%s"}}',
        repeat('x', 1048576)))
  ) as c(name, refusal, command)
  cross join lateral baseledger.post('read', jsonb_build_array(c.command::jsonb)) as r;

-- A field that the command does not have is refused: misspelt, of another command, even null.
select is(
  tap.as_json(r) -> 'detail', jsonb_build_object('field', c.field),
    'an unknown field is refused: ' || c.command
) from (values
    ('ammount', '{"op": "charge", "amount": 1, "idempotency_key": "x", "ammount": 1}'),
    ('ammount', '{"op": "charge", "ammount": 1, "idempotency_key": "x"}'),
    ('Amount', '{"op": "charge", "Amount": 1, "idempotency_key": "x"}'),
    ('p_amount', '{"op": "charge", "p_amount": 1, "idempotency_key": "x"}'),
    ('wallet_id', '{"op": "charge", "amount": 1, "idempotency_key": "x", "wallet_id": "read"}'),
    ('', '{"op": "charge", "amount": 1, "idempotency_key": "x", "": 1}'),
    ('ttl', '{"op": "charge", "amount": 1, "idempotency_key": "x", "ttl": 60}'),
    ('at_least', '{"op": "charge", "amount": 1, "idempotency_key": "x", "at_least": null}'),
    ('final', '{"op": "reserve", "amount": 1, "idempotency_key": "x", "final": true}'),
    ('ttl', '{"op": "settle", "reservation_id": "r", "amount": 1, "ttl": 1}'),
    ('amount', '{"op": "cancel", "reservation_id": "r", "amount": 1, "idempotency_key": "x"}'),
    ('at_least', '{"op": "extend", "reservation_id": "r", "ttl": 60, "at_least": 1}')
  ) as c(field, command)
  cross join lateral baseledger.post('read', jsonb_build_array(c.command::jsonb)) as r;

select is(
  array(select tap.as_json(r) || '{"replayed": "?"}' from baseledger.post('read', '[
    {"op": "reserve", "amount": 10, "idempotency_key": "n1", "reservation_id": null, "ttl": null,
      "at_least": null, "metadata": null},
    {"op": "extend", "reservation_id": "n1", "ttl": 60, "idempotency_key": "n2", "amount": null,
      "metadata": null},
    {"op": "settle", "reservation_id": "n1", "amount": 10, "idempotency_key": "n3", "final": null,
      "metadata": null}
  ]') as r),
  array(select tap.as_json(r) || '{"replayed": "?"}' from baseledger.post('read', '[
    {"op": "reserve", "amount": 10, "idempotency_key": "n1"},
    {"op": "extend", "reservation_id": "n1", "ttl": 60, "idempotency_key": "n2"},
    {"op": "settle", "reservation_id": "n1", "amount": 10, "idempotency_key": "n3"}
  ]') as r),
  'a null field is the same as a missing one'
);

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
