-- post_many: a batch of commands for several wallets. What busy wallets get is in
-- test/concurrency/many-wallets.test.ts.
begin;
select plan(118);

do $$
begin
  perform tap.wallet('a', 1000);
  perform tap.wallet('b', 100);
  perform tap.wallet('c', 50);
  perform tap.wallet('idle', 7);
  perform baseledger.reserve('b', 60, 'old', '1 hour');
  perform baseledger.reserve('idle', 5, 'old', '1 hour');
end
$$;

set local role baseledger_agent;

-- Receipts and refusals -------------------------------------------------------------------------

create temp table batch as select $json$[
  {"wallet_id": "b", "op": "settle", "reservation_id": "old", "amount": 70,
    "idempotency_key": "k1", "metadata": {"step": 1}},
  {"wallet_id": "a", "op": "reserve", "amount": 100, "idempotency_key": "k1", "ttl": 60,
    "reservation_id": "r1", "at_least": 1, "metadata": {"step": 2}},
  {"wallet_id": "nobody", "op": "charge", "amount": 1, "idempotency_key": "k1"},
  {"wallet_id": "c", "op": "charge", "amount": 51, "idempotency_key": "k1"},
  {"wallet_id": "a", "op": "settle", "reservation_id": "r1", "amount": 30, "final": false,
    "idempotency_key": "k2"},
  {"wallet_id": "b", "op": "credit", "amount": 5, "idempotency_key": "k2"},
  {"wallet_id": "c", "op": "charge", "amount": 50, "idempotency_key": "k1"},
  {"wallet_id": "a", "op": "extend", "reservation_id": "r1", "ttl": 120, "amount": 50,
    "idempotency_key": "k3"},
  {"wallet_id": "b", "op": "charge", "amount": 5, "reservation_id": "r1", "idempotency_key": "k3"},
  {"wallet_id": "a", "op": "cancel", "reservation_id": "r1", "idempotency_key": "k4"}
]$json$::jsonb as commands;
create temp table untouched as select tap.last_events('idle', 9) as events;
create temp table first as select baseledger.post_many(commands) as receipt from batch;

select is(array_agg(tap.as_json(receipt)), array[
  '{
    "wallet_id": "b", "seq": 4, "event": "settled", "reservation_id": "old", "amount": 70,
    "available": 30, "reserved": 0, "spent": 70, "idempotency_key": "k1", "replayed": false
  }', '{
    "wallet_id": "a", "seq": 3, "event": "reserved", "reservation_id": "r1", "amount": 100,
    "available": 900, "reserved": 100, "spent": 0, "ttl": 60, "idempotency_key": "k1",
    "replayed": false
  }', '{
    "wallet_id": "nobody", "reservation_id": "k1", "idempotency_key": "k1", "replayed": false,
    "refused": "LGWNF", "detail": {"wallet_id": "nobody"}
  }', '{
    "wallet_id": "c", "reservation_id": "k1", "idempotency_key": "k1", "replayed": false,
    "refused": "LGNSF", "detail": {
      "requested": 51, "available": 50, "reserved": 0, "shortfall": 1, "reason": "exhausted",
      "retry_at": null
    }
  }', '{
    "wallet_id": "a", "seq": 4, "event": "settled", "reservation_id": "r1", "amount": 30,
    "available": 900, "reserved": 70, "spent": 30, "idempotency_key": "k2", "replayed": false,
    "open": true
  }', '{
    "wallet_id": "b", "idempotency_key": "k2", "replayed": false, "refused": "LGUNK",
    "detail": {"op": "credit"}
  }', '{
    "wallet_id": "c", "seq": 3, "event": "charged", "reservation_id": "k1", "amount": 50,
    "available": 0, "reserved": 0, "spent": 50, "idempotency_key": "k1", "replayed": false
  }', '{
    "wallet_id": "a", "seq": 5, "event": "extended", "reservation_id": "r1", "amount": -20,
    "available": 920, "reserved": 50, "spent": 30, "ttl": 120, "idempotency_key": "k3",
    "replayed": false
  }', '{
    "wallet_id": "b", "seq": 5, "event": "charged", "reservation_id": "r1", "amount": 5,
    "available": 25, "reserved": 0, "spent": 75, "idempotency_key": "k3", "replayed": false
  }', '{
    "wallet_id": "a", "seq": 6, "event": "cancelled", "reservation_id": "r1", "amount": 50,
    "available": 970, "reserved": 0, "spent": 30, "idempotency_key": "k4", "replayed": false
  }'
]::jsonb[], 'each command gets its receipt or its refusal, in the order of the commands')
  from first;
select is(
  array_agg(tap.balances(w)), array['970/0/30', '25/0/75', '0/0/50', '2/5/0'],
  'the commands of each wallet are executed in that wallet'
) from unnest('{a,b,c,idle}'::text[]) as w;
select is(tap.last_events('idle', 9), events, 'a wallet that no command names is not changed')
  from untouched;

select is(
  array_agg(distinct tap.on_record((receipt).wallet_id, (receipt).seq) ->> 'actor'),
  array[session_user || ' as baseledger_agent'], 'the event records who asked'
) from first where (receipt).refused is null;
select is(
  array[tap.on_record('b', 4) -> 'metadata', tap.on_record('a', 3) -> 'metadata',
    tap.on_record('a', 4) -> 'metadata'],
  array['{"step": 1}', '{"step": 2}', '{}']::jsonb[],
  'each event records the metadata of its command'
);

select changes_nothing($$select baseledger.post_many(commands) from batch$$,
  'a retried batch writes nothing');
select results_eq(
  $$select to_jsonb(r) from batch, baseledger.post_many(commands) as r where r.refused is null$$,
  $$select to_jsonb(receipt) || '{"replayed": true}' from first where (receipt).refused is null$$,
  'a retried batch gets the first receipts, with the balances of those events'
);
select is(
  tap.posted('a', '[{"op": "cancel", "reservation_id": "r1", "idempotency_key": "k4"}]'),
  array['#6 cancelled 50: 970/0/30 again'], 'post can retry a command of post_many'
);
select is(
  tap.posted_many('[
    {"wallet_id": "c", "op": "charge", "amount": 50, "idempotency_key": "k1"},
    {"wallet_id": "a", "op": "charge", "amount": 1, "idempotency_key": "new"},
    {"wallet_id": "b", "op": "charge", "amount": 1, "idempotency_key": "new"},
    {"wallet_id": "a", "op": "cancel", "reservation_id": "r1", "idempotency_key": "k4"},
    {"wallet_id": "a", "op": "charge", "amount": 2, "idempotency_key": "newer"}
  ]'),
  array['c #3 charged 50: 0/0/50 again', 'a #7 charged 1: 969/0/31', 'b #6 charged 1: 24/0/76',
    'a #6 cancelled 50: 970/0/30 again', 'a #8 charged 2: 967/0/33'],
  'a batch can mix retries and new commands'
);

-- The call as such ------------------------------------------------------------------------------

select is_empty($$select * from baseledger.post_many('[]')$$, 'an empty batch returns no rows');
select changes_nothing($$select baseledger.post_many('[]')$$, 'an empty batch writes nothing');

