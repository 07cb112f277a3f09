-- statement: a wallet's events with the balances after them.
begin;
select plan(35);

set local role baseledger_operator;
do $$
begin
  perform baseledger.open_wallet('w', p_metadata => '{"team": 7}');
  perform tap.travel_back('w', '1 minute');
  perform baseledger.credit('w', 1000, 'c', '{"invoice": 1}');
  perform tap.travel_back('w', '1 minute');
  perform baseledger.reserve('w', 100, 'r', '1 hour');
  perform baseledger.reserve('w', 50, 'unswept', '3 hours');
  perform tap.travel_back('w', '2 hours');
  perform baseledger.settle('w', 'r', 120, 's');
  perform tap.travel_back('w', '2 hours');
  perform tap.wallet('other', 1);
end
$$;

set local role baseledger_auditor;
create temp table j as select * from baseledger.journal where wallet_id = 'w';
grant select on j to public;
set local role baseledger_operator;

-- What it returns -------------------------------------------------------------------------------

select is(
  array(
    select to_jsonb(s) - 'occurred_at' - 'expires_at' - 'actor' from baseledger.statement('w') as s
  ),
  array[
    '{"seq": 1, "event": "opened", "reservation_id": null, "amount": null, "available": 0,
      "reserved": 0, "spent": 0, "idempotency_key": null, "metadata": {"team": 7},
      "details": {"unit": "USD", "scale": 9, "overdraft_limit": null}}',
    '{"seq": 2, "event": "credited", "reservation_id": null, "amount": 1000, "available": 1000,
      "reserved": 0, "spent": 0, "idempotency_key": "c", "metadata": {"invoice": 1},
      "details": null}',
    '{"seq": 3, "event": "reserved", "reservation_id": "r", "amount": 100, "available": 900,
      "reserved": 100, "spent": 0, "idempotency_key": "r", "metadata": {}, "details": null}',
    '{"seq": 4, "event": "reserved", "reservation_id": "unswept", "amount": 50, "available": 850,
      "reserved": 150, "spent": 0, "idempotency_key": "unswept", "metadata": {},
      "details": null}',
    '{"seq": 5, "event": "expired", "reservation_id": "r", "amount": 100, "available": 950,
      "reserved": 50, "spent": 0, "idempotency_key": null, "metadata": {}, "details": null}',
    '{"seq": 6, "event": "settled", "reservation_id": "r", "amount": 120, "available": 830,
      "reserved": 50, "spent": 120, "idempotency_key": "s", "metadata": {},
      "details": {"late": true}}'
  ]::jsonb[],
  'a statement has all events in order, with the balances after each; a due reservation is no event'
);
select is(
  array(
    select jsonb_build_array(s.seq, s.occurred_at, s.expires_at, s.actor)
      from baseledger.statement('w') as s
  ),
  array(select jsonb_build_array(seq, occurred_at, expires_at, actor) from j order by seq),
  'each line has the time, the deadline and the actor'
);
select is(array(select seq from baseledger.statement('other')), array[1, 2]::bigint[],
  'a statement has one wallet''s events only');
select changes_nothing($$select baseledger.statement('w')$$, 'it writes nothing');

-- p_from and p_to -------------------------------------------------------------------------------

set local role baseledger_auditor;
select is(
  array(select seq from baseledger.statement('w', a.occurred_at, b.occurred_at)),
  array(select generate_series(a.seq, b.seq - 1)),
  format('p_from includes event %s, p_to excludes event %s', a.seq, b.seq)
) from j a join j b on b.seq >= a.seq and a.seq in (1, 2, 5) and b.seq in (1, 2, 5, 6);

select is(
  array(select seq from baseledger.statement('w', c.lower, c.upper)), c.seqs::bigint[],
  'interval: ' || c.name
) from j cross join lateral (values
    ('from a microsecond after an event', j.occurred_at + '1 microsecond'::interval,
      'infinity'::timestamptz, '{3,4,5,6}'),
    ('to a microsecond after an event', '-infinity',
      j.occurred_at + '1 microsecond'::interval, '{1,2}'),
    ('between two events', j.occurred_at + '1 second'::interval,
      j.occurred_at + '2 seconds'::interval, '{}'),
    ('to a time before p_from', j.occurred_at + '1 hour'::interval, j.occurred_at, '{}'),
    ('before the first', '-infinity', j.occurred_at - '1 day'::interval, '{}'),
    ('after the last', now(), 'infinity', '{}'),
    ('in the future', now() + interval '1 day', now() + interval '2 days', '{}'),
    ('from the end', 'infinity', 'infinity', '{}'),
    ('to the beginning', '-infinity', '-infinity', '{}'),
    ('everything', '-infinity', 'infinity', '{1,2,3,4,5,6}'),
    ('since the first of all times', '4714-11-24 00:00:00+00 BC', 'infinity', '{1,2,3,4,5,6}'),
    ('to the first of all times', '-infinity', '4714-11-24 00:00:00+00 BC', '{}'),
    ('to the last of all times', '-infinity', '294276-12-31 23:59:59.999999+00', '{1,2,3,4,5,6}')
  ) as c(name, lower, upper, seqs)
  where j.seq = 2;
select is(array(select seq from baseledger.statement('w', p_to => occurred_at)),
  '{1,2,3,4}'::bigint[], 'p_from is optional') from j where seq = 5;
select is(array(select seq from baseledger.statement('w', p_from => occurred_at)),
  '{5,6}'::bigint[], 'p_to is optional') from j where seq = 5;

-- Limits ----------------------------------------------------------------------------------------

select refuses(c.call, c.code, c.detail::jsonb, 'refused: ' || c.name) from (values
  ('no beginning', $$statement('w', null)$$, 'LGARG', '{"field": "from"}'),
  ('no end', $$statement('w', '-infinity', null)$$, 'LGARG', '{"field": "to"}'),
  ('no wallet', 'statement(null)', 'LGARG', '{"field": "wallet_id"}'),
  ('a blank id', $$statement(' ')$$, 'LGARG', '{"field": "wallet_id"}'),
  ('an id of 256', $$statement(repeat('x', 256))$$, 'LGARG', '{"field": "wallet_id"}'),
  ('an unknown wallet', $$statement('nobody')$$, 'LGWNF', '{"wallet_id": "nobody"}')
) as c(name, call, code, detail);

select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
