-- post_funds: the batch of operators, which can also move funds in and out.
begin;
select plan(56);

do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.reserve('w', 100, 'old', '1 hour');
end
$$;

set local role baseledger_operator;

-- Receipts and refusals -------------------------------------------------------------------------

create temp table batch as select $json$[
  {"op": "credit", "amount": 100, "idempotency_key": "k1", "metadata": {"step": 1}},
  {"op": "withdraw", "amount": 50, "idempotency_key": "k2", "metadata": {"step": 2}},
  {"op": "charge", "amount": 10, "idempotency_key": "k3"},
  {"op": "refund", "reservation_id": "k3", "amount": 4, "idempotency_key": "k4",
    "metadata": {"step": 4}},
  {"op": "refund", "reservation_id": "k3", "amount": 7, "idempotency_key": "k5"},
  {"op": "reserve", "amount": 20, "idempotency_key": "k6", "ttl": 60},
  {"op": "extend", "reservation_id": "k6", "ttl": 120, "idempotency_key": "k7"},
  {"op": "settle", "reservation_id": "k6", "amount": 20, "idempotency_key": "k8"},
  {"op": "cancel", "reservation_id": "old", "idempotency_key": "k9"}
]$json$::jsonb as commands;
create temp table first as select baseledger.post_funds('w', commands) as receipt from batch;

select is(array_agg(tap.as_json(receipt)), array[
  '{
    "wallet_id": "w", "seq": 4, "event": "credited", "amount": 100, "available": 1000,
    "reserved": 100, "spent": 0, "idempotency_key": "k1", "replayed": false
  }', '{
    "wallet_id": "w", "seq": 5, "event": "withdrawn", "amount": 50, "available": 950,
    "reserved": 100, "spent": 0, "idempotency_key": "k2", "replayed": false
  }', '{
    "wallet_id": "w", "seq": 6, "event": "charged", "reservation_id": "k3", "amount": 10,
    "available": 940, "reserved": 100, "spent": 10, "idempotency_key": "k3", "replayed": false
  }', '{
    "wallet_id": "w", "seq": 7, "event": "refunded", "reservation_id": "k3", "amount": 4,
    "available": 944, "reserved": 100, "spent": 6, "idempotency_key": "k4", "replayed": false
  }', '{
    "wallet_id": "w", "reservation_id": "k3", "idempotency_key": "k5", "replayed": false,
    "refused": "LGRFD", "detail": {"reservation_id": "k3", "requested": 7, "refundable": 6}
  }', '{
    "wallet_id": "w", "seq": 8, "event": "reserved", "reservation_id": "k6", "amount": 20,
    "available": 924, "reserved": 120, "spent": 6, "ttl": 60, "idempotency_key": "k6",
    "replayed": false
  }', '{
    "wallet_id": "w", "seq": 9, "event": "extended", "reservation_id": "k6", "amount": 0,
    "available": 924, "reserved": 120, "spent": 6, "ttl": 120, "idempotency_key": "k7",
    "replayed": false
  }', '{
    "wallet_id": "w", "seq": 10, "event": "settled", "reservation_id": "k6", "amount": 20,
    "available": 924, "reserved": 100, "spent": 26, "idempotency_key": "k8", "replayed": false
  }', '{
    "wallet_id": "w", "seq": 11, "event": "cancelled", "reservation_id": "old", "amount": 100,
    "available": 1024, "reserved": 0, "spent": 26, "idempotency_key": "k9", "replayed": false
  }'
]::jsonb[], 'post_funds takes the commands of post and credit, withdraw and refund') from first;

select is(
  array_agg(tap.on_record('w', n) -> 'metadata'),
  array['{"step": 1}', '{"step": 2}', '{}', '{"step": 4}']::jsonb[],
  'each event records the metadata of its command'
) from generate_series(4, 7) as s(n);

select changes_nothing($$select baseledger.post_funds('w', commands) from batch$$,
  'a retried batch writes nothing');
select results_eq(
  $$select to_jsonb(r) from batch, baseledger.post_funds('w', commands) as r
    where r.refused is null$$,
  $$select to_jsonb(receipt) || '{"replayed": true}' from first where (receipt).refused is null$$,
  'a retried batch gets the first receipts, with the balances of those events'
);
select is(tap.brief(baseledger.credit('w', 100, 'k1', '{"step": 1}')),
  '#4 credited 100: 1000/100/0 again', 'a single command can be a retry of one in a batch');

