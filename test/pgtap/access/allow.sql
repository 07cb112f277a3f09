-- allow: gives a role access to a wallet, which is restricted from then on.
begin;
select plan(48);

create role tap_ann in role baseledger_agent;
do $$
begin
  perform tap.wallet('w', 1000);
  perform tap.wallet('shut', 10);
  perform baseledger.close_wallet('shut', 'a test');
end
$$;

set local role baseledger_operator;

-- What it does ----------------------------------------------------------------------------------

create temp table first as select baseledger.allow(
  'w', 'tap_ann', '{"team": "search"}', '{user,run}', 'k1', '{"by": "ops"}'
) as receipt;

select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 3, "event": "allowed", "available": 1000, "reserved": 0, "spent": 0,
  "idempotency_key": "k1", "replayed": false
}', 'a grant moves no funds') from first;
select is(tap.on_record('w', 3), jsonb_build_object(
  'actor', tap.actor(), 'metadata', '{"by": "ops"}'::jsonb,
  'details', '{"role": "tap_ann", "labels": {"team": "search"}, "free_labels": ["user", "run"]}'::jsonb
), 'the event records to whom, and which labels');
select is(
  array(select g.role_name || ' ' || g.labels || ' ' || g.free_labels::text || ' '
    || (g.granted_at = (receipt).occurred_at) from baseledger.list_grants('w') as g),
  array['tap_ann {"team": "search"} {user,run} true'],
  'the grant is listed, with the time of the event'
) from first;
select ok(l.restricted, 'the wallet is restricted') from baseledger.list_wallets('w') as l;

select is(
  to_jsonb(baseledger.allow('w', 'tap_ann', '{"team": "search"}', '{user,run}', 'k1', '{"by": "ops"}')),
  to_jsonb(receipt) || '{"replayed": true}',
  'a retry gets the first receipt'
) from first;
select changes_nothing(
  $$select baseledger.allow('w', 'tap_ann', '{"team": "search"}', '{user,run}', 'k1',
    '{"by": "ops"}')$$,
  'a retry writes nothing'
);
select is(tap.brief(baseledger.allow('w', 'tap_ann', p_labels => '{"user": "ann"}')),
  '#4 allowed: 1000/0/0', 'the key is optional');
select is(
  array(select g.role_name || ' ' || g.labels || ' ' || g.free_labels::text
    from baseledger.list_grants('w') as g),
  array['tap_ann {"user": "ann"} {}'],
  'allowed again, a role has the new labels, and no others'
);
select is(tap.brief(baseledger.allow('w', 'tap_ann', '{"user": "ann"}', '{}', null, null)),
  '#5 allowed: 1000/0/0', 'without a key each call is an event');
select is(tap.brief(baseledger.allow('w', 'baseledger_agent')), '#6 allowed: 1000/0/0',
  'any role can be allowed');
select is(array(select g.role_name from baseledger.list_grants('w') as g),
  array['baseledger_agent', 'tap_ann'], 'a wallet has several grants');

-- Retries whatever has changed since ------------------------------------------------------------

do $$
begin
  perform baseledger.allow('w', 'tap_ann', p_idempotency_key => 'k2');
  perform baseledger.disallow('w', 'tap_ann');
  perform baseledger.close_wallet('w', 'a test');
end
$$;
reset role;
drop role tap_ann;
set local role baseledger_operator;
select is(tap.brief(baseledger.allow('w', 'tap_ann', p_idempotency_key => 'k2')),
  '#7 allowed: 1000/0/0 again', 'a retry is answered on a closed wallet, for a role that is gone');
select is(array(select g.role_name from baseledger.list_grants('w') as g),
  array['baseledger_agent'], 'a retry does not allow again what was taken back');
do $$ begin perform baseledger.reopen_wallet('w', 'a test'); end $$;

-- Limits ----------------------------------------------------------------------------------------

select refuses($$allow('shut', 'baseledger_agent')$$, 'LGCLO', '{"wallet_id": "shut"}',
  'a closed wallet gets no more grants');
select ok(not l.restricted, 'nor is it restricted then')
  from baseledger.list_wallets('shut', p_closed => true) as l;

