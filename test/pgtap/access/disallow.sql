-- disallow: takes a grant back.
begin;
select plan(21);

create role tap_ann in role baseledger_agent;
do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.allow('w', 'tap_ann', '{"user": "ann"}');
  perform baseledger.allow('w', 'baseledger_agent');
  perform tap.wallet('open', 1000);
end
$$;
set local role tap_ann;
do $$ begin perform baseledger.reserve('w', 100, 'a1'); end $$;

set local role baseledger_operator;
create temp table first as select baseledger.disallow('w', 'tap_ann', 'k1', '{"by": "ops"}') as receipt;

select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 6, "event": "disallowed", "available": 900, "reserved": 100, "spent": 0,
  "idempotency_key": "k1", "replayed": false
}', 'it moves no funds') from first;
select is(tap.on_record('w', 6), jsonb_build_object(
  'actor', tap.actor(), 'metadata', '{"by": "ops"}'::jsonb, 'details', '{"role": "tap_ann"}'::jsonb
), 'the event records from whom');
select is(array(select g.role_name from baseledger.list_grants('w') as g),
  array['baseledger_agent'], 'the grant is gone, others stay');
select is(to_jsonb(baseledger.disallow('w', 'tap_ann', 'k1', '{"by": "ops"}')),
  to_jsonb(receipt) || '{"replayed": true}', 'a retry gets the first receipt') from first;
select changes_nothing($$select baseledger.disallow('w', 'tap_ann', 'k1', '{"by": "ops"}')$$,
  'a retry writes nothing');

do $$ begin perform baseledger.allow('w', 'tap_ann', '{"user": "ann"}'); end $$;
select is(tap.brief(baseledger.disallow('w', 'tap_ann', 'k1', '{"by": "ops"}')),
  '#6 disallowed: 900/100/0 again', 'a retry after it was allowed again gets the same receipt');
select is(array(select g.role_name from baseledger.list_grants('w') as g),
  array['baseledger_agent', 'tap_ann'], 'and takes nothing back');
reset role;
drop role tap_ann;
set local role baseledger_operator;
select is(tap.brief(baseledger.disallow('w', 'tap_ann')), '#8 disallowed: 900/100/0',
  'a role that is gone can be disallowed, and the key is optional');
select is(tap.brief(baseledger.disallow('w', 'baseledger_agent', null, null)),
  '#9 disallowed: 900/100/0', 'the last grant can be taken back');
select ok(l.restricted, 'the wallet stays restricted') from baseledger.list_wallets('w') as l;
set local role baseledger_agent;
select refuses($$reserve('w', 1, 'k')$$, 'LGWNF', '{"wallet_id": "w"}',
  'a wallet without grants is open to no agent');
set local role baseledger_operator;
do $$ begin perform baseledger.close_wallet('w', 'a test'); end $$;
do $$ begin perform baseledger.reopen_wallet('w', 'a test'); end $$;

-- Limits ----------------------------------------------------------------------------------------

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('role', $$disallow('w', 'x', 'k1', '{"by": "ops"}')$$,
      '{"field": "role", "stored": "tap_ann", "given": "x"}'),
    ('metadata', $$disallow('w', 'tap_ann', 'k1')$$,
      '{"field": "metadata", "stored": {"by": "ops"}, "given": {}}')
  ) as c(name, call, detail);
select refuses(c.call, 'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name)
  from (values
    ('wallet_id', 'no wallet', $$disallow(null, 'x')$$),
    ('role', 'no role', $$disallow('w', null)$$),
    ('role', 'a role without a grant', $$disallow('w', 'baseledger_worker')$$),
    ('role', 'a role without a grant, of an open wallet', $$disallow('open', 'baseledger_agent')$$),
    ('idempotency_key', 'a blank key', $$disallow('w', 'x', ' ')$$),
    ('metadata', 'an array', $$disallow('w', 'x', 'k', '[]')$$)
  ) as c(field, name, call);
select refuses($$disallow('nobody', 'x')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