-- Not by agents ---------------------------------------------------------------------------------

set local role baseledger_agent;
select throws_ok(
  $$select baseledger.post_funds('w', '[{"op": "credit", "amount": 1, "idempotency_key": "x"}]')$$,
  '42501', null, 'an agent cannot call post_funds'
);
select is(
  array(select tap.facts(r.refused, r.detail) ->> 'op' from baseledger.post('w', '[
    {"op": "credit", "amount": 1, "idempotency_key": "x"},
    {"op": "withdraw", "amount": 1, "idempotency_key": "x"},
    {"op": "refund", "reservation_id": "k6", "amount": 1, "idempotency_key": "x"}
  ]') as r where r.refused = 'LGUNK'),
  array['credit', 'withdraw', 'refund'],
  'post refuses the commands that move funds in or out'
);
select is(
  tap.posted('w', '[{"op": "credit", "amount": 100, "idempotency_key": "k1",
    "metadata": {"step": 1}}]'),
  array['LGUNK'], 'post refuses them as retries too'
);
set local role baseledger_operator;

select is(
  jsonb_build_array(r.refused, r.detail),
  jsonb_build_array('LGUNK', jsonb_build_object('op', c.op)),
  'refused as an unknown op: ' || c.op
) from unnest(array[
    'transfer', 'transfer_out', 'transfer_in', 'transferred_in', 'freeze', 'unfreeze', 'open',
    'expire', 'expired', 'credited', 'Credit', ' credit', ''
  ]) as c(op)
  cross join lateral baseledger.post_funds('w', jsonb_build_array(jsonb_build_object(
    'op', c.op, 'amount', 1, 'idempotency_key', 'x'
  ))) as r;

-- Strict parsing --------------------------------------------------------------------------------

select is(
  jsonb_build_array(r.refused, facts(r.refused, r.detail)), c.refusal::jsonb,
    'refused: ' || c.command
) from (values
    ('["LGARG", {"field": "amount"}]', '{"op": "credit", "idempotency_key": "x"}'),
    ('["LGARG", {"field": "amount"}]', '{"op": "credit", "amount": 1.5, "idempotency_key": "x"}'),
    ('["LGARG", {"field": "amount"}]', '{"op": "credit", "amount": 0, "idempotency_key": "x"}'),
    ('["LGARG", {"field": "amount"}]', '{"op": "credit", "amount": "-1", "idempotency_key": "x"}'),
    ('["LGARG", {"field": "amount"}]', '{"op": "withdraw", "amount": -1, "idempotency_key": "x"}'),
    ('["LGARG", {"field": "amount"}]',
      '{"op": "refund", "reservation_id": "k6", "amount": 0, "idempotency_key": "x"}'),
    ('["LGARG", {"field": "idempotency_key"}]', '{"op": "credit", "amount": 1}'),
    ('["LGARG", {"field": "idempotency_key"}]',
      '{"op": "withdraw", "amount": 1, "idempotency_key": ""}'),
    ('["LGARG", {"field": "reservation_id"}]',
      '{"op": "refund", "amount": 1, "idempotency_key": "x"}'),
    ('["LGARG", {"field": "reservation_id"}]',
      '{"op": "credit", "amount": 1, "idempotency_key": "x", "reservation_id": "k6"}'),
    ('["LGARG", {"field": "reservation_id"}]',
      '{"op": "withdraw", "amount": 1, "idempotency_key": "x", "reservation_id": null}'),
    ('["LGARG", {"field": "ttl"}]',
      '{"op": "refund", "reservation_id": "k6", "amount": 1, "idempotency_key": "x", "ttl": 60}'),
    ('["LGARG", {"field": "metadata"}]',
      '{"op": "credit", "amount": 1, "idempotency_key": "x", "metadata": 1}'),
    ('["LGARG", {"field": "op"}]', '{"amount": 1, "idempotency_key": "x"}'),
    ('["LGRNF", {"reservation_id": "none"}]',
      '{"op": "refund", "reservation_id": "none", "amount": 1, "idempotency_key": "x"}'),
    ('["LGRFD", {"reservation_id": "old", "requested": 1, "refundable": 0}]',
      '{"op": "refund", "reservation_id": "old", "amount": 1, "idempotency_key": "x"}'),
    ('["LGIDK", {"field": "amount", "stored": 100, "given": 1}]',
      '{"op": "credit", "amount": 1, "idempotency_key": "k1", "metadata": {"step": 1}}'),
    ('["LGOVF", {"requested": 9223372036854775807, "available": 1024, "reserved": 0, "spent": 26}]',
      '{"op": "credit", "amount": 9223372036854775807, "idempotency_key": "x"}'),
    ('["LGNSF", {"requested": 1025, "available": 1024, "reserved": 0, "shortfall": 1,
      "reason": "exhausted", "retry_at": null}]',
      '{"op": "withdraw", "amount": 1025, "idempotency_key": "x"}')
  ) as c(refusal, command)
  cross join lateral baseledger.post_funds('w', jsonb_build_array(c.command::jsonb)) as r;

