-- Restricted wallets: who may do what in them, and see what.
begin;
select plan(107);

create role tap_ann in role baseledger_agent;
create role tap_bob in role baseledger_agent;
create role tap_service in role baseledger_agent;
create role tap_member in role tap_service;
create role tap_stranger in role baseledger_agent;
create role tap_reader in role baseledger_agent, baseledger_auditor;
do $$
begin
  perform tap.wallet('w', 10000);
  perform tap.wallet('open', 1000);
  perform baseledger.allow('w', 'tap_ann', '{"user": "ann", "team": "x"}', '{run}');
  perform baseledger.allow('w', 'tap_bob', '{"user": "bob", "team": "x"}', '{run,note}');
  perform baseledger.allow('w', 'tap_service', '{}', '{*}');
  perform baseledger.reserve('w', 10, 'op', '1 hour');
  perform tap.wallet('gone', 1000);
  perform baseledger.allow('gone', 'tap_ann', '{"user": "ann"}');
end
$$;
create temp table keys as
  select 'ann' as name, k.* from baseledger.create_key('w', '{"user": "ann"}') as k
  union all
  select 'all', k.* from baseledger.create_key('w', '{}', '{*}') as k
  union all
  select 'ended', k.* from baseledger.create_key('w', '{}', '{*}', now() + interval '1 hour') as k
  union all
  select 'other', k.* from baseledger.create_key('gone', '{}', '{*}') as k;
update baseledger.keys k set expires_at = now()
  where k.key_id = (select key_id from keys where name = 'ended');
grant select on keys to public;
create function pg_temp.present(p_name text) returns void language sql as $$
  select set_config('baseledger.key', coalesce((select secret from keys where name = p_name), p_name), true)
$$;
-- The details of an event that the same statement has written.
create function pg_temp.details_of(p_receipt baseledger.receipt) returns jsonb
  language plpgsql volatile as $$
begin
  return tap.on_record((p_receipt).wallet_id, (p_receipt).seq) -> 'details';
end
$$;
-- Everything that an agent can ask of a wallet.
create temp table calls (call text);
insert into calls values
  ($$reserve('w', 1, 'k')$$), ($$charge('w', 1, 'k')$$),
  ($$charge('w', 1, 'k', p_already_spent => true)$$), ($$settle('w', 'op', 1, 'k')$$),
  ($$cancel('w', 'op', 'k')$$), ($$extend('w', 'op', '1 hour', 'k')$$),
  ($$settle('w', 'none', 1, 'k')$$), ($$reserve('w', 1, 'op')$$),
  ($$reserve('w', 10, 'op', '1 hour')$$),
  ($$balance('w')$$), ($$reservation('w', 'op')$$), ($$receipt('w', 'op')$$),
  ($$post('w', '[]')$$),
  ($$post('w', '[{"op": "reserve", "amount": 1, "idempotency_key": "k"}]')$$),
  ($$post('w', '[{"op": "settle", "reservation_id": "op", "amount": 1, "idempotency_key": "k"}]')$$);
grant select on calls to public;

-- Who has no access gets what an unknown wallet gets --------------------------------------------

set local role tap_stranger;
select refuses(call, 'LGWNF', '{"wallet_id": "w"}', 'a stranger is refused ' || call) from calls;
select refuses(replace(call, '''w''', '''nobody'''), 'LGWNF', '{"wallet_id": "nobody"}',
  'as if there were no wallet: ' || call) from calls;
select throws_ok($$select baseledger.reserve('w', 1, 'k')$$, 'LGWNF',
  'wallet not found, or not open to tap_stranger: w', 'the message names the role in effect');
select throws_ok($$select baseledger.reserve('nobody', 1, 'k')$$, 'LGWNF',
  'wallet not found, or not open to tap_stranger: nobody', 'and is the same of an unknown wallet');