select refuses(
  format('post_many(%s)', c.commands), 'LGARG', '{"field": "commands"}', 'refused: ' || c.name
) from (values
    ('no commands', 'null'),
    ('JSON''s null', $$'null'$$),
    ('an object', $$'{"wallet_id": "a", "op": "charge", "amount": 1, "idempotency_key": "x"}'$$),
    ('a string', $$'"[]"'$$),
    ('a number', $$'1'$$),
    ('true', $$'true'$$),
    ('a number among the commands',
      $$'[{"wallet_id": "a", "op": "charge", "amount": 1, "idempotency_key": "x"}, 1]'$$),
    ('a string among them',
      $$'["a", {"wallet_id": "a", "op": "charge", "amount": 1, "idempotency_key": "x"}]'$$),
    ('a null among them', $$'[null]'$$),
    ('an array of arrays',
      $$'[[{"wallet_id": "a", "op": "charge", "amount": 1, "idempotency_key": "x"}]]'$$),
    ('10,001 commands', $$(select jsonb_agg('{}'::jsonb) from generate_series(1, 10001))$$)
  ) as c(name, commands);

set local role baseledger_operator;
select is(
  tap.posted_many(format('[
    {"wallet_id": "a", "op": "%1$s", "amount": 1, "idempotency_key": "x", "reservation_id": "k3"},
    {"wallet_id": "b", "op": "charge", "amount": 1, "idempotency_key": "%1$s"}
  ]', op)::jsonb),
  array['a LGUNK', format('b #%s charged 1: %s/0/%s', n, 30 - n, 70 + n)],
  'operators cannot either: ' || op
) from unnest(array['credit', 'withdraw', 'refund', 'transfer', 'transfer_in', 'transfer_out',
    'freeze', 'open', 'expire']) with ordinality as o(op, place)
  cross join lateral (values (place::integer + 6)) as p(n);
set local role baseledger_agent;

-- The wallet of a command -----------------------------------------------------------------------

-- Fields are read as post reads them, and the wallet's id strictly as well.
select is(
  jsonb_build_array(r.wallet_id, r.refused, facts(r.refused, r.detail)), c.refusal::jsonb,
  'refused: ' || c.name
) from (values
    ('no wallet', '["", "LGARG", {"field": "wallet_id"}]', '{}'),
    ('a wallet of null', '["", "LGARG", {"field": "wallet_id"}]', '{"wallet_id": null}'),
    ('a wallet that is a number', '["5", "LGARG", {"field": "wallet_id"}]', '{"wallet_id": 5}'),
    ('a wallet that is a boolean', '["true", "LGARG", {"field": "wallet_id"}]',
      '{"wallet_id": true}'),
    ('a wallet that is an array', '["[\"a\"]", "LGARG", {"field": "wallet_id"}]',
      '{"wallet_id": ["a"]}'),
    ('a wallet that is an object', '["{\"a\": 1}", "LGARG", {"field": "wallet_id"}]',
      '{"wallet_id": {"a": 1}}'),
    ('an empty wallet id', '["", "LGARG", {"field": "wallet_id"}]', '{"wallet_id": ""}'),
    ('a blank wallet id', '[" \t\r\n", "LGARG", {"field": "wallet_id"}]',
      '{"wallet_id": " \t\r\n"}'),
    ('a wallet id of 256', format('["%s", "LGARG", {"field": "wallet_id"}]', repeat('x', 256)),
      format('{"wallet_id": "%s"}', repeat('x', 256))),
    ('an unknown wallet', '["nobody", "LGWNF", {"wallet_id": "nobody"}]',
      '{"wallet_id": "nobody"}'),
    ('another case', '["A", "LGWNF", {"wallet_id": "A"}]', '{"wallet_id": "A"}'),
    ('a blank behind the id', '["a ", "LGWNF", {"wallet_id": "a "}]', '{"wallet_id": "a "}'),
    ('a misspelt field beside a bad wallet', '["", "LGARG", {"field": "Wallet_id"}]',
      '{"Wallet_id": "a"}'),
    ('the parameter''s name', '["", "LGARG", {"field": "p_wallet_id"}]', '{"p_wallet_id": "a"}')
  ) as c(name, refusal, given)
  cross join lateral baseledger.post_many(jsonb_build_array(
    '{"op": "charge", "amount": 1, "idempotency_key": "x"}'::jsonb || c.given::jsonb
  )) as r;
select is(
  (select tap.as_json(r) from baseledger.post_many('[{"wallet_id": "nobody", "op": "settle",
    "reservation_id": "r", "amount": 1, "idempotency_key": "x"}]') as r),
  '{"wallet_id": "nobody", "reservation_id": "r", "idempotency_key": "x", "replayed": false,
    "refused": "LGWNF", "detail": {"wallet_id": "nobody"}}',
  'a refusal without a wallet names the command'
);
select is(
  (select array_agg(tap.brief(r)) from baseledger.post_many('[
    {"op": "charge", "amount": 1, "idempotency_key": "x"},
    {"op": "charge", "amount": 1, "idempotency_key": "x"},
    {"wallet_id": "b", "op": "charge", "amount": 1, "idempotency_key": "between"},
    {"wallet_id": 5, "op": "charge", "amount": 1, "idempotency_key": "x"},
    {"wallet_id": "nobody", "op": "charge", "amount": 1, "idempotency_key": "x"},
    {"wallet_id": "nobody", "op": "charge", "amount": 0, "idempotency_key": "x"},
    {"wallet_id": "nobody", "op": "fly"},
    {"wallet_id": "nobody"}
  ]') as r),
  array['LGARG', 'LGARG', '#16 charged 1: 14/0/86', 'LGARG', 'LGWNF', 'LGARG', 'LGUNK', 'LGARG'],
  'commands without a wallet do not stop the others'
);
select changes_nothing(
  $$select baseledger.post_many('[
    {"op": "charge", "amount": 1, "idempotency_key": "x"},
    {"wallet_id": "nobody", "op": "charge", "amount": 1, "idempotency_key": "x"},
    {"wallet_id": "a", "op": "charge", "amount": 1000000, "idempotency_key": "x"}
  ]')$$,
  'a batch of refusals writes nothing, and makes no wallet'
);

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('5', 10);
  perform tap.wallet('true', 10);
  perform tap.wallet('{"a": 1}', 10);
  perform tap.wallet(repeat('x', 255), 10);
end
$$;
set local role baseledger_agent;
select is(
  array_agg(tap.brief(r)), array['LGARG', '#3 charged 1: 9/0/1', 'LGARG', 'LGARG',
    '#3 charged 1: 9/0/1'],
  'a wallet of that name does not make a number an id'
) from baseledger.post_many(jsonb_build_array(
  '{"wallet_id": 5, "op": "charge", "amount": 1, "idempotency_key": "x"}'::jsonb,
  '{"wallet_id": "5", "op": "charge", "amount": 1, "idempotency_key": "x"}'::jsonb,
  '{"wallet_id": true, "op": "charge", "amount": 1, "idempotency_key": "x"}'::jsonb,
  '{"wallet_id": {"a": 1}, "op": "charge", "amount": 1, "idempotency_key": "x"}'::jsonb,
  jsonb_build_object('wallet_id', repeat('x', 255), 'op', 'charge', 'amount', 1,
    'idempotency_key', 'x')
)) as r;

-- Each form of a command gets from post_many what post gives it.
set local role baseledger_operator;
do $$
begin
  perform tap.wallet('one', 1000000000000000);
  perform tap.wallet('many', 1000000000000000);
end
$$;
set local role baseledger_agent;
create temp table form as
  select c.n, c.command::jsonb || case when c.command::jsonb ? 'idempotency_key' then '{}'
      else jsonb_build_object('idempotency_key', 'form ' || c.n) end as command
    from (
      select row_number() over () as n, f.command
        from (
          select format('{"op": "charge", "amount": %s}', a)
            from unnest(array['1', '"2"', '3.0', '1e3', '"0008"', '999999999999999', '10.5',
              '"1e3"', '" 10"', '"10 "', '"+10"', '"-"', '""', '"ten"', '0', '-1', '"-1"',
              '9223372036854775807', '9223372036854775808', '"9223372036854775808"', '1e400',
              'true', 'null', '[1]', '{"amount": 1}']) as a
          union all
          select format('{"op": "reserve", "amount": 5, "ttl": %s}', t)
            from unnest(array['3600', '3600.5', '"3600"', '"90 minutes"', '"PT1H30M"', '"1 month"',
              '2592000', 'null', '0', '0.5', '-1', '2592001', '99999999', '1e20', '"soon"', '""',
              '"1 year"', 'true', '[60]']) as t
          union all
          select format('{"op": "reserve", "amount": 5, "at_least": %s}', l)
            from unnest(array['1', '"5"', 'null', '0', '6', '1.5', 'true', '"x"']) as l
          union all
          select format('{"op": "settle", "reservation_id": "hold", "amount": 1, "final": %s}', f)
            from unnest(array['false', '"true"', '0', '{}', 'true', 'null']) as f
          union all
          select format('{"op": "charge", "amount": 1, "metadata": %s}', m)
            from unnest(array['{}', '{"a": {"b": [1, null]}}', 'null', '[]', '"{}"', '1',
              tap.metadata(16384)::text, tap.metadata(16385)::text]) as m
          union all
          select format('{"op": "charge", "amount": 1, "idempotency_key": %s}', k)
            from unnest(array['"Key"', '"key"', '"ké"', '"ke\u0301"',  '7', 'true', '{}', 'null',
              '""', '" \t\r\n"', format('"%s"', repeat('k', 255)),
              format('"%s"', repeat('k', 256))]) as k
          union all
          select format('{"op": "cancel", "reservation_id": %s}', i)
            from unnest(array['"none"', '7', '[]', 'null', '""', '"hold"']) as i
          union all
          select format('{"op": %s, "amount": 1}', o)
            from unnest(array['null', '1', '{}', '""', '"Charge"', '"credit"', '"withdraw"',
              '"refund"', '"post"', '"expire"']) as o
          union all
          select u from unnest(array['{}', '{"op": "charge"}', '{"op": "charge", "amonut": 1}',
            '{"op": "charge", "amount": 1, "": 1}', '{"op": "charge", "amount": 1, "ttl": 60}',
            '{"op": "cancel", "reservation_id": "hold", "amount": 1}',
            '{"op": "extend", "reservation_id": "hold", "ttl": 60, "at_least": 1}',
            '{"op": "extend", "reservation_id": "hold", "ttl": 60}']) as u
        ) as f(command)
    ) as c;
insert into form
  values (0, '{"op": "reserve", "amount": 50, "idempotency_key": "hold", "ttl": 86400}');
create temp table answer (n bigint, way text, receipt baseledger.receipt);
do $$
declare
  v record;
begin
  for v in select * from form order by n loop
    insert into answer
      select v.n, 'one', r from baseledger.post('one', jsonb_build_array(v.command)) as r;
  end loop;
end
$$;
insert into answer
  select f.n, 'many', r.receipt
    from (
      select jsonb_agg(command || '{"wallet_id": "many"}' order by n) as commands from form
    ) as c
    cross join lateral (
      select p::baseledger.receipt as receipt, row_number() over () as place
        from baseledger.post_many(c.commands) as p
    ) as r
    join (select n, row_number() over (order by n) as place from form) as f using (place);
select cmp_ok(count(*), '>', 90::bigint, 'there are many forms') from form;
select results_eq(
  $$select n, tap.as_json(receipt) - 'wallet_id' #- '{detail,ended_at}' from answer
    where way = 'many' order by n$$,
  $$select n, tap.as_json(receipt) - 'wallet_id' #- '{detail,ended_at}' from answer
    where way = 'one' order by n$$,
  'every form of a command is read as by post'
);
select results_eq(
  $$select tap.on_record('many', s)
    from generate_series(3, (baseledger.balance('many')).seq) as s$$,
  $$select tap.on_record('one', s)
    from generate_series(3, (baseledger.balance('one')).seq) as s$$,
  'every form of a command is recorded as by post'
);

-- Names belong to their wallet ------------------------------------------------------------------

set local role baseledger_operator;
do $$
declare
  v_id text;
begin
  foreach v_id in array '{n1,n2,n3,n,2,abcdefghijkl}'::text[] loop
    perform tap.wallet(v_id, 100);
  end loop;
  perform baseledger.reserve('n1', 10, 'mine', '1 hour');
  perform baseledger.reserve('n2', 20, 'mine', '1 hour');
  perform baseledger.reserve('n3', 30, 'theirs', '1 hour');
end
$$;
set local role baseledger_agent;
select is(
  tap.posted_many('[
    {"wallet_id": "n2", "op": "reserve", "amount": 1, "idempotency_key": "k"},
    {"wallet_id": "n1", "op": "reserve", "amount": 2, "idempotency_key": "k"},
    {"wallet_id": "n3", "op": "charge", "amount": 3, "idempotency_key": "k"},
    {"wallet_id": "n1", "op": "settle", "reservation_id": "k", "amount": 2, "idempotency_key": "e"},
    {"wallet_id": "n2", "op": "cancel", "reservation_id": "k", "idempotency_key": "e"},
    {"wallet_id": "n3", "op": "cancel", "reservation_id": "k", "idempotency_key": "e"},
    {"wallet_id": "n1", "op": "cancel", "reservation_id": "mine", "idempotency_key": "f"},
    {"wallet_id": "n3", "op": "cancel", "reservation_id": "mine", "idempotency_key": "f"},
    {"wallet_id": "n2", "op": "extend", "reservation_id": "mine", "ttl": 3600, "amount": 25,
      "idempotency_key": "f"},
    {"wallet_id": "n1", "op": "settle", "reservation_id": "theirs", "amount": 1,
      "idempotency_key": "g"},
    {"wallet_id": "n3", "op": "settle", "reservation_id": "theirs", "amount": 1,
      "idempotency_key": "g"},
    {"wallet_id": "n1", "op": "charge", "amount": 9, "idempotency_key": "funds"},
    {"wallet_id": "n2", "op": "charge", "amount": 9, "idempotency_key": "theirs"}
  ]'),
  array['n2 #4 reserved 1: 79/21/0', 'n1 #4 reserved 2: 88/12/0', 'n3 #4 charged 3: 67/30/3',
    'n1 #5 settled 2: 88/10/2', 'n2 #5 cancelled 1: 80/20/0', 'n3 LGEND',
    'n1 #6 cancelled 10: 98/0/2', 'n3 LGRNF', 'n2 #6 extended 5: 75/25/0', 'n1 LGRNF',
    'n3 #5 settled 1: 96/0/4', 'n1 LGIDK', 'n2 #7 charged 9: 66/25/9'],
  'equal keys and reservation ids of different wallets have nothing to do with each other'
);
select is(
  tap.posted_many('[
    {"wallet_id": "n", "op": "charge", "amount": 1, "idempotency_key": "1k"},
    {"wallet_id": "n1", "op": "charge", "amount": 2, "idempotency_key": "1k"},
    {"wallet_id": "n1", "op": "charge", "amount": 3, "idempotency_key": "k1"},
    {"wallet_id": "n", "op": "charge", "amount": 4, "idempotency_key": "1k1"},
    {"wallet_id": "2", "op": "charge", "amount": 5, "idempotency_key": "abcdefghijklm"},
    {"wallet_id": "abcdefghijkl", "op": "charge", "amount": 6, "idempotency_key": "m"}
  ]'),
  array['n #3 charged 1: 99/0/1', 'n1 #7 charged 2: 96/0/4', 'n1 #8 charged 3: 93/0/7',
    'n #4 charged 4: 95/0/5', '2 #3 charged 5: 95/0/5', 'abcdefghijkl #3 charged 6: 94/0/6'],
  'no wallet''s name and key are taken for those of another'
);
-- In one wallet the commands of a call share both, wherever they stand.
select is(
  tap.posted_many('[
    {"wallet_id": "n2", "op": "reserve", "amount": 10, "idempotency_key": "s1"},
    {"wallet_id": "n1", "op": "reserve", "amount": 10, "idempotency_key": "s1"},
    {"wallet_id": "n2", "op": "settle", "reservation_id": "s1", "amount": 4, "final": false,
      "idempotency_key": "s2"},
    {"wallet_id": "n1", "op": "reserve", "amount": 10, "idempotency_key": "s1"},
    {"wallet_id": "n2", "op": "reserve", "amount": 11, "idempotency_key": "s1"},
    {"wallet_id": "n1", "op": "settle", "reservation_id": "s1", "amount": 7,
      "idempotency_key": "s3"},
    {"wallet_id": "n2", "op": "settle", "reservation_id": "s1", "amount": 4, "final": false,
      "idempotency_key": "s2"},
    {"wallet_id": "n1", "op": "cancel", "reservation_id": "s1", "idempotency_key": "s2"},
    {"wallet_id": "n2", "op": "cancel", "reservation_id": "s1", "idempotency_key": "s3"},
    {"wallet_id": "n2", "op": "reserve", "amount": 1, "reservation_id": "s1",
      "idempotency_key": "s4"}
  ]'),
  array['n2 #8 reserved 10: 56/35/9', 'n1 #9 reserved 10: 83/10/7', 'n2 #9 settled 4: 56/31/13',
    'n1 #9 reserved 10: 83/10/7 again', 'n2 LGIDK', 'n1 #10 settled 7: 86/0/14',
    'n2 #9 settled 4: 56/31/13 again', 'n1 LGEND', 'n2 #10 cancelled 6: 62/25/13', 'n2 LGRID'],
  'commands of one wallet share keys and reservations with those before them'
);
select is(
  array(select tap.as_json(r) -> 'detail' from baseledger.post_many('[
    {"wallet_id": "n2", "op": "charge", "amount": 2, "idempotency_key": "s1"},
    {"wallet_id": "n1", "op": "charge", "amount": 2, "idempotency_key": "s3"}
  ]') as r),
  array['{"field": "op", "stored": "reserve", "given": "charge"}',
    '{"field": "op", "stored": "settle", "given": "charge"}']::jsonb[],
  'a used key is compared with the command of its own wallet'
);

-- One refusal alone -----------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('ok1', 100);
  perform tap.wallet('ok2', 100);
  perform tap.wallet('ok3', 100);
  perform tap.wallet('frozen', 100);
  perform baseledger.reserve('frozen', 10, 'r', '1 hour');
  perform baseledger.freeze_wallet('frozen', 'stop');
  perform tap.wallet('strict', 10, 0);
  perform baseledger.reserve('strict', 10, 'r', '1 hour');
  perform baseledger.open_wallet('full');
  perform baseledger.credit('full', 9223372036854775807, 'funds');
  perform baseledger.charge('full', 9223372036854775807, 'all');
  perform baseledger.credit('full', 10, 'more');
  perform tap.wallet('late', 100);
  perform baseledger.reserve('late', 10, 'gone', '1 hour');
  perform tap.travel_back('late', '2 hours');
  perform baseledger.charge('late', 1, 'done');
end
$$;
set local role baseledger_agent;
select is(
  array(
    select jsonb_build_array(
        tap.brief(r), tap.facts(r.refused, r.detail) - 'ended_at' - 'expired_at'
      )
      from baseledger.post_many(jsonb_build_array(
        jsonb_build_object('wallet_id', 'ok1', 'op', 'charge', 'amount', 1,
          'idempotency_key', 'before ' || c.place),
        c.command::jsonb,
        jsonb_build_object('wallet_id', 'ok2', 'op', 'charge', 'amount', 1,
          'idempotency_key', 'after ' || c.place)
      )) as r
  ),
  array[
    jsonb_build_array(format('#%s charged 1: %s/0/%s', c.place + 2, 100 - c.place, c.place), null),
    jsonb_build_array(c.code, c.detail::jsonb),
    jsonb_build_array(format('#%s charged 1: %s/0/%s', c.place + 2, 100 - c.place, c.place), null)
  ],
  format('%s for %s does not stop other wallets', c.code, c.command::jsonb ->> 'op')
) from (
    select row_number() over () as place, v.*
      from (values
          ('LGNSF', '{"requested": 101, "available": 100, "reserved": 0, "shortfall": 1,
            "reason": "exhausted", "retry_at": null}',
            '{"wallet_id": "ok3", "op": "charge", "amount": 101, "idempotency_key": "x"}'),
          ('LGFRZ', '{"wallet_id": "frozen"}',
            '{"wallet_id": "frozen", "op": "reserve", "amount": 1, "idempotency_key": "x"}'),
          ('LGFRZ', '{"wallet_id": "frozen"}',
            '{"wallet_id": "frozen", "op": "charge", "amount": 1, "idempotency_key": "x"}'),
          ('LGFRZ', '{"wallet_id": "frozen"}',
            '{"wallet_id": "frozen", "op": "extend", "reservation_id": "r", "amount": 11,
              "ttl": 3600, "idempotency_key": "x"}'),
          ('LGWNF', '{"wallet_id": "none"}',
            '{"wallet_id": "none", "op": "charge", "amount": 1, "idempotency_key": "x"}'),
          ('LGARG', '{"field": "amount"}',
            '{"wallet_id": "late", "op": "charge", "amount": 0, "idempotency_key": "x"}'),
          ('LGARG', '{"field": "idempotency_key"}',
            '{"wallet_id": "late", "op": "charge", "amount": 1}'),
          ('LGUNK', '{"op": "fly"}', '{"wallet_id": "late", "op": "fly"}'),
          ('LGRNF', '{"reservation_id": "r"}',
            '{"wallet_id": "late", "op": "cancel", "reservation_id": "r", "idempotency_key": "x"}'),
          ('LGRID', '{"reservation_id": "r"}',
            '{"wallet_id": "strict", "op": "reserve", "amount": 1, "reservation_id": "r",
              "idempotency_key": "x"}'),
          ('LGEND', '{"reservation_id": "done", "status": "settled", "ended_seq": 5}',
            '{"wallet_id": "late", "op": "cancel", "reservation_id": "done",
              "idempotency_key": "x"}'),
          ('LGEXP', '{"reservation_id": "gone"}',
            '{"wallet_id": "late", "op": "cancel", "reservation_id": "gone",
              "idempotency_key": "x"}'),
          ('LGIDK', '{"field": "amount", "stored": 1, "given": 2}',
            '{"wallet_id": "late", "op": "charge", "amount": 2, "idempotency_key": "done"}'),
          ('LGOVD', '{"requested": 11, "available": 0, "would_be": -1, "overdraft_limit": 0}',
            '{"wallet_id": "strict", "op": "settle", "reservation_id": "r", "amount": 11,
              "idempotency_key": "x"}'),
          ('LGOVF', '{"requested": 1, "available": 10, "reserved": 0,
            "spent": 9223372036854775807}',
            '{"wallet_id": "full", "op": "charge", "amount": 1, "idempotency_key": "x"}')
        ) as v(code, detail, command)
  ) as c;
