-- Limits of tokens: those of usage, whatever they cost. Here a token costs one step.
begin;
select plan(67);

do $$
begin
  perform baseledger.set_price('t/one', jsonb_build_object(
    'input', 1000000, 'cache_read', 1000000, 'output', 1000000, 'output_audio', 1000000,
    'requests', 1000000
  ), p_valid_from => '-infinity');
  perform baseledger.set_price('t/two', '{"input": 0, "output": 2000000}',
    p_valid_from => '-infinity');
  perform baseledger.set_price('t/latest', null, p_alias_of => 't/two');
end
$$;
create function pg_temp.yesterday(p_wallet_id text) returns void language sql as $$
  select tap.travel_back(p_wallet_id, '24 hours')
$$;
-- used and held of a limit of the whole wallet.
create function pg_temp.used(p_wallet_id text, p_limit_id text) returns text language sql as $$
  select format('%s/%s', u.used, u.held) from baseledger.limits(p_wallet_id, p_limit_id) as u
$$;
-- Usage of model t/one, with so much input and output.
create function pg_temp.usage(p_input bigint, p_output bigint default 0) returns jsonb
language sql as $$
  select jsonb_build_object('model', 't/one', 'input', p_input, 'output', p_output)
$$;

-- Each kind of event ----------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('w', 100000);
  perform baseledger.set_limit('w', 'tokens', 1000, 'day', '{}', 'tokens');
  perform baseledger.set_limit('w', 'amount', 100000, 'day');
  perform baseledger.open_wallet('other');
