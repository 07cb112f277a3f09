-- create_key: a key to a wallet, whose secret is shown once.
begin;
select plan(36);

do $$
begin
  perform tap.wallet('w', 1000);
  perform tap.wallet('shut', 10);
  perform baseledger.close_wallet('shut', 'a test');
end
$$;

set local role baseledger_operator;
set local timezone = 'UTC';
create temp table first as select k.* from baseledger.create_key(
  'w', '{"user": "ann"}', '{run}', now() + interval '1 day', 'k1', '{"by": "ops"}'
) as k;

select matches(key_id, '^key_[0-9a-f]{12}$', 'a key has a random name') from first;
select matches(secret, '^bl_[0-9a-f]{40}$', 'and a random secret') from first;
select is(expires_at, now() + interval '1 day', 'it can be used until then') from first;
select ok(not replayed, 'it was made now') from first;
select is(tap.last_events('w', 1), array['key_created: 1000/0/0'], 'it moves no funds');
select is(tap.on_record('w', 3), jsonb_build_object(
  'actor', tap.actor(), 'metadata', '{"by": "ops"}'::jsonb, 'details', jsonb_build_object(
    'key_id', key_id, 'labels', '{"user": "ann"}'::jsonb, 'free_labels', '["run"]'::jsonb,
    'expires_at', now() + interval '1 day',
    'secret_sha256', encode(sha256(convert_to(secret, 'UTF8')), 'hex')
  )
), 'the event records the hash of the secret, and times in UTC') from first;
select ok(l.restricted, 'the wallet is restricted') from baseledger.list_wallets('w') as l;
reset role;
select is_empty(
  $$select from first f, (
      select to_jsonb(e)::text as row from baseledger.events e
      union all select to_jsonb(k)::text from baseledger.keys k
      union all select to_jsonb(w)::text from baseledger.wallets w
    ) as t where t.row like '%' || f.secret || '%'$$,
  'the secret is kept nowhere'
);
set local role baseledger_operator;

create temp table again as select k.* from baseledger.create_key(
  'w', '{"user": "ann"}', '{run}', now() + interval '1 day', 'k1', '{"by": "ops"}'
) as k;
select is(to_jsonb(a), to_jsonb(f) || '{"secret": null, "replayed": true}',
  'a retry gets the same key without its secret') from first f, again a;
select changes_nothing(
  $$select baseledger.create_key('w', '{"user": "ann"}', '{run}', now() + interval '1 day', 'k1',
    '{"by": "ops"}')$$, 'a retry writes nothing'
);
set local timezone = 'Asia/Kathmandu';
select is(
  (baseledger.create_key('w', '{"user": "ann"}', '{run}', now() + interval '1 day', 'k1',
    '{"by": "ops"}')).key_id,
  key_id, 'a retry may come from another time zone'
) from first;
set local timezone = 'UTC';

create temp table more as
  select k.* from generate_series(1, 5) as n
    cross join lateral baseledger.create_key('w', jsonb_build_object('n', n::text)) as k;
select is(count(distinct m.key_id) || ' ' || count(distinct m.secret), '5 5',
  'without a key each call makes another') from more m;
select is((baseledger.create_key('w', p_expires_at => 'infinity')).expires_at, null,
  'infinity means until it is revoked');
select is(count(*), 7::bigint, 'all are listed') from baseledger.list_keys('w');

-- It opens the wallet, whoever has it -----------------------------------------------------------

grant select on first to baseledger_agent;
set local role baseledger_agent;
select refuses($$reserve('w', 1, 'r1')$$, 'LGWNF', '{"wallet_id": "w"}',
  'without it, an agent is refused');
do $$ begin perform set_config('baseledger.key', secret, true) from first; end $$;
select is(tap.brief(baseledger.reserve('w', 1, 'r1')), '#10 reserved 1: 999/1/0',
  'with it, an agent is not');
select is(tap.on_record('w', 10) ->> 'actor', tap.actor() || ' with key ' || key_id,
  'the event tells which key it was') from first;
reset role;
set local baseledger.key = '';

-- A retry whatever has changed since ------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform baseledger.revoke_key('w', (select key_id from first));
  perform baseledger.close_wallet('w', 'a test');
end
$$;
do $$ begin perform tap.travel_back('w', '2 days'); end $$;
select is(
  (baseledger.create_key('w', '{"user": "ann"}', '{run}', now() + interval '1 day', 'k1',
    '{"by": "ops"}')).key_id,
  key_id, 'a retry is answered on a closed wallet, for a key that is revoked'
) from first;
do $$ begin perform baseledger.reopen_wallet('w', 'a test'); end $$;

-- Limits ----------------------------------------------------------------------------------------

select refuses($$create_key('shut')$$, 'LGCLO', '{"wallet_id": "shut"}',
  'a closed wallet gets no more keys');
select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$create_key('w', p_idempotency_key => 'funds')$$,
      '{"field": "op", "stored": "credit", "given": "key_created"}'),
    ('label', $$create_key('w', '{}', '{run}', now() + interval '1 day', 'k1', '{"by": "ops"}')$$,
      '{"field": "labels", "stored": {"user": "ann"}, "given": {}}'),
    ('free label',
      $$create_key('w', '{"user": "ann"}', '{}', now() + interval '1 day', 'k1', '{"by": "ops"}')$$,
      '{"field": "free_labels", "stored": ["run"], "given": []}')
  ) as c(name, call, detail);
select refuses(
  $$create_key('w', '{"user": "ann"}', '{run}', now() + interval '2 days', 'k1', '{"by": "ops"}')$$,
  'LGIDK', jsonb_build_object(
    'field', 'expires_at', 'stored', now() + interval '1 day', 'given', now() + interval '2 days'
  ), 'a key is refused for another time'
);
select refuses(
  format('create_key(%s, %s, %s, %s, %s, %s)', coalesce(c.wallet_id, quote_literal('w')),
    coalesce(c.labels, quote_literal('{}')), coalesce(c.free_labels, quote_literal('{}')),
    coalesce(c.expires_at, 'null'), coalesce(c.key, 'null'), coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name
) from (values
  ('wallet_id', 'no wallet', 'null', null, null, null, null, null),
  ('labels', 'no labels', null, 'null', null, null, null, null),
  ('labels', 'a label that is a number', null, $$'{"a": 1}'$$, null, null, null, null),
  ('labels', 'a label of 256 bytes', null, $$jsonb_build_object('a', repeat('é', 128))$$, null,
    null, null, null),
  ('free_labels', 'no free labels', null, null, 'null', null, null, null),
  ('free_labels', 'an empty free label', null, null, $$'{""}'$$, null, null, null),
  ('expires_at', 'a time that has passed', null, null, null, 'clock_timestamp()', null, null),
  ('expires_at', 'a time long ago', null, null, null, $$'-infinity'$$, null, null),
  ('expires_at', 'a time before Christ', null, null, null, $$'0044-03-15 BC'$$, null, null),
  ('idempotency_key', 'a blank key', null, null, null, null, $$' '$$, null),
  ('metadata', 'an array', null, null, null, null, null, $$'[]'$$)
) as c(field, name, wallet_id, labels, free_labels, expires_at, key, metadata);
select refuses($$create_key('nobody')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
