-- The alerts of limits: once for each percentage that is spent of a limit in a window.
begin;
select plan(21);

do $$
begin
  perform tap.wallet('one', 10000);
  perform baseledger.set_limit('one', 'day', 100, 'day', '{user}', p_alert_at => '{100,50,80}');
end
$$;
-- Charges one after the other, each as a command of its own.
create function pg_temp.charges(p_wallet_id text, p_prefix text, variadic p_amounts integer[])
returns void language sql as $$
  select baseledger.charge(p_wallet_id, a, p_prefix || n, p_metadata => '{"user": "a"}',
      p_already_spent => true)
    from unnest(p_amounts) with ordinality as u(a, n)
$$;
-- The same in one batch.
create function pg_temp.batch(p_wallet_id text, p_prefix text, variadic p_amounts integer[])
returns void language sql as $$
  select baseledger.post(p_wallet_id, (
    select jsonb_agg(jsonb_build_object(
        'op', 'charge', 'amount', a, 'idempotency_key', p_prefix || n, 'already_spent', true,
        'metadata', '{"user": "a"}'::jsonb
      ) order by n)
      from unnest(p_amounts) with ordinality as u(a, n)
  ))
$$;

do $$ begin perform pg_temp.charges('one', 'c', 49); end $$;
select is(tap.limit_alerts('one'), null, 'below the first percentage nothing alerts');
do $$ begin perform pg_temp.charges('one', 'd', 1, 1, 28, 1, 1, 18, 1, 1, 500); end $$;
select is(tap.limit_alerts('one'), array['#5.1 day {a} 50%: 50 of 100', '#8.1 day {a} 80%: 80 of 100',
  '#11.1 day {a} 100%: 100 of 100'], 'each percentage alerts when it is reached, once');
select results_eq(
  $$select a.starts_at, a.ends_at, a.occurred_at from baseledger.raised_alerts a
      where a.wallet_id = 'one' and a.seq = 5$$,
  $$select l.starts_at, l.ends_at, j.occurred_at from baseledger.limits('one') as l
      join baseledger.journal j on j.wallet_id = 'one' and j.seq = 5$$,
  'it has the window, and the time of the event');
do $$ begin perform baseledger.charge('one', 90, 'b', p_metadata => '{"user": "b"}'); end $$;
select is((tap.limit_alerts('one'))[4:], array['#14.1 day {b} 50%: 90 of 100',
  '#14.2 day {b} 80%: 90 of 100'], 'one command alerts at all that it reaches');

do $$
begin
  perform tap.wallet('batch', 10000);
  perform baseledger.set_limit('batch', 'day', 100, 'day', '{user}', p_alert_at => '{50,80,100}');
  perform pg_temp.batch('batch', 'c', 49, 1, 1, 29, 1, 2, 18);
end
$$;
select is(tap.limit_alerts('batch'), array['#10.1 day {a} 50%: 50 of 100',
  '#10.2 day {a} 80%: 80 of 100', '#10.3 day {a} 100%: 101 of 100'],
  'in a batch, too, with its last event');
do $$
begin
  perform pg_temp.charges('batch', 'd', 1, 1);
  perform pg_temp.batch('batch', 'e', 1, 1);
end
$$;
select is(cardinality(tap.limit_alerts('batch')), 3, 'and not again after it');

do $$
begin
  perform tap.wallet('kinds', 10000);
  perform baseledger.set_limit('kinds', 'amount', 1000, 'day', p_alert_at => '{10}');
  perform baseledger.set_limit('kinds', 'calls', 2, 'day', '{}', 'calls', p_alert_at => '{100}');
  perform baseledger.set_limit('kinds', 'none', 0, 'day', p_alert_at => '{1}', p_hard => false);
  perform baseledger.set_limit('kinds', 'own', 40, 'day', '{user}', p_alert_at => '{50}',
    p_hard => false);
  perform baseledger.set_limit_for('kinds', 'own', '{a}', 400);
  perform baseledger.set_limit('kinds', 'soft', 50, 'day', p_alert_at => '{200}', p_hard => false);
  perform baseledger.reserve('kinds', 199, 'r', '1 hour', p_metadata => '{"user": "a"}');
