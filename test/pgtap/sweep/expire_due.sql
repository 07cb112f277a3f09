-- expire_due: the sweep of due reservations.
begin;
select plan(33);

do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.reserve('w', 100, 'whole', '1 hour', p_metadata => '{"mine": 1}');
  perform baseledger.reserve('w', 100, 'part', '2 hours');
  perform baseledger.settle('w', 'part', 30, 's1', false);
  perform baseledger.reserve('w', 100, 'used', '3 hours');
  perform baseledger.settle('w', 'used', 120, 's2', false);
  perform baseledger.reserve('w', 100, 'open', '30 hours');
  perform baseledger.reserve('w', 100, 'settled', '1 hour');
  perform baseledger.settle('w', 'settled', 100, 's3');
  perform baseledger.reserve('w', 100, 'cancelled', '1 hour');
  perform baseledger.cancel('w', 'cancelled', 'c1');
  perform baseledger.reserve('w', 100, 'extended', '1 hour');
  perform baseledger.extend('w', 'extended', '20 hours', 'e1');
  perform tap.wallet('quiet', 100);
  perform baseledger.reserve('quiet', 100, 'open', '30 hours');
end
$$;

set local role baseledger_worker;

create temp table written as
  select pg_stat_get_xact_tuples_updated('baseledger.wallets'::regclass) as rows;
select is(baseledger.expire_due(), 0, 'nothing expires when nothing is due');
select is(
  pg_stat_get_xact_tuples_updated('baseledger.wallets'::regclass), rows,
    'a sweep of nothing writes nothing'
) from written;

do $$ begin perform tap.travel_back('w', '10 hours'); end $$;
select is(baseledger.expire_due(), 3, 'it returns the number of expired reservations');
select is(tap.last_events('w', 3), array[
  'expired whole 100: 480/270/250', 'expired part 70: 550/200/250', 'expired used 0: 550/200/250'
], 'each reservation returns what it still held, earliest deadline first');
select is(baseledger.expire_due(), 0, 'a second sweep finds nothing');
select changes_nothing('select baseledger.expire_due()', 'a sweep of nothing writes nothing');

set local role baseledger_auditor;
select is(
  array_agg(
    to_jsonb(e) - 'amount' - 'available' - 'reserved' - 'spent' - 'hash'
      || jsonb_build_object(
        'occurred_at', e.occurred_at between now() and clock_timestamp(),
        'expires_at', e.expires_at = r.expires_at
      )
    order by e.seq
  ),
  array_agg(jsonb_build_object(
    'wallet_id', 'w', 'seq', x.seq, 'event', 'expired', 'reservation_id', x.id,
    'idempotency_key', null, 'actor', session_user || ' as baseledger_worker', 'metadata', '{}'::jsonb, 'details', null,
    'occurred_at', true, 'expires_at', true
  ) order by x.seq),
  'an expiry records the deadline and the time of the sweep, and has no key'
) from (values (15, 'whole'), (16, 'part'), (17, 'used')) as x(seq, id)
  join baseledger.journal e on e.wallet_id = 'w' and e.seq = x.seq
  join baseledger.journal r
    on r.wallet_id = 'w' and r.reservation_id = x.id and r.event = 'reserved';
select is(tap.balances('w'), '550/200/250', 'the sweep does not change the balance');
select is(tap.balances('quiet'), '0/100/0', 'a reservation that is not due stays');

-- How many --------------------------------------------------------------------------------------

reset role;
do $$
declare
  v_id text;
begin
  foreach v_id in array array['b', 'c', 'a'] loop
    perform tap.wallet(v_id, 100);
    for i in 1..4 loop
      perform baseledger.reserve(v_id, 1, 'r' || i, make_interval(hours => i));
    end loop;
    perform tap.travel_back(v_id, '10 hours');
  end loop;
  -- the earliest of them
  perform tap.travel_back('c', '1 hour');
end
$$;
set local role baseledger_worker;
select is(baseledger.expire_due(2), 2, 'it expires at most p_limit');
select is(tap.last_events('c', 2), array['expired r1 1: 97/3/0', 'expired r2 1: 98/2/0'],
  'it expires the earliest deadlines first');
select is(baseledger.expire_due(1), 1, 'a limit of 1 expires one');
select is(baseledger.expire_due(4), 4, 'one sweep expires reservations of several wallets');
select is(baseledger.expire_due(100000), 5, 'a high limit expires all the rest');
select is(
  array[tap.last_events('a', 4), tap.last_events('b', 4)],
  array[
    array['expired r1 1: 97/3/0', 'expired r2 1: 98/2/0', 'expired r3 1: 99/1/0',
      'expired r4 1: 100/0/0'],
    array['expired r1 1: 97/3/0', 'expired r2 1: 98/2/0', 'expired r3 1: 99/1/0',
      'expired r4 1: 100/0/0']
  ],
  'in each wallet the earliest deadline expires first'
);

