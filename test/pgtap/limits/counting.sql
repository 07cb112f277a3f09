-- What is counted of limits: each kind of event, over the borders of windows.
begin;
select plan(54);

create function pg_temp.yesterday(p_wallet_id text) returns void language sql as $$
  select tap.travel_back(p_wallet_id, '24 hours')
$$;
-- used and held of a limit of the whole wallet.
create function pg_temp.used(p_wallet_id text, p_limit_id text) returns text language sql as $$
  select format('%s/%s', u.used, u.held) from baseledger.limits(p_wallet_id, p_limit_id) as u
$$;

-- Each kind of event ----------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('w', 100000);
  perform baseledger.set_limit('w', 'amount', 10000, 'day');
  perform baseledger.set_limit('w', 'calls', 100, 'day', '{}', 'calls');
  perform baseledger.set_limit('w', 'open', 100, 'ever', '{}', 'open');
  perform baseledger.open_wallet('other');
end
$$;
set local role baseledger_operator;
create temp table steps (n serial, call text, amount text, calls text, open text);
insert into steps (call, amount, calls, open) values
  ($$reserve('w', 100, 'r1', '1 hour')$$, '100/100', '1/0', '1/1'),
  ($$reserve('w', 50, 'r2', '1 hour')$$, '150/150', '2/0', '2/2'),
  ($$reserve('w', 50, 'r2', '1 hour')$$, '150/150', '2/0', '2/2'),
  ($$extend('w', 'r1', '2 hours', 'e1')$$, '150/150', '2/0', '2/2'),
  ($$extend('w', 'r1', '2 hours', 'e2', 130)$$, '180/180', '2/0', '2/2'),
  ($$extend('w', 'r1', '2 hours', 'e3', 120)$$, '170/170', '2/0', '2/2'),
  ($$settle('w', 'r1', 70, 'p1', false)$$, '170/100', '2/0', '2/2'),
  ($$settle('w', 'r1', 60, 'p2', false)$$, '180/50', '2/0', '2/2'),
  ($$settle('w', 'r1', 5, 's1')$$, '185/50', '2/0', '1/1'),
  ($$cancel('w', 'r2', 'c1')$$, '135/0', '2/0', '0/0'),
  ($$charge('w', 40, 'ch1')$$, '175/0', '3/0', '0/0'),
  ($$charge('w', 40, 'ch2', p_already_spent => true)$$, '215/0', '4/0', '0/0'),
  ($$reserve('w', 10, 'r3')$$, '225/10', '5/0', '1/1'),
  ($$settle('w', 'r3', 25, 's3')$$, '240/0', '5/0', '0/0'),
  ($$refund('w', 'r3', 15, 'f1')$$, '225/0', '5/0', '0/0'),
  ($$refund('w', 'ch1', 40, 'f2')$$, '185/0', '5/0', '0/0'),
  ($$credit('w', 40, 'more')$$, '185/0', '5/0', '0/0'),
  ($$withdraw('w', 40, 'less')$$, '185/0', '5/0', '0/0'),
  ($$transfer('w', 'other', 40, 'away')$$, '185/0', '5/0', '0/0'),
  ($$freeze_wallet('w', 'x')$$, '185/0', '5/0', '0/0'),
  ($$unfreeze_wallet('w', 'x')$$, '185/0', '5/0', '0/0'),
  ($$reserve('w', 30, 'r4', '1 hour', p_at_least => 1)$$, '215/30', '6/0', '1/1'),
  ($$settle('w', 'r4', 0, 's4')$$, '185/0', '6/0', '0/0'),
  ($$reserve('w', 0, 'bad')$$, '185/0', '6/0', '0/0'),
  ($$charge('w', 999999, 'bad')$$, '185/0', '6/0', '0/0');
create function pg_temp.step(p_call text) returns text language plpgsql as $$
begin
  execute 'select baseledger.' || p_call;
  return 'done';
exception
  when others then return sqlstate;
end
$$;
create function pg_temp.play() returns setof text language plpgsql as $$
declare
  v_step steps;
begin
  for v_step in select * from steps order by n loop
    perform pg_temp.step(v_step.call);
    return next is(
      array[pg_temp.used('w', 'amount'), pg_temp.used('w', 'calls'), pg_temp.used('w', 'open')],
      array[v_step.amount, v_step.calls, v_step.open], v_step.call
    );
  end loop;
end
$$;
select * from pg_temp.play();

-- Expiry
do $$
begin
  perform baseledger.reserve('w', 30, 'due', '1 hour');
  perform tap.due_after('w', 'due', 0);
end
$$;
do $$ begin perform baseledger.credit('w', 1, 'a moment later'); end $$;
select is(array[tap.last_events('w', 2)::text, pg_temp.used('w', 'open')], array[
  '{"expired due 30: 99775/0/185","credited 1: 99776/0/185"}', '0/0'
], 'a hold past its deadline expires before the next command, and is not counted any more');

