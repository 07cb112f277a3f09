-- post: the order of commands in a batch, their effect on each other, and deadlines between them.
begin;
select plan(23);

-- Commands that refer to each other -------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('refer', 1000);
  perform baseledger.reserve('refer', 100, 's1', '1 hour');
  perform baseledger.reserve('refer', 100, 's2', '1 hour');
  perform baseledger.reserve('refer', 100, 's3', '1 hour');
  perform tap.wallet('small', 100);
end
$$;
set local role baseledger_agent;

select is(
  tap.posted('refer', '[
    {"op": "reserve", "amount": 50, "idempotency_key": "a1", "reservation_id": "a"},
    {"op": "settle", "reservation_id": "a", "amount": 20, "idempotency_key": "a2"},
    {"op": "settle", "reservation_id": "a", "amount": 20, "idempotency_key": "a3"},
    {"op": "cancel", "reservation_id": "a", "idempotency_key": "a4"},
    {"op": "extend", "reservation_id": "a", "ttl": 60, "idempotency_key": "a5"},
    {"op": "reserve", "amount": 50, "idempotency_key": "a6", "reservation_id": "a"},
    {"op": "charge", "amount": 50, "idempotency_key": "a7", "reservation_id": "a"}
  ]'),
  array['#6 reserved 50: 650/350/0', '#7 settled 20: 680/300/20',
    'LGEND', 'LGEND', 'LGEND', 'LGRID', 'LGRID'],
  'a reservation that is reserved and settled in a batch has ended'
);
select is(
  tap.posted('refer', '[
    {"op": "settle", "reservation_id": "b", "amount": 1, "idempotency_key": "b1"},
    {"op": "cancel", "reservation_id": "b", "idempotency_key": "b2"},
    {"op": "extend", "reservation_id": "b", "ttl": 60, "idempotency_key": "b3"},
    {"op": "reserve", "amount": 50, "idempotency_key": "b4", "reservation_id": "b"},
    {"op": "settle", "reservation_id": "b", "amount": 1, "idempotency_key": "b1", "final": false},
    {"op": "settle", "reservation_id": "b", "amount": 60, "idempotency_key": "b5", "final": false},
    {"op": "extend", "reservation_id": "b", "ttl": 60, "amount": 30, "idempotency_key": "b3"},
    {"op": "cancel", "reservation_id": "b", "idempotency_key": "b2"}
  ]'),
  array['LGRNF', 'LGRNF', 'LGRNF', '#8 reserved 50: 630/350/20', '#9 settled 1: 630/349/21',
    '#10 settled 60: 619/300/81', '#11 extended 30: 589/330/81', '#12 cancelled 30: 619/300/81'],
  'commands before their reservation are refused, and granted with the same keys after it'
);
select is(
  tap.posted('refer', '[
    {"op": "charge", "amount": 1, "idempotency_key": "c1", "reservation_id": "c"},
    {"op": "settle", "reservation_id": "c", "amount": 1, "idempotency_key": "c2"},
    {"op": "reserve", "amount": 1, "idempotency_key": "c3", "reservation_id": "c"},
    {"op": "cancel", "reservation_id": "s1", "idempotency_key": "c4"},
    {"op": "settle", "reservation_id": "s1", "amount": 1, "idempotency_key": "c5"},
    {"op": "settle", "reservation_id": "s2", "amount": 1, "idempotency_key": "c6"},
    {"op": "cancel", "reservation_id": "s2", "idempotency_key": "c7"},
    {"op": "extend", "reservation_id": "s3", "ttl": 60, "amount": 10, "idempotency_key": "c8"},
    {"op": "settle", "reservation_id": "s3", "amount": 15, "idempotency_key": "c9"}
  ]'),
  array['#13 charged 1: 618/300/82', 'LGEND', 'LGRID',
    '#14 cancelled 100: 718/200/82', 'LGEND', '#15 settled 1: 817/100/83', 'LGEND',
    '#16 extended -90: 907/10/83', '#17 settled 15: 902/0/98'],
  'an ended reservation refuses the later commands of the batch, and an extended one accepts them'
);
select is(
  array(
    select tap.as_json(r) -> 'detail'
      from baseledger.post('refer', '[
        {"op": "reserve", "amount": 1, "idempotency_key": "d1"},
        {"op": "cancel", "reservation_id": "d1", "idempotency_key": "d2"},
        {"op": "settle", "reservation_id": "d1", "amount": 1, "idempotency_key": "d3"},
        {"op": "settle", "reservation_id": "s1", "amount": 1, "idempotency_key": "d4"}
      ]') as r
      where r.refused is not null
  ),
  array[
    jsonb_build_object('reservation_id', 'd1', 'status', 'cancelled', 'ended_seq', 19,
      'ended_at', (baseledger.cancel('refer', 'd1', 'd2')).occurred_at),
    jsonb_build_object('reservation_id', 's1', 'status', 'cancelled', 'ended_seq', 14,
      'ended_at', (baseledger.cancel('refer', 's1', 'c4')).occurred_at)
  ],
  'a refusal states the end of the reservation, in this batch or before it'
);

