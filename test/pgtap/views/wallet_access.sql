-- wallet_access: who may use restricted wallets.
begin;
select plan(3);

set local role baseledger_auditor;
select is_empty('select * from baseledger.wallet_access', 'it is empty without grants and keys');

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('a');
  perform tap.wallet('b');
  perform tap.wallet('open');
  perform baseledger.allow('a', 'baseledger_agent', '{"x": "1"}', '{y}');
  perform baseledger.create_key('a', '{"x": "2"}', '{*}', now() + interval '1 hour');
  perform baseledger.create_key('b');
  perform baseledger.revoke_key('b', (select key_id from baseledger.list_keys('b')));
end
$$;

set local role baseledger_auditor;
select is(
  array(select jsonb_build_array(v.wallet_id, v.role_name, v.key_id ~ '^key_', v.labels,
      v.free_labels, v.expires_at = now() + interval '1 hour',
      v.revoked_at = tap.last_event_at('b'))
    from baseledger.wallet_access as v order by v.wallet_id, v.role_name),
  array[
    '["a", "baseledger_agent", null, {"x": "1"}, ["y"], null, null]',
    '["a", null, true, {"x": "2"}, ["*"], true, null]',
    '["b", null, true, {}, [], null, true]'
  ]::jsonb[],
  'it has the grants and keys of all wallets'
);
select is_empty($$select * from baseledger.wallet_access where since is null$$,
  'and since when they are');

select * from finish();
rollback;
