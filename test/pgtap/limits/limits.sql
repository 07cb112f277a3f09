-- limits: the limits of a wallet and what is used of them now, and clear_counters.
begin;
select plan(42);

do $$
begin
  perform tap.wallet('w', 100000);
  perform baseledger.set_limit('w', 'day', 100, 'day', '{team,user}', p_alert_at => '{50}');
  perform baseledger.set_limit('w', 'all', 1000, 'ever');
  perform baseledger.set_limit('w', 'unused', 5, 'hour', '{model}', 'calls', 'Asia/Kolkata');
  perform baseledger.remove_limit('w', 'unused');
  perform baseledger.charge('w', 1, 'c' || n, p_metadata => jsonb_build_object('team', t, 'user', u))
    from unnest('{a,a,b,b,b,"b ",c}'::text[], '{x,y,x,y,z,x,x}'::text[]) with ordinality
      as v(t, u, n);
  perform baseledger.set_limit('w', 'unused', 5, 'hour', '{model}', 'calls', 'Asia/Kolkata');
end
$$;

set local role baseledger_agent;

-- Rows ------------------------------------------------------------------------------------------

select is(
  array(select format('%s %s', l.limit_id, l.label_values) from baseledger.limits('w') as l),
  array['all {}', 'day {a,x}', 'day {a,y}', 'day {b,x}', 'day {b,y}', 'day {b,z}', 'day {"b ",x}',
    'day {c,x}', 'unused '],
  'each combination has a row, in order; a limit without any has one'
);
select is(to_jsonb(l) - '{starts_at,ends_at}'::text[], '{
  "limit_id": "day", "label_values": ["a", "x"], "per": "day", "by": ["team", "user"],
  "of": "amount", "time_zone": "UTC", "hard": true, "amount": 100, "own_amount": null, "used": 1,
  "held": 0, "remaining": 99, "alert_at": [50]
}', 'a row has the terms, and what is used') from baseledger.limits('w', 'day', null, 1) as l;
select ok(l.starts_at is null and l.ends_at is null, 'for ever there is no window')
  from baseledger.limits('w', 'all') as l;
select ok(
  now() >= l.starts_at and now() < l.ends_at and l.ends_at - l.starts_at = interval '1 hour'
    and extract(minute from l.starts_at at time zone 'UTC') = 30,
  'else it is the present one, in the limit''s zone'
) from baseledger.limits('w', 'unused') as l;
select is_empty($$select * from baseledger.limits('w', 'none')$$, 'an unknown limit has no rows');
do $$ begin perform tap.wallet('none'); end $$;
select is_empty($$select * from baseledger.limits('none')$$, 'nor a wallet without limits');

-- Pages -----------------------------------------------------------------------------------------

select is(
  array(select l.label_values::text from baseledger.limits('w', 'day', '{a,y}', 3) as l),
  '{"{b,x}","{b,y}","{b,z}"}', 'a page begins after the last row seen');
select is(
  array(select l.label_values::text from baseledger.limits('w', 'day', '{b,za}') as l),
  '{"{\"b \",x}","{c,x}"}', 'which may be gone');
select is_empty($$select * from baseledger.limits('w', 'day', '{c,x}')$$, 'after the last is none');
select is_empty($$select * from baseledger.limits('w', 'all', '{}')$$, 'nor after the only one');
select is((select count(*) from baseledger.limits('w', p_limit => 4)), 4::bigint,
  'all limits are listed up to the limit of rows');
select is((select count(*) from baseledger.limits('w', p_limit => 1)), 1::bigint, 'if it is one');

-- Now -------------------------------------------------------------------------------------------

reset role;
do $$
begin
  perform tap.wallet('now', 1000);
  perform baseledger.set_limit('now', 'day', 100, 'day', '{user}');
  perform baseledger.set_limit('now', 'open', 5, 'ever', '{user}', 'open');
  perform baseledger.set_limit('now', 'calls', 5, 'minute', '{}', 'calls');
  perform baseledger.reserve('now', 10, 'r1', '1 hour', p_metadata => '{"user": "a"}');
  perform baseledger.reserve('now', 20, 'r2', '1 hour', p_metadata => '{"user": "b"}');
  perform baseledger.reserve('now', 5, 'r3', '3 days', p_metadata => '{"user": "b"}');
  perform baseledger.charge('now', 7, 'c', p_metadata => '{"user": "b"}');
end
$$;
set local role baseledger_agent;
select is(tap.used('now', 'open'), array['open {a}: 1 used, 1 held, 4 left',
  'open {b}: 2 used, 2 held, 3 left'], 'what is open is held');
reset role;
do $$ begin perform tap.travel_back('now', '24 hours'); end $$;
set local role baseledger_agent;
create temp table seen as select tap.used('now') as rows;
select is(rows, array[
  'calls {}: 0 used, 0 held, 5 left', 'day {a}: 0 used, 0 held, 100 left',
  'day {b}: 5 used, 5 held, 95 left', 'open {a}: 0 used, 0 held, 5 left',
  'open {b}: 1 used, 1 held, 4 left'
], 'what is past its deadline does not count, nor what was spent before the window') from seen;
set local role baseledger_worker;
do $$ begin perform baseledger.expire_due(); end $$;
set local role baseledger_agent;
select is(tap.used('now'), rows, 'whether or not it was swept') from seen;

-- Who sees what ---------------------------------------------------------------------------------