select refuses(
  format('post_funds(%s, %s)', c.wallet_id, c.commands), c.code, c.detail::jsonb,
    'refused: ' || c.name
) from (values
    ('no commands', $$'w'$$, 'null', 'LGARG', '{"field": "commands"}'),
    ('an object', $$'w'$$, $$'{"op": "credit", "amount": 1, "idempotency_key": "x"}'$$, 'LGARG',
      '{"field": "commands"}'),
    ('a number among the commands', $$'w'$$,
      $$'[{"op": "credit", "amount": 1, "idempotency_key": "x"}, 1]'$$, 'LGARG',
      '{"field": "commands"}'),
    ('10,001 commands', $$'w'$$, $$(select jsonb_agg('{}'::jsonb) from generate_series(1, 10001))$$,
      'LGARG', '{"field": "commands"}'),
    ('no wallet', 'null', $$'[]'$$, 'LGARG', '{"field": "wallet_id"}'),
    ('a blank wallet id', $$' '$$, $$'[{}]'$$, 'LGARG', '{"field": "wallet_id"}'),
    ('an unknown wallet', $$'nobody'$$, $$'[{}]'$$, 'LGWNF', '{"wallet_id": "nobody"}'),
    ('an unknown wallet without commands', $$'nobody'$$, $$'[]'$$, 'LGWNF',
      '{"wallet_id": "nobody"}')
  ) as c(name, wallet_id, commands, code, detail);
select is_empty($$select * from baseledger.post_funds('w', '[]')$$,
  'an empty batch returns no rows');

-- Commands that refer to each other -------------------------------------------------------------

do $$
begin
  perform tap.wallet('refer', 100);
  perform baseledger.reserve('refer', 50, 'stored');
  perform baseledger.settle('refer', 'stored', 10, 'part', false);
end
$$;

