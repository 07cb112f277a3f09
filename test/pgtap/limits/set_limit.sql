-- set_limit: how much a wallet may use in a window.
begin;
select plan(75);

do $$
begin
  perform tap.wallet('w', 1000);
  perform tap.wallet('busy', 100000);
  perform baseledger.charge('busy', 70, 'before', p_metadata => '{"user": "ann"}');
  perform baseledger.reserve('busy', 100, 'a1', '1 hour', p_metadata => '{"user": "ann"}');
  perform baseledger.reserve('busy', 10, 'a2', '1 hour', p_metadata => '{"user": "ann"}');
  perform baseledger.reserve('busy', 20, 'b1', '1 hour', p_metadata => '{"user": "bob"}');
  perform baseledger.reserve('busy', 7, 'n1', '1 hour', p_metadata => '{"user": 7}');
  perform baseledger.reserve('busy', 8, 'n2', '1 hour');
  perform baseledger.reserve('busy', 9, 'spent', '1 hour', p_metadata => '{"user": "carl"}');
  perform baseledger.settle('busy', 'spent', 9, 'part', false);
  perform baseledger.reserve('busy', 1, 'ended', '1 hour', p_metadata => '{"user": "ann"}');
  perform baseledger.cancel('busy', 'ended', 'c1');
end
$$;

set local role baseledger_operator;

-- What it does ----------------------------------------------------------------------------------

create temp table first as
  select baseledger.set_limit(
    'w', 'day', 500, 'day', '{user,team}', 'amount', 'Europe/Berlin', true, '{100,50}', 'k1',
    '{"by": "ops"}'
  ) as receipt;
select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 3, "event": "limit_set", "available": 1000, "reserved": 0, "spent": 0,
  "idempotency_key": "k1", "replayed": false
}', 'a limit is an event that moves nothing') from first;
select is(tap.on_record('w', 3), jsonb_build_object(
  'actor', session_user || ' as baseledger_operator', 'metadata', '{"by": "ops"}'::jsonb,
  'details', '{
    "limit_id": "day", "amount": 500, "per": "day", "by": ["user", "team"], "of": "amount",
    "time_zone": "Europe/Berlin", "hard": true, "alert_at": [50, 100]
  }'::jsonb
), 'the event has its terms');
select is(to_jsonb(l) - '{starts_at,ends_at}'::text[], '{
  "limit_id": "day", "label_values": null, "per": "day", "by": ["user", "team"], "of": "amount",
  "time_zone": "Europe/Berlin", "hard": true, "amount": 500, "own_amount": null, "used": 0,
  "held": 0, "remaining": 500, "alert_at": [50, 100]
}', 'it is listed') from baseledger.limits('w') as l;
select is(
  array[(l.starts_at at time zone 'Europe/Berlin')::text,
    (l.ends_at at time zone 'Europe/Berlin')::text],
  array[date_trunc('day', now() at time zone 'Europe/Berlin')::text,
    (date_trunc('day', now() at time zone 'Europe/Berlin') + interval '1 day')::text],
  'with today''s window'
) from baseledger.limits('w') as l;
select is(
  to_jsonb(baseledger.set_limit(
    'w', 'day', 500, 'day', '{user,team}', 'amount', 'Europe/Berlin', true, '{50,100}', 'k1',
    '{"by": "ops"}'
  )),
  to_jsonb(receipt) || '{"replayed": true}',
  'a retry gets the first receipt, in whatever order its alerts are'
) from first;
select changes_nothing($$select baseledger.set_limit(
  'w', 'day', 500, 'day', '{user,team}', 'amount', 'Europe/Berlin', true, '{50,100}', 'k1',
  '{"by": "ops"}'
)$$, 'a retry writes nothing');
select is(tap.brief(baseledger.set_limit('w', 'all', 0, 'ever')), '#4 limit_set: 1000/0/0',
  'an amount of 0 blocks; a key is optional');