select is(
  array_agg(tap.balances(w)), array['90/10/0', '0/10/0', '10/0/9223372036854775807', '99/0/1'],
  'no refusal has moved anything'
) from unnest('{frozen,strict,full,late}'::text[]) as w;
select is(
  tap.posted_many('[
    {"wallet_id": "frozen", "op": "extend", "reservation_id": "r", "ttl": 3600,
      "idempotency_key": "x"},
    {"wallet_id": "ok1", "op": "charge", "amount": 1, "idempotency_key": "x"},
    {"wallet_id": "frozen", "op": "settle", "reservation_id": "r", "amount": 5,
      "idempotency_key": "y"}
  ]'),
  array['frozen #5 extended 0: 90/10/0', 'ok1 #18 charged 1: 84/0/16',
    'frozen #6 settled 5: 95/0/5'],
  'the key of a refused command is free, and a frozen wallet keeps on with what it has'
);

-- The refusal of a wallet speaks of that wallet only.
set local role baseledger_operator;
do $$
begin
  perform tap.wallet('r1', 100);
  perform tap.wallet('r2', 100);
  perform tap.wallet('r3', 100);
  perform baseledger.reserve('r1', 60, 'same', '10 minutes');
  perform baseledger.reserve('r2', 60, 'same', '2 hours');
  perform baseledger.reserve('r3', 60, 'same', '1 hour');
