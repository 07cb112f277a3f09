-- queue_deliveries, start_delivery, finish_delivery, the view: the way of an alert to a webhook.
begin;
select plan(41);

-- Raises an alert of a limit in a wallet, as a command does.
create function tap.raise(p_wallet_id text, p_seq bigint, p_limit_id text default 'day')
returns void
language plpgsql
security definer
as $$
begin
  perform baseledger._write_alerts(p_wallet_id, p_seq, array[
    row(
      case when p_limit_id is null then 'low_balance' else 'limit' end, 80, p_limit_id,
      case when p_limit_id is not null then '{}'::text[] end, 100, 85.0,
      '2026-03-01 00:00:00+00', 'infinity', '2026-03-01 12:00:00.5+00'
    )::baseledger._alert
  ]);
end
$$;

-- Moves the queueing of all deliveries into the past.
create function tap.wait(p_by interval)
returns void
language plpgsql
security definer
as $$
begin
  update baseledger.deliveries d set due_at = d.due_at - p_by where d.due_at > '-infinity';
  update baseledger.delivery_rates r
    set queued_at = array(select q - p_by from unnest(r.queued_at) as q order by q);
end
$$;

do $$
begin
  perform tap.wallet('w', 1000);
  perform tap.wallet('other', 1000);
  perform tap.raise('w', 1);
end
$$;
set local role baseledger_operator;
create temp table hook as
  select * from baseledger.add_webhook('w', 'https://h.example.com', '{limit}');
create temp table hook_of_all as
  select * from baseledger.add_webhook(null, 'https://all.example.com');
grant select on hook, hook_of_all to public;
reset role;

-- What is delivered -----------------------------------------------------------------------------

set local role baseledger_auditor;
select is((select array_agg(state) from baseledger.alerts), '{none}',
  'an alert without a webhook goes nowhere, also when one is added later');
set local role baseledger_worker;
select is_empty('select * from baseledger.queue_deliveries()', 'so that nothing is queued');
reset role;
do $$
begin
  perform tap.raise('w', 2);
  perform tap.raise('w', 3, null);
  perform tap.raise('other', 1);
end
$$;
set local role baseledger_auditor;
select is(
  (select array_agg(format('%s %s %s', wallet_id, seq, state) order by wallet_id, seq, webhook_id)
    from baseledger.alerts where webhook_id is not null),
  '{other 1 pending,w 2 pending,w 2 pending,w 3 pending}',
  'each goes to the webhooks of its wallet and of all, which want its kind'
);
set local role baseledger_worker;
create temp table queued as select * from baseledger.queue_deliveries();
select is(
  (select array_agg(format('%s %s %s %s', q.wallet_id, q.seq, q.number, h.url)
      order by q.wallet_id, q.seq, h.url)
    from queued q
    cross join lateral baseledger.start_delivery(q.wallet_id, q.seq, q.number, q.webhook_id) h),
  array['other 1 1 https://all.example.com', 'w 2 1 https://all.example.com',
    'w 2 1 https://h.example.com', 'w 3 1 https://all.example.com'],
  'the worker gets each of them'
);
select is_empty('select * from baseledger.queue_deliveries()', 'once');

-- What is sent ----------------------------------------------------------------------------------

create temp table sent as
  select d.* from hook, baseledger.start_delivery('w', 2, 1, hook.webhook_id) as d;
select is(d.secret, h.secret, 'it is signed with the secret of the webhook') from sent d, hook h;
select is(d.allow_private, false, 'it goes to public addresses') from sent d;
select is(body::jsonb, '{
  "type": "baseledger.limit", "timestamp": "2026-03-01T12:00:00.5+00:00",
  "data": {
    "wallet_id": "w", "seq": 2, "number": 1, "kind": "limit", "threshold": 80, "limit_id": "day",
    "values": [], "per": null, "of": null, "amount": "100", "value": "85", "unit": "USD",
    "scale": 9, "starts_at": "2026-03-01T00:00:00+00:00", "ends_at": null, "suppressed": 0
  }
}', 'the body says all of a limit') from sent;
select is(d.body::jsonb, '{
  "type": "baseledger.low_balance", "timestamp": "2026-03-01T12:00:00.5+00:00",
  "data": {
    "wallet_id": "w", "seq": 3, "number": 1, "kind": "low_balance", "threshold": "80",
    "limit_id": null, "values": null, "per": null, "of": null, "amount": "100", "value": "85",
    "unit": "USD", "scale": 9, "starts_at": "2026-03-01T00:00:00+00:00", "ends_at": null,
    "suppressed": 0
  }
}', 'the body says all of a low balance')
  from hook_of_all h, baseledger.start_delivery('w', 3, 1, h.webhook_id) as d;