-- Keys.
select is(
  array(select tap.as_json(r) - 'wallet_id' from baseledger.post('refer', '[
    {"op": "charge", "amount": 1, "idempotency_key": "e1"},
    {"op": "charge", "amount": 1, "idempotency_key": "e1"},
    {"op": "charge", "amount": 2, "idempotency_key": "e1"},
    {"op": "reserve", "amount": 1, "idempotency_key": "e1"},
    {"op": "charge", "amount": 1, "idempotency_key": "e1", "metadata": {"a": 1}},
    {"op": "charge", "amount": "1", "idempotency_key": "e1", "reservation_id": "e1"}
  ]') as r),
  array[
    '{"seq": 20, "event": "charged", "reservation_id": "e1", "amount": 1, "available": 901,
      "reserved": 0, "spent": 99, "idempotency_key": "e1", "replayed": false}',
    '{"seq": 20, "event": "charged", "reservation_id": "e1", "amount": 1, "available": 901,
      "reserved": 0, "spent": 99, "idempotency_key": "e1", "replayed": true}',
    '{"reservation_id": "e1", "idempotency_key": "e1", "replayed": false, "refused": "LGIDK",
      "detail": {"field": "amount", "stored": 1, "given": 2}}',
    '{"reservation_id": "e1", "idempotency_key": "e1", "replayed": false, "refused": "LGIDK",
      "detail": {"field": "op", "stored": "charge", "given": "reserve"}}',
    '{"reservation_id": "e1", "idempotency_key": "e1", "replayed": false, "refused": "LGIDK",
      "detail": {"field": "metadata", "stored": {}, "given": {"a": 1}}}',
    '{"seq": 20, "event": "charged", "reservation_id": "e1", "amount": 1, "available": 901,
      "reserved": 0, "spent": 99, "idempotency_key": "e1", "replayed": true}'
  ]::jsonb[],
  'a key that occurs twice executes its command once, and is refused for another command'
);
select is(
  tap.posted('refer', '[
    {"op": "reserve", "amount": 10, "at_least": 5, "ttl": 77.5, "idempotency_key": "f1"},
    {"op": "settle", "reservation_id": "f1", "amount": 3, "final": false, "idempotency_key": "f2"},
    {"op": "extend", "reservation_id": "f1", "ttl": 90, "amount": 9, "idempotency_key": "f3"},
    {"op": "reserve", "amount": 10, "at_least": 5, "ttl": "77.5 s", "idempotency_key": "f1"},
    {"op": "settle", "reservation_id": "f1", "amount": 3, "final": false, "idempotency_key": "f2"},
    {"op": "extend", "reservation_id": "f1", "ttl": "90 s", "amount": 9, "idempotency_key": "f3"},
    {"op": "settle", "reservation_id": "f1", "amount": 3, "idempotency_key": "f2"},
    {"op": "extend", "reservation_id": "f1", "ttl": 90, "idempotency_key": "f3"},
    {"op": "cancel", "reservation_id": "f1", "idempotency_key": "f4"},
    {"op": "cancel", "reservation_id": "f1", "idempotency_key": "f4"},
    {"op": "cancel", "reservation_id": "f1", "idempotency_key": "f3"}
  ]'),
  array['#21 reserved 10: 891/10/99', '#22 settled 3: 891/7/102', '#23 extended 2: 889/9/102',
    '#21 reserved 10: 891/10/99 again', '#22 settled 3: 891/7/102 again',
    '#23 extended 2: 889/9/102 again', 'LGIDK', 'LGIDK', '#24 cancelled 9: 898/0/102',
    '#24 cancelled 9: 898/0/102 again', 'LGIDK'],
  'a batch can hold a command of each kind and its retry'
);
select is(
  tap.posted('refer', '[
    {"op": "charge", "amount": 1, "idempotency_key": "Key"},
    {"op": "charge", "amount": 1, "idempotency_key": "key"},
    {"op": "charge", "amount": 1, "idempotency_key": "k\u200bey"},
    {"op": "charge", "amount": 1, "idempotency_key": "ké"},
    {"op": "charge", "amount": 1, "idempotency_key": "ke\u0301"},
    {"op": "charge", "amount": 2, "idempotency_key": "ke\u0301"},
    {"op": "charge", "amount": 1, "idempotency_key": "2", "reservation_id": "KEY"}
  ]'),
  array['#25 charged 1: 897/0/103', '#26 charged 1: 896/0/104', '#27 charged 1: 895/0/105',
    '#28 charged 1: 894/0/106', '#29 charged 1: 893/0/107', 'LGIDK', '#30 charged 1: 892/0/108'],
  'keys and ids are compared byte by byte'
);
select is(
  tap.posted('refer', '[
    {"op": "charge", "amount": 1},
    {"op": "charge", "amount": 1},
    {"op": "charge", "amount": 1, "idempotency_key": null, "reservation_id": "g"},
    {"op": "charge", "amount": 1, "idempotency_key": "g"}
  ]'),
  array['LGARG', 'LGARG', 'LGARG', '#31 charged 1: 891/0/109'],
  'commands without a key do not conflict with each other'
);