end
$$;
set local role baseledger_agent;
select is(
  array(select r.detail ->> 'retry_at' from baseledger.post_many('[
    {"wallet_id": "r1", "op": "settle", "reservation_id": "same", "amount": 1, "final": false,
      "idempotency_key": "1"},
    {"wallet_id": "r1", "op": "reserve", "amount": 5, "ttl": 3600, "idempotency_key": "2"},
    {"wallet_id": "r2", "op": "charge", "amount": 50, "idempotency_key": "3"},
    {"wallet_id": "r3", "op": "cancel", "reservation_id": "same", "idempotency_key": "4"},
    {"wallet_id": "r2", "op": "charge", "amount": 51, "idempotency_key": "5"}
  ]') as r where r.refused = 'LGNSF'),
  array_fill(
    to_jsonb((baseledger.reserve('r2', 60, 'same', '2 hours')).expires_at) #>> '{}', array[2]
  ),
  'retry_at is a deadline of the wallet that lacks the funds'
);

-- Unsound wallets -------------------------------------------------------------------------------

reset role;
do $$
begin
  perform tap.wallet('sound 1', 100);
  perform tap.wallet('sound 2', 100);
  perform tap.wallet('holds too much', 100);
  perform tap.wallet('spent below 0', 100);
  perform tap.wallet('below its limit', 10, 0);
  perform baseledger.reserve('sound 1', 10, 'r', '1 hour');
  perform baseledger.reserve('holds too much', 10, 'r', '1 hour');
  perform baseledger.reserve('holds too much', 10, 'due', '1 second');
  perform baseledger.charge('holds too much', 1, 'before');
  perform baseledger.reserve('below its limit', 10, 'r', '1 hour');
  -- what returns them takes reserved below 0, or available below the limit
  update baseledger.reservations set amount = 1000, held = 1000
    where wallet_id = 'holds too much' and reservation_id = 'r';
  update baseledger.reservations set amount = -5, held = -5 where wallet_id = 'below its limit';
  update baseledger.wallets set spent = -50 where wallet_id = 'spent below 0';
  perform tap.travel_back('holds too much', '10 minutes');
  perform tap.travel_back('sound 1', '2 hours');
end
$$;
create temp table unsound as
  select w.wallet_id, w::text as row, (select array_agg(o::text order by o.reservation_id)
      from baseledger.reservations o where o.wallet_id = w.wallet_id) as holds
    from baseledger.wallets w where w.wallet_id ~ 'too much|below';
set local role baseledger_agent;
create temp table answers as select r, row_number() over () as place
  from baseledger.post_many('[
    {"wallet_id": "holds too much", "op": "charge", "amount": 1, "idempotency_key": "1"},
    {"wallet_id": "sound 2", "op": "reserve", "amount": 5, "idempotency_key": "1"},
    {"wallet_id": "spent below 0", "op": "charge", "amount": 1, "idempotency_key": "1"},
    {"wallet_id": "holds too much", "op": "cancel", "reservation_id": "r", "idempotency_key": "2"},
    {"wallet_id": "below its limit", "op": "cancel", "reservation_id": "r", "idempotency_key": "1"},
    {"wallet_id": "sound 1", "op": "charge", "amount": 1, "idempotency_key": "1"},
    {"wallet_id": "holds too much", "op": "charge", "amount": 1, "idempotency_key": "before"},
    {"wallet_id": "holds too much", "op": "charge", "amount": 0, "idempotency_key": "3"},
    {"wallet_id": "sound 2", "op": "settle", "reservation_id": "1", "amount": 5,
      "idempotency_key": "2"}
  ]') as r;
select is(
  (select array_agg((r).wallet_id || ' ' || tap.brief(r) order by place) from answers),
  array['holds too much XX001', 'sound 2 #3 reserved 5: 95/5/0', 'spent below 0 XX001',
    'holds too much XX001', 'below its limit XX001', 'sound 1 #5 charged 1: 99/0/1',
    'holds too much XX001', 'holds too much XX001', 'sound 2 #4 settled 5: 95/0/5'],
  'an unsound wallet refuses its own commands, and no others'
);
select is(
  array(select tap.as_json(r) from answers where (r).refused is not null order by place limit 2),
  array[
    '{"wallet_id": "holds too much", "reservation_id": "1", "idempotency_key": "1",
      "replayed": false, "refused": "XX001",
      "detail": {"available": 1088, "reserved": -990, "spent": 2}}',
    '{"wallet_id": "spent below 0", "reservation_id": "1", "idempotency_key": "1",
      "replayed": false, "refused": "XX001",
      "detail": {"available": 99, "reserved": 0, "spent": -49}}'
  ]::jsonb[],
  'the refusal says what its balances would be'
);
select throws_ok($$select baseledger.charge('spent below 0', 1, 'single')$$, 'XX001', null,
  'a single command of an unsound wallet raises');