select is(
  array(select r.refused || ' ' || r.detail from baseledger.post_many('[
    {"wallet_id": "w", "op": "reserve", "amount": 1, "idempotency_key": "k"},
    {"wallet_id": "w", "op": "settle", "reservation_id": "op", "amount": 1, "idempotency_key": "k1"},
    {"wallet_id": "open", "op": "reserve", "amount": 1, "idempotency_key": "k"},
    {"wallet_id": "nobody", "op": "reserve", "amount": 1, "idempotency_key": "k"}
  ]') as r where r.refused is not null),
  array['LGWNF {"wallet_id": "w"}', 'LGWNF {"wallet_id": "w"}', 'LGWNF {"wallet_id": "nobody"}'],
  'in a batch over wallets, only its commands are refused'
);

set local role tap_member;
select refuses($$reserve('w', 1, 'k')$$, 'LGWNF', '{"wallet_id": "w"}',
  'a member of a role has not what the role has');
set local role baseledger_worker;
select throws_ok($$select baseledger.reserve('w', 1, 'k')$$, '42501', null,
  'nor may a role that is no agent');

-- Keys ------------------------------------------------------------------------------------------

set local role tap_stranger;
do $$ begin perform pg_temp.present('all'); end $$;
select is(tap.brief(baseledger.reserve('w', 1, 'k-all')), '#10 reserved 1: 9989/11/0',
  'a key opens the wallet to a stranger');
set local role tap_ann;
do $$ begin perform pg_temp.present('wrong'); end $$;
select refuses(call, 'LGWNF', '{"wallet_id": "w"}', 'a wrong key closes it to who has a grant: ' || call)
  from calls where call ~ '^(reserve|balance|reservation|receipt)';
do $$ begin perform pg_temp.present('ended'); end $$;
select refuses($$balance('w')$$, 'LGWNF', '{"wallet_id": "w"}', 'so does a key that has ended');
do $$ begin perform pg_temp.present('other'); end $$;
select refuses($$balance('w')$$, 'LGWNF', '{"wallet_id": "w"}', 'and one of another wallet');
select is(tap.brief(baseledger.reserve('open', 1, 'k-open')), '#4 reserved 1: 998/2/0',
  'an open wallet asks for no key');
select is(tap.on_record('open', 4) ->> 'actor', tap.actor(),
  'and does not record that of another');
set local role baseledger_operator;
select refuses($$balance('w')$$, 'LGWNF', '{"wallet_id": "w"}', 'a wrong key refuses operators, too');
set local role baseledger_auditor;
select refuses($$balance('w')$$, 'LGWNF', '{"wallet_id": "w"}', 'and auditors');
set local role tap_ann;
do $$ begin perform pg_temp.present(''); end $$;
select is(tap.balances('w'), '9989/11/0', 'an empty key is none');

-- Labels ----------------------------------------------------------------------------------------

select is(tap.brief(baseledger.reserve('w', 100, 'a1', p_metadata =>
  '{"user": "bob", "run": "7", "note": "n", "team": "y"}')), '#11 reserved 100: 9889/111/0',
  'a grant opens the wallet');
select is(tap.on_record('w', 11), jsonb_build_object(
  'actor', tap.actor(), 'metadata', '{"user": "bob", "run": "7", "note": "n", "team": "y"}'::jsonb,
  'details', '{"labels": {"user": "ann", "team": "x", "run": "7"}}'::jsonb
), 'fixed labels override metadata, free ones are taken from it, others are not');
select is(r.labels, '{"user": "ann", "team": "x", "run": "7"}', 'the reservation shows them')
  from baseledger.reservation('w', 'a1') as r;
select is(tap.brief(baseledger.reserve('w', 100, 'a1', p_metadata =>
  '{"user": "bob", "run": "7", "note": "n", "team": "y"}')), '#11 reserved 100: 9889/111/0 again',
  'a retry compares what was sent');
select refuses(
  $$reserve('w', 100, 'a1', p_metadata => '{"user": "ann", "run": "7", "team": "x"}')$$, 'LGIDK',
  '{"field": "metadata", "stored": {"user": "bob", "run": "7", "note": "n", "team": "y"},
    "given": {"user": "ann", "run": "7", "team": "x"}}', 'and not what was made of it');
select is(pg_temp.details_of(baseledger.charge('w', 1, 'a2', p_metadata =>
  '{"user": "ann", "team": "x", "run": "8"}')), 'null',
  'labels that do not differ from the metadata are not repeated');
set local role tap_bob;
select is(pg_temp.details_of(baseledger.charge('w', 1, 'b1', p_metadata =>
  '{"note": 5, "run": null, "user": "ann"}')),
  '{"labels": {"note": 5, "run": null, "user": "bob", "team": "x"}}', 'free labels may be any JSON');
select is(pg_temp.details_of(baseledger.charge('w', 1, 'b2', p_already_spent => true)),
  '{"already_spent": true, "labels": {"user": "bob", "team": "x"}}',
  'labels stand beside what else the event says');
set local role tap_service;
select is(pg_temp.details_of(baseledger.charge('w', 1, 's1', p_metadata =>
  '{"user": "ann", "team": "x"}')), 'null', '{*} takes all of the metadata');
set local role baseledger_operator;
select is(pg_temp.details_of(baseledger.charge('w', 1, 'o1', p_metadata => '{"user": "ann"}')), 'null', 'so do operators');

-- Others' reservations --------------------------------------------------------------------------

set local role tap_bob;
select refuses(c.call, 'LGRNF', '{"reservation_id": "a1"}', 'another''s reservation is not there: ' || c.call)
  from (values
    ($$settle('w', 'a1', 1, 'k')$$), ($$settle('w', 'a1', 1, 'k', false)$$),
    ($$cancel('w', 'a1', 'k')$$), ($$extend('w', 'a1', '1 hour', 'k')$$),
    ($$reservation('w', 'a1')$$)
  ) as c(call);
select refuses($$settle('w', 'op', 1, 'k')$$, 'LGRNF', '{"reservation_id": "op"}',
  'nor is an operator''s');
select refuses($$reserve('w', 1, 'k', p_reservation_id => 'a1')$$, 'LGRID',
  '{"reservation_id": "a1"}', 'but its name is taken');
select is(
  array(select r.refused || ' ' || r.detail from baseledger.post('w', '[
    {"op": "settle", "reservation_id": "a1", "amount": 1, "idempotency_key": "k"},
    {"op": "cancel", "reservation_id": "a1", "idempotency_key": "k"},
    {"op": "extend", "reservation_id": "a1", "ttl": 60, "idempotency_key": "k"}
  ]') as r),
  array_fill('LGRNF {"reservation_id": "a1"}'::text, array[3]), 'neither in a batch'
);
select refuses(c.call, 'LGIDK', '{"field": "idempotency_key", "stored": null, "given": null}',
  'another''s idempotency key tells nothing: ' || c.call) from (values
    ($$reserve('w', 100, 'a1')$$), ($$charge('w', 1, 'a2')$$), ($$settle('w', 'b1', 1, 'a1')$$),
    ($$reserve('w', 1, 'funds')$$), ($$reserve('w', 1, 'op')$$)
  ) as c(call);
select throws_ok($$select baseledger.reserve('w', 1, 'a1')$$, 'LGIDK',
  'idempotency key already in use', 'nor does the message');
select is_empty(format('select * from baseledger.receipt(%L, %L)', 'w', k), 'it has no receipt: ' || k)
  from unnest(array['a1', 'a2', 'funds', 'op']) as k;
select is(array(select tap.brief(r) from baseledger.receipt('w', 'b1') as r),
  array['#13 charged 1: 9887/111/2 again'], 'one''s own has');
select is(tap.brief(baseledger.charge('w', 1, 'b1', p_metadata =>
  '{"note": 5, "run": null, "user": "ann"}')), '#13 charged 1: 9887/111/2 again',
  'and gets it again');

-- What has one's labels is one's own ------------------------------------------------------------

set local role tap_ann;
select is((baseledger.reservation('w', 's1')).status, 'settled',
  'what another has opened with one''s labels can be seen');
select refuses($$reservation('w', 'o1')$$, 'LGRNF', '{"reservation_id": "o1"}',
  'but not with some of them only');
set local role tap_service;
select is((baseledger.reservation('w', 'a1')).status || (baseledger.reservation('w', 'op')).status,
  'openopen', 'who has no fixed labels sees all');
select is(count(*), 1::bigint, 'also operators'' receipts') from baseledger.receipt('w', 'funds');
select is(tap.brief(baseledger.settle('w', 'a1', 40, 's-a1', false)),
  '#17 settled 40: 9884/71/45', 'and settles all');
set local role tap_stranger;
do $$ begin perform pg_temp.present('ann'); end $$;
select is((baseledger.reservation('w', 'a1')).settled, 40::bigint, 'a key sees what has its labels');
select refuses($$reservation('w', 'b1')$$, 'LGRNF', '{"reservation_id": "b1"}', 'and nothing else');
set local role baseledger_operator;
do $$ begin perform pg_temp.present('ann'); end $$;
select refuses($$reservation('w', 'b1')$$, 'LGRNF', '{"reservation_id": "b1"}',
  'whoever presents it');
do $$ begin perform pg_temp.present(''); end $$;

-- Readers ---------------------------------------------------------------------------------------

set local role baseledger_auditor;
select is((baseledger.reservation('w', 'b1')).status, 'settled', 'auditors see all');
select is(count(*), 1::bigint, 'also receipts') from baseledger.receipt('w', 'funds');
set local role tap_reader;
select is(tap.balances('w'), '9884/71/45', 'who is auditor and agent sees it');
select refuses($$reserve('w', 1, 'k')$$, 'LGWNF', '{"wallet_id": "w"}', 'and does nothing in it');

-- What was opened can be ended ------------------------------------------------------------------

set local role tap_ann;
do $$
begin
  perform baseledger.reserve('gone', 100, 'g1', '1 hour', p_metadata => '{"n": 1}');
  perform baseledger.reserve('gone', 100, 'g2', '1 hour');
  perform baseledger.reserve('gone', 100, 'g3', '1 hour');
end
$$;
set local role baseledger_operator;
do $$ begin perform baseledger.disallow('gone', 'tap_ann'); end $$;
set local role tap_ann;
select refuses(c.call, 'LGWNF', '{"wallet_id": "gone"}', 'without a grant one is refused ' || c.call)
  from (values
    ($$reserve('gone', 1, 'k')$$), ($$charge('gone', 1, 'k')$$), ($$balance('gone')$$),
    ($$charge('gone', 1, 'k', p_already_spent => true)$$), ($$settle('gone', 'x', 1, 'k')$$),
    ($$reserve('gone', 1, 'k', p_reservation_id => 'g2')$$),
    ($$reservation('gone', 'g1')$$), ($$receipt('gone', 'g1')$$)
  ) as c(call);
select is(tap.brief(baseledger.settle('gone', 'g1', 40, 'gs1')), '#9 settled 40: 760/200/40',
  'what one has opened can be settled');
select is(tap.brief(baseledger.settle('gone', 'g1', 40, 'gs1')), '#9 settled 40: 760/200/40 again',
  'and that repeated');
select is(tap.brief(baseledger.reserve('gone', 100, 'g1', '1 hour', p_metadata => '{"n": 1}')),
  '#5 reserved 100: 900/100/0 again', 'so can its reservation');
select refuses($$reserve('gone', 101, 'g1', '1 hour', p_metadata => '{"n": 1}')$$, 'LGIDK',
  '{"field": "amount", "stored": 100, "given": 101}', 'in another way it is refused');
select is(
  array(select coalesce(r.refused || ' ' || r.detail, tap.brief(r)) from baseledger.post('gone', '[
    {"op": "extend", "reservation_id": "g2", "ttl": 60, "amount": 120, "idempotency_key": "ge"},
    {"op": "reserve", "amount": 1, "idempotency_key": "g4"},
    {"op": "settle", "reservation_id": "g4", "amount": 1, "idempotency_key": "gs4"},
    {"op": "cancel", "reservation_id": "g3", "idempotency_key": "gc"},
    {"op": "reserve", "amount": 1, "idempotency_key": "funds"},
    {"op": "cancel", "reservation_id": "none", "idempotency_key": "gc2"}
  ]') as r),
  array['#10 extended 20: 740/220/40', 'LGWNF {"wallet_id": "gone"}', 'LGWNF {"wallet_id": "gone"}',
    '#11 cancelled 100: 840/120/40', 'LGWNF {"wallet_id": "gone"}', 'LGWNF {"wallet_id": "gone"}'],
  'a batch carries out what concerns it, and nothing else'
);
select is(
  array(select coalesce(r.refused || ' ' || r.detail, tap.brief(r)) from baseledger.post_many('[
    {"wallet_id": "gone", "op": "settle", "reservation_id": "g2", "amount": 5, "idempotency_key": "m1",
      "final": false},
    {"wallet_id": "gone", "op": "reserve", "amount": 1, "idempotency_key": "m2"},
    {"wallet_id": "gone", "op": "cancel", "reservation_id": "none", "idempotency_key": "gs1"},
    {"wallet_id": "gone", "op": "cancel", "reservation_id": "none", "idempotency_key": "m3"},
    {"wallet_id": "w", "op": "reserve", "amount": 1, "idempotency_key": "m2"}
  ]') as r),
  array['LGBSY {"wallet_id": "gone"}', 'LGWNF {"wallet_id": "gone"}', 'LGBSY {"wallet_id": "gone"}',
    'LGWNF {"wallet_id": "gone"}', '#18 reserved 1: 9883/72/45'],
  'one over several wallets leaves what concerns it to post, which locks only then'
);
set local role tap_bob;
select refuses($$settle('gone', 'g2', 1, 'k')$$, 'LGWNF', '{"wallet_id": "gone"}',
  'who has not opened it is refused');

set local role baseledger_auditor;
select is_empty($$select * from baseledger.verify('gone')$$, 'verify finds nothing wrong at the end');

select * from finish();
rollback;