-- Funds.
select is(
  array(select tap.as_json(r) - 'wallet_id' - 'replayed' from baseledger.post('small', '[
    {"op": "reserve", "amount": 60, "idempotency_key": "a", "ttl": 7200},
    {"op": "reserve", "amount": 40, "idempotency_key": "b", "ttl": 3600},
    {"op": "charge", "amount": 1, "idempotency_key": "c"},
    {"op": "cancel", "reservation_id": "b", "idempotency_key": "d"},
    {"op": "charge", "amount": 1, "idempotency_key": "c"},
    {"op": "reserve", "amount": 50, "at_least": 39, "idempotency_key": "e"},
    {"op": "settle", "reservation_id": "a", "amount": 70, "idempotency_key": "f"},
    {"op": "charge", "amount": 1, "idempotency_key": "g"}
  ]') as r),
  array[
    '{"seq": 3, "event": "reserved", "reservation_id": "a", "amount": 60, "available": 40,
      "reserved": 60, "spent": 0, "ttl": 7200, "idempotency_key": "a"}',
    '{"seq": 4, "event": "reserved", "reservation_id": "b", "amount": 40, "available": 0,
      "reserved": 100, "spent": 0, "ttl": 3600, "idempotency_key": "b"}',
    jsonb_build_object('reservation_id', 'c', 'idempotency_key', 'c', 'refused', 'LGNSF', 'detail',
      jsonb_build_object('requested', 1, 'available', 0, 'reserved', 100, 'shortfall', 1,
        'reason', 'held', 'retry_at', (baseledger.reserve('small', 40, 'b', '1 hour')).expires_at)),
    '{"seq": 5, "event": "cancelled", "reservation_id": "b", "amount": 40, "available": 40,
      "reserved": 60, "spent": 0, "idempotency_key": "d"}',
    '{"seq": 6, "event": "charged", "reservation_id": "c", "amount": 1, "available": 39,
      "reserved": 60, "spent": 1, "idempotency_key": "c"}',
    '{"seq": 7, "event": "reserved", "reservation_id": "e", "amount": 39, "available": 0,
      "reserved": 99, "spent": 1, "ttl": 600, "idempotency_key": "e"}',
    '{"seq": 8, "event": "settled", "reservation_id": "a", "amount": 70, "available": -10,
      "reserved": 39, "spent": 71, "idempotency_key": "f"}',
    jsonb_build_object('reservation_id', 'g', 'idempotency_key', 'g', 'refused', 'LGNSF', 'detail',
      jsonb_build_object('requested', 1, 'available', -10, 'reserved', 39, 'shortfall', 11,
        'reason', 'held',
        'retry_at', (baseledger.reserve('small', 50, 'e', p_at_least => 39)).expires_at))
  ]::jsonb[],
  'each command sees the funds and the next return that the commands before it have left'
);
select is(
  array(select tap.as_json(r) #> '{detail,retry_at}' from baseledger.post('small', '[
    {"op": "extend", "reservation_id": "e", "ttl": 7200, "idempotency_key": "h"},
    {"op": "charge", "amount": 1, "idempotency_key": "i"}
  ]') as r where r.refused is not null),
  array[to_jsonb((baseledger.extend('small', 'e', '2 hours', 'h')).expires_at)],
  'retry_at follows an extension in the same batch'
);