end
$$;
select is(tap.limit_alerts('kinds'), null, 'what is held does not alert');
do $$ begin perform baseledger.settle('kinds', 'r', 199, 's'); end $$;
select is(tap.limit_alerts('kinds'), array['#10.1 amount {} 10%: 199 of 1000',
  '#10.2 soft {} 200%: 199 of 50'], 'when it is spent, it does, also of soft limits');
do $$ begin perform baseledger.charge('kinds', 1, 'c', p_metadata => '{"user": "a"}'); end $$;
select is((tap.limit_alerts('kinds'))[3:], array['#11.1 calls {} 100%: 2 of 2',
  '#11.2 own {a} 50%: 200 of 400'], 'and so do calls, and own amounts');
do $$
begin
  perform baseledger.reserve('kinds', 50, 'r2', '1 hour', p_metadata => '{"user": "a"}');
exception
  when sqlstate 'LGLIM' then null;
end
$$;
select is(cardinality(tap.limit_alerts('kinds')), 4, 'what is refused does not');

-- Held beside spent
do $$
begin
  perform tap.wallet('held', 1000);
  perform baseledger.set_limit('held', 'day', 100, 'day', p_alert_at => '{50}');
  perform baseledger.reserve('held', 50, 'r', '1 hour');
  perform baseledger.charge('held', 10, 'c');
end
$$;
select is(tap.limit_alerts('held'), null, 'spent and held together do not alert');
do $$ begin perform baseledger.charge('held', 40, 'c2'); end $$;
select is(tap.limit_alerts('held'), '{"#6.1 day {} 50%: 50 of 100"}', 'the alert tells what is spent');

-- Windows ---------------------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('days', 10000);
  perform baseledger.set_limit('days', 'day', 100, 'day', '{user}', p_alert_at => '{50,80,100}');
  perform pg_temp.charges('days', 'c', 100);
  perform tap.travel_back('days', '24 hours');
  perform pg_temp.charges('days', 'd', 50, 1);
end
$$;
select is((tap.limit_alerts('days'))[4:], '{"#5.1 day {a} 50%: 50 of 100"}',
  'in a new window they alert again');

-- As if the clock had been ahead and were right again, as in limits/counting.sql. Only the alerts of this
-- window and of this user have been raised.
do $$ begin perform baseledger.charge('days', 100, 'b', p_metadata => '{"user": "b"}'); end $$;
update baseledger.limits
  set starts_at = starts_at + interval '48 hours', ends_at = ends_at + interval '48 hours',
    counted_until = counted_until + interval '48 hours'
  where wallet_id = 'days';
update baseledger.counters
  set starts_at = starts_at + interval '48 hours', ends_at = ends_at + interval '48 hours',
    spent = 0, alerted = 0
  where wallet_id = 'days';
-- Those of yesterday were raised in yesterday's window.
update baseledger.raised_alerts
  set starts_at = starts_at - interval '24 hours', ends_at = ends_at - interval '24 hours'
  where wallet_id = 'days' and seq = 4;
do $$ begin perform pg_temp.charges('days', 'e', 28, 1); end $$;
select is((tap.limit_alerts('days'))[8:], '{"#9.1 day {a} 80%: 80 of 100"}',
  'in one that comes back, only those that have not');

-- Another limit's window ends between two charges of a batch.
do $$
begin
  perform tap.wallet('border', 10000);
  perform baseledger.set_limit('border', 'day', 100, 'ever', p_alert_at => '{50,80}');
  perform baseledger.set_limit('border', 'minute', 1000, 'minute', p_alert_at => '{1}');
  perform baseledger.charge('border', 9, 'first');
  perform tap.window_ends_after('border', 'minute', 1);
  perform pg_temp.batch('border', 'c', 41, 1, 1, 27, 1);