end
$$;
set local role baseledger_operator;
create temp table steps (n serial, call text, tokens text, amount text);
insert into steps (call, tokens, amount) values
  ($$reserve('w', null, 'r1', '1 hour', p_usage =>
    '{"model": "t/one", "input": 100, "cache_read": 20, "output": 20, "output_audio": 10,
      "requests": 7}')$$, '150/150', '157/157'),
  ($$reserve('w', null, 'r1', '1 hour', p_usage =>
    '{"model": "t/one", "input": 100, "cache_read": 20, "output": 20, "output_audio": 10,
      "requests": 7}')$$, '150/150', '157/157'),
  ($$extend('w', 'r1', '2 hours', 'e1')$$, '150/150', '157/157'),
  ($$extend('w', 'r1', '2 hours', 'e2', 500)$$, '150/150', '500/500'),
  ($$settle('w', 'r1', null, 'p1', false, p_usage => '{"output": 60, "requests": 1}')$$,
    '150/90', '500/439'),
  ($$settle('w', 'r1', 30, 'p2', false)$$, '150/90', '500/409'),
  ($$settle('w', 'r1', null, 'p3', false, p_usage => '{"input": 100, "output": 20}')$$,
    '180/0', '500/289'),
  ($$settle('w', 'r1', null, 's1', p_usage => '{"output": 5}')$$, '185/0', '216/0'),
  ($$settle('w', 'r1', null, 's1', p_usage => '{"output": 5}')$$, '185/0', '216/0'),
  ($$reserve('w', null, 'r2', '1 hour', p_usage => pg_temp.usage(60, 40))$$, '285/100', '316/100'),
  ($$cancel('w', 'r2', 'c2')$$, '185/0', '216/0'),
  ($$reserve('w', null, 'r3', '1 hour', p_usage => pg_temp.usage(40))$$, '225/40', '256/40'),
  ($$settle('w', 'r3', null, 's3', p_usage => '{"requests": 4}')$$, '185/0', '220/0'),
  ($$charge('w', null, 'ch1', p_usage => '{"model": "t/one", "output": 25, "requests": 3}')$$,
    '210/0', '248/0'),
  ($$charge('w', 40, 'ch2')$$, '210/0', '288/0'),
  ($$reserve('w', 50, 'r4', '1 hour')$$, '210/0', '338/50'),
  ($$settle('w', 'r4', null, 's4', p_usage => pg_temp.usage(0, 30))$$, '240/0', '318/0'),
  ($$reserve('w', null, 'r5', '1 hour', p_usage => pg_temp.usage(70))$$, '310/70', '388/70'),
  ($$settle('w', 'r5', 10, 's5')$$, '240/0', '328/0'),
  ($$refund('w', 'ch1', 28, 'f1')$$, '240/0', '300/0'),
  ($$refund('w', 'r4', 20, 'f2')$$, '240/0', '280/0'),
  ($$charge('w', null, 'ch3', p_already_spent => true, p_usage => pg_temp.usage(60))$$,
    '300/0', '340/0'),
  ($$charge('w', null, 'free', p_usage => '{"model": "t/latest", "input": 50}')$$,
    '350/0', '340/0'),
  ($$transfer('w', 'other', 40, 'away')$$, '350/0', '340/0'),
  ($$charge('w', null, 'bad', p_usage => pg_temp.usage(651))$$, '350/0', '340/0'),
  ($$charge('w', null, 'fits', p_usage => pg_temp.usage(650))$$, '1000/0', '990/0'),
  ($$reserve('w', null, 'bad', '1 hour', p_usage => pg_temp.usage(1))$$, '1000/0', '990/0'),
  ($$charge('w', null, 'none', p_usage => '{"model": "t/one", "requests": 5}')$$,
    '1000/0', '995/0'),
  ($$charge('w', null, 'spent', p_already_spent => true, p_usage => pg_temp.usage(5))$$,
    '1005/0', '1000/0');
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
  v_done text;
begin
  for v_step in select * from steps order by n loop
    v_done := pg_temp.step(v_step.call);
    return next is(
      array[v_done, pg_temp.used('w', 'tokens'), pg_temp.used('w', 'amount')],
      array[
        case when v_step.call like '%''bad''%' then 'LGLIM' else 'done' end,
        v_step.tokens, v_step.amount
      ], v_step.call
    );
  end loop;
end
$$;
select * from pg_temp.play();
reset role;
select is_empty($$select * from baseledger.verify('w')$$, 'as verify counts it');

-- Refusals --------------------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('full', 100000);
  perform baseledger.set_limit('full', 'day', 100, 'day', '{user}', 'tokens');
  perform baseledger.reserve('full', null, 'r', '1 hour', p_metadata => '{"user": "a"}',
    p_usage => pg_temp.usage(30, 30));
  perform baseledger.charge('full', null, 'c', p_metadata => '{"user": "a"}',
    p_usage => pg_temp.usage(30));
end
$$;
set local role baseledger_agent;
select refuses($$charge('full', null, 'k', p_metadata => '{"user": "a"}',
    p_usage => '{"model": "t/one", "output": 9, "input": 2}')$$, 'LGLIM',
  jsonb_build_object(
    'limit_id', 'day', 'values', '{a}'::text[], 'per', 'day', 'of', 'tokens', 'amount', 100,
    'used', 90, 'held', 60, 'requested', 11, 'shortfall', 1, 'reason', 'held',
    'retry_at', (select max(o.expires_at) from tap.deadlines('full') as o), 'resets_at', null
  ), 'the detail counts tokens; what is held may come back');
select refuses($$reserve('full', null, 'k', p_metadata => '{"user": "a"}',
    p_usage => '{"model": "t/one", "output": 100}')$$, 'LGLIM',
  jsonb_build_object(
    'limit_id', 'day', 'values', '{a}'::text[], 'per', 'day', 'of', 'tokens', 'amount', 100,
    'used', 90, 'held', 60, 'requested', 100, 'shortfall', 90, 'reason', 'exhausted',
    'retry_at', null, 'resets_at', (select max(u.ends_at) from baseledger.limits('full') as u)
  ), 'or the window must end');
select refuses($$reserve('full', null, 'k', p_at_least => 1, p_metadata => '{"user": "a"}',
    p_usage => '{"model": "t/one", "output": 11}')$$, 'LGLIM',
  jsonb_build_object(
    'limit_id', 'day', 'values', '{a}'::text[], 'per', 'day', 'of', 'tokens', 'amount', 100,
    'used', 90, 'held', 60, 'requested', 11, 'shortfall', 1, 'reason', 'held',
    'retry_at', (select max(o.expires_at) from tap.deadlines('full') as o), 'resets_at', null
  ), 'p_at_least does not help');
select changes_nothing($$select * from baseledger.post('full', '[
  {"op": "charge", "idempotency_key": "k", "metadata": {"user": "a"},
    "usage": {"model": "t/one", "output": 11}}
]')$$, 'a refusal changes nothing');
select lives_ok($$select baseledger.charge('full', 5000, 'by amount', p_metadata => '{"user": "a"}')$$,
  'what comes without usage counts no tokens');
select lives_ok($$select baseledger.charge('full', null, 'b', p_metadata => '{"user": "b"}',
  p_usage => pg_temp.usage(100))$$, 'another user has tokens of his own');
reset role;
do $$
begin
  perform baseledger.settle('full', 'r', null, 's', p_usage => '{"output": 500}');
end
$$;
select is(tap.used('full'), '{"day {a}: 530 used, 0 held, 0 left","day {b}: 100 used, 0 held, 0 left"}',
  'what was spent lands above the limit');

do $$
begin
  perform tap.wallet('least', 50);
  perform baseledger.set_limit('least', 'day', 100, 'day', '{}', 'tokens');
  perform baseledger.reserve('least', null, 'r', '1 hour', p_at_least => 10,
    p_usage => pg_temp.usage(0, 80));
end
$$;
select is(tap.balances('least') || ' ' || pg_temp.used('least', 'day'), '0/50/0 80/80',
  'with fewer funds than asked for, the tokens of its usage are held all the same');
do $$ begin perform baseledger.set_limit('least', 'day', 0, 'day', '{}', 'tokens'); end $$;
select is(array(select r.refused from baseledger.post('least', '[
  {"op": "charge", "idempotency_key": "z", "usage": {"model": "t/two", "input": 1}},
  {"op": "charge", "idempotency_key": "y", "usage": {"model": "t/two", "input": 0, "output": 0}}
]') as r), array['LGLIM', null], 'a limit of 0 blocks tokens, also free ones');

-- Time ------------------------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('days', 100000);
  perform baseledger.set_limit('days', 'day', 1000, 'day', '{}', 'tokens');
  perform baseledger.set_limit('days', 'ever', 100000, 'ever', '{}', 'tokens');
  perform baseledger.reserve('days', null, 'long', '3 days', p_usage => pg_temp.usage(100));
  perform baseledger.reserve('days', null, 'brief', '1 hour', p_usage => pg_temp.usage(200));
  perform baseledger.reserve('days', null, 'swept', '1 hour', p_usage => pg_temp.usage(7));
  perform baseledger.reserve('days', null, 'paid', '3 days', p_usage => pg_temp.usage(50));
  perform baseledger.settle('days', 'paid', null, 'a part', false, p_usage => '{"input": 30}');
  perform baseledger.charge('days', null, 'charged', p_usage => pg_temp.usage(60));
end
$$;
select is(pg_temp.used('days', 'day') || ' ' || pg_temp.used('days', 'ever'), '417/327 417/327',
  'what is held and spent');
do $$ begin perform pg_temp.yesterday('days'); end $$;
select is(pg_temp.used('days', 'day') || ' ' || pg_temp.used('days', 'ever'), '120/120 210/120',
  'in a new window counts what is held, but not past its deadline');
do $$
begin
  perform baseledger.settle('days', 'long', null, 's1', false, p_usage => '{"input": 40}');
end
$$;
select is(pg_temp.used('days', 'day'), '120/80', 'and what is spent in it, whenever it was opened');
do $$
begin
  perform baseledger.settle('days', 'brief', null, 's2', false, p_usage => '{"input": 110}');
end
$$;
select is(pg_temp.used('days', 'day'), '230/80', 'a late settlement counts when it is settled');
do $$
begin
  perform baseledger.settle('days', 'brief', null, 's3', p_usage => '{"input": 5}');
  perform baseledger.settle('days', 'swept', 3, 's4');
end
$$;
select is(pg_temp.used('days', 'day'), '235/80', 'once more, and by amount not at all');
do $$
begin
  perform baseledger.refund('days', 'brief', 115, 'f1');
  perform baseledger.refund('days', 'charged', 60, 'f2');
end
$$;
select is(pg_temp.used('days', 'day') || ' ' || pg_temp.used('days', 'ever'), '235/80 325/80',
  'refunds take no tokens back');
select is_empty($$select * from baseledger.verify('days')$$, 'as verify counts it');

-- At the border of a window
do $$
begin
  perform tap.wallet('border', 100000);
  perform baseledger.set_limit('border', 'hour', 100, 'hour', '{}', 'tokens');
  perform tap.window_ends_after('border', 'hour', 1);
end
$$;
select is(array(select coalesce(r.refused, r.event::text) from baseledger.post('border', '[
  {"op": "charge", "idempotency_key": "1", "usage": {"model": "t/one", "input": 90}},
  {"op": "charge", "idempotency_key": "2", "usage": {"model": "t/one", "input": 95}},
  {"op": "charge", "idempotency_key": "3", "usage": {"model": "t/one", "input": 6}},
  {"op": "charge", "idempotency_key": "4", "usage": {"model": "t/one", "input": 5}}
]') as r), '{charged,charged,LGLIM,charged}', 'a window that ends within a batch starts from 0');
select is(pg_temp.used('border', 'hour'), '100/0', 'and counts what comes after its end');

-- A window that comes back is counted from the journal.
do $$
begin
  create or replace function baseledger._clock_slack()
    returns interval language sql stable as 'select interval ''1 millisecond''';
  perform tap.wallet('again', 100000);
  perform baseledger.charge('again', null, 'before', p_usage => pg_temp.usage(9));
  perform baseledger.set_limit('again', 'day', 1000, 'day', '{user}', 'tokens');
  for v_day in 1 .. 3 loop
    perform baseledger.charge('again', null, 'c' || v_day, p_metadata => '{"user": "a"}',
      p_usage => pg_temp.usage(10));
    perform baseledger.reserve('again', null, 'r' || v_day, '10 days',
      p_metadata => '{"user": "a"}', p_usage => pg_temp.usage(100));
    perform baseledger.settle('again', 'r' || v_day, null, 's' || v_day,
      p_usage => jsonb_build_object('input', 70 + v_day));
    perform baseledger.refund('again', 'r' || v_day, 2, 'f' || v_day);
    perform baseledger.charge('again', 5, 'x' || v_day, p_metadata => '{"user": "a"}');
    if v_day < 3 then
      perform pg_temp.yesterday('again');
    end if;
  end loop;
  perform tap.travel_back('again', '-24 hours');
end
$$;
select is(tap.used('again'), '{"day {a}: 82 used, 0 held, 918 left"}',
  'a window that comes back is counted from the journal');
select is_empty($$select * from baseledger.verify('again')$$, 'as verify counts it');

-- Set while there are reservations --------------------------------------------------------------

do $$
begin
  perform tap.wallet('open', 100000);
  perform baseledger.reserve('open', null, 'r1', '1 hour', p_metadata => '{"user": "a"}',
    p_usage => pg_temp.usage(100, 20));
  perform baseledger.settle('open', 'r1', null, 'p1', false, p_usage => '{"input": 30}');
  perform baseledger.reserve('open', null, 'r2', '1 hour', p_metadata => '{"user": "b"}',
    p_usage => pg_temp.usage(10));
  perform baseledger.settle('open', 'r2', null, 'p2', false, p_usage => '{"output": 50}');
  perform baseledger.reserve('open', 500, 'r3', '1 hour', p_metadata => '{"user": "b"}');
  perform baseledger.reserve('open', null, 'r4', '1 hour', p_metadata => '{"user": "b"}',
    p_usage => pg_temp.usage(8));
  perform baseledger.reserve('open', null, 'gone', '1 hour', p_usage => pg_temp.usage(4));
  perform baseledger.cancel('open', 'gone', 'c');
  perform baseledger.charge('open', null, 'spent', p_metadata => '{"user": "a"}',
    p_usage => pg_temp.usage(1000));
  perform baseledger.set_limit('open', 'user', 200, 'day', '{user}', 'tokens');
end
$$;
select is(tap.used('open'), array['user {a}: 90 used, 90 held, 110 left',
  'user {b}: 8 used, 8 held, 192 left'], 'a new limit has what is held when it is set, no more');
do $$
begin
  perform baseledger.settle('open', 'r1', null, 's1', p_usage => '{"input": 10, "output": 20}');
  perform baseledger.settle('open', 'r2', null, 's2', p_usage => '{"output": 1}');
  perform baseledger.settle('open', 'r3', null, 's3', p_usage => pg_temp.usage(0, 2));
  perform baseledger.cancel('open', 'r4', 'c4');
end
$$;
select is(tap.used('open'), array['user {a}: 30 used, 0 held, 170 left',
  'user {b}: 3 used, 0 held, 197 left'], 'and counts what is spent from then on');
select is_empty($$select * from baseledger.verify('open')$$, 'as verify counts it');

-- By model, one combination's own, and several limits in a batch --------------------------------

do $$
begin
  perform tap.wallet('batch', 100000);
  perform baseledger.set_limit('batch', 'model', null, 'day', '{model}', 'tokens');
  perform baseledger.set_limit_for('batch', 'model', '{t/two}', 100);
  perform baseledger.set_limit('batch', 'all', 200, 'day', '{}', 'tokens');
  perform baseledger.set_limit('batch', 'amount', 260, 'day');
end
$$;
select is(tap.posted('batch', '[
  {"op": "reserve", "idempotency_key": "1", "usage": {"model": "t/latest", "output": 60}},
  {"op": "reserve", "idempotency_key": "2", "usage": {"model": "t/two", "output": 41}},
  {"op": "settle", "reservation_id": "1", "idempotency_key": "3", "final": false,
    "usage": {"output": 20}},
  {"op": "charge", "idempotency_key": "4", "usage": {"model": "t/two", "input": 41}},
  {"op": "charge", "idempotency_key": "5", "usage": {"model": "t/two", "input": 40}},
  {"op": "settle", "reservation_id": "1", "idempotency_key": "6", "usage": {"output": 10}},
  {"op": "charge", "idempotency_key": "7", "usage": {"model": "t/one", "input": 131}},
  {"op": "reserve", "idempotency_key": "8", "usage": {"model": "t/one", "input": 130}},
  {"op": "reserve", "idempotency_key": "9", "usage": {"model": "t/one", "input": 1}},
  {"op": "cancel", "reservation_id": "8", "idempotency_key": "10"},
  {"op": "charge", "idempotency_key": "11", "amount": 200},
  {"op": "charge", "idempotency_key": "12", "amount": 1}
]'), array[
  '#7 reserved 120: 99880/120/0', 'LGLIM', '#8 settled 40: 99880/80/40', 'LGLIM',
  '#9 charged 0: 99880/80/40', '#10 settled 20: 99940/0/60', 'LGLIM',
  '#11 reserved 130: 99810/130/60', 'LGLIM', '#12 cancelled 130: 99940/0/60',
  '#13 charged 200: 99740/0/260', 'LGLIM'
], 'commands of a batch are granted in order until limits are reached');
select is(tap.used('batch'), array[
  'all {}: 70 used, 0 held, 130 left', 'amount {}: 260 used, 0 held, 0 left',
  'model {""}: 0 used, 0 held, all left', 'model {t/one}: 0 used, 0 held, all left',
  'model {t/two}: 70 used, 0 held, 30 left'
], 'and counted together, an alias as its model');
select is_empty($$select * from baseledger.verify('batch')$$, 'as verify counts it');
select is(array(select coalesce(r.refused, r.event::text) from baseledger.post_many('[
  {"wallet_id": "batch", "op": "charge", "idempotency_key": "m1",
    "usage": {"model": "t/two", "input": 30}},
  {"wallet_id": "open", "op": "reserve", "idempotency_key": "m1", "metadata": {"user": "a"},
    "usage": {"model": "t/one", "input": 171}},
  {"wallet_id": "batch", "op": "charge", "idempotency_key": "m2",
    "usage": {"model": "t/two", "input": 1}},
  {"wallet_id": "open", "op": "reserve", "idempotency_key": "m2", "metadata": {"user": "a"},
    "usage": {"model": "t/one", "input": 170}}
]') as r), '{charged,LGLIM,LGLIM,reserved}', 'in a batch over several wallets each has its own');

-- More is due than a command expires ------------------------------------------------------------

create or replace function baseledger._due_chunk_size()
  returns integer language sql immutable parallel safe as 'select 3';
do $$
begin
  perform tap.wallet('back', 100000);
  perform baseledger.set_limit('back', 'all', 120, 'ever', '{}', 'tokens');
  for v_n in 1 .. 12 loop
    perform baseledger.reserve('back', null, 'r' || v_n, '1 hour', p_usage => pg_temp.usage(10));
    perform baseledger.settle('back', 'r' || v_n, null, 's' || v_n, false,
      p_usage => '{"input": 4}');
  end loop;
  perform tap.travel_back('back', '2 hours');
end
$$;
select is(pg_temp.used('back', 'all'), '48/0', 'past their deadline, holds count no more');
select lives_ok($$select baseledger.charge('back', null, 'c', p_usage => pg_temp.usage(72))$$,
  'a command that needs their tokens expires as many as it needs');
select is(pg_temp.used('back', 'all'), '120/0', 'which are counted then');
select is_empty($$select * from baseledger.verify('back')$$, 'as verify counts it');

-- Alerts ----------------------------------------------------------------------------------------

do $$
begin
  perform tap.wallet('told', 100000);
  perform baseledger.set_limit('told', 'day', 1000, 'day', '{user}', 'tokens',
    p_alert_at => '{50,80,100}');
  perform baseledger.set_limit('told', 'soft', 100, 'day', '{}', 'tokens', p_hard => false,
    p_alert_at => '{100}');
  perform baseledger.reserve('told', null, 'r', '1 hour', p_metadata => '{"user": "a"}',
    p_usage => pg_temp.usage(900));
  perform baseledger.charge('told', 90000, 'c', p_metadata => '{"user": "a"}');
end
$$;
select is(tap.limit_alerts('told'), null, 'what is held does not alert, nor what has no tokens');
do $$
begin
  perform baseledger.settle('told', 'r', null, 'p', false, p_usage => '{"input": 499}');
  perform baseledger.settle('told', 'r', null, 's', p_usage => '{"input": 1}');
  perform baseledger.refund('told', 'r', 400, 'f');
  perform baseledger.charge('told', null, 'd', p_already_spent => true,
    p_metadata => '{"user": "a"}', p_usage => pg_temp.usage(700));
end
$$;
select is(tap.limit_alerts('told'), array['#7.1 soft {} 100%: 499 of 100',
  '#8.1 day {a} 50%: 500 of 1000', '#10.1 day {a} 80%: 1200 of 1000',
  '#10.2 day {a} 100%: 1200 of 1000'], 'each percentage alerts when so many tokens are spent');
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong anywhere');

-- Counters that are wrong -----------------------------------------------------------------------

-- What verify finds after a change; then all is as before.
create function pg_temp.found(p_statement text) returns text[] language plpgsql as $$
declare
  v_found text[];
begin
  begin
    perform tap.tamper(p_statement);
    select array_agg(distinct v.wallet_id || ' ' || v."check") into v_found
      from baseledger.verify() as v;
    raise exception using errcode = 'TAP00';
  exception
    when sqlstate 'TAP00' then null;
  end;
  return v_found;
end
$$;
do $$
begin
  perform baseledger.reserve('told', null, 'r2', '1 hour', p_metadata => '{"user": "c"}',
    p_usage => '{"model": "t/one", "requests": 3, "input": 9}');
end
$$;
select is(pg_temp.found('update baseledger.counters set ' || c.statement), c.expected::text[], c.name)
  from (values
    ('tokens that are spent', $$spent = spent - 1
      where wallet_id = 'told' and label_values = '{a}'$$, '{told counter}'),
    ('tokens that are held', $$held = held - 1
      where wallet_id = 'told' and label_values = '{c}'$$, '{told counter}'),
    ('what they cost in place of them', $$held = 12
      where wallet_id = 'told' and label_values = '{c}'$$, '{told counter}')
  ) as c(name, statement, expected);

select * from finish();
rollback;