set local role baseledger_operator;
do $$ begin perform tap.wallet('ended', 100); end $$;
set local role baseledger_agent;
select is(
  array(select tap.as_json(r) #> '{detail,retry_at}' from baseledger.post('ended', '[
    {"op": "reserve", "amount": 10, "ttl": 60, "idempotency_key": "a"},
    {"op": "reserve", "amount": 90, "ttl": 3600, "idempotency_key": "b"},
    {"op": "settle", "reservation_id": "a", "amount": 10, "idempotency_key": "c"},
    {"op": "charge", "amount": 1, "idempotency_key": "d"}
  ]') as r where r.refused is not null),
  array[to_jsonb((baseledger.reserve('ended', 90, 'b', '1 hour')).expires_at)],
  'retry_at ignores a reservation that has ended in the same batch'
);

-- retry_at is never a deadline that has passed, whether or not the batch names its reservation.
set local role baseledger_operator;
do $$
begin
  perform tap.wallet('waits', 100);
  perform baseledger.reserve('waits', 30, 'a', '1 hour');
  perform baseledger.reserve('waits', 70, 'b', '3 hours');
  perform tap.travel_back('waits', '2 hours');
end
$$;
set local role baseledger_agent;
select is(
  (
    select r.detail ->> 'retry_at' from baseledger.post('waits', '[
      {"op": "settle", "reservation_id": "a", "amount": 1, "idempotency_key": "1"},
      {"op": "charge", "amount": 90, "idempotency_key": "2"}
    ]') as r where r.refused = 'LGNSF'
  ),
  to_jsonb((baseledger.reserve('waits', 70, 'b', '3 hours')).expires_at) #>> '{}',
  'retry_at ignores a hold past its deadline that the batch names'
);

-- Deadlines.
set local role baseledger_operator;
do $$
begin
  perform tap.wallet('due', 100);
  perform baseledger.reserve('due', 30, 'a', '1 hour');
  perform baseledger.reserve('due', 30, 'b', '1 hour');
  perform baseledger.reserve('due', 40, 'c', '1 hour');
  perform tap.travel_back('due', '2 hours');