end
$$;
select bag_eq(
  $$select a.limit_id, a.threshold, a.value from baseledger.raised_alerts a
      where a.wallet_id = 'border'$$,
  $$values ('day', 50::bigint, 50::numeric), ('minute', 1, 50), ('minute', 1, 29), ('day', 80, 80)$$,
  'a limit does not alert again in a batch in which the window of another one ends');

-- Several wallets -------------------------------------------------------------------------------

do $$
begin
  for v_n in 1 .. 3 loop
    perform tap.wallet('m' || v_n, 1000);
    if v_n <> 2 then
      perform baseledger.set_limit('m' || v_n, 'day', 100, 'day', p_alert_at => '{50}');
    end if;
    if v_n <> 1 then
      perform baseledger.set_low_balance('m' || v_n, '{950}');
    end if;
  end loop;
  perform baseledger.post_many('[
    {"wallet_id": "m1", "op": "charge", "amount": 60, "idempotency_key": "1"},
    {"wallet_id": "m2", "op": "charge", "amount": 10, "idempotency_key": "1"},
    {"wallet_id": "m2", "op": "reserve", "amount": 900, "idempotency_key": "2"},
    {"wallet_id": "m2", "op": "charge", "amount": 45, "idempotency_key": "3"},
    {"wallet_id": "m3", "op": "charge", "amount": 30, "idempotency_key": "1"}
  ]');
end
$$;
select is(
  array(
    select format('%s %s %s', a.wallet_id, a.kind, a.value) from baseledger.raised_alerts a
      where a.wallet_id in ('m1', 'm2', 'm3')
      order by a.wallet_id, a.number
  ),
  array['m1 limit 60', 'm2 low_balance 945'], 'of several wallets each raises its own');
do $$
begin
  perform baseledger.post_many('[
    {"wallet_id": "m1", "op": "charge", "amount": 1, "idempotency_key": "2"},
    {"wallet_id": "m2", "op": "settle", "reservation_id": "2", "amount": 1, "idempotency_key": "4"},
    {"wallet_id": "m3", "op": "charge", "amount": 30, "idempotency_key": "2"}
  ]');
end
$$;
select is(
  array(
    select format('%s %s %s', a.wallet_id, a.kind, a.value) from baseledger.raised_alerts a
      where a.wallet_id in ('m1', 'm2', 'm3')
      order by a.wallet_id, a.number
  ),
  array['m1 limit 60', 'm2 low_balance 945', 'm3 limit 60', 'm3 low_balance 940'],
  'and not again');
do $$
begin
  perform tap.wallet('due', 1000);
  perform baseledger.set_low_balance('due', '{950}');
  perform baseledger.reserve('due', 100, 'r', '1 hour');
  perform tap.travel_back('due', '2 hours');
  perform baseledger.post_many('[
    {"wallet_id": "due", "op": "charge", "amount": 60, "idempotency_key": "1"},
    {"wallet_id": "m1", "op": "charge", "amount": 1, "idempotency_key": "3"}
  ]');
end
$$;
select is((select count(*) from baseledger.raised_alerts a where a.wallet_id = 'due'), 1::bigint,
  'also where something is due');

-- Changes of the limit --------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('change', 1000);
  perform baseledger.set_limit('change', 'day', 100, 'day', p_alert_at => '{90}');
  perform baseledger.charge('change', 80, 'c1');
  perform baseledger.set_limit('change', 'day', 100, 'day', p_alert_at => '{50,90}');
end
$$;
select is(tap.limit_alerts('change'), null, 'setting alerts nothing');
do $$ begin perform baseledger.charge('change', 1, 'c2'); end $$;
select is(tap.limit_alerts('change'), '{"#6.1 day {} 50%: 81 of 100"}',
  'the next command alerts at what is reached already');

select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
