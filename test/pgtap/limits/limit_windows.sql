-- Limits where windows, labels and grants meet: batches during which a window ends, windows that
-- come back, p_at_least, labels that a grant gives, several wallets.
begin;
select plan(37);

-- The border of a window ------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('w', 10000);
  perform baseledger.set_limit('w', 'minute', 100, 'minute', '{user}');
  perform baseledger.set_limit('w', 'ever', 9000, 'ever');
  perform baseledger.charge('w', 60, 'c1', p_metadata => '{"user": "a"}');
  perform tap.window_ends_after('w', 'minute', 2);
end
$$;
select is(tap.posted_funds('w', '[
  {"op": "charge", "amount": 40, "idempotency_key": "c2", "metadata": {"user": "a"}},
  {"op": "charge", "amount": 1, "idempotency_key": "c3", "metadata": {"user": "a"}},
  {"op": "reserve", "amount": 30, "ttl": 3600, "idempotency_key": "b", "metadata": {"user": "b"}},
  {"op": "charge", "amount": 71, "idempotency_key": "c4", "metadata": {"user": "b"}},
  {"op": "charge", "amount": 99, "idempotency_key": "c5", "metadata": {"user": "a"}},
  {"op": "charge", "amount": 2, "idempotency_key": "c6", "metadata": {"user": "a"}},
  {"op": "refund", "reservation_id": "c2", "amount": 40, "idempotency_key": "f1"},
  {"op": "charge", "amount": 2, "idempotency_key": "c7", "metadata": {"user": "a"}},
  {"op": "refund", "reservation_id": "c5", "amount": 10, "idempotency_key": "f2"},
  {"op": "charge", "amount": 12, "idempotency_key": "c8", "metadata": {"user": "a"}},
  {"op": "charge", "amount": 11, "idempotency_key": "c9", "metadata": {"user": "a"}},
  {"op": "charge", "amount": 71, "idempotency_key": "c10", "metadata": {"user": "b"}}
]'), array[
  '#6 charged 40: 9900/0/100', 'LGLIM', '#7 reserved 30: 9870/30/100', 'LGLIM',
  '#8 charged 99: 9771/30/199', 'LGLIM', '#9 refunded 40: 9811/30/159', 'LGLIM',
  '#10 refunded 10: 9821/30/149', 'LGLIM', '#11 charged 11: 9810/30/160', 'LGLIM'
], 'a window ends during a batch: what comes at its end counts in the next one');
select is(tap.used('w'), array[
  'ever {}: 190 used, 30 held, 8810 left', 'minute {a}: 100 used, 0 held, 0 left',
  'minute {b}: 30 used, 30 held, 70 left'
], 'and is counted so');
select is_empty('select * from baseledger.verify()', 'as verify counts it');

do $$
begin
  perform tap.wallet('s', 10000);
  perform baseledger.set_limit('s', 'minute', 100, 'minute');
  perform baseledger.reserve('s', 30, 'r', '1 hour');
  perform baseledger.charge('s', 70, 'c1');
  perform tap.window_ends_after('s', 'minute', 1);
end
$$;
select refuses($$charge('s', 1, 'c2')$$, 'LGLIM', jsonb_build_object(
  'limit_id', 'minute', 'values', '{}'::text[], 'per', 'minute', 'of', 'amount', 'amount', 100,
  'used', 100, 'held', 30, 'requested', 1, 'shortfall', 1, 'reason', 'held',
  'retry_at', (select min(o.expires_at) from tap.deadlines('s') as o), 'resets_at', null
), 'in the last instant of a window a single command is refused');
do $$ begin perform baseledger.credit('s', 1, 'a moment later'); end $$;
select is(tap.brief(baseledger.charge('s', 70, 'c2')), '#7 charged 70: 9831/30/140',
  'at its end it has the next one, but for what is held');
