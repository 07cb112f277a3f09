-- What is reported when limits or funds refuse a command: the obstacle that clears last.
begin;
select plan(28);

-- A wallet with funds, and amounts of limits: by day, for ever, and by user.
create function pg_temp.fresh(
  p_wallet_id text, p_funds bigint, p_day bigint, p_ever bigint default 9999,
  p_user bigint default 9999
) returns void language sql as $$
  select tap.wallet(p_wallet_id, p_funds);
  select baseledger.set_limit(p_wallet_id, 'day', p_day, 'day', p_time_zone => 'Asia/Tokyo');
  select baseledger.set_limit(p_wallet_id, 'ever', p_ever, 'ever');
  select baseledger.set_limit(p_wallet_id, 'user', p_user, 'month', '{user}');
$$;
create function pg_temp.deadline(p_wallet_id text) returns timestamptz language sql as $$
  select min(o.expires_at) from tap.deadlines(p_wallet_id) as o
$$;
create function pg_temp.resets_at(p_wallet_id text, p_limit_id text) returns timestamptz
language sql as $$
  select max(l.ends_at) from baseledger.limits(p_wallet_id, p_limit_id) as l
$$;
-- The detail of LGLIM that is not what every one of a limit has.
create function pg_temp.lgl(
  p_limit_id text, p_values text[], p_per text, p_of text, p_amount bigint, p_used bigint,
  p_held bigint, p_requested bigint, p_retry_at timestamptz, p_resets_at timestamptz,
  p_reason text default 'exhausted'
) returns jsonb language sql as $$
  select jsonb_build_object(
    'limit_id', p_limit_id, 'values', p_values, 'per', p_per, 'of', p_of, 'amount', p_amount,
    'used', p_used, 'held', p_held, 'requested', p_requested,
    'shortfall', p_used + p_requested - p_amount, 'reason', p_reason, 'retry_at', p_retry_at,
    'resets_at', p_resets_at
  )
$$;

do $$
begin
  perform pg_temp.fresh('a', 1000, 100);
  perform baseledger.reserve('a', 60, 'r', '10 minutes');
  perform baseledger.charge('a', 30, 'c');
end
$$;
select refuses($$charge('a', 11, 'x')$$, 'LGLIM',
  pg_temp.lgl('day', '{}', 'day', 'amount', 100, 90, 60, 11, pg_temp.deadline('a'), null, 'held'),
  'held: open reservations would cover it');
select refuses($$reserve('a', 70, 'x')$$, 'LGLIM',
  pg_temp.lgl('day', '{}', 'day', 'amount', 100, 90, 60, 70, pg_temp.deadline('a'), null, 'held'),
  'just so');
select refuses($$reserve('a', 71, 'x')$$, 'LGLIM',
  pg_temp.lgl('day', '{}', 'day', 'amount', 100, 90, 60, 71, null, pg_temp.resets_at('a', 'day')),
  'exhausted: they would not, but the next window does');
select refuses($$reserve('a', 101, 'x')$$, 'LGLIM',
  pg_temp.lgl('day', '{}', 'day', 'amount', 100, 90, 60, 101, null, null),
  'no window helps what is more than the amount');
select refuses($$reserve('a', 500, 'x', p_at_least => 20)$$, 'LGLIM',
  pg_temp.lgl('day', '{}', 'day', 'amount', 100, 90, 60, 20, pg_temp.deadline('a'), null, 'held'),
  'the least that is asked for counts');
select refuses($$extend('a', 'r', '10 minutes', 'x', 71)$$, 'LGLIM',
  pg_temp.lgl('day', '{}', 'day', 'amount', 100, 90, 60, 11, pg_temp.deadline('a'), null, 'held'),
  'of a larger hold the increase counts');
select lives_ok($$select baseledger.extend('a', 'r', '10 minutes', 'e1', 70)$$,
  'up to the amount it is granted');
select lives_ok($$select baseledger.extend('a', 'r', '10 minutes', 'e2')$$,
  'a heartbeat needs nothing');
select lives_ok($$select baseledger.charge('a', 50, 'already', p_already_spent => true)$$,
  'what was spent already is booked');
select lives_ok($$select baseledger.extend('a', 'r', '10 minutes', 'e3', 60)$$,
  'a smaller hold is no problem');

-- Several limits
do $$
begin
  perform pg_temp.fresh('b', 1000, 100, 150, 120);
  perform baseledger.charge('b', 90, 'c', p_metadata => '{"user": "u"}');
end
$$;
select refuses($$charge('b', 31, 'x', p_metadata => '{"user": "u"}')$$, 'LGLIM',
  pg_temp.lgl('user', '{u}', 'month', 'amount', 120, 90, 0, 31, null,
    pg_temp.resets_at('b', 'user')),
  'of several limits the one that clears last is reported')
  where (select max(ends_at) from baseledger.limits('b', 'user'))
    > (select max(ends_at) from baseledger.limits('b', 'day'))
union all
select ok(true, 'of several limits (the month ends today)')
  where (select max(ends_at) from baseledger.limits('b', 'user'))
    <= (select max(ends_at) from baseledger.limits('b', 'day'));
