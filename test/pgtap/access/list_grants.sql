-- list_grants: the roles that may use a wallet.
begin;
select plan(7);

do $$
begin
  perform tap.wallet('w');
  perform baseledger.allow('w', 'baseledger_worker', '{"a": "1"}', '{b,c}');
  perform baseledger.allow('w', 'baseledger_agent');
  perform baseledger.create_key('w');
  perform tap.wallet('open');
end
$$;

set local role baseledger_operator;
select is(
  array(select jsonb_build_array(g.role_name, g.labels, g.free_labels)
    || to_jsonb(g.granted_at = tap.last_event_at('w')) from baseledger.list_grants('w') as g),
  array['["baseledger_agent", {}, [], false]',
    '["baseledger_worker", {"a": "1"}, ["b", "c"], false]']::jsonb[],
  'it lists grants in the order of their names, and no keys'
);
select is_empty($$select * from baseledger.list_grants('open')$$, 'an open wallet has none');
select refuses($$list_grants('nobody')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');
select refuses($$list_grants(null)$$, 'LGARG', '{"field": "wallet_id"}', 'so is none');
select refuses($$list_grants(' ')$$, 'LGARG', '{"field": "wallet_id"}', 'and a blank id');
set local role baseledger_auditor;
select is(count(*), 2::bigint, 'auditors may read it') from baseledger.list_grants('w');
set local role baseledger_agent;
select throws_ok($$select * from baseledger.list_grants('w')$$, '42501', null, 'agents may not');

select * from finish();
rollback;