select throws_ok(
  $$select baseledger.post('holds too much', '[
    {"op": "charge", "amount": 1, "idempotency_key": "batch"},
    {"op": "cancel", "reservation_id": "r", "idempotency_key": "batch too"}
  ]')$$,
  'XX001', null, 'a batch of it raises'
);
reset role;
select results_eq(
  $$select w.wallet_id, w::text as row, (select array_agg(o::text order by o.reservation_id)
      from baseledger.reservations o where o.wallet_id = w.wallet_id) as holds
    from baseledger.wallets w where w.wallet_id ~ 'too much|below' order by 1$$,
  'select * from unsound order by 1',
  'nothing of an unsound wallet is written, not even its expiries'
);
select is_empty(
  $$select from baseledger.events where wallet_id ~ 'too much|below'
    and idempotency_key in ('1', '2', '3', 'single', 'batch')$$,
  'an unsound wallet has no new events'
);
select is_empty($$select * from baseledger.verify('sound 1')
  union all select * from baseledger.verify('sound 2')$$, 'the sound ones are sound');
do $$
begin
  update baseledger.reservations set amount = 10, held = 10
    where wallet_id = 'holds too much' and reservation_id = 'r';
  update baseledger.reservations set amount = 10, held = 10 where wallet_id = 'below its limit';
  update baseledger.wallets set spent = 0 where wallet_id = 'spent below 0';
