-- revoke_key: ends a key at once.
begin;
select plan(20);

do $$
begin
  perform tap.wallet('w', 1000);
  perform tap.wallet('other', 1000);
end
$$;
create temp table keys as
  select 'one' as name, k.* from baseledger.create_key('w', '{"user": "ann"}') as k
  union all
  select 'two', k.* from baseledger.create_key('w', '{"user": "bob"}') as k
  union all
  select 'theirs', k.* from baseledger.create_key('other') as k;
grant select on keys to public;
create function pg_temp.key_of(p_name text) returns text
  language sql as 'select key_id from keys where name = p_name';

set local role baseledger_agent;
do $$ begin perform set_config('baseledger.key', secret, true) from keys where name = 'one'; end $$;
do $$ begin perform baseledger.reserve('w', 100, 'a1'); end $$;
set local baseledger.key = '';

set local role baseledger_operator;
create temp table first as
  select baseledger.revoke_key('w', pg_temp.key_of('one'), 'k1', '{"by": "ops"}') as receipt;
select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 6, "event": "key_revoked", "available": 900, "reserved": 100, "spent": 0,
  "idempotency_key": "k1", "replayed": false
}', 'it moves no funds') from first;
select is(tap.on_record('w', 6), jsonb_build_object(
  'actor', tap.actor(), 'metadata', '{"by": "ops"}'::jsonb,
  'details', jsonb_build_object('key_id', pg_temp.key_of('one'))
), 'the event records which key');
select is(
  array_agg(k.labels ->> 'user' || ' '
    || coalesce((k.revoked_at = (receipt).occurred_at)::text, 'never') order by k.labels),
  array['ann true', 'bob never'], 'the key is listed as revoked, others stay'
) from first, baseledger.list_keys('w') as k;
select is(
  to_jsonb(baseledger.revoke_key('w', pg_temp.key_of('one'), 'k1', '{"by": "ops"}')),
  to_jsonb(receipt) || '{"replayed": true}', 'a retry gets the first receipt'
) from first;
select changes_nothing(
  $$select baseledger.revoke_key('w', pg_temp.key_of('one'), 'k1', '{"by": "ops"}')$$,
  'a retry writes nothing'
);

set local role baseledger_agent;
do $$ begin perform set_config('baseledger.key', secret, true) from keys where name = 'one'; end $$;
select refuses($$reserve('w', 1, 'k')$$, 'LGWNF', '{"wallet_id": "w"}',
  'a revoked key opens nothing');
select is(tap.brief(baseledger.settle('w', 'a1', 40, 's1')), '#7 settled 40: 960/0/40',
  'what was reserved with it can be settled');
set local baseledger.key = '';

set local role baseledger_operator;
do $$ begin perform tap.wallet('v', 100); end $$;
create temp table unlabelled as select * from baseledger.create_key('v');
grant select on unlabelled to public;
do $$ begin perform baseledger.revoke_key('v', (select key_id from unlabelled)); end $$;
set local role baseledger_agent;
do $$ begin perform set_config('baseledger.key', secret, true) from unlabelled; end $$;
select refuses($$reserve('v', 1, 'funds')$$, 'LGWNF', '{"wallet_id": "v"}',
  'one without labels does not learn what operators have done');
set local baseledger.key = '';

set local role baseledger_operator;
do $$ begin perform baseledger.close_wallet('w', 'a test'); end $$;
select is(tap.brief(baseledger.revoke_key('w', pg_temp.key_of('two'))),
  '#9 key_revoked: 960/0/40', 'a key of a closed wallet can be revoked, and the idempotency key is optional');

-- Limits ----------------------------------------------------------------------------------------

select refuses(c.call, 'LGIDK', c.detail, 'an idempotency key is refused for another ' || c.name)
  from (values
    ('key', $$revoke_key('w', 'x', 'k1', '{"by": "ops"}')$$,
      jsonb_build_object('field', 'key_id', 'stored', pg_temp.key_of('one'), 'given', 'x')),
    ('metadata', format($$revoke_key('w', %L, 'k1')$$, pg_temp.key_of('one')),
      '{"field": "metadata", "stored": {"by": "ops"}, "given": {}}')
  ) as c(name, call, detail);
select refuses(c.call, 'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name)
  from (values
    ('wallet_id', 'no wallet', $$revoke_key(null, 'x')$$),
    ('key_id', 'no key', $$revoke_key('w', null)$$),
    ('key_id', 'a key that does not exist', $$revoke_key('w', 'key_000000000000')$$),
    ('key_id', 'a key that is revoked', $$revoke_key('w', pg_temp.key_of('one'))$$),
    ('key_id', 'a key of another wallet', $$revoke_key('w', pg_temp.key_of('theirs'))$$),
    ('idempotency_key', 'a blank idempotency key', $$revoke_key('w', 'x', ' ')$$),
    ('metadata', 'an array', $$revoke_key('w', 'x', 'k', '[]')$$)
  ) as c(field, name, call);
select refuses($$revoke_key('nobody', 'x')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