select is(d.message_id, sent.message_id, 'the id of the message is the same for each attempt')
  from sent, hook h, baseledger.start_delivery('w', 2, 1, h.webhook_id) as d;
select isnt(d.message_id, sent.message_id, 'another alert has another')
  from sent, hook_of_all h, baseledger.start_delivery('w', 3, 1, h.webhook_id) as d;
select matches(message_id, '^alert_[0-9a-f]{32}$', 'it can stand in a header') from sent;
reset role;
do $$
begin
  insert into baseledger.limits values (
    'w', 'day', 100, 'ever', '{}', 'calls', 'UTC', true, '{80}', now(), 1, '-infinity', 'infinity',
    'infinity'
  );
end
$$;
set local role baseledger_worker;
select is(d.body::jsonb -> 'data' ->> 'per' || ' ' || (d.body::jsonb -> 'data' ->> 'of'),
  'ever calls', 'the body says what the limit counts, while it is there')
  from hook h, baseledger.start_delivery('w', 2, 1, h.webhook_id) as d;

-- How it ends -----------------------------------------------------------------------------------

select is(baseledger.finish_delivery('w', 2, 1, h.webhook_id, 'answered 500'), 'pending',
  'what failed is tried again') from hook h;
set local role baseledger_auditor;
select is(to_jsonb(a) - 'webhook_id', '{
  "wallet_id": "w", "seq": 2, "number": 1, "occurred_at": "2026-03-01T12:00:00.5+00:00",
  "kind": "limit", "threshold": 80, "limit_id": "day", "label_values": [], "amount": 100,
  "value": 85.0, "starts_at": "2026-03-01T00:00:00+00:00", "ends_at": "infinity",
  "state": "pending", "attempts": 4, "last_error": "answered 500", "ended_at": null
}', 'the view shows the attempts and the error')
  from baseledger.alerts a join hook using (webhook_id) where a.seq = 2;
set local role baseledger_worker;
select is(baseledger.finish_delivery('w', 2, 1, h.webhook_id), 'sent', 'it was received')
  from hook h;
select is_empty(format($$select * from baseledger.start_delivery('w', 2, 1, %L)$$, h.webhook_id),
  'and is not sent again') from hook h;
select is(baseledger.finish_delivery('w', 2, 1, h.webhook_id, 'late'), null,
  'an attempt that fails after that changes nothing') from hook h;
set local role baseledger_auditor;
select results_eq(
  $$select state, ended_at between now() and clock_timestamp(), last_error
    from baseledger.alerts join hook using (webhook_id) where seq = 2$$,
  $$values ('sent', true, 'answered 500')$$, 'the view shows that it was sent'
);
set local role baseledger_worker;
select is(
  (select array_agg(baseledger.finish_delivery('w', 3, 1, h.webhook_id, repeat('x', 600)))
    from hook_of_all h, generate_series(1, 10) as n,
      baseledger.start_delivery('w', 3, 1, h.webhook_id)),
  array_fill('pending'::text, array[10]), 'it is tried 13 times'
);
select is(baseledger.finish_delivery('w', 3, 1, h.webhook_id, 'gone'), 'failed',
  'after the 14th attempt it is given up')
  from hook_of_all h, baseledger.start_delivery('w', 3, 1, h.webhook_id);
select is_empty(format($$select * from baseledger.start_delivery('w', 3, 1, %L)$$, h.webhook_id),
  'and is not tried again') from hook_of_all h;
select is(baseledger.finish_delivery('w', 3, 1, h.webhook_id), 'sent',
  'unless an attempt that took longer was received after all') from hook_of_all h;
select is(baseledger.finish_delivery('w', 9, 1, h.webhook_id), null,
  'what is not there does not end') from hook h;
select tap.refuses($$start_delivery(null, 1, 1, 'x')$$, 'LGARG', '{"field": "wallet_id"}',
  'start_delivery needs a wallet');
select tap.refuses($$finish_delivery('', 1, 1, 'x')$$, 'LGARG', '{"field": "wallet_id"}',
  'finish_delivery needs a wallet');
select tap.refuses('queue_deliveries(0)', 'LGARG', '{"field": "limit"}', 'a queue has a length');

-- What was lost ---------------------------------------------------------------------------------