end
$$;
set local role baseledger_agent;
select is(
  tap.posted_many('[
    {"wallet_id": "holds too much", "op": "cancel", "reservation_id": "r", "idempotency_key": "2"},
    {"wallet_id": "spent below 0", "op": "charge", "amount": 1, "idempotency_key": "1"},
    {"wallet_id": "below its limit", "op": "cancel", "reservation_id": "r", "idempotency_key": "1"}
  ]'),
  array['holds too much #7 cancelled 10: 99/0/1', 'spent below 0 #3 charged 1: 99/0/1',
    'below its limit #4 cancelled 10: 10/0/0'],
  'repaired wallets carry out the same commands'
);

-- A wallet that was below its limit before is not unsound, if no command takes it further down.
reset role;
do $$
begin
  perform tap.wallet('was below', 10);
  perform baseledger.reserve('was below', 5, 'r', '1 hour');
  perform baseledger.reserve('was below', 5, 's', '1 hour');
  perform baseledger.settle('was below', 'r', 25, 'end');
  update baseledger.wallets set overdraft_limit = 0 where wallet_id = 'was below';
end
$$;
set local role baseledger_agent;
select is(
  tap.posted_many('[
    {"wallet_id": "was below", "op": "extend", "reservation_id": "s", "ttl": 3600,
      "idempotency_key": "1"},
    {"wallet_id": "sound 2", "op": "charge", "amount": 1, "idempotency_key": "3"},
    {"wallet_id": "was below", "op": "settle", "reservation_id": "s", "amount": 6,
      "idempotency_key": "2"},
    {"wallet_id": "was below", "op": "settle", "reservation_id": "s", "amount": 1,
      "final": false, "idempotency_key": "3"}
  ]'),
  array['was below #6 extended 0: -20/5/25', 'sound 2 #5 charged 1: 94/0/6', 'was below LGOVD',
    'was below #7 settled 1: -20/4/26'],
  'a wallet that was below its limit before goes on'
);
select is(tap.brief(baseledger.settle('was below', 's', 4, '4')), '#8 settled 4: -20/0/30',
  'also with single commands');
reset role;
do $$
begin
  update baseledger.wallets set overdraft_limit = null where wallet_id = 'was below';
end
$$;

-- Deadlines -------------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
declare
  v_id text;
begin
  foreach v_id in array '{d1,d2,d3,d4,d5}'::text[] loop
    perform tap.wallet(v_id, 100);
    continue when v_id = 'd2';
    perform baseledger.reserve(v_id, 10, 'late', '1 minute');
    perform baseledger.reserve(v_id, 20, 'later', '2 minutes');
    perform baseledger.reserve(v_id, 30, 'open', '1 day');
    perform tap.travel_back(v_id, '1 hour');
  end loop;
  perform baseledger.reserve('d2', 30, 'open', '1 day');
end
$$;
set local role baseledger_agent;
select is(
  tap.posted_many('[
    {"wallet_id": "d3", "op": "cancel", "reservation_id": "late", "idempotency_key": "1"},
    {"wallet_id": "d1", "op": "settle", "reservation_id": "later", "amount": 5,
      "idempotency_key": "1"},
    {"wallet_id": "d2", "op": "charge", "amount": 1, "idempotency_key": "1"},
    {"wallet_id": "d4", "op": "charge", "amount": 70, "idempotency_key": "1"},
    {"wallet_id": "d3", "op": "charge", "amount": 71, "idempotency_key": "2"},
    {"wallet_id": "d4", "op": "extend", "reservation_id": "late", "ttl": 60,
      "idempotency_key": "2"},
    {"wallet_id": "d3", "op": "reserve", "amount": 30, "reservation_id": "open",
      "idempotency_key": "open", "ttl": 86400}
  ]'),
  array['d3 LGEXP', 'd1 #8 settled 5: 65/30/5', 'd2 #4 charged 1: 69/30/1',
    'd4 #8 charged 70: 0/30/70', 'd3 LGNSF', 'd4 LGEXP', 'd3 #5 reserved 30: 40/60/0 again'],
  'in each wallet what is due expires before its first command'
);
select is(tap.last_events('d1', 3),
  array['expired late 10: 50/50/0', 'expired later 20: 70/30/0', 'settled later 5: 65/30/5'],
  'the expiries of a wallet are written with its commands');
select is(tap.last_events('d4', 3),
  array['expired late 10: 50/50/0', 'expired later 20: 70/30/0', 'charged 1 70: 0/30/70'],
  'and those of another with its own');
select is(tap.last_events('d3', 1), array['reserved open 30: 40/60/0'],
  'a wallet whose commands are all refused or retried writes no expiry');
select is(tap.last_events('d5', 1), array['reserved open 30: 40/60/0'],
  'nor does one that no command names');
select is(
  array_agg(tap.balances(w)), array['65/30/5', '69/30/1', '70/30/0', '0/30/70', '70/30/0'],
  'the balances by deadline agree'
) from unnest('{d1,d2,d3,d4,d5}'::text[]) as w;

-- next_deadline is right afterwards, so that the sweep finds what is due, and only that.
reset role;
select results_eq(
  $$select w.wallet_id, w.next_deadline from baseledger.wallets w
    where w.wallet_id in ('d1', 'd2', 'd4') order by 1$$,
  $$select r.wallet_id, min(r.expires_at) from baseledger.reservations r
    where r.wallet_id in ('d1', 'd2', 'd4') group by 1 order by 1$$,
  'where something was due, the next deadline is read again'
);
set local role baseledger_worker;
select is(baseledger.expire_due(), 4, 'the sweep expires what is due in the others');
set local role baseledger_agent;
do $$
begin
  perform tap.posted_many('[
    {"wallet_id": "d1", "op": "reserve", "amount": 1, "ttl": 60, "idempotency_key": "short"},
    {"wallet_id": "d2", "op": "reserve", "amount": 1, "ttl": 172800, "idempotency_key": "long"},
    {"wallet_id": "d3", "op": "reserve", "amount": 1, "ttl": 30, "idempotency_key": "ended"},
    {"wallet_id": "d3", "op": "reserve", "amount": 1, "ttl": 90, "idempotency_key": "short"},
    {"wallet_id": "d3", "op": "cancel", "reservation_id": "ended", "idempotency_key": "end"},
    {"wallet_id": "d5", "op": "extend", "reservation_id": "open", "ttl": 120,
      "idempotency_key": "shorter"}
  ]');
end
$$;
reset role;
-- It may be too early where what has set it has ended, but never too late.
select is(
  array_agg(
    case when w.wallet_id = 'd3' then w.next_deadline <= r.first else w.next_deadline = r.first end
  ),
  array[true, true, true, true], 'a new deadline counts in its own wallet'
) from baseledger.wallets w
  cross join lateral (
    select min(o.expires_at) as first from baseledger.reservations o
      where o.wallet_id = w.wallet_id
  ) as r
  where w.wallet_id in ('d1', 'd2', 'd3', 'd5');