reset role;
do $$
begin
  perform tap.wallet('thousand', 2000);
  perform baseledger.post('thousand', (
    select jsonb_agg(jsonb_build_object('op', 'reserve', 'amount', 1, 'idempotency_key', 'k' || n))
      from generate_series(1, 1005) as s(n)
  ));
  perform tap.travel_back('thousand', '1 hour');
  -- more wallets than the sweep reads at once
  for i in 1..450 loop
    perform tap.wallet('many ' || i, 1);
    perform baseledger.reserve('many ' || i, 1, 'r', make_interval(mins => i));
    perform tap.travel_back('many ' || i, '1 day');
  end loop;
end
$$;
set local role baseledger_worker;
select is(baseledger.expire_due(449), 449, 'one sweep handles many wallets');
set local role baseledger_auditor;
select is(
  array(
    select w.wallet_id from baseledger.wallet_balances w
      join baseledger.journal j using (wallet_id, seq)
      where w.wallet_id like 'many %' and j.event <> 'expired'
  ),
  array['many 450'], 'of many wallets, the earliest deadlines expire first'
);
set local role baseledger_worker;
select is(baseledger.expire_due(), 1000, 'the default limit is a thousand');
select is(baseledger.expire_due(), 6, 'the next sweep expires the rest');

reset role;
do $$
begin
  perform baseledger.post('thousand', (
    select jsonb_agg(jsonb_build_object('op', 'reserve', 'amount', 1, 'idempotency_key', 'm' || n))
      from generate_series(1, 1005) as s(n)
  ));
  perform tap.travel_back('thousand', '1 hour');
end
$$;
set local role baseledger_worker;
select is(baseledger.expire_due(2000), 1005, 'a higher limit expires more of one wallet');

-- Corrupted wallets -----------------------------------------------------------------------------

reset role;
do $$
begin
  perform tap.wallet('healthy 1', 100);
  perform tap.wallet('poison', 100);
  perform tap.wallet('healthy 2', 100);
  perform baseledger.reserve('healthy 1', 10, 'r', '1 hour');
  perform baseledger.reserve('poison', 10, 'r', '2 hours');
  perform baseledger.reserve('healthy 2', 10, 'r', '3 hours');
  perform tap.travel_back('healthy 1', '10 hours');
  perform tap.travel_back('poison', '10 hours');
  perform tap.travel_back('healthy 2', '10 hours');
  -- returning it would take reserved below zero
  update baseledger.reservations set amount = 1000, held = 1000 where wallet_id = 'poison';
end
$$;
set local client_min_messages = error;
set local role baseledger_worker;
select is(baseledger.expire_due(), 2, 'a wallet that cannot be swept does not stop the others');
select is(baseledger.expire_due(), 0, 'a wallet that cannot be swept is not counted');
reset role;
select is(tap.last_events('poison', 1), array['reserved r 10: 90/10/0'],
  'a wallet that cannot be swept is not changed');
select ok(
  exists (select from baseledger.verify('poison')), 'verify reports the wallet that cannot be swept'
);
do $$
begin
  update baseledger.reservations set amount = 10, held = 10 where wallet_id = 'poison';
end
$$;
set local role baseledger_worker;
select is(baseledger.expire_due(), 1, 'a repaired wallet is swept');

-- The sweep corrects a next_deadline that is too early.
reset role;
do $$
begin
  perform tap.wallet('early', 100);
  perform baseledger.reserve('early', 10, 'a', '1 hour');
  perform baseledger.reserve('early', 10, 'b', '20 hours');
  perform baseledger.settle('early', 'a', 10, 's');
  perform tap.travel_back('early', '10 hours');
end
$$;
set local role baseledger_worker;
select is(baseledger.expire_due(), 0, 'a reservation that has ended does not expire');
reset role;
select is(
  (select next_deadline from baseledger.wallets where wallet_id = 'early'),
  (select expires_at from baseledger.reservations where wallet_id = 'early'),
  'the sweep corrects next_deadline'
);

-- A wallet whose last event is ahead of the clock.
do $$
begin
  perform tap.wallet('ahead', 100);
  perform baseledger.reserve('ahead', 10, 'a', '1 hour');
  perform baseledger.reserve('ahead', 10, 'b', '1 hour');
  perform tap.due_after('ahead', 'a', 0);
end
$$;
set local role baseledger_worker;
select is(baseledger.expire_due(), 0,
  'while the clock is behind a wallet''s last event, its deadlines wait for the next command');
reset role;

-- Limits ----------------------------------------------------------------------------------------

set local role baseledger_worker;
select refuses(format('expire_due(%s)', c.n), 'LGARG', '{"field": "limit"}',
  'refused: a limit of ' || c.n)
  from (values ('0'), ('-1'), ('100001'), ('null')) as c(n);

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