select is(
  tap.brief(baseledger.allow('w', 'baseledger_worker', (
    select jsonb_object_agg(repeat('k', 253) || lpad(i::text, 2, '0'), repeat('v', 255))
      from generate_series(1, 16) as i
  ), array(select repeat('f', 253) || lpad(i::text, 2, '0') from generate_series(1, 16) as i))),
  '#11 allowed: 1000/0/0', '16 labels, and names and values of 255 bytes, are accepted'
);
select is(tap.brief(baseledger.allow('w', 'baseledger_worker', '{}', '{*}')),
  '#12 allowed: 1000/0/0', '{*} is accepted');

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$allow('w', 'baseledger_agent', '{}', '{}', 'funds')$$,
      '{"field": "op", "stored": "credit", "given": "allowed"}'),
    ('role', $$allow('w', 'baseledger_agent', '{}', '{}', 'k2')$$,
      '{"field": "role", "stored": "tap_ann", "given": "baseledger_agent"}'),
    ('label', $$allow('w', 'tap_ann', '{"a": "b"}', '{}', 'k2')$$,
      '{"field": "labels", "stored": {}, "given": {"a": "b"}}'),
    ('free label', $$allow('w', 'tap_ann', '{}', '{a}', 'k2')$$,
      '{"field": "free_labels", "stored": [], "given": ["a"]}'),
    ('metadata', $$allow('w', 'tap_ann', '{}', '{}', 'k2', '{"a": 1}')$$,
      '{"field": "metadata", "stored": {}, "given": {"a": 1}}')
  ) as c(name, call, detail);

select refuses(
  format('allow(%s, %s, %s, %s, %s, %s)', coalesce(c.wallet_id, quote_literal('w')),
    coalesce(c.role, quote_literal('baseledger_agent')), coalesce(c.labels, quote_literal('{}')),
    coalesce(c.free_labels, quote_literal('{}')), coalesce(c.key, 'null'),
    coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name
) from (values
  ('wallet_id', 'no wallet', 'null', null, null, null, null, null),
  ('wallet_id', 'a blank wallet id', $$' '$$, null, null, null, null, null),
  ('role', 'no role', null, 'null', null, null, null, null),
  ('role', 'a role that does not exist', null, $$'tap_ann'$$, null, null, null, null),
  ('role', 'the public', null, $$'public'$$, null, null, null, null),
  ('role', 'a role in another case', null, $$'BASELEDGER_AGENT'$$, null, null, null, null),
  ('labels', 'no labels', null, null, 'null', null, null, null),
  ('labels', 'JSON''s null', null, null, $$'null'$$, null, null, null),
  ('labels', 'an array of labels', null, null, $$'["a"]'$$, null, null, null),
  ('labels', 'a label that is a number', null, null, $$'{"a": 1}'$$, null, null, null),
  ('labels', 'a label that is null', null, null, $$'{"a": null}'$$, null, null, null),
  ('labels', 'an empty label', null, null, $$'{"a": ""}'$$, null, null, null),
  ('labels', 'a label without a name', null, null, $$'{"": "a"}'$$, null, null, null),
  ('labels', 'a label of 256 bytes', null, null,
    $$jsonb_build_object('a', repeat('é', 128))$$, null, null, null),
  ('labels', 'a name of 256 bytes', null, null,
    $$jsonb_build_object(repeat('é', 128), 'a')$$, null, null, null),
  ('labels', '17 labels', null, null,
    $$(select jsonb_object_agg(i, 'a') from generate_series(1, 17) as i)$$, null, null, null),
  ('free_labels', 'no free labels', null, null, null, 'null', null, null),
  ('free_labels', 'a free label that is null', null, null, null, $$'{null}'$$, null, null),
  ('free_labels', 'an empty free label', null, null, null, $$'{""}'$$, null, null),
  ('free_labels', 'a free label of 256 bytes', null, null, null, $$array[repeat('x', 256)]$$,
    null, null),
  ('free_labels', '17 free labels', null, null, null, $$array_fill('a'::text, array[17])$$,
    null, null),
  ('free_labels', 'an array of arrays', null, null, null, $$'{{a},{b}}'$$, null, null),
  ('idempotency_key', 'a blank key', null, null, null, null, $$' '$$, null),
  ('metadata', 'an array as metadata', null, null, null, null, null, $$'[]'$$)
) as c(field, name, wallet_id, role, labels, free_labels, key, metadata);

select refuses($$allow('nobody', 'baseledger_agent')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