select is(tap.used('s'), '{"minute {}: 100 used, 30 held, 0 left"}', 'all of it');
do $$
begin
  perform baseledger.settle('s', 'r', 20, 's1');
  perform baseledger.refund('s', 'c1', 70, 'f1');
  perform baseledger.refund('s', 'r', 20, 'f2');
end
$$;
select is(tap.used('s'), '{"minute {}: 90 used, 0 held, 10 left"}',
  'refunds of what an earlier window has opened give nothing back');
select is(tap.posted_funds('s', '[
  {"op": "refund", "reservation_id": "c2", "amount": 70, "idempotency_key": "f3"},
  {"op": "charge", "amount": 81, "idempotency_key": "c3"},
  {"op": "charge", "amount": 80, "idempotency_key": "c4"}
]'), array['#11 refunded 70: 10001/0/0', 'LGLIM', '#12 charged 80: 9921/0/80'],
  'in a batch one of what this window has opened does');

-- Deadlines
do $$
begin
  perform tap.wallet('due', 1000);
  perform baseledger.set_limit('due', 'open', 1, 'ever', '{}', 'open');
  perform baseledger.set_limit('due', 'day', 100, 'day');
  perform baseledger.reserve('due', 100, 'r', '1 hour');
  perform baseledger.credit('due', 1, 'a moment later');
  perform tap.due_after('due', 'r', -1);
end
$$;
select is(tap.used('due'), array['day {}: 0 used, 0 held, 100 left',
  'open {}: 0 used, 0 held, 1 left'], 'at its deadline nothing is held any more');
select is(tap.posted('due', '[
  {"op": "reserve", "amount": 100, "ttl": 60, "idempotency_key": "r2"},
  {"op": "reserve", "amount": 1, "ttl": 60, "idempotency_key": "r3"},
  {"op": "settle", "reservation_id": "r2", "amount": 60, "final": false, "idempotency_key": "s1"},
  {"op": "reserve", "amount": 1, "ttl": 60, "idempotency_key": "r4"},
  {"op": "settle", "reservation_id": "r2", "amount": 10, "idempotency_key": "s2"},
  {"op": "reserve", "amount": 30, "ttl": 60, "idempotency_key": "r5"}
]'), array['#8 reserved 100: 901/100/0', 'LGLIM', '#9 settled 60: 901/40/60', 'LGLIM',
  '#10 settled 10: 931/0/70', '#11 reserved 30: 901/30/70'],
  'what is due has expired before, and a part that is settled leaves it open');

-- Late settlements that nothing else is near
do $$
begin
  perform tap.wallet('late', 100000);
  perform baseledger.set_limit('late', 'amount', 90000, 'day');
  perform baseledger.set_limit('late', 'open', 9, 'ever', '{}', 'open');
  perform baseledger.reserve('late', 10, 'r1', '1 hour');
  perform baseledger.reserve('late', 10, 'r2', '90 minutes');
  perform baseledger.reserve('late', 10, 'r3', '10 days');
  perform tap.travel_back('late', '2 hours');
  perform baseledger.charge('late', 1, 'c1');
  perform baseledger.charge('late', 1, 'c2');
end
$$;
do $$
begin
  perform baseledger.settle('late', 'r1', 5, 's1', false);
  perform baseledger.settle('late', 'r1', 5, 's2');
  perform baseledger.settle('late', 'r2', 25, 's3');
end
$$;
select is(tap.used('late'), array['amount {}: 47 used, 10 held, 89953 left',
  'open {}: 1 used, 1 held, 8 left'], 'late settlements count as spent, and end nothing that is open');

-- Windows that come back ------------------------------------------------------------------------