do $$
declare
  v_id text;
begin
  foreach v_id in array '{d1,d2,d3,d5}'::text[] loop
    perform tap.travel_back(v_id, '3 minutes');
  end loop;
end
$$;
set local role baseledger_worker;
select is(baseledger.expire_due(), 3, 'the sweep finds what post_many has opened and extended');
select ok(baseledger.next_due() > now(), 'and nothing else is due');

-- A next_deadline that is too early beside a wallet in which something is due.
set local role baseledger_operator;
do $$
begin
  perform tap.wallet('e1', 100);
  perform baseledger.reserve('e1', 10, 'ended', '1 hour');
  perform baseledger.reserve('e1', 10, 'open', '1 day');
  perform baseledger.cancel('e1', 'ended', 'end');
  perform tap.wallet('e2', 100);
  perform baseledger.reserve('e2', 20, 'due', '1 hour');
  perform tap.travel_back('e1', '2 hours');
  perform tap.travel_back('e2', '2 hours');
end
$$;
set local role baseledger_agent;
select is(
  tap.posted_many('[
    {"wallet_id": "e1", "op": "charge", "amount": 1, "idempotency_key": "1"},
    {"wallet_id": "e2", "op": "charge", "amount": 1, "idempotency_key": "1"}
  ]'),
  array['e1 #6 charged 1: 89/10/1', 'e2 #5 charged 1: 99/0/1'],
  'a wallet in which nothing is due any more expires nothing of others'
);

-- A deadline between two commands of a wallet; those of other wallets take none of its time.
set local role baseledger_operator;
do $$
begin
  perform tap.wallet('t1', 100);
  perform tap.wallet('t2', 100);
  perform baseledger.reserve('t2', 60, 'a', '1 hour');
  perform tap.due_after('t2', 'a', 2);
end
$$;
set local role baseledger_agent;
select is(
  tap.posted_many('[
    {"wallet_id": "t1", "op": "charge", "amount": 1, "idempotency_key": "1"},
    {"wallet_id": "t1", "op": "charge", "amount": 1, "idempotency_key": "2"},
    {"wallet_id": "t2", "op": "charge", "amount": 1, "idempotency_key": "1"},
    {"wallet_id": "t1", "op": "charge", "amount": 1, "idempotency_key": "3"},
    {"wallet_id": "t2", "op": "charge", "amount": 50, "idempotency_key": "2"},
    {"wallet_id": "t2", "op": "charge", "amount": 1, "idempotency_key": "3"},
    {"wallet_id": "t2", "op": "charge", "amount": 50, "idempotency_key": "4"}
  ]'),
  array['t1 #3 charged 1: 99/0/1', 't1 #4 charged 1: 98/0/2', 't2 #4 charged 1: 39/60/1',
    't1 #5 charged 1: 97/0/3', 't2 LGNSF', 't2 #5 charged 1: 38/60/2',
    't2 #7 charged 50: 48/0/52'],
  'a deadline between two commands of a wallet counts for the second'
);

-- A wallet whose last event is ahead of the clock, between two others.
set local role baseledger_operator;
do $$
declare
  v_id text;
begin
  foreach v_id in array '{h1,h2,h3}'::text[] loop
    perform tap.wallet(v_id, 100);
    perform baseledger.reserve(v_id, 10, 'r', '1 minute');
  end loop;
  perform tap.travel_back('h2', '-3 days');
  perform tap.travel_back('h3', '1 hour');
  perform tap.posted_many('[
    {"wallet_id": "h3", "op": "charge", "amount": 1, "idempotency_key": "1"},
    {"wallet_id": "h2", "op": "charge", "amount": 1, "idempotency_key": "1"},
    {"wallet_id": "h1", "op": "charge", "amount": 1, "idempotency_key": "1"}
  ]');
end
$$;
select is(
  array[tap.last_events('h1', 2), tap.last_events('h2', 2)],
  array[array['reserved r 10: 90/10/0', 'charged 1 1: 89/10/1'],
    array['reserved r 10: 90/10/0', 'charged 1 1: 89/10/1']],
  'a wallet that is not due expires nothing'
);
set local role baseledger_auditor;
select results_eq(
  $$select wallet_id, event::text, details ? 'ahead_us' from baseledger.journal
    where wallet_id in ('h1', 'h2', 'h3') and seq > 3 order by wallet_id, seq$$,
  $$values ('h1' collate "C", 'charged', null), ('h2', 'charged', true), ('h3', 'expired', null),
    ('h3', 'charged', null)$$,
  'only the wallet that is ahead of the clock records it'
);

-- A wallet in which more is due than one command expires.
reset role;
do $$
begin
  perform tap.wallet('backlog', 2000);
  perform tap.wallet('beside', 100);
  perform baseledger.post('backlog', (
    select jsonb_agg(jsonb_build_object('op', 'reserve', 'amount', 1, 'ttl', 60,
        'idempotency_key', 'r' || n))
      from generate_series(1, baseledger._due_chunk_size() + 1) as s(n)
  ));
  perform baseledger.reserve('beside', 10, 'r', '1 minute');
  perform tap.travel_back('backlog', '1 hour');
  perform tap.travel_back('beside', '1 hour');
end
$$;
create temp table backlog as
  select w::text as row from baseledger.wallets w where w.wallet_id = 'backlog';