select refuses($$reserve('w', 1, 'r')$$, 'LGLIM', '{
  "limit_id": "all", "values": [], "per": "ever", "of": "amount", "amount": 0, "used": 0,
  "held": 0, "requested": 1, "shortfall": 1, "reason": "exhausted", "retry_at": null,
  "resets_at": null
}', 'nothing is reserved then');
select is(tap.brief(baseledger.set_limit('w', 'all', 100, 'ever', p_hard => false,
  p_alert_at => '{1,1000}')), '#5 limit_set: 1000/0/0', 'it can be changed');
select is(to_jsonb(l) -> 'amount' || (to_jsonb(l) -> 'hard') || (to_jsonb(l) -> 'alert_at'),
  '[100, false, 1, 1000]', 'amount, hardness and alerts are new')
  from baseledger.limits('w', 'all') as l;
select is(tap.brief(baseledger.set_limit('w', 'by', null, 'hour', '{model}')),
  '#6 limit_set: 1000/0/0', 'a limit by labels needs no amount');
do $$ begin perform baseledger.remove_limit('w', 'all'); end $$;

-- What is held ----------------------------------------------------------------------------------

do $$
begin
  perform baseledger.set_limit('busy', 'all', 1000, 'day');
  perform baseledger.set_limit('busy', 'user', 1000, 'month', '{user}');
  perform baseledger.set_limit('busy', 'open', 10, 'ever', '{user}', 'open');
  perform baseledger.set_limit('busy', 'calls', 10, 'hour', '{user}', 'calls');
  perform baseledger.set_limit('busy', 'two', 1000, 'week', '{team,user}');
end
$$;
select is(tap.used('busy'), array[
  'all {}: 145 used, 145 held, 855 left',
  'calls : 0 used, 0 held, 10 left',
  'open {""}: 2 used, 2 held, 8 left',
  'open {ann}: 2 used, 2 held, 8 left',
  'open {bob}: 1 used, 1 held, 9 left',
  'open {carl}: 1 used, 1 held, 9 left',
  'two {"",""}: 15 used, 15 held, 985 left',
  'two {"",ann}: 110 used, 110 held, 890 left',
  'two {"",bob}: 20 used, 20 held, 980 left',
  'user {""}: 15 used, 15 held, 985 left',
  'user {ann}: 110 used, 110 held, 890 left',
  'user {bob}: 20 used, 20 held, 980 left'
], 'a new limit counts what is held, and nothing of what was spent or opened before');

-- Retries, and keys that are used otherwise -----------------------------------------------------

select refuses(format('set_limit(%s, p_idempotency_key => ''k1'', p_metadata => %L)',
    c.call, coalesce(c.metadata, '{"by": "ops"}')),
  'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('limit_id', $$'w', 'x', 500, 'day', '{user,team}', 'amount', 'Europe/Berlin', true,
      '{50,100}'$$, null, '{"field": "limit_id", "stored": "day", "given": "x"}'),
    ('amount', $$'w', 'day', 501, 'day', '{user,team}', 'amount', 'Europe/Berlin', true,
      '{50,100}'$$, null, '{"field": "amount", "stored": 500, "given": 501}'),
    ('order of labels', $$'w', 'day', 500, 'day', '{team,user}', 'amount', 'Europe/Berlin', true,
      '{50,100}'$$, null,
      '{"field": "by", "stored": ["user", "team"], "given": ["team", "user"]}'),
    ('hardness', $$'w', 'day', 500, 'day', '{user,team}', 'amount', 'Europe/Berlin', false,
      '{50,100}'$$, null, '{"field": "hard", "stored": true, "given": false}'),
    ('metadata', $$'w', 'day', 500, 'day', '{user,team}', 'amount', 'Europe/Berlin', true,
      '{50,100}'$$, '{}', '{"field": "metadata", "stored": {"by": "ops"}, "given": {}}')
  ) as c(name, call, metadata, detail);
select refuses($$set_limit('w', 'day', 500, 'day', p_idempotency_key => 'funds')$$, 'LGIDK',
  '{"field": "op", "stored": "credit", "given": "limit_set"}', 'or another command');

-- Bad input -------------------------------------------------------------------------------------

create function pg_temp.bad(p_name text, p_field text, p_call text) returns setof text
language plpgsql as $$
declare
  v_before constant text := tap.digest();
