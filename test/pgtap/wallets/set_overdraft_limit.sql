-- set_overdraft_limit: how far below zero settlements may go from now on.
begin;
select plan(37);

do $$
begin
  perform tap.wallet('w', 100, 0);
  perform baseledger.reserve('w', 100, 'r');
end
$$;

set local role baseledger_operator;
create temp table first as
  select baseledger.set_overdraft_limit('w', 50, 'k1', '{"by": "ops"}') as receipt;
select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 4, "event": "overdraft_limit_set", "available": 0, "reserved": 100,
  "spent": 0, "idempotency_key": "k1", "replayed": false
}', 'it moves no funds') from first;
select is(tap.on_record('w', 4), jsonb_build_object(
  'actor', tap.actor(), 'metadata', '{"by": "ops"}'::jsonb, 'details', '{"overdraft_limit": 50}'::jsonb
), 'the event records the limit');
select is((baseledger.balance('w')).overdraft_limit, 50::bigint, 'the balance shows it');
select is(
  to_jsonb(baseledger.set_overdraft_limit('w', 50, 'k1', '{"by": "ops"}')),
  to_jsonb(receipt) || '{"replayed": true}', 'a retry gets the first receipt'
) from first;
select changes_nothing($$select baseledger.set_overdraft_limit('w', 50, 'k1', '{"by": "ops"}')$$,
  'a retry writes nothing');

select refuses($$settle('w', 'r', 151, 's1')$$, 'LGOVD',
  '{"requested": 151, "available": 0, "would_be": -51, "overdraft_limit": 50}',
  'settlements go by the new limit');
select is(tap.brief(baseledger.settle('w', 'r', 150, 's1')), '#5 settled 150: -50/0/150',
  'down to it');
select is(tap.brief(baseledger.set_overdraft_limit('w', 50)), '#6 overdraft_limit_set: -50/0/150',
  'it can be set to the debt that there is');
select refuses(format('set_overdraft_limit(%L, %s)', 'w', c.given), 'LGOVD', jsonb_build_object(
  'requested', null, 'available', -50, 'would_be', -50, 'overdraft_limit', c.given
), 'it cannot be set to less: ' || c.given) from unnest(array[49, 0]) as c(given);
select is((baseledger.balance('w')).overdraft_limit, 50::bigint, 'a refused one changes nothing');
select is(tap.brief(baseledger.set_overdraft_limit('w', null, null, null)),
  '#7 overdraft_limit_set: -50/0/150', 'null is accepted');
select is((baseledger.balance('w')).overdraft_limit, null, 'and is no limit');
select is(tap.brief(baseledger.set_overdraft_limit('w', 50, 'k1', '{"by": "ops"}')),
  '#4 overdraft_limit_set: 0/100/0 again', 'a retry gets its receipt, whatever was set since');
select is((baseledger.balance('w')).overdraft_limit, null, 'and sets nothing');
do $$ begin perform baseledger.credit('w', 50, 'c'); end $$;
select is(tap.brief(baseledger.set_overdraft_limit('w', 0)), '#9 overdraft_limit_set: 0/0/150',
  'without debt it can be 0');
select is(tap.brief(baseledger.set_overdraft_limit('w', 9223372036854775807)),
  '#10 overdraft_limit_set: 0/0/150', 'the largest is accepted');
select is(tap.brief(baseledger.open_wallet('w', p_overdraft_limit => 0)), '#1 opened: 0/0/0 again',
  'the wallet is opened again on the terms that it was first opened on');
select refuses($$open_wallet('w', p_overdraft_limit => 9223372036854775807)$$, 'LGIDK',
  '{"field": "overdraft_limit", "stored": 0, "given": 9223372036854775807}',
  'and not on those of today');

-- What has come due counts as returned ----------------------------------------------------------

do $$
begin
  perform tap.wallet('d', 100);
  perform baseledger.reserve('d', 100, 'a');
  perform baseledger.settle('d', 'a', 130, 's');
  perform baseledger.credit('d', 40, 'more');
  perform baseledger.reserve('d', 10, 'due', '1 hour');
  perform baseledger.charge('d', 1, 'c', p_already_spent => true);
  perform tap.travel_back('d', '2 hours');
end
$$;
select is(tap.brief(baseledger.set_overdraft_limit('d', 0)), '#9 overdraft_limit_set: 9/0/131',
  'what has come due has paid a debt');
reset role;
create or replace function baseledger._due_chunk_size() returns integer
  language sql immutable parallel safe as 'select 1';
set local role baseledger_operator;
do $$
begin
  perform tap.wallet('b', 100);
  perform baseledger.reserve('b', 10, 'x1', '1 hour');
  perform baseledger.reserve('b', 10, 'x2', '1 hour');
  perform baseledger.reserve('b', 10, 'x3', '1 hour');
  perform baseledger.charge('b', 90, 'c', p_already_spent => true);
  perform tap.travel_back('b', '2 hours');
end
$$;
select is(tap.brief(baseledger.set_overdraft_limit('b', 0)), '#8 overdraft_limit_set: -10/20/90',
  'so has what no command has expired yet');
select is(tap.balances('b'), '10/0/90', 'by deadline there is no debt');
do $$
begin
  perform baseledger.set_overdraft_limit('b', null);
  perform baseledger.charge('b', 25, 'c2', p_already_spent => true);
end
$$;
select refuses($$set_overdraft_limit('b', 14)$$, 'LGOVD',
  '{"requested": null, "available": -15, "would_be": -15, "overdraft_limit": 14}',
  'a debt is told by deadline');

-- Frozen and closed wallets ---------------------------------------------------------------------

do $$
begin
  perform baseledger.freeze_wallet('w', 'a test');
  perform baseledger.close_wallet('w', 'a test');
end
$$;
select is(tap.brief(baseledger.set_overdraft_limit('w', 5)), '#13 overdraft_limit_set: 0/0/150',
  'frozen and closed wallets accept it');

-- Limits ----------------------------------------------------------------------------------------

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$set_overdraft_limit('w', 50, 'c')$$,
      '{"field": "op", "stored": "credit", "given": "overdraft_limit_set"}'),
    ('limit', $$set_overdraft_limit('w', 51, 'k1', '{"by": "ops"}')$$,
      '{"field": "overdraft_limit", "stored": 50, "given": 51}'),
    ('limit: none', $$set_overdraft_limit('w', null, 'k1', '{"by": "ops"}')$$,
      '{"field": "overdraft_limit", "stored": 50, "given": null}'),
    ('metadata', $$set_overdraft_limit('w', 50, 'k1')$$,
      '{"field": "metadata", "stored": {"by": "ops"}, "given": {}}')
  ) as c(name, call, detail);
select refuses(c.call, 'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name)
  from (values
    ('wallet_id', 'no wallet', $$set_overdraft_limit(null, 1)$$),
    ('wallet_id', 'a blank wallet id', $$set_overdraft_limit(' ', 1)$$),
    ('overdraft_limit', 'a limit below 0', $$set_overdraft_limit('w', -1)$$),
    ('overdraft_limit', 'a limit far below 0', $$set_overdraft_limit('w', -9223372036854775808)$$),
    ('idempotency_key', 'a blank key', $$set_overdraft_limit('w', 1, ' ')$$),
    ('metadata', 'an array', $$set_overdraft_limit('w', 1, 'k', '[]')$$)
  ) as c(field, name, call);
select refuses($$set_overdraft_limit('nobody', 1)$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');
set local role baseledger_agent;
select throws_ok($$select baseledger.set_overdraft_limit('w', 1)$$, '42501', null,
  'agents may not');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