set local role baseledger_agent;
select is(
  array(select jsonb_build_array(tap.brief(r), tap.facts(r.refused, r.detail))
    from baseledger.post_many('[
    {"wallet_id": "backlog", "op": "charge", "amount": 1, "idempotency_key": "1"},
    {"wallet_id": "beside", "op": "charge", "amount": 1, "idempotency_key": "1"},
    {"wallet_id": "backlog", "op": "charge", "amount": 0, "idempotency_key": "2"},
    {"wallet_id": "backlog", "op": "reserve", "amount": 1, "ttl": 60, "idempotency_key": "r1"}
  ]') as r),
  array[
    '["LGBSY", {"wallet_id": "backlog"}]', '["#5 charged 1: 99/0/1", null]',
    '["LGARG", {"field": "amount"}]', '["LGBSY", {"wallet_id": "backlog"}]'
  ]::jsonb[],
  'a wallet with a backlog is busy'
);
reset role;
select is((select w::text from baseledger.wallets w where w.wallet_id = 'backlog'), row,
  'nothing is done in it') from backlog;
set local role baseledger_agent;
select is(tap.posted('backlog', '[{"op": "charge", "amount": 1, "idempotency_key": "1"}]'),
  array['#2004 charged 1: 1998/1/1'], 'post takes the time, and the key is free');
select is(
  tap.posted_many('[
    {"wallet_id": "backlog", "op": "charge", "amount": 1, "idempotency_key": "1"},
    {"wallet_id": "backlog", "op": "charge", "amount": 2, "idempotency_key": "2"}
  ]'),
  array['backlog #2004 charged 1: 1998/1/1 again', 'backlog #2006 charged 2: 1997/0/3'],
  'without the backlog post_many goes on'
);

-- As much as one command expires is no backlog.
reset role;
do $$
begin
  perform tap.wallet('chunk', 2000);
  perform baseledger.post('chunk', (
    select jsonb_agg(jsonb_build_object('op', 'reserve', 'amount', 1, 'ttl', 60,
        'idempotency_key', 'r' || n))
      from generate_series(1, baseledger._due_chunk_size()) as s(n)
  ));
  perform tap.travel_back('chunk', '1 hour');
end
$$;
set local role baseledger_agent;
select is(
  tap.posted_many('[{"wallet_id": "chunk", "op": "charge", "amount": 1, "idempotency_key": "1"}]'),
  array['chunk #2003 charged 1: 1999/0/1'], 'what one command expires makes no wallet busy'
);

-- One by one or many at once --------------------------------------------------------------------
-- The same random commands for two equal sets of wallets: one by one by post, and in batches.

set local role baseledger_operator;
do $$
declare
  v_name text;
begin
  foreach v_name in array '{single,together}'::text[] loop
    for i in 1 .. 7 loop
      perform tap.wallet(v_name || ' ' || i, 600, case when i % 2 = 0 then 100 end);
      perform baseledger.reserve(v_name || ' ' || i, 10 * i, 'due ' || i % 3, '1 minute');
      perform tap.travel_back(v_name || ' ' || i, '1 hour');
      if i = 7 then
        perform baseledger.freeze_wallet(v_name || ' ' || i, 'stop', 'freeze');
      end if;
    end loop;
  end loop;
end
$$;
set local role baseledger_agent;

do $$ begin perform setseed(0.42); end $$;
create temp table random_command as
  select r.n::numeric, r.batch, r.wallet, jsonb_build_object('idempotency_key', r.key)
      || case r.kind
        when 0 then jsonb_build_object('op', 'charge', 'amount', r.amount)
        when 1 then jsonb_build_object('op', 'charge', 'amount', r.amount, 'reservation_id', r.id)
        when 2 then jsonb_build_object('op', 'cancel', 'reservation_id', r.id)
        when 3 then jsonb_build_object('op', 'extend', 'reservation_id', r.id, 'ttl', 3600)
        when 4 then jsonb_build_object('op', 'extend', 'reservation_id', r.id, 'ttl', 3600,
          'amount', r.amount)
        when 5 then jsonb_build_object('op', 'settle', 'reservation_id', r.id, 'amount', r.amount)
        when 6 then jsonb_build_object('op', 'settle', 'reservation_id', r.id, 'amount', r.amount,
          'final', false)
        when 7 then jsonb_build_object('op', 'reserve', 'reservation_id', r.id,
          'amount', r.amount + 10, 'at_least', 10)
        when 8 then jsonb_build_object('op', 'settle', 'reservation_id', 'due ' || r.amount % 3,
          'amount', r.amount * 20)
        when 9 then jsonb_build_object('op', 'cancel', 'reservation_id', 'due ' || r.amount % 3)
        else jsonb_build_object('op', 'reserve', 'reservation_id', r.id, 'amount', r.amount)
      end as command
    from (
      select n, 'k' || (random() * 700)::integer as key, 'r' || (random() * 20)::integer as id,
          (random() * 60)::integer as amount, (random() * 11)::integer as kind,
          -- the eighth is in nobody's books
          1 + (random() * 7)::integer as wallet,
          sum((b.draw < 0.04)::integer) over (order by n) as batch
        from (select n, random() as draw from generate_series(1, 1500) as s(n)) as b
        offset 0
    ) as r;
-- Every fifth is retried a few commands later, in the same batch or another.
insert into random_command
  select c.n + 7.5, l.batch, c.wallet, c.command
    from random_command c
    join random_command l on l.n = c.n + 7
    where c.n % 5 = 0;

create temp table outcome (
  n bigint generated always as identity, way text, receipt baseledger.receipt
);
do $$
declare
  v record;
  v_id text;
begin
  for v in select wallet, command from random_command order by n loop
    v_id := 'single ' || v.wallet;
    if v.wallet = 8 then
      insert into outcome (way, receipt)
        select 'singly', r
          from baseledger.post_many(jsonb_build_array(
            v.command || jsonb_build_object('wallet_id', v_id)
          )) as r;
    else
      insert into outcome (way, receipt)
        select 'singly', r from baseledger.post(v_id, jsonb_build_array(v.command)) as r;
    end if;
  end loop;
  for v in
    select jsonb_agg(
          command || jsonb_build_object('wallet_id', 'together ' || wallet) order by n
        ) as commands
      from random_command group by batch order by batch
  loop
    insert into outcome (way, receipt) select 'together', baseledger.post_many(v.commands);
  end loop;
end
$$;
create temp table told as
  select n, way, replace(
      (
        tap.as_json(receipt) #- '{detail,ended_at}' #- '{detail,expired_at}'
          #- '{detail,retry_at}'
      )::text, way, ''
    ) as receipt
    from (select n, replace(way, 'singly', 'single') as way, receipt from outcome) as o;
select results_eq(
  $$select receipt from told where way = 'together' order by n$$,
  $$select receipt from told where way = 'single' order by n$$,
  'a batch of several wallets returns what its commands return one by one'
);
select is(
  tap.last_events('together ' || i, 2000), tap.last_events('single ' || i, 2000),
  'it writes the same journal as its commands one by one: wallet ' || i
) from generate_series(1, 7) as i;
select set_eq(
  $$select coalesce(
        (receipt).refused,
        (receipt).event || case when (receipt).replayed then ' again' else '' end
      )
    from outcome where way = 'together'$$,
  array['reserved', 'settled', 'cancelled', 'extended', 'charged', 'reserved again',
    'settled again', 'cancelled again', 'extended again', 'charged again', 'LGARG', 'LGEND',
    'LGEXP', 'LGFRZ', 'LGIDK', 'LGNSF', 'LGOVD', 'LGRID', 'LGRNF', 'LGWNF'],
  'the random commands had every event and every refusal'
);

-- Sizes -----------------------------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('w' || n, 10) from generate_series(1, 1000) as s(n);
end
$$;
set local role baseledger_agent;
create temp table written as
  select pg_stat_get_xact_tuples_updated('baseledger.wallets'::regclass) as rows;
create temp table large as
  select r.*, row_number() over () as place
    from baseledger.post_many((
      select jsonb_agg(jsonb_build_object(
          'wallet_id', 'w' || (n * 7) % 1000 + 1, 'idempotency_key', 'k' || n / 1000, 'amount', 1,
          'op', case n / 1000 % 2 when 0 then 'charge' else 'reserve' end
        ) order by n)
        from generate_series(0, 9999) as s(n)
    )) as r;
select results_eq(
  $$select count(*), count(distinct (wallet_id, seq)), min(seq), max(seq), min(available),
      count(refused), bool_and(wallet_id = 'w' || ((place - 1) * 7) % 1000 + 1)
    from large$$,
  $$values (10000::bigint, 10000::bigint, 3::bigint, 12::bigint, 0::bigint, 0::bigint, true)$$,
  'a batch takes 10,000 commands in 1,000 wallets'
);
select is(array_agg(distinct tap.balances('w' || n)), array['0/5/5'],
  'all 10,000 commands are executed') from generate_series(1, 1000) as s(n);
select is(
  pg_stat_get_xact_tuples_updated('baseledger.wallets'::regclass) - rows, 1000::bigint,
  'a batch writes each wallet''s row once'
) from written;
select is(count(*) filter (where refused = 'LGNSF'), 1000::bigint, 'a wallet for each command')
  from baseledger.post_many((
    select jsonb_agg(jsonb_build_object(
        'wallet_id', 'w' || n, 'op', 'charge', 'amount', 1, 'idempotency_key', 'none left'
      ))
      from generate_series(1, 1000) as s(n)
  ));

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
