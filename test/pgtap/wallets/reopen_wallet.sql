-- reopen_wallet: ends a closing.
begin;
select plan(19);

do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.close_wallet('w', 'a test');
end
$$;

set local role baseledger_operator;
create temp table first as
  select baseledger.reopen_wallet('w', 'renewed', 'z1', '{"by": "ops"}') as receipt;
select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 4, "event": "reopened", "available": 1000, "reserved": 0, "spent": 0,
  "idempotency_key": "z1", "replayed": false
}', 'it moves no funds') from first;
select is(tap.on_record('w', 4), jsonb_build_object(
  'actor', tap.actor(), 'metadata', '{"by": "ops"}'::jsonb, 'details', '{"reason": "renewed"}'::jsonb
), 'the event records who asked, and why');
select ok(not l.closed, 'the wallet is open') from baseledger.list_wallets('w', p_closed => null) as l;
select is(to_jsonb(baseledger.reopen_wallet('w', 'renewed', 'z1', '{"by": "ops"}')),
  to_jsonb(receipt) || '{"replayed": true}', 'a retry gets the first receipt') from first;
select changes_nothing($$select baseledger.reopen_wallet('w', 'renewed', 'z1', '{"by": "ops"}')$$,
  'a retry writes nothing');
set local role baseledger_agent;
select is(tap.brief(baseledger.reserve('w', 1, 'r')), '#5 reserved 1: 999/1/0',
  'there are reservations again');
set local role baseledger_operator;
select is(tap.brief(baseledger.credit('w', 1, 'c')), '#6 credited 1: 1000/1/0', 'and credits');
do $$ begin perform baseledger.close_wallet('w', 'again'); end $$;
select is(tap.brief(baseledger.reopen_wallet('w', 'renewed', 'z1', '{"by": "ops"}')),
  '#4 reopened: 1000/0/0 again', 'a retry after another closing gets the same receipt');
select refuses($$credit('w', 1, 'k')$$, 'LGCLO', '{"wallet_id": "w"}', 'and opens nothing');
select is(tap.brief(baseledger.reopen_wallet('w', 'x')), '#8 reopened: 1000/1/0',
  'the key is optional');
select is(tap.brief(baseledger.reopen_wallet('w', 'x', null, null)), '#9 reopened: 1000/1/0',
  'one that is open stays open');

select refuses($$reopen_wallet('w', 'x', 'z1', '{"by": "ops"}')$$, 'LGIDK',
  '{"field": "reason", "stored": "renewed", "given": "x"}', 'a key is refused for another reason');
select refuses(c.call, 'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name)
  from (values
    ('wallet_id', 'no wallet', $$reopen_wallet(null, 'x')$$),
    ('reason', 'no reason', $$reopen_wallet('w', null)$$),
    ('reason', 'a blank reason', $$reopen_wallet('w', ' ')$$),
    ('idempotency_key', 'a blank key', $$reopen_wallet('w', 'x', ' ')$$)
  ) as c(field, name, call);
select refuses($$reopen_wallet('nobody', 'x')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');
set local role baseledger_agent;
select throws_ok($$select baseledger.reopen_wallet('w', 'x')$$, '42501', null, 'agents may not');
set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