select is(
  tap.posted_funds('refer', '[
    {"op": "charge", "amount": 70, "idempotency_key": "a1"},
    {"op": "credit", "amount": 20, "idempotency_key": "a2"},
    {"op": "charge", "amount": 70, "idempotency_key": "a1"},
    {"op": "refund", "reservation_id": "a1", "amount": 71, "idempotency_key": "a3"},
    {"op": "refund", "reservation_id": "a1", "amount": 70, "idempotency_key": "a3"},
    {"op": "refund", "reservation_id": "a1", "amount": 70, "idempotency_key": "a3"},
    {"op": "refund", "reservation_id": "a1", "amount": 1, "idempotency_key": "a4"},
    {"op": "withdraw", "amount": 71, "idempotency_key": "a5"},
    {"op": "withdraw", "amount": 70, "idempotency_key": "a5"},
    {"op": "withdraw", "amount": 1, "idempotency_key": "a6"}
  ]'),
  array['LGNSF', '#5 credited 20: 70/40/10', '#6 charged 70: 0/40/80', 'LGRFD',
    '#7 refunded 70: 70/40/10', '#7 refunded 70: 70/40/10 again', 'LGRFD', 'LGNSF',
    '#8 withdrawn 70: 0/40/10', 'LGNSF'],
  'a refused command is granted with the same key later in the batch, and a charge is refunded once'
);
select is(
  tap.posted_funds('refer', '[
    {"op": "settle", "reservation_id": "stored", "amount": 15, "idempotency_key": "b1",
      "final": false},
    {"op": "refund", "reservation_id": "stored", "amount": 26, "idempotency_key": "b2"},
    {"op": "refund", "reservation_id": "stored", "amount": 5, "idempotency_key": "b3"},
    {"op": "settle", "reservation_id": "stored", "amount": 30, "idempotency_key": "b4"},
    {"op": "refund", "reservation_id": "stored", "amount": 51, "idempotency_key": "b5"},
    {"op": "refund", "reservation_id": "stored", "amount": 50, "idempotency_key": "b6"},
    {"op": "settle", "reservation_id": "stored", "amount": 1, "idempotency_key": "b7"},
    {"op": "refund", "reservation_id": "stored", "amount": 1, "idempotency_key": "b8"}
  ]'),
  array['#9 settled 15: 0/25/25', 'LGRFD', '#10 refunded 5: 5/25/20', '#11 settled 30: 0/0/50',
    'LGRFD', '#12 refunded 50: 50/0/0', 'LGEND', 'LGRFD'],
  'refunds count the parts of earlier transactions and of the batch'
);
select is(
  array(
    select tap.facts(r.refused, r.detail) -> 'refundable'
      from baseledger.post_funds('refer', '[
        {"op": "reserve", "amount": 10, "idempotency_key": "c1"},
        {"op": "refund", "reservation_id": "c1", "amount": 1, "idempotency_key": "c2"},
        {"op": "settle", "reservation_id": "c1", "amount": 4, "idempotency_key": "c3"},
        {"op": "refund", "reservation_id": "c1", "amount": 5, "idempotency_key": "c4"},
        {"op": "refund", "reservation_id": "c1", "amount": 3, "idempotency_key": "c5"},
        {"op": "refund", "reservation_id": "c1", "amount": 2, "idempotency_key": "c6"}
      ]') as r
      where r.refused is not null
  ),
  array['0', '4', '1']::jsonb[],
  'a refusal states what is refundable of a reservation of the batch'
);
select is(
  tap.posted_funds('refer', '[
    {"op": "refund", "reservation_id": "d", "amount": 1, "idempotency_key": "d1"},
    {"op": "charge", "amount": 1, "reservation_id": "d", "idempotency_key": "d2"},
    {"op": "refund", "reservation_id": "d", "amount": 1, "idempotency_key": "d1"},
    {"op": "settle", "reservation_id": "d", "amount": 1, "idempotency_key": "d3"}
  ]'),
  array['LGRNF', '#16 charged 1: 48/0/2', '#17 refunded 1: 49/0/1', 'LGEND'],
  'a refund before its charge is refused, and granted with the same key after it'
);

select is(
  array(
    select tap.as_json(r) #> '{detail,ended_seq}' from baseledger.post_funds('refer', '[
      {"op": "settle", "reservation_id": "c1", "amount": 1, "idempotency_key": "e1"},
      {"op": "refund", "reservation_id": "c1", "amount": 1, "idempotency_key": "e2"},
      {"op": "settle", "reservation_id": "c1", "amount": 1, "idempotency_key": "e3"},
      {"op": "charge", "amount": 1, "idempotency_key": "e4"},
      {"op": "refund", "reservation_id": "e4", "amount": 1, "idempotency_key": "e5"},
      {"op": "cancel", "reservation_id": "e4", "idempotency_key": "e6"}
    ]') as r where r.refused is not null
  ),
  array['14', '14', '19']::jsonb[],
  'the end of a reservation is its settlement or charge, not a refund'
);

do $$
begin
  perform tap.wallet('due', 100);
  perform baseledger.reserve('due', 100, 'r', '1 hour');
  perform tap.travel_back('due', '2 hours');
end
$$;
select is(
  tap.posted_funds('due', '[
    {"op": "withdraw", "amount": 90, "idempotency_key": "1"},
    {"op": "settle", "reservation_id": "r", "amount": 30, "idempotency_key": "2"},
    {"op": "withdraw", "amount": 1, "idempotency_key": "3"},
    {"op": "refund", "reservation_id": "r", "amount": 30, "idempotency_key": "4"},
    {"op": "withdraw", "amount": 1, "idempotency_key": "3"}
  ]'),
  array['#5 withdrawn 90: 10/0/0', '#6 settled 30: -20/0/30', 'LGNSF', '#7 refunded 30: 10/0/0',
    '#8 withdrawn 1: 9/0/0'],
  'what has come due can be withdrawn, and a late settlement refunded'
);

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