do $$ begin perform tap.wait('61 seconds'); end $$;
select results_eq(
  'select wallet_id, seq from baseledger.queue_deliveries() order by 1, 2',
  $$values ('other', 1::bigint), ('w', 2)$$,
  'what was queued or begun a minute ago, and did not end, is queued again'
);
select is(baseledger.finish_delivery('w', 2, 1, h.webhook_id, 'answered 503'), 'pending',
  'it fails once more') from hook_of_all h;
do $$ begin perform tap.wait('10 minutes'); end $$;
select is((select array_agg(wallet_id) from baseledger.queue_deliveries()), '{other}',
  'what is to be tried again is left to its job');
do $$ begin perform tap.wait('10 seconds'); end $$;
select is((select array_agg(wallet_id) from baseledger.queue_deliveries()), '{w}',
  'but not for ever');

-- Too many --------------------------------------------------------------------------------------

reset role;
do $$
begin
  perform tap.wait('2 hours');
  for n in 100 .. 124 loop
    perform tap.raise('w', n, 'often');
  end loop;
  perform tap.raise('w', 125, 'seldom');
  perform tap.raise('w', 126, null);
end
$$;
set local role baseledger_worker;
select is(
  (select array_agg(seq order by seq) from baseledger.queue_deliveries()
    join hook using (webhook_id) where seq >= 100),
  array(select n::bigint from generate_series(100, 119) as n) || '{125}',
  'of one limit and webhook 20 an hour are sent; another limit has its own'
);
set local role baseledger_auditor;
select results_eq(
  $$select state, count(*) from baseledger.alerts join hook using (webhook_id)
    where limit_id = 'often' group by 1 order by 1$$,
  $$values ('pending', 20::bigint), ('suppressed', 5)$$, 'the others are suppressed'
);
reset role;
do $$ begin perform tap.wait('59 minutes'); perform tap.raise('w', 130, 'often'); end $$;
set local role baseledger_worker;
select is_empty(
  'select * from baseledger.queue_deliveries() join hook using (webhook_id) where seq = 130',
  'within the hour it stays so'
);
reset role;
do $$
begin
  perform tap.wait('1 minute');
  perform tap.raise('w', 131, 'often');
  perform tap.raise('w', 132, 'often');
end
$$;
set local role baseledger_worker;
do $$ begin perform baseledger.queue_deliveries(); end $$;
select is(
  (select array_agg(d.body::jsonb -> 'data' -> 'suppressed' order by n) from hook h,
    generate_series(131, 132) as n, baseledger.start_delivery('w', n, 1, h.webhook_id) as d),
  '{6,0}'::jsonb[], 'after it the first says how many were suppressed'
);
reset role;
do $$ begin perform tap.wait('-1 year'); perform tap.raise('w', 133, 'often'); end $$;
set local role baseledger_worker;
select isnt_empty(
  'select * from baseledger.queue_deliveries() join hook using (webhook_id) where seq = 133',
  'a clock that was a year ahead suppresses nothing now'
);

-- A webhook that is removed ---------------------------------------------------------------------

set local role baseledger_operator;
do $$ begin perform baseledger.remove_webhook(webhook_id) from hook; end $$;
set local role baseledger_auditor;
select is((select array_agg(distinct last_error) from baseledger.alerts join hook using (webhook_id)
  where state = 'failed'), '{the webhook was removed}', 'what was not sent is given up');
select is_empty(
  $$select from baseledger.alerts join hook using (webhook_id) where state = 'pending'$$,
  'all of it'
);
reset role;
do $$
begin
  -- As by a command that had seen the webhook before it was removed.
  insert into baseledger.raised_alerts
    select 'w', 140, number, kind, threshold, limit_id, label_values, amount, value, starts_at,
      ends_at, occurred_at
    from baseledger.raised_alerts where wallet_id = 'w' and seq = 133;
  insert into baseledger.deliveries (wallet_id, seq, number, webhook_id)
    select 'w', 140, 1, webhook_id from hook;
end
$$;
set local role baseledger_worker;
select is_empty(format($$select * from baseledger.start_delivery('w', 140, 1, %L)$$, h.webhook_id),
  'nothing is sent to it any more') from hook h;
set local role baseledger_auditor;
select is((select state from baseledger.alerts where seq = 140), 'failed', 'and that is on record');

-- Counts ----------------------------------------------------------------------------------------

select is(
  (select sum(alerts) from baseledger.alert_counts()),
  (select count(*) from baseledger.alerts)::numeric,
  'the counts are those of the view'
);

select * from finish();
rollback;