reset role;
create role team_a login in role baseledger_agent;
create role team_b login in role baseledger_agent;
create role user_x login in role baseledger_agent;
create role nobody login in role baseledger_agent;
create role all_users login in role baseledger_agent;
do $$
begin
  perform tap.wallet('shared', 1000);
  perform baseledger.set_limit('shared', 'day', 100, 'day', '{team,user}');
  perform baseledger.set_limit('shared', 'user', 100, 'day', '{user}');
  perform baseledger.set_limit('shared', 'all', 1000, 'ever');
  perform baseledger.charge('shared', 1, 'c' || n,
    p_metadata => jsonb_build_object('team', t, 'user', u))
    from unnest('{a,a,b,"",""}'::text[], '{x,"",x,x,""}'::text[]) with ordinality as v(t, u, n);
  perform baseledger.allow('shared', 'team_a', '{"team": "a"}', '{user}');
  perform baseledger.allow('shared', 'team_b', '{"team": "b"}', '{*}');
  perform baseledger.allow('shared', 'user_x', '{"user": "x"}');
  perform baseledger.allow('shared', 'all_users', '{}', '{*}');
end
$$;
create function pg_temp.seen() returns text[] language sql as $$
  select array_agg(format('%s %s', l.limit_id, l.label_values)) from baseledger.limits('shared') as l
$$;
set local role team_a;
select is(pg_temp.seen(), array['all {}', 'day {a,""}', 'day {a,x}', 'user {""}', 'user {x}'],
  'a caller with a fixed label sees what has it, with every value that it may choose');
set local role team_b;
select is(pg_temp.seen(), array['all {}', 'day {b,x}', 'user {""}', 'user {x}'], 'also another');
set local role user_x;
select is(pg_temp.seen(), array['all {}', 'day {"",x}', 'user {x}'],
  'and none of values that it may not choose');
set local role all_users;
select is(cardinality(pg_temp.seen()), 8, 'without fixed labels it sees all');
set local role baseledger_operator;
select is(cardinality(pg_temp.seen()), 8, 'as operators do');
set local role baseledger_auditor;
select is(cardinality(pg_temp.seen()), 8, 'and auditors');
set local role nobody;
select refuses($$limits('shared')$$, 'LGWNF', '{"wallet_id": "shared"}',
  'who may not use a wallet does not see it');
reset role;
do $$
begin
  perform tap.wallet('empty', 10);
  perform baseledger.set_limit('empty', 'day', 100, 'day', '{user}');
  perform baseledger.charge('empty', 1, 'c', p_metadata => '{"user": "y"}');
  perform baseledger.allow('empty', 'user_x', '{"user": "x"}');
end
$$;
set local role user_x;
select is(tap.used('empty'), '{"day : 0 used, 0 held, 100 left"}',
  'a limit of which a caller sees no counters has a row as well');

-- Bad input -------------------------------------------------------------------------------------

set local role baseledger_agent;
select refuses(c.call, 'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name)
  from (values
    ('no wallet', 'wallet_id', 'limits(null)'),
    ('a blank wallet id', 'wallet_id', $$limits(' ')$$),
    ('no rows', 'limit', $$limits('w', p_limit => 0)$$),
    ('too many rows', 'limit', $$limits('w', p_limit => 100001)$$),
    ('a number of rows that is null', 'limit', $$limits('w', p_limit => null)$$),
    ('a row seen of no limit', 'after', $$limits('w', p_after => '{a}')$$)
  ) as c(name, field, call);
select refuses($$limits('nobody')$$, 'LGWNF', '{"wallet_id": "nobody"}', 'an unknown wallet');

-- Clearing counters -----------------------------------------------------------------------------

reset role;
do $$
begin
  perform tap.wallet('past', 1000);
  perform baseledger.set_limit('past', 'day', 100, 'day', '{user}');
  perform baseledger.set_limit('past', 'ever', 100, 'ever', '{user}');
  perform baseledger.charge('past', 1, 'c' || u, p_metadata => jsonb_build_object('user', u))
    from unnest('{a,b,c,d}'::text[]) as u;
  perform baseledger.reserve('past', 1, 'r', '3 days', p_metadata => '{"user": "held"}');
  perform baseledger.set_limit_for('past', 'day', '{d}', 7);
  perform tap.travel_back('past', '24 hours');
end
$$;
create temp table before as select tap.used('w') as w;
grant select on before to public;
set local role baseledger_worker;
select is(baseledger.clear_counters(2), 2, 'counters of past windows are deleted, up to a limit');
select is(baseledger.clear_counters() >= 1, true, 'then the rest');
select is(baseledger.clear_counters(), 0, 'then there are none');
set local role baseledger_agent;
select is(tap.used('past', 'day'), array['day {d}: 0 used, 0 held, 7 left',
  'day {held}: 1 used, 1 held, 99 left'],
  'those that hold something, or have their own amounts, stay');
select is(cardinality(tap.used('past', 'ever')), 5, 'and those for ever');
select is(tap.used('w'), w, 'and those of the present window') from before;
do $$ begin perform baseledger.charge('past', 99, 'x', p_metadata => '{"user": "a"}'); end $$;
select is((tap.used('past', 'day'))[1], 'day {a}: 99 used, 0 held, 1 left', 'they are made again');
set local role baseledger_worker;
select refuses(c.call, 'LGARG', '{"field": "limit"}', 'refused: ' || c.call) from (values
  ('clear_counters(0)'), ('clear_counters(100001)'), ('clear_counters(null)')) as c(call);
set local role baseledger_operator;
select throws_ok('select baseledger.clear_counters()', '42501', null, 'only workers clear');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