-- Over the borders of windows -------------------------------------------------------------------

do $$
begin
  perform tap.wallet('days', 100000);
  perform baseledger.set_limit('days', 'day', 1000, 'day');
  perform baseledger.set_limit('days', 'calls', 10, 'day', '{}', 'calls');
  perform baseledger.reserve('days', 100, 'long', '3 days');
  perform baseledger.reserve('days', 200, 'brief', '1 hour');
  perform baseledger.reserve('days', 50, 'paid', '3 days');
  perform baseledger.settle('days', 'paid', 30, 'paid a part', false);
  perform baseledger.charge('days', 60, 'charged');
  perform pg_temp.yesterday('days');
end
$$;
select is(pg_temp.used('days', 'day') || ' ' || pg_temp.used('days', 'calls'), '120/120 0/0',
  'in a new window counts what is held, but not past its deadline');
do $$ begin perform baseledger.settle('days', 'long', 40, 's1', false); end $$;
select is(pg_temp.used('days', 'day') || ' ' || pg_temp.used('days', 'calls'), '120/80 0/0',
  'and what is spent in it, whenever it was opened');
do $$ begin perform baseledger.settle('days', 'brief', 150, 's2'); end $$;
select is(pg_temp.used('days', 'day'), '270/80', 'a late settlement counts when it is settled');
do $$ begin perform baseledger.settle('days', 'long', 100, 's3'); end $$;
select is(pg_temp.used('days', 'day'), '310/20', 'a settlement above the hold counts in full');
do $$ begin perform baseledger.refund('days', 'long', 140, 'f1'); end $$;
select is(pg_temp.used('days', 'day'), '310/20',
  'a refund of what was opened in an earlier window gives nothing back');
do $$
begin
  perform baseledger.refund('days', 'charged', 60, 'f2');
  perform baseledger.charge('days', 5, 'now');
  perform baseledger.refund('days', 'now', 5, 'f3');
end
$$;
select is(pg_temp.used('days', 'day'), '310/20', 'one of what was opened in this window does');
do $$ begin perform baseledger.extend('days', 'paid', '5 days', 'e1', 700); end $$;
select is(pg_temp.used('days', 'day'), '990/700', 'a hold that is extended counts in full');
select refuses($$extend('days', 'paid', '5 days', 'e2', 711)$$, 'LGLIM', jsonb_build_object(
  'limit_id', 'day', 'values', '{}'::text[], 'per', 'day', 'of', 'amount', 'amount', 1000,
  'used', 990, 'held', 700, 'requested', 11, 'shortfall', 1, 'reason', 'held',
  'retry_at', (select min(o.expires_at) from tap.deadlines('days') as o), 'resets_at', null
), 'a larger hold is refused when it does not fit in any more');
do $$ begin perform pg_temp.yesterday('days'); end $$;
select is(pg_temp.used('days', 'day'), '700/700', 'a hold that is extended for days counts in each');
do $$
begin
  perform baseledger.settle('days', 'paid', 2000, 's4');
  perform baseledger.reserve('days', 0, 'x');
exception
  when others then null;
end
$$;
select is(pg_temp.used('days', 'day'), '700/700', 'what is rolled back does not count');
do $$ begin perform baseledger.settle('days', 'paid', 2000, 's4'); end $$;
select is(tap.used('days', 'day'), '{"day {}: 2000 used, 0 held, 0 left"}',
  'what was spent lands above the limit');
