-- open_reservations: what is held now, and until when.
begin;
select plan(8);

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.reserve('w', 100, 'whole', '1 hour');
  perform baseledger.reserve('w', 100, 'part', '2 hours');
  perform baseledger.settle('w', 'part', 30, 's1', false);
  perform baseledger.reserve('w', 100, 'over', '3 hours');
  perform baseledger.settle('w', 'over', 130, 's2', false);
  perform baseledger.reserve('w', 100, 'more', '1 hour');
  perform baseledger.extend('w', 'more', '4 hours', 'e1', 150);
  perform baseledger.reserve('w', 100, 'less', '9 hours');
  perform baseledger.extend('w', 'less', '5 hours', 'e2', 40);
  perform baseledger.reserve('w', 100, 'settled');
  perform baseledger.settle('w', 'settled', 100, 's3');
  perform baseledger.reserve('w', 100, 'cancelled');
  perform baseledger.cancel('w', 'cancelled', 'c1');
  perform baseledger.charge('w', 1, 'charged');
  perform tap.wallet('x', 10);
  perform baseledger.reserve('x', 10, 'whole', '5 minutes');
end
$$;

set local role baseledger_auditor;
select is(
  array(
    select format('%s %s: %s, %s, %s, %s', wallet_id, reservation_id, amount, settled, held,
        extract('epoch' from expires_at - now())::integer / 60)
      from baseledger.open_reservations order by wallet_id, expires_at
  ),
  array[
    'w whole: 100, 0, 100, 60', 'w part: 100, 30, 70, 120', 'w over: 100, 130, 0, 180',
    'w more: 150, 0, 150, 240', 'w less: 40, 0, 40, 300', 'x whole: 10, 0, 10, 5'
  ],
  'each open reservation has its grant, settled parts, hold and deadline'
);
select is_empty(
  $$select from baseledger.open_reservations
    where expires_at - time_left not between now() and clock_timestamp()$$,
  'each open reservation has the time left'
);
select results_eq(
  $$select wallet_id, sum(held)::bigint from baseledger.open_reservations
    group by wallet_id order by wallet_id$$,
  $$select wallet_id, reserved from baseledger.wallet_balances order by wallet_id$$,
  'the holds of a wallet sum to what is reserved'
);

do $$ begin perform tap.travel_back('w', '150 minutes'); end $$;
select is(
  array(select reservation_id from baseledger.open_reservations where wallet_id = 'w' order by 1),
  array['less', 'more', 'over'] collate "C",
  'a reservation past its deadline is not listed, swept or not'
);
select results_eq(
  $$select wallet_id, sum(held)::bigint from baseledger.open_reservations
    group by wallet_id order by wallet_id$$,
  $$select wallet_id, reserved from baseledger.wallet_balances order by wallet_id$$,
  'the holds still sum to what is reserved'
);

set local role baseledger_worker;
select is(baseledger.expire_due(), 2, 'the sweep expires what is past its deadline');
set local role baseledger_auditor;
select is(
  array(select reservation_id from baseledger.open_reservations where wallet_id = 'w' order by 1),
  array['less', 'more', 'over'] collate "C", 'the sweep does not change the view'
);

select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
