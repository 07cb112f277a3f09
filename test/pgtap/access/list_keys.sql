-- list_keys: the keys of a wallet.
begin;
select plan(7);

do $$
begin
  perform tap.wallet('w');
  perform baseledger.create_key('w', '{"a": "1"}', '{b,c}', now() + interval '1 hour');
  perform baseledger.create_key('w');
  perform baseledger.revoke_key('w', (select key_id from baseledger.list_keys('w') limit 1));
  perform tap.wallet('open');
end
$$;

set local role baseledger_operator;
select is(
  array(select jsonb_build_array(k.key_id ~ '^key_', k.labels, k.free_labels,
      k.expires_at = now() + interval '1 hour', k.revoked_at = tap.last_event_at('w'))
    from baseledger.list_keys('w') as k),
  array['[true, {"a": "1"}, ["b", "c"], true, true]', '[true, {}, [], null, null]']::jsonb[],
  'it lists keys in the order of their making, revoked ones, too'
);
select is_empty($$select * from baseledger.list_keys('open')$$, 'an open wallet has none');
select refuses($$list_keys('nobody')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');
select refuses($$list_keys(null)$$, 'LGARG', '{"field": "wallet_id"}', 'so is none');
select refuses($$list_keys(' ')$$, 'LGARG', '{"field": "wallet_id"}', 'and a blank id');
set local role baseledger_auditor;
select is(count(*), 2::bigint, 'auditors may read it') from baseledger.list_keys('w');
set local role baseledger_agent;
select throws_ok($$select * from baseledger.list_keys('w')$$, '42501', null, 'agents may not');

select * from finish();
rollback;
