-- unfreeze_wallet: ends a freeze.
begin;
select plan(31);

do $$
begin
  perform tap.wallet('w', 1000);
  perform tap.wallet('safe', 1000);
  perform baseledger.reserve('w', 100, 'open');
  perform baseledger.freeze_wallet('w', 'a test', 'z1');
  perform baseledger.freeze_wallet('w', 'a second time', 'z2');
end
$$;

set local role baseledger_operator;

create temp table first as
  select baseledger.unfreeze_wallet('w', 'all well', 'u1', '{"by": "ops"}') as receipt;

select is(tap.as_json(receipt), '{
  "wallet_id": "w", "seq": 6, "event": "unfrozen", "available": 900, "reserved": 100, "spent": 0,
  "idempotency_key": "u1", "replayed": false
}', 'unfreezing moves no funds') from first;
select ok((receipt).occurred_at between now() and clock_timestamp(),
  'the event has the time of the database''s clock') from first;
select is(tap.on_record('w', 6), jsonb_build_object(
  'actor', session_user || ' as baseledger_operator', 'metadata', '{"by": "ops"}'::jsonb,
  'details', '{"reason": "all well"}'::jsonb
), 'the event records who asked, and why');
select ok(not (baseledger.balance('w')).frozen, 'one unfreezing ends several freezes');

select is(
  to_jsonb(baseledger.unfreeze_wallet('w', 'all well', 'u1', '{"by": "ops"}')),
  to_jsonb(receipt) || '{"replayed": true}',
  'a retry gets the first receipt'
) from first;
select is(tap.brief(baseledger.freeze_wallet('w', 'a test', 'z1')), '#4 frozen: 900/100/0 again',
  'a retry of the freeze gets its receipt');
select ok(not (baseledger.balance('w')).frozen, 'a retry of the freeze does not freeze again');
select changes_nothing(
  $$select baseledger.unfreeze_wallet('w', 'all well', 'u1', '{"by": "ops"}')$$,
  'a retry writes nothing'
);

select is(
  array(select tap.brief(r) from baseledger.post_funds('w', '[
    {"op": "reserve", "amount": 1, "idempotency_key": "k1"},
    {"op": "charge", "amount": 1, "idempotency_key": "k2"},
    {"op": "extend", "reservation_id": "open", "ttl": 60, "amount": 101, "idempotency_key": "k3"},
    {"op": "withdraw", "amount": 1, "idempotency_key": "k4"}
  ]') as r),
  array[
    '#7 reserved 1: 899/101/0', '#8 charged 1: 898/101/1', '#9 extended 1: 897/102/1',
    '#10 withdrawn 1: 896/102/1'
  ],
  'an unfrozen wallet accepts new spending'
);
select is(tap.brief(baseledger.transfer('w', 'safe', 1, 't1')),
  '#11 transferred_out 1: 895/102/1', 'an unfrozen wallet sends transfers');

select is(tap.as_json(baseledger.unfreeze_wallet('w', 'again', null, null)), '{
  "wallet_id": "w", "seq": 12, "event": "unfrozen", "available": 895, "reserved": 102, "spent": 1,
  "replayed": false
}', 'a wallet that is not frozen can be unfrozen, and the key is optional');
select is(tap.on_record('w', 12) -> 'metadata', '{}', 'null means no metadata');
select is(tap.brief(baseledger.unfreeze_wallet('w', 'again')), '#13 unfrozen: 895/102/1',
  'without a key each call is an event');
select is(tap.brief(baseledger.unfreeze_wallet('safe', repeat('é', 1000), repeat('k', 255))),
  '#4 unfrozen: 1001/0/0', 'a reason of 1000 characters is accepted');

do $$
begin
  perform baseledger.freeze_wallet('w', 'once more');
end
$$;
select ok((baseledger.balance('w')).frozen, 'an unfrozen wallet can be frozen again');
select is(tap.brief(baseledger.unfreeze_wallet('w', 'all well', 'u1', '{"by": "ops"}')),
  '#6 unfrozen: 900/100/0 again', 'a retry of the first unfreezing gets its receipt');
select ok((baseledger.balance('w')).frozen,
  'a retry of the first unfreezing does not end the new freeze');

-- Limits ----------------------------------------------------------------------------------------

select refuses(c.call, 'LGIDK', c.detail::jsonb, 'a key is refused for another ' || c.name)
  from (values
    ('command', $$unfreeze_wallet('w', 'a test', 'z1')$$,
      '{"field": "op", "stored": "freeze", "given": "unfreeze"}'),
    ('reason', $$unfreeze_wallet('w', 'x', 'u1', '{"by": "ops"}')$$,
      '{"field": "reason", "stored": "all well", "given": "x"}'),
    ('metadata', $$unfreeze_wallet('w', 'all well', 'u1')$$,
      '{"field": "metadata", "stored": {"by": "ops"}, "given": {}}')
  ) as c(name, call, detail);

select refuses(
  format('unfreeze_wallet(%s, %s, %s, %s)', coalesce(c.wallet_id, quote_literal('w')),
    coalesce(c.reason, quote_literal('x')), coalesce(c.key, 'null'),
    coalesce(c.metadata, 'null')),
  'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name
) from (values
  ('wallet_id', 'no wallet', 'null', null, null, null),
  ('wallet_id', 'a wallet id of 256', $$repeat('x', 256)$$, null, null, null),
  ('reason', 'no reason', null, 'null', null, null),
  ('reason', 'a blank reason', null, $$E' \t'$$, null, null),
  ('reason', 'a reason of 1001', null, $$repeat('x', 1001)$$, null, null),
  ('idempotency_key', 'an empty key', null, null, $$''$$, null),
  ('idempotency_key', 'a key of 256', null, null, $$repeat('x', 256)$$, null),
  ('metadata', 'a string', null, null, null, $$'"x"'$$),
  ('metadata', '16 KiB and 1', null, null, null, $$tap.metadata(16385)$$)
) as c(field, name, wallet_id, reason, key, metadata);

select refuses($$unfreeze_wallet('nobody', 'x')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