end
$$;
set local role baseledger_agent;
select changes_nothing(
  $$select baseledger.post('due', '[
    {"op": "cancel", "reservation_id": "a", "idempotency_key": "1"},
    {"op": "extend", "reservation_id": "b", "ttl": 60, "idempotency_key": "2"},
    {"op": "charge", "amount": 101, "idempotency_key": "3"},
    {"op": "reserve", "amount": 30, "reservation_id": "a", "idempotency_key": "a"}
  ]')$$,
  'a batch of refusals and retries writes nothing, not even expiries'
);
select is(
  tap.posted('due', '[
    {"op": "cancel", "reservation_id": "a", "idempotency_key": "1"},
    {"op": "settle", "reservation_id": "a", "amount": 5, "final": false, "idempotency_key": "2"},
    {"op": "extend", "reservation_id": "a", "ttl": 60, "idempotency_key": "3"},
    {"op": "settle", "reservation_id": "a", "amount": 5, "idempotency_key": "4"},
    {"op": "settle", "reservation_id": "a", "amount": 5, "idempotency_key": "5"},
    {"op": "cancel", "reservation_id": "a", "idempotency_key": "6"},
    {"op": "reserve", "amount": 90, "reservation_id": "b", "idempotency_key": "7"},
    {"op": "reserve", "amount": 90, "reservation_id": "d", "idempotency_key": "7"},
    {"op": "settle", "reservation_id": "d", "amount": 90, "idempotency_key": "8"}
  ]'),
  array['LGEXP', '#9 settled 5: 95/0/5', 'LGEXP', '#10 settled 5: 90/0/10', 'LGEND', 'LGEND',
    'LGRID', '#11 reserved 90: 0/90/10', '#12 settled 90: 0/0/100'],
  'what has come due expires before the first command'
);
select is((tap.last_events('due', 7))[1:3],
  array['expired a 30: 30/70/0', 'expired b 30: 60/40/0', 'expired c 40: 100/0/0'],
  'the expiries are recorded earliest deadline first'
);

-- A deadline between two commands of a batch, each of which takes a microsecond.
set local role baseledger_operator;
do $$
begin
  perform tap.wallet('between', 100);
  perform baseledger.reserve('between', 60, 'a', '1 hour');
  perform baseledger.reserve('between', 20, 'b', '1 hour');
  perform baseledger.reserve('between', 5, 'c', '1 hour');
  perform tap.due_after('between', 'a', 2);
  perform tap.due_after('between', 'b', 5);
  perform tap.due_after('between', 'c', 3);
end
$$;
set local role baseledger_agent;
select is(
  tap.posted('between', '[
    {"op": "charge", "amount": 1, "idempotency_key": "1"},
    {"op": "charge", "amount": 15, "idempotency_key": "2"},
    {"op": "charge", "amount": 1, "idempotency_key": "3"},
    {"op": "charge", "amount": 15, "idempotency_key": "4"},
    {"op": "extend", "reservation_id": "b", "ttl": 60, "idempotency_key": "5"},
    {"op": "settle", "reservation_id": "c", "amount": 5, "idempotency_key": "6"}
  ]'),
  array['#6 charged 1: 14/85/1', 'LGNSF', '#7 charged 1: 13/85/2', '#10 charged 15: 63/20/17',
    'LGEXP', '#12 settled 5: 78/0/22'],
  'a deadline between two commands counts for the second, and each expiry takes a microsecond'
);
select is(tap.last_events('between', 7), array[
  'charged 1 1: 14/85/1', 'charged 3 1: 13/85/2', 'expired a 60: 73/25/2', 'expired c 5: 78/20/2',
  'charged 4 15: 63/20/17', 'expired b 20: 83/0/17', 'settled c 5: 78/0/22'
], 'expiries and commands are recorded in order of time');

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('saved', 100);
  perform baseledger.reserve('saved', 60, 'a', '1 hour');
  perform baseledger.reserve('saved', 20, 'b', '1 hour');
  perform baseledger.reserve('saved', 20, 'c', '1 hour');
  perform tap.due_after('saved', 'a', 2);
  perform tap.due_after('saved', 'b', 2);
  perform tap.due_after('saved', 'c', 4);
end
$$;
set local role baseledger_agent;
select is(
  tap.posted('saved', '[
    {"op": "settle", "reservation_id": "a", "amount": 50, "idempotency_key": "1"},
    {"op": "extend", "reservation_id": "b", "ttl": 60, "idempotency_key": "2"},
    {"op": "cancel", "reservation_id": "c", "idempotency_key": "3"},
    {"op": "charge", "amount": 1, "idempotency_key": "4"},
    {"op": "charge", "amount": 1, "idempotency_key": "5"},
    {"op": "charge", "amount": 1, "idempotency_key": "6"}
  ]'),
  array['#6 settled 50: 10/40/50', '#7 extended 0: 10/40/50', '#8 cancelled 20: 30/20/50',
    '#9 charged 1: 29/20/51', '#10 charged 1: 28/20/52', '#11 charged 1: 27/20/53'],
  'what is settled, extended or cancelled before its deadline does not expire'
);
select is(tap.balances('saved'), '27/20/53', 'the balance agrees');