begin
  return next refuses(format('set_limit(%s)', p_call), 'LGARG',
    jsonb_build_object('field', p_field), 'refused: ' || p_name);
  if tap.digest() <> v_before then
    return next fail(p_name || ' changes something');
  end if;
end
$$;
select pg_temp.bad(c.name, c.field, c.call) from (values
  ('no wallet', 'wallet_id', $$null, 'l', 1, 'day'$$),
  ('a blank wallet id', 'wallet_id', $$' ', 'l', 1, 'day'$$),
  ('no limit id', 'limit_id', $$'w', null, 1, 'day'$$),
  ('an empty limit id', 'limit_id', $$'w', '', 1, 'day'$$),
  ('a limit id that ends with a blank', 'limit_id', $$'w', 'l ', 1, 'day'$$),
  ('a limit id of 256', 'limit_id', $$'w', repeat('l', 256), 1, 'day'$$),
  ('an amount below 0', 'amount', $$'w', 'l', -1, 'day'$$),
  ('no amount for the wallet as a whole', 'amount', $$'w', 'l', null, 'day'$$),
  ('no window', 'per', $$'w', 'l', 1, null$$),
  ('an unknown window', 'per', $$'w', 'l', 1, 'fortnight'$$),
  ('a window in other words', 'per', $$'w', 'l', 1, '1 day'$$),
  ('no labels but null', 'by', $$'w', 'l', 1, 'day', null$$),
  ('five labels', 'by', $$'w', 'l', 1, 'day', '{a,b,c,d,e}'$$),
  ('a label that is named twice', 'by', $$'w', 'l', 1, 'day', '{a,b,a}'$$),
  ('a label without a name', 'by', $$'w', 'l', 1, 'day', '{a,""}'$$),
  ('a label that is null', 'by', $$'w', 'l', 1, 'day', '{a,null}'$$),
  ('a label of 256 bytes', 'by', $$'w', 'l', 1, 'day', array[repeat('é', 128)]$$),
  ('a table of labels', 'by', $$'w', 'l', 1, 'day', '{{a,b},{c,d}}'$$),
  ('nothing counted', 'of', $$'w', 'l', 1, 'day', '{}', null$$),
  ('something else counted', 'of', $$'w', 'l', 1, 'day', '{}', 'words'$$),
  ('open reservations of a day', 'per', $$'w', 'l', 1, 'day', '{}', 'open'$$),
  ('no zone', 'time_zone', $$'w', 'l', 1, 'day', p_time_zone => null$$),
  ('an unknown zone', 'time_zone', $$'w', 'l', 1, 'day', p_time_zone => 'Europe/Atlantis'$$),
  ('an abbreviation', 'time_zone', $$'w', 'l', 1, 'day', p_time_zone => 'CET'$$),
  ('a zone without a place', 'time_zone', $$'w', 'l', 1, 'day', p_time_zone => 'GMT'$$),
  ('a zone in other letters', 'time_zone', $$'w', 'l', 1, 'day', p_time_zone => 'europe/berlin'$$),
  ('UTC in other letters', 'time_zone', $$'w', 'l', 1, 'day', p_time_zone => 'utc'$$),
  ('a zone with leap seconds', 'time_zone', $$'w', 'l', 1, 'day',
    p_time_zone => 'right/Europe/Berlin'$$),
  ('a zone of the POSIX names', 'time_zone', $$'w', 'l', 1, 'day',
    p_time_zone => 'posix/Europe/Berlin'$$),
  ('a rule', 'time_zone', $$'w', 'l', 1, 'day', p_time_zone => 'CET-1CEST/2'$$),
  ('an offset', 'time_zone', $$'w', 'l', 1, 'day', p_time_zone => '+02:00'$$),
  ('neither hard nor soft', 'hard', $$'w', 'l', 1, 'day', p_hard => null$$),
  ('alerts that are null', 'alert_at', $$'w', 'l', 1, 'day', p_alert_at => null$$),
  ('an alert at 0', 'alert_at', $$'w', 'l', 1, 'day', p_alert_at => '{0}'$$),
  ('an alert at 1001', 'alert_at', $$'w', 'l', 1, 'day', p_alert_at => '{1001}'$$),
  ('an alert at nothing', 'alert_at', $$'w', 'l', 1, 'day', p_alert_at => '{null}'$$),
  ('the same alert twice', 'alert_at', $$'w', 'l', 1, 'day', p_alert_at => '{5,5}'$$),
  ('eleven alerts', 'alert_at', $$'w', 'l', 1, 'day',
    p_alert_at => '{1,2,3,4,5,6,7,8,9,10,11}'$$),
  ('alerts of open reservations', 'alert_at', $$'w', 'l', 1, 'ever', '{}', 'open',
    p_alert_at => '{50}'$$),
  ('a blank key', 'idempotency_key', $$'w', 'l', 1, 'day', p_idempotency_key => ' '$$),
  ('a key of 256', 'idempotency_key', $$'w', 'l', 1, 'day',
    p_idempotency_key => repeat('x', 256)$$),
  ('metadata that is no object', 'metadata', $$'w', 'l', 1, 'day', p_metadata => '[]'$$),
  ('another window of an existing limit', 'per', $$'w', 'day', 500, 'week', '{user,team}',
    'amount', 'Europe/Berlin'$$),
  ('other labels of an existing limit', 'by', $$'w', 'day', 500, 'day', '{user}', 'amount',
    'Europe/Berlin'$$),
  ('something else of an existing limit', 'of', $$'w', 'day', 500, 'day', '{user,team}', 'calls',
    'Europe/Berlin'$$),
  ('another zone of an existing limit', 'time_zone', $$'w', 'day', 500, 'day', '{user,team}'$$)
) as c(name, field, call);
select refuses($$set_limit('nobody', 'l', 1, 'day')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');
select lives_ok($$select baseledger.set_limit('w', repeat('é', 255), 9223372036854775807, 'year',
  array[repeat('a', 255), 'b', 'c', 'd'], p_time_zone => 'Etc/GMT+12',
  p_alert_at => '{1,2,3,4,5,6,7,8,9,1000}')$$, 'long names and the largest amount are accepted');
select lives_ok($$select baseledger.set_limit('w', 'from 5', 1, 'day', '[5:6]={a,b}')$$,
  'a list may begin at any index');
select lives_ok($$select baseledger.set_limit_for('w', 'from 5', '[7:8]={x,y}', 0)$$,
  'values as well');
select refuses($$charge('w', 1, 'x', p_metadata => '{"a": "x", "b": "y"}')$$, 'LGLIM', '{
  "limit_id": "from 5", "values": ["x", "y"], "per": "day", "of": "amount", "amount": 0,
  "used": 0, "held": 0, "requested": 1, "shortfall": 1, "reason": "exhausted", "retry_at": null,
  "resets_at": null
}', 'they mean the same');

do $$
begin
  for v_n in 1 .. 32 - (select count(distinct limit_id) from baseledger.limits('w')) loop
    perform baseledger.set_limit('w', 'n' || v_n, 1000, 'day');
  end loop;
end
$$;
select pg_temp.bad('a 33rd limit', 'limit_id', $$'w', 'more', 1, 'day'$$);
select lives_ok($$select baseledger.set_limit('w', 'n1', 1001, 'day')$$,
  'the 32 can still be changed');

-- Who may, and closed wallets -------------------------------------------------------------------

set local role baseledger_agent;
select throws_ok($$select baseledger.set_limit('w', 'l', 1, 'day')$$, '42501',
  null, 'an agent may not set limits');
set local role baseledger_operator;
do $$ begin perform baseledger.close_wallet('w', 'the end'); end $$;
select refuses($$set_limit('w', 'n1', 5, 'day')$$, 'LGCLO', '{"wallet_id": "w"}',
  'a closed wallet gets no limit');
select ok((baseledger.set_limit(
    'w', 'day', 500, 'day', '{user,team}', 'amount', 'Europe/Berlin', true, '{100,50}', 'k1',
    '{"by": "ops"}'
  )).replayed, 'a retry still gets its receipt');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