select is(array(select coalesce(r.refused, r.event::text) from baseledger.post('days', '[
  {"op": "reserve", "amount": 1, "idempotency_key": "n1"},
  {"op": "charge", "amount": 1, "idempotency_key": "n2"},
  {"op": "charge", "amount": 7, "idempotency_key": "n3", "already_spent": true}
]') as r), '{LGLIM,LGLIM,charged}', 'then nothing new, but what was spent already');

-- Many holds that expire, and are settled late after midnight.
do $$
begin
  perform tap.wallet('many', 100000);
  perform baseledger.set_limit('many', 'day', 1000, 'day', '{user}');
  for v_n in 1 .. 100 loop
    perform baseledger.reserve('many', 10, 'r' || v_n, '1 hour', p_metadata => '{"user": "a"}');
  end loop;
  perform pg_temp.yesterday('many');
end
$$;
select is(tap.used('many'), '{"day {a}: 0 used, 0 held, 1000 left"}', 'they are back');
select is(array(select distinct r.refused from baseledger.post('many', (
  select jsonb_agg(jsonb_build_object('op', 'settle', 'reservation_id', 'r' || n, 'amount', 10,
    'idempotency_key', 's' || n)) from generate_series(1, 100) as n)) as r), array[null::text],
  'all are settled late');
select is(tap.used('many'), '{"day {a}: 1000 used, 0 held, 0 left"}',
  'today''s window sees what was spent today');
select is(tap.posted('many', '[
  {"op": "charge", "amount": 1, "idempotency_key": "n", "metadata": {"user": "a"}},
  {"op": "charge", "amount": 1, "idempotency_key": "m", "metadata": {"user": "b"}}
]'), '{LGLIM,"#304 charged 1: 98999/0/1001"}', 'and nothing new is granted to that user');

-- A refund of a reservation that was opened before the limit.
do $$
begin
  perform tap.wallet('before', 1000);
  perform baseledger.charge('before', 50, 'old');
  perform baseledger.reserve('before', 100, 'open', '3 days');
  perform baseledger.set_limit('before', 'month', 500, 'ever');
  perform baseledger.settle('before', 'open', 80, 's');
end
$$;
select is(pg_temp.used('before', 'month'), '80/0', 'what is held at first is counted when spent');
do $$
begin
  perform baseledger.refund('before', 'old', 50, 'f1');
  perform baseledger.refund('before', 'open', 30, 'f2');
end
$$;
select is(pg_temp.used('before', 'month'), '80/0',
  'a refund of what was opened before the limit gives nothing back');

-- Batches ---------------------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('batch', 1000);
  perform baseledger.set_limit('batch', 'user', 100, 'day', '{user}');
  perform baseledger.set_limit('batch', 'calls', 6, 'day', '{}', 'calls');
  perform baseledger.set_limit('batch', 'open', 2, 'ever', '{user}', 'open');
end
$$;
select is(tap.posted('batch', '[
  {"op": "reserve", "amount": 60, "idempotency_key": "1", "metadata": {"user": "a"}},
  {"op": "reserve", "amount": 50, "idempotency_key": "2", "metadata": {"user": "a"}},
  {"op": "reserve", "amount": 50, "at_least": 41, "idempotency_key": "3",
    "metadata": {"user": "a"}},
  {"op": "reserve", "amount": 50, "at_least": 10, "idempotency_key": "4",
    "metadata": {"user": "a"}},
  {"op": "settle", "reservation_id": "4", "amount": 10, "idempotency_key": "5"},
  {"op": "charge", "amount": 30, "idempotency_key": "6", "metadata": {"user": "a"}},
  {"op": "charge", "amount": 1, "idempotency_key": "7", "metadata": {"user": "a"}},
  {"op": "reserve", "amount": 1, "idempotency_key": "8", "metadata": {"user": "b"}},
  {"op": "reserve", "amount": 1, "idempotency_key": "9", "metadata": {"user": "b"}},
  {"op": "reserve", "amount": 1, "idempotency_key": "10", "metadata": {"user": "b"}},
  {"op": "cancel", "reservation_id": "8", "idempotency_key": "11"},
  {"op": "reserve", "amount": 1, "idempotency_key": "12", "metadata": {"user": "b"}},
  {"op": "charge", "amount": 1, "idempotency_key": "13", "metadata": {"user": "c"}},
  {"op": "charge", "amount": 1, "idempotency_key": "14", "already_spent": true}
]'), array[
  '#6 reserved 60: 940/60/0', 'LGLIM', 'LGLIM', '#7 reserved 40: 900/100/0',
  '#8 settled 10: 930/60/10', '#9 charged 30: 900/60/40', 'LGLIM', '#10 reserved 1: 899/61/40',
  '#11 reserved 1: 898/62/40', 'LGLIM', '#12 cancelled 1: 899/61/40', '#13 reserved 1: 898/62/40',
  'LGLIM', '#14 charged 1: 897/62/41'
], 'commands of a batch are granted in order until limits are reached');
select is(tap.used('batch'), array[
  'calls {}: 7 used, 0 held, 0 left',
  'open {a}: 1 used, 1 held, 1 left',
  'open {b}: 2 used, 2 held, 0 left',
  'user {""}: 1 used, 0 held, 99 left', 'user {a}: 100 used, 60 held, 0 left',
  'user {b}: 2 used, 2 held, 98 left'
], 'and are counted together');

-- Several wallets in one call.
do $$
begin
  for v_n in 1 .. 3 loop
    perform tap.wallet('m' || v_n, 1000);
    perform baseledger.set_limit('m' || v_n, 'all', 10 * v_n, 'day');
  end loop;
end
$$;
select is(tap.posted_many('[
  {"wallet_id": "m1", "op": "charge", "amount": 6, "idempotency_key": "1"},
  {"wallet_id": "m2", "op": "charge", "amount": 6, "idempotency_key": "1"},
  {"wallet_id": "m3", "op": "reserve", "amount": 6, "idempotency_key": "1"},
  {"wallet_id": "m1", "op": "charge", "amount": 6, "idempotency_key": "2"},
  {"wallet_id": "m2", "op": "charge", "amount": 6, "idempotency_key": "2"},
  {"wallet_id": "m3", "op": "settle", "reservation_id": "1", "amount": 29, "idempotency_key": "2"},
  {"wallet_id": "m3", "op": "charge", "amount": 2, "idempotency_key": "3"}
]'), array['m1 #4 charged 6: 994/0/6', 'm2 #4 charged 6: 994/0/6', 'm3 #4 reserved 6: 994/6/0',
  'm1 LGLIM', 'm2 #5 charged 6: 988/0/12', 'm3 #5 settled 29: 971/0/29', 'm3 LGLIM'],
  'of several wallets each has its limits');
select is(tap.used('m1') || tap.used('m2') || tap.used('m3'), array[
  'all {}: 6 used, 0 held, 4 left', 'all {}: 12 used, 0 held, 8 left',
  'all {}: 29 used, 0 held, 1 left'], 'and its counters');

-- Soft limits, and labels -----------------------------------------------------------------------

do $$
begin
  perform tap.wallet('soft', 1000);
  perform baseledger.set_limit('soft', 'all', 10, 'day', p_hard => false);
  perform baseledger.set_limit('soft', 'calls', 1, 'day', '{}', 'calls', p_hard => false);
  perform baseledger.charge('soft', 100, 'c1');
  perform baseledger.charge('soft', 100, 'c2');
end
$$;
select is(tap.used('soft'),
  '{"all {}: 200 used, 0 held, 0 left","calls {}: 2 used, 0 held, 0 left"}',
  'soft limits refuse nothing');

do $$
begin
  perform tap.wallet('labels', 1000);
  perform baseledger.set_limit('labels', 'by', 100, 'day', '{user,team}');
  perform baseledger.charge('labels', 1, 'c' || n, p_metadata => m::jsonb)
    from unnest(array[
      '{"user": "a", "team": "x"}', '{"team": "x", "user": "a", "more": 1}',
      '{"user": "a"}', '{"user": "a", "team": null}', '{"user": "a", "team": ["x"]}',
      jsonb_build_object('user', 'a', 'team', repeat('x', 256))::text,
      jsonb_build_object('user', 'a', 'team', repeat('é', 128))::text,
      jsonb_build_object('user', 'a', 'team', repeat('y', 255))::text,
      '{"user": "a", "team": ""}', '{}'
    ]) with ordinality as u(m, n);
end
$$;
select is(tap.used('labels'), array[
  'by {"",""}: 1 used, 0 held, 99 left', 'by {a,""}: 6 used, 0 held, 94 left',
  'by {a,x}: 2 used, 0 held, 98 left',
  format('by {a,%s}: 1 used, 0 held, 99 left', repeat('y', 255))
], 'only texts of 1 to 255 bytes are values');

-- Windows that come back ------------------------------------------------------------------------

-- As if the clock had been ahead by days and were right again: what was spent then is in that window.
do $$
begin
  perform tap.wallet('ahead', 1000);
  perform baseledger.charge('ahead', 5, 'before', p_metadata => '{"user": "a"}');
  perform baseledger.set_limit('ahead', 'day', 100, 'day', '{user}');
  perform baseledger.refund('ahead', 'before', 5, 'back');
  perform baseledger.charge('ahead', 30, 'a', p_metadata => '{"user": "a"}');
  perform baseledger.charge('ahead', 40, 'b', p_metadata => '{"user": "b"}');
end
$$;
create temp table present as select * from baseledger.limits('ahead');
reset role;
-- The limit and one of its counters move on to the day after tomorrow, as with an event then.
update baseledger.limits
  set starts_at = starts_at + interval '48 hours', ends_at = ends_at + interval '48 hours',
    counted_until = counted_until + interval '48 hours'
  where wallet_id = 'ahead';
update baseledger.counters
  set starts_at = starts_at + interval '48 hours', ends_at = ends_at + interval '48 hours',
    spent = 0
  where wallet_id = 'ahead';
set local role baseledger_operator;
select results_eq($$select * from baseledger.limits('ahead')$$, 'table present',
  'a window that comes back is counted again when it is read');
select is(tap.posted('ahead', '[
  {"op": "charge", "amount": 71, "idempotency_key": "1", "metadata": {"user": "a"}},
  {"op": "charge", "amount": 70, "idempotency_key": "2", "metadata": {"user": "a"}}
]'), '{LGLIM,"#8 charged 70: 860/0/140"}', 'and when something is charged');
select is(tap.posted('ahead', '[
  {"op": "charge", "amount": 61, "idempotency_key": "3", "metadata": {"user": "b"}},
  {"op": "charge", "amount": 60, "idempotency_key": "4", "metadata": {"user": "b"}}
]'), '{LGLIM,"#9 charged 60: 800/0/200"}', 'for each combination, whichever comes first');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
