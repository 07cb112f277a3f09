-- wallets_ahead: the wallets whose last event is ahead of the clock, and what they do: their events
-- go on from that time, and their deadlines count by the clock.
begin;
select plan(30);

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.reserve('w', 100, 'before', '1 hour');
  perform tap.wallet('other', 10);
end
$$;
select is(
  (a.wallets, a.wallet_id)::text, '(0,)', 'no wallet is ahead at first'
) from baseledger.wallets_ahead() as a;

-- As if the clock had been ahead by 26 hours and were right again.
do $$ begin perform tap.travel_back('w', '-26 hours'); end $$;
set local role baseledger_worker;
select results_eq(
  $$select wallets, wallet_id, last_event_at, last_event_at - as_of between '25:59' and '26:01'
    from baseledger.wallets_ahead()$$,
  $$select 1::bigint, 'w', tap.last_event_at('w'), true$$,
  'it names the wallet, and by how much it is ahead'
);
set local role baseledger_agent;
select throws_ok('select * from baseledger.wallets_ahead()', '42501', null,
  'agents cannot call it');

set local role baseledger_operator;
select is(tap.balances('w'), '900/100/0',
  'what was held while the clock was ahead is held until its deadline');
select ok(as_of <= clock_timestamp(), 'the balance is as of now') from baseledger.balance('w');
select is(
  (baseledger.reserve('w', 50, 'now', '10 seconds')).occurred_at, at + interval '1 microsecond',
  'the next event follows the last one by a microsecond'
) from (select tap.last_event_at('w')) as l(at);
select ok(
  min(r.expires_at) between clock_timestamp() + interval '9 seconds'
    and clock_timestamp() + interval '10 seconds',
  'the deadline of a new reservation counts from now'
) from baseledger.reserve('w', 50, 'now', '10 seconds') as r;
select is(
  tap.brief(baseledger.reserve('w', 50, 'now', '10 seconds')), '#4 reserved 50: 850/150/0 again',
  'a retry is compared by its time to live'
);
select refuses(
  $$reserve('w', 50, 'now', '11 seconds')$$, 'LGIDK',
  '{"field": "ttl", "stored": 10, "given": 11}', 'a key is refused for another time to live'
);
select is(
  tap.brief(baseledger.extend('w', 'now', '20 seconds', 'beat')), '#5 extended 0: 850/150/0',
  'a reservation can be extended'
);
select ok(
  r.expires_at between clock_timestamp() + interval '19 seconds'
    and clock_timestamp() + interval '20 seconds',
  'the deadline of an extension counts from now'
) from baseledger.extend('w', 'now', '20 seconds', 'beat') as r;
select is(
  tap.brief(baseledger.settle('w', 'now', 20, 'part', false)), '#6 settled 20: 850/130/20',
  'a reservation can be settled in part'
);
select is(
  (tap.on_record('w', 6) -> 'details') - 'ahead_us', '{"final": false}',
  'the event records the part beside ahead_us'
);

-- The clock reaches the deadline of `now`, not that of `before`.
do $$ begin perform tap.travel_back('w', '1 minute'); end $$;
select is(tap.balances('w'), '880/100/20',
  'a reservation is returned at its deadline by the clock');
select is(
  (b.available, b.reserved, b.spent, b.seq)::text, '(880,100,20,6)',
    'the balance at infinity returns it too'
) from baseledger.balance_at('w', 'infinity') as b;
select is(
  (b.available, b.reserved, b.spent, b.seq)::text, '(850,150,0,5)',
  'as of the event before, it has not come due'
) from (select occurred_at from baseledger.statement('w') where seq = 5) as e,
  baseledger.balance_at('w', e.occurred_at) as b;
select refuses(
  $$cancel('w', 'now', 'late')$$, 'LGEXP',
  (
    select jsonb_build_object('reservation_id', 'now', 'expired_at', expires_at)
      from baseledger.statement('w') where seq = 6
  ),
  'a reservation past its deadline cannot be cancelled'
);
select refuses(
  $$reserve('w', 890, 'much')$$, 'LGNSF',
  (
    select jsonb_build_object(
        'requested', 890, 'available', 880, 'reserved', 100, 'shortfall', 10, 'reason', 'held',
        'retry_at', expires_at
      )
      from baseledger.statement('w') where seq = 3
  ),
  'retry_at ignores a reservation past its deadline'
);
select is(
  tap.brief(baseledger.reserve('w', 880, 'all', '1 minute')), '#8 reserved 880: 0/980/20',
  'what has come due can be reserved'
);
select is(
  tap.last_events('w', 2), array['expired now 30: 880/100/20', 'reserved all 880: 0/980/20'],
  'the expiry is recorded first'
);
select is(
  tap.brief(baseledger.settle('w', 'now', 5, 'rest')), '#9 settled 5: -5/980/25',
  'a late settlement is booked'
);
do $$ begin perform tap.travel_back('w', '2 minutes'); end $$;
set local role baseledger_worker;
select is(baseledger.expire_due(), 1, 'the sweep goes by the clock');
set local role baseledger_operator;
select is(
  tap.brief(baseledger.settle('w', 'before', 100, 'end')), '#11 settled 100: 875/0/125',
  'what was reserved while the clock was ahead can be settled'
);

do $$
begin
  perform tap.travel_back('other', '-26 hours');
  perform baseledger.reserve('other', 1, 'first', '30 seconds');
  perform baseledger.reserve('other', 2, 'second', '90 seconds');
end
$$;
select refuses(
  $$reserve('other', 8, 'all')$$, 'LGNSF',
  (
    select jsonb_build_object(
        'requested', 8, 'available', 7, 'reserved', 3, 'shortfall', 1, 'reason', 'held',
        'retry_at', expires_at
      )
      from baseledger.statement('other') where seq = 3
  ),
  'retry_at is a deadline by the clock'
);

-- Two reservations expire in two sweeps; a time between them has only the first as returned.
set local role baseledger_worker;
do $$
begin
  perform tap.travel_back('other', '1 minute');
  perform baseledger.expire_due();
  perform tap.travel_back('other', '1 minute');
  perform baseledger.expire_due();
end
$$;
set local role baseledger_operator;
select is(
  (b.available, b.reserved, b.seq)::text, '(8,2,4)',
  'a balance of the past goes by the clock of that time'
) from (select occurred_at from baseledger.statement('other') where seq = 4) as e,
  baseledger.balance_at('other', e.occurred_at) as b;
select is(
  (a.wallets, a.wallet_id)::text, '(2,other)', 'of several wallets, it names the one furthest ahead'
) from baseledger.wallets_ahead() as a;

set local role baseledger_auditor;
select is(
  array(
    select seq from baseledger.journal where wallet_id = 'w' and details ? 'ahead_us' order by seq
  ),
  array[4, 5, 6, 7, 8, 9, 10, 11]::bigint[], 'events that are ahead of the clock record it'
);
select is_empty(
  $$select * from baseledger.journal a join baseledger.journal b
    on b.wallet_id = a.wallet_id and b.seq = a.seq + 1 and b.occurred_at <= a.occurred_at$$,
  'the times of a wallet''s events strictly increase'
);
select results_eq(
  $$select status, held from baseledger.reservation_history where wallet_id = 'w'
    order by opened_at$$,
  $$values ('settled', 0::numeric), ('settled late', 0), ('expired', 0)$$,
  'the history has the end of each reservation'
);
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