select refuses($$charge('b', 61, 'x')$$, 'LGLIM',
  pg_temp.lgl('ever', '{}', 'ever', 'amount', 150, 90, 0, 61, null, null),
  'one that never clears before one that does');
do $$ begin perform baseledger.set_limit('b', 'before', 100, 'ever'); end $$;
do $$ begin perform baseledger.charge('b', 10, 'c2', p_metadata => '{"user": "u"}'); end $$;
select refuses($$charge('b', 95, 'x')$$, 'LGLIM',
  pg_temp.lgl('before', '{}', 'ever', 'amount', 100, 10, 0, 95, null, null),
  'of two that never clear, the first by name');

-- Funds
do $$
begin
  perform pg_temp.fresh('c', 100, 100);
  perform baseledger.reserve('c', 60, 'r', '10 minutes');
end
$$;
select refuses($$charge('c', 41, 'x')$$, 'LGNSF', jsonb_build_object(
  'requested', 41, 'available', 40, 'reserved', 60, 'shortfall', 1, 'reason', 'held',
  'retry_at', pg_temp.deadline('c')
), 'funds win a tie');
select refuses($$charge('c', 101, 'x')$$, 'LGNSF', jsonb_build_object(
  'requested', 101, 'available', 40, 'reserved', 60, 'shortfall', 61, 'reason', 'exhausted',
  'retry_at', null
), 'also where only a credit and nothing helps');
do $$
begin
  perform pg_temp.fresh('d', 100, 50);
  perform baseledger.charge('d', 10, 'c');
  perform baseledger.reserve('d', 40, 'r', '10 minutes');
end
$$;
select refuses($$charge('d', 51, 'x')$$, 'LGLIM',
  pg_temp.lgl('day', '{}', 'day', 'amount', 50, 50, 40, 51, null, null),
  'a limit that never clears wins over funds that are held');
select refuses($$charge('d', 45, 'x')$$, 'LGLIM',
  pg_temp.lgl('day', '{}', 'day', 'amount', 50, 50, 40, 45, null, pg_temp.resets_at('d', 'day')),
  'a limit is reported where funds suffice');

-- Soft limits
do $$
begin
  perform pg_temp.fresh('soft', 1000, 50);
  perform baseledger.set_limit('soft', 'a', 1, 'ever', p_hard => false);
  perform baseledger.charge('soft', 50, 'c');
end
$$;
select refuses($$charge('soft', 1, 'x')$$, 'LGLIM',
  pg_temp.lgl('day', '{}', 'day', 'amount', 50, 50, 0, 1, null, pg_temp.resets_at('soft', 'day')),
  'a soft limit is in nobody''s way');

-- Calls and open reservations
do $$
begin
  perform tap.wallet('e', 1000);
  perform baseledger.set_limit('e', 'calls', 3, 'year', '{user}', 'calls');
  perform baseledger.set_limit('e', 'open', 2, 'ever', '{user}', 'open');
  perform baseledger.reserve('e', 10, 'r1', '10 minutes');
  perform baseledger.reserve('e', 10, 'r2', '20 minutes');
end
$$;
select refuses($$reserve('e', 10, 'x')$$, 'LGLIM',
  pg_temp.lgl('open', '{""}', 'ever', 'open', 2, 2, 2, 1, pg_temp.deadline('e'), null, 'held'),
  'a reservation more than may be open');
select lives_ok($$select baseledger.extend('e', 'r1', '10 minutes', 'e1', 500)$$,
  'a larger hold is no other reservation');
select lives_ok($$select baseledger.charge('e', 10, 'c1')$$, 'nor is a charge');
select refuses($$charge('e', 10, 'x')$$, 'LGLIM',
  pg_temp.lgl('calls', '{""}', 'year', 'calls', 3, 3, 0, 1, null, pg_temp.resets_at('e', 'calls')),
  'more calls than may be made');
select lives_ok($$select baseledger.extend('e', 'r1', '10 minutes', 'e2', 600)$$,
  'but a larger hold is no call');
do $$ begin perform baseledger.settle('e', 'r1', 10, 's1'); end $$;
do $$ begin perform baseledger.cancel('e', 'r2', 'c2'); end $$;
select refuses($$reserve('e', 10, 'x')$$, 'LGLIM',
  pg_temp.lgl('calls', '{""}', 'year', 'calls', 3, 3, 0, 1, null, pg_temp.resets_at('e', 'calls')),
  'a reservation is a call as well, ended or not');
select lives_ok($$select baseledger.charge('e', 10, 'c3', p_metadata => '{"user": "other"}')$$,
  'others have their own');

-- Before limits come other refusals
do $$
begin
  perform baseledger.freeze_wallet('e', 'x');
  perform baseledger.settle('c', 'r', 60, 's');
end
$$;
select refuses($$charge('e', 10, 'x')$$, 'LGFRZ', '{"wallet_id": "e"}', 'a freeze comes first');
select refuses($$charge('e', 10, 'x', 'r1')$$, 'LGRID', '{"reservation_id": "r1"}',
  'and an id that is taken');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