-- One by one or in batches ----------------------------------------------------------------------
-- The same thousand random commands for two equal wallets: one by one, and in batches of about 20.

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('singly', 3000, 100);
  perform tap.wallet('together', 3000, 100);
end
$$;
set local role baseledger_agent;

do $$ begin perform setseed(0.42); end $$;
create temp table random_command as
  select r.n::numeric, r.batch, jsonb_build_object('idempotency_key', r.key) || case r.kind
      when 0 then jsonb_build_object('op', 'charge', 'amount', r.amount)
      when 1 then jsonb_build_object('op', 'charge', 'amount', r.amount, 'reservation_id', r.id)
      when 2 then jsonb_build_object('op', 'cancel', 'reservation_id', r.id)
      when 3 then jsonb_build_object('op', 'extend', 'reservation_id', r.id, 'ttl', 60)
      when 4 then jsonb_build_object('op', 'extend', 'reservation_id', r.id, 'ttl', 60,
        'amount', r.amount)
      when 5 then jsonb_build_object('op', 'settle', 'reservation_id', r.id, 'amount', r.amount)
      when 6 then jsonb_build_object('op', 'settle', 'reservation_id', r.id, 'amount', r.amount,
        'final', false)
      when 7 then jsonb_build_object('op', 'reserve', 'reservation_id', r.id,
        'amount', r.amount + 10, 'at_least', 10)
      else jsonb_build_object('op', 'reserve', 'reservation_id', r.id, 'amount', r.amount)
    end as command
    from (
      select n, 'k' || (random() * 5000)::integer as key, 'r' || (random() * 120)::integer as id,
          (random() * 60)::integer as amount, (random() * 9)::integer as kind,
          sum((b.draw < 0.05)::integer) over (order by n) as batch
        from (select n, random() as draw from generate_series(1, 1000) as s(n)) as b
        offset 0
    ) as r;
-- Every fifth is retried a few commands later, in the same batch or another.
insert into random_command
  select c.n + 7.5, l.batch, c.command
    from random_command c
    join random_command l on l.n = c.n + 7
    where c.n % 5 = 0;

create temp table outcome (
  n bigint generated always as identity, way text, receipt baseledger.receipt
);
do $$
declare
  v record;
begin
  for v in select command from random_command order by n loop
    insert into outcome (way, receipt)
      select 'singly', r from baseledger.post('singly', jsonb_build_array(v.command)) as r;
  end loop;
  for v in
    select jsonb_agg(command order by n) as commands
      from random_command group by batch order by batch
  loop
    insert into outcome (way, receipt) select 'together', baseledger.post('together', v.commands);
  end loop;
end
$$;
select results_eq(
  $$select tap.as_json(receipt) - 'wallet_id' #- '{detail,ended_at}' #- '{detail,retry_at}'
    from outcome where way = 'together' order by n$$,
  $$select tap.as_json(receipt) - 'wallet_id' #- '{detail,ended_at}' #- '{detail,retry_at}'
    from outcome where way = 'singly' order by n$$,
  'a batch returns what its commands return one by one'
);
select is(tap.last_events('together', 2000), tap.last_events('singly', 2000),
  'a batch writes the same journal as its commands one by one');
select set_eq(
  $$select coalesce(
        (receipt).refused,
        (receipt).event || case when (receipt).replayed then ' again' else '' end
      )
    from outcome where way = 'singly'$$,
  array['reserved', 'settled', 'cancelled', 'extended', 'charged', 'reserved again',
    'settled again', 'cancelled again', 'extended again', 'charged again', 'LGARG', 'LGEND',
    'LGIDK', 'LGNSF', 'LGOVD', 'LGRID', 'LGRNF'],
  'the random commands had every event and every refusal'
);

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