-- Three days of events; then all of it a day later, as if the clock had been ahead.
do $$
begin
  create or replace function baseledger._clock_slack()
    returns interval language sql stable as 'select interval ''1 millisecond''';
  perform tap.wallet('again', 100000);
  perform baseledger.charge('again', 7, 'before', p_metadata => '{"user": "a"}');
  perform baseledger.set_limit('again', 'amount', 1000, 'day', '{user}');
  perform baseledger.set_limit('again', 'calls', 20, 'day', '{user}', 'calls');
  for v_day in 1 .. 3 loop
    perform baseledger.charge('again', 10, 'c' || v_day, p_metadata => '{"user": "a"}');
    perform baseledger.charge('again', 500, 'b' || v_day, p_metadata => '{"user": "b"}');
    perform baseledger.reserve('again', 100, 'r' || v_day, '10 days', p_metadata => '{"user": "a"}');
    perform baseledger.settle('again', 'r' || v_day, 70 + v_day, 's' || v_day);
    perform baseledger.refund('again', 'r' || v_day, 2, 'f' || v_day);
    perform baseledger.refund('again', 'before', 1, 'x' || v_day);
    perform baseledger.refund('again', 'c1', 1, 'y' || v_day);
    if v_day = 2 then
      create temp table present as select * from baseledger.limits('again');
    end if;
    if v_day < 3 then
      perform tap.travel_back('again', '24 hours');
    end if;
  end loop;
  perform tap.travel_back('again', '-24 hours');
end
$$;
select is(tap.used('again'), array[
  'amount {a}: 80 used, 0 held, 920 left', 'amount {b}: 500 used, 0 held, 500 left',
  'calls {a}: 2 used, 0 held, 18 left', 'calls {b}: 1 used, 0 held, 19 left'
], 'a window that comes back is counted from the journal: its events, and no others');
select results_eq($$select * from baseledger.limits('again')$$, 'table present', 'as it was before');
select lives_ok($$select baseledger.charge('again', 920, 'd', p_metadata => '{"user": "a"}')$$,
  'a command counts on from there');
select is((tap.used('again'))[1:2], array['amount {a}: 1000 used, 0 held, 0 left',
  'amount {b}: 500 used, 0 held, 500 left'], 'and no further');
-- As if a worker had cleared them while the clock was ahead.
delete from baseledger.counters
  where wallet_id = 'again' and label_values = '{b}';
