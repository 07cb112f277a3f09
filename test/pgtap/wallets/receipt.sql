-- receipt: what has become of a command.
begin;
select plan(15);

do $$
begin
  perform tap.wallet('w', 1000);
  perform tap.wallet('other', 1000);
end
$$;
set local role baseledger_agent;
create temp table first as select baseledger.reserve('w', 100, 'r1', '1 hour') as receipt;
select is(array(select to_jsonb(r) from baseledger.receipt('w', 'r1') as r),
  array[to_jsonb(receipt) || '{"replayed": true}'], 'it is what a retry would get') from first;
do $$
begin
  perform baseledger.settle('w', 'r1', 40, 's1');
  perform baseledger.post('w', '[
    {"op": "charge", "amount": 1, "idempotency_key": "b1"},
    {"op": "charge", "amount": 9999, "idempotency_key": "b2"}
  ]');
end
$$;
select is(array(select to_jsonb(r) from baseledger.receipt('w', 'r1') as r),
  array[to_jsonb(receipt) || '{"replayed": true}'], 'whatever has happened since') from first;
select is(array(select tap.brief(r) from baseledger.receipt('w', 's1') as r),
  array['#4 settled 40: 960/0/40 again'], 'of any command');
select is(array(select tap.brief(r) from baseledger.receipt('w', 'b1') as r),
  array['#5 charged 1: 959/0/41 again'], 'also of a batch');
select is(array(select tap.brief(r) from baseledger.receipt('w', 'funds') as r),
  array['#2 credited 1000: 1000/0/0 again'], 'also of an operator');
select is_empty($$select * from baseledger.receipt('w', 'b2')$$, 'a refused one has none');
select is_empty($$select * from baseledger.receipt('w', 'k')$$, 'nor has an unknown key');
select is_empty($$select * from baseledger.receipt('other', 'r1')$$,
  'nor one of another wallet');
select refuses(c.call, 'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name)
  from (values
    ('wallet_id', 'no wallet', $$receipt(null, 'k')$$),
    ('idempotency_key', 'no key', $$receipt('w', null)$$),
    ('idempotency_key', 'a blank key', $$receipt('w', ' ')$$),
    ('idempotency_key', 'a key of 256', $$receipt('w', repeat('x', 256))$$)
  ) as c(field, name, call);
select refuses($$receipt('nobody', 'k')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');
select changes_nothing($$select * from baseledger.receipt('w', 'r1')$$, 'it changes nothing');
set local role baseledger_auditor;
select is(count(*), 1::bigint, 'auditors may read it') from baseledger.receipt('w', 'r1');

select * from finish();
rollback;