select is(array(select coalesce(r.refused, r.event::text) from baseledger.post('again', '[
  {"op": "charge", "amount": 501, "idempotency_key": "d2", "metadata": {"user": "b"}}
]') as r), '{LGLIM}', 'nor without a counter');
select lives_ok($$select baseledger.charge('again', 500, 'd3', p_metadata => '{"user": "b"}')$$,
  'it is made again');
select is_empty('select * from baseledger.verify()', 'as verify counts it');

-- Ahead of the clock ----------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('ahead', 1000);
  perform baseledger.set_limit('ahead', 'day', 100, 'day');
  perform tap.travel_back('ahead', '-3 days');
  perform baseledger.charge('ahead', 30, 'c1');
end
$$;
select is(tap.posted('ahead', '[
  {"op": "charge", "amount": 71, "idempotency_key": "c2"},
  {"op": "charge", "amount": 40, "idempotency_key": "c3"}
]'), '{LGLIM,"#5 charged 40: 930/0/70"}', 'a wallet ahead of the clock counts in the clock''s window');
select is(tap.used('ahead'), '{"day {}: 70 used, 0 held, 30 left"}', 'which limits shows');
select is_empty($$select * from baseledger.verify('ahead')$$, 'as verify counts it');

-- p_at_least ------------------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('least', 1000);
  perform baseledger.set_limit('least', 'hard', 60, 'day', '{user}');
  perform baseledger.set_limit('least', 'soft', 10, 'day', '{user}', p_hard => false);
  perform baseledger.set_limit('least', 'calls', 40, 'day', '{}', 'calls');
end
$$;
select is(tap.posted('least', '[
  {"op": "charge", "amount": 55, "idempotency_key": "1", "metadata": {"user": "b"}},
  {"op": "reserve", "amount": 20, "idempotency_key": "2", "metadata": {"user": "a"}},
  {"op": "reserve", "amount": 100, "at_least": 41, "idempotency_key": "3",
    "metadata": {"user": "a"}},
  {"op": "reserve", "amount": 100, "at_least": 2, "idempotency_key": "4",
    "metadata": {"user": "a"}},
  {"op": "reserve", "amount": 100, "at_least": 6, "idempotency_key": "5",
    "metadata": {"user": "b"}}
]'), array['#6 charged 55: 945/0/55', '#7 reserved 20: 925/20/55', 'LGLIM',
  '#8 reserved 40: 885/60/55', 'LGLIM'],
  'p_at_least gets what hard limits of amounts leave to its labels');
select is(tap.brief(baseledger.reserve('least', 100, '6', p_at_least => 5,
  p_metadata => '{"user": "b"}')), '#9 reserved 5: 880/65/55', 'also alone');
do $$
begin
  perform tap.wallet('few', 30);
  perform baseledger.set_limit('few', 'day', 60, 'day');
end
$$;
select is(tap.brief(baseledger.reserve('few', 100, '1', p_at_least => 5)), '#4 reserved 30: 0/30/0',
  'and not more than there is');

-- Labels ----------------------------------------------------------------------------------------

create role tap_ann in role baseledger_agent;
do $$
begin
  perform tap.wallet('shared', 1000);
  perform baseledger.set_limit('shared', 'user', 100, 'day', '{user}');
  perform baseledger.allow('shared', 'tap_ann', '{"user": "ann"}', '{run,user}');
end
$$;
set local role tap_ann;
select is(tap.brief(baseledger.charge('shared', 60, 'c1', p_metadata => '{"user": "bob"}')),
  '#5 charged 60: 940/0/60', 'what a grant''s labels say counts');
select refuses($$charge('shared', 41, 'c2', p_metadata => '{"user": "bob"}')$$, 'LGLIM',
  jsonb_build_object(
    'limit_id', 'user', 'values', '{ann}'::text[], 'per', 'day', 'of', 'amount', 'amount', 100,
    'used', 60, 'held', 0, 'requested', 41, 'shortfall', 1, 'reason', 'exhausted',
    'retry_at', null, 'resets_at', (select max(ends_at) from baseledger.limits('shared'))
  ), 'whatever metadata says');
select is(tap.posted('shared', '[
  {"op": "charge", "amount": 41, "idempotency_key": "c3", "metadata": {"user": "bob"}},
  {"op": "reserve", "amount": 10, "idempotency_key": "r1", "metadata": {"user": "bob"}},
  {"op": "settle", "reservation_id": "r1", "amount": 40, "idempotency_key": "s1"}
]'), array['LGLIM', '#6 reserved 10: 930/10/60', '#7 settled 40: 900/0/100'], 'also in a batch');
select is(array(select r.refused from baseledger.post_many('[
  {"wallet_id": "shared", "op": "charge", "amount": 1, "idempotency_key": "c4"}
]') as r), '{LGLIM}', 'and in one over several wallets');
reset role;
select is(tap.used('shared'), '{"user {ann}: 100 used, 0 held, 0 left"}', 'nobody else has a counter');

-- Several wallets, in which something is due ----------------------------------------------------

do $$
begin
  for v_n in 1 .. 2 loop
    perform tap.wallet('m' || v_n, 1000);
    perform baseledger.set_limit('m' || v_n, 'user', 100, 'ever', '{user}');
    perform baseledger.reserve('m' || v_n, 90, 'a', '1 hour', p_metadata => '{"user": "a"}');
    perform baseledger.reserve('m' || v_n, 80, 'b', '1 hour', p_metadata => '{"user": "b"}');
    perform baseledger.reserve('m' || v_n, 70, 'c', '3 days', p_metadata => '{"user": "c"}');
    perform tap.travel_back('m' || v_n, '2 hours');
  end loop;
end
$$;
select is(array(select coalesce(r.refused, r.amount::text) from baseledger.post_many('[
  {"wallet_id": "m1", "op": "charge", "amount": 31, "idempotency_key": "1", "metadata": {"user": "c"}},
  {"wallet_id": "m2", "op": "charge", "amount": 100, "idempotency_key": "1",
    "metadata": {"user": "b"}},
  {"wallet_id": "m1", "op": "charge", "amount": 100, "idempotency_key": "2",
    "metadata": {"user": "a"}},
  {"wallet_id": "m2", "op": "settle", "reservation_id": "a", "amount": 95, "idempotency_key": "2"},
  {"wallet_id": "m2", "op": "charge", "amount": 6, "idempotency_key": "3", "metadata": {"user": "a"}},
  {"wallet_id": "m1", "op": "cancel", "reservation_id": "c", "idempotency_key": "3"},
  {"wallet_id": "m1", "op": "charge", "amount": 31, "idempotency_key": "4", "metadata": {"user": "c"}}
]') as r), '{LGLIM,100,100,95,LGLIM,70,31}', 'expiries of each wallet come first, to their own counters');
select is(tap.used('m1') || tap.used('m2'), array[
  'user {a}: 100 used, 0 held, 0 left', 'user {b}: 0 used, 0 held, 100 left',
  'user {c}: 31 used, 0 held, 69 left',
  'user {a}: 95 used, 0 held, 5 left', 'user {b}: 100 used, 0 held, 0 left',
  'user {c}: 70 used, 70 held, 30 left'
], 'and are counted there');

-- More is due than a command expires ------------------------------------------------------------

create or replace function baseledger._due_chunk_size()
  returns integer language sql immutable parallel safe as 'select 3';
-- r1 to r12 of 10 are due, of users in turn.
create function pg_temp.backlog(p_wallet_id text) returns void language plpgsql as $$
begin
  perform tap.wallet(p_wallet_id, 1000);
  perform baseledger.set_limit(p_wallet_id, 'all', 120, 'ever');
  perform baseledger.set_limit(p_wallet_id, 'user', 60, 'ever', '{user}');
  perform baseledger.set_limit(p_wallet_id, 'soft', 1, 'ever', p_hard => false);
  for v_n in 1 .. 12 loop
    perform baseledger.reserve(p_wallet_id, 10, 'r' || v_n, '1 hour',
      p_metadata => jsonb_build_object('user', case v_n % 2 when 0 then 'a' else 'b' end));
  end loop;
  perform tap.travel_back(p_wallet_id, '2 hours');
end
$$;
do $$ begin perform pg_temp.backlog('back'); end $$;
select lives_ok($$select baseledger.charge('back', 60, 'c1', p_metadata => '{"user": "a"}')$$,
  'a command that needs what is due of its limits expires more of it');
select is(tap.used('back'), array[
  'all {}: 60 used, 0 held, 60 left', 'soft {}: 60 used, 0 held, 0 left',
  'user {a}: 60 used, 0 held, 0 left', 'user {b}: 0 used, 0 held, 60 left'
], 'to the counters that it belongs to');
select is_empty($$select * from baseledger.verify('back')$$, 'as verify counts it');
do $$ begin perform pg_temp.backlog('part'); end $$;
select is(array(select coalesce(r.refused, r.amount::text) from baseledger.post('part', '[
  {"op": "settle", "reservation_id": "r12", "amount": 7, "idempotency_key": "s1"},
  {"op": "charge", "amount": 60, "idempotency_key": "c1", "metadata": {"user": "b"}},
  {"op": "charge", "amount": 54, "idempotency_key": "c2", "metadata": {"user": "a"}},
  {"op": "charge", "amount": 53, "idempotency_key": "c3", "metadata": {"user": "a"}},
  {"op": "charge", "amount": 1, "idempotency_key": "c4", "metadata": {"user": "c"}}
]') as r), '{7,60,LGLIM,53,LGLIM}', 'one that names a reservation of the rest expires that first');
select is_empty($$select * from baseledger.verify('part')$$, 'as verify counts it');

select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
