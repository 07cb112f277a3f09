-- postings: the journal in double entry.
begin;
select plan(7);

set local role baseledger_operator;

-- One wallet with each way in which an event moves funds.
do $$
begin
  perform tap.wallet('w', 1000);
  perform baseledger.withdraw('w', 100, 'k3');
  perform baseledger.reserve('w', 100, 'r1');
  perform baseledger.settle('w', 'r1', 70, 'k5');
  perform baseledger.reserve('w', 100, 'r2');
  perform baseledger.settle('w', 'r2', 130, 'k7');
  perform baseledger.reserve('w', 100, 'r3');
  perform baseledger.settle('w', 'r3', 60, 'k9', false);
  perform baseledger.settle('w', 'r3', 60, 'k10', false);
  perform baseledger.settle('w', 'r3', 5, 'k11');
  perform baseledger.reserve('w', 100, 'r4');
  perform baseledger.cancel('w', 'r4', 'k13');
  perform baseledger.reserve('w', 100, 'r5', '1 hour');
  perform baseledger.extend('w', 'r5', '1 hour', 'k15', 130);
  perform baseledger.extend('w', 'r5', '1 hour', 'k16', 90);
  perform baseledger.extend('w', 'r5', '1 hour', 'k17');
  perform tap.travel_back('w', '2 hours');
  perform baseledger.settle('w', 'r5', 20, 'k19');
  perform baseledger.charge('w', 40, 'r6');
  perform baseledger.refund('w', 'r6', 10, 'k21');
  perform baseledger.freeze_wallet('w', 'a test');
  perform baseledger.unfreeze_wallet('w', 'a test');
  perform tap.wallet('x');
  perform baseledger.transfer('w', 'x', 50, 'k24');
end
$$;

set local role baseledger_auditor;

create temp table line as
  select wallet_id, seq,
      event || ':' || string_agg(format(' %s %s', account, to_char(amount, 'SGFM999999')), ','
        order by array_position(array['funding', 'available', 'reserved', 'spent'], account)
      ) as lines
    from baseledger.postings
    group by wallet_id, seq, event;

select is(
  array(select lines from line where wallet_id = 'w' order by seq),
  array[
    'credited: funding -1000, available +1000',
    'withdrawn: funding +100, available -100',
    'reserved: available -100, reserved +100',
    'settled: available +30, reserved -100, spent +70',
    'reserved: available -100, reserved +100',
    'settled: available -30, reserved -100, spent +130',
    'reserved: available -100, reserved +100',
    'settled: reserved -60, spent +60',
    'settled: available -20, reserved -40, spent +60',
    'settled: available -5, spent +5',
    'reserved: available -100, reserved +100',
    'cancelled: available +100, reserved -100',
    'reserved: available -100, reserved +100',
    'extended: available -30, reserved +30',
    'extended: available +40, reserved -40',
    'expired: available +90, reserved -90',
    'settled: available -20, spent +20',
    'charged: available -40, spent +40',
    'refunded: available +10, spent -10',
    'transferred_out: funding +50, available -50'
  ],
  'each event has a line for each account it moves, and none if it moves nothing'
);
select is(
  array(select lines from line where wallet_id = 'x' order by seq),
  array['transferred_in: funding -50, available +50'],
  'the receiver''s journal has the other side of a transfer'
);
select is_empty(
  'select wallet_id, seq from baseledger.postings group by wallet_id, seq having sum(amount) <> 0',
  'the lines of an event sum to zero'
);
select results_eq(
  $$select wallet_id, sum(amount) filter (where account = 'available'),
      coalesce(sum(amount) filter (where account = 'reserved'), 0),
      coalesce(sum(amount) filter (where account = 'spent'), 0),
      -sum(amount) filter (where account = 'funding')
    from baseledger.postings group by wallet_id order by wallet_id$$,
  $$select wallet_id, available::numeric, reserved::numeric, spent::numeric,
      (available + reserved + spent)::numeric
    from baseledger.wallet_balances order by wallet_id$$,
  'the lines of an account sum to its balance'
);
select results_eq(
  $$select seq, occurred_at, event, reservation_id from baseledger.postings
    where wallet_id = 'w' and account = 'reserved' order by seq$$,
  $$select seq, occurred_at, event, reservation_id from baseledger.journal
    where wallet_id = 'w' and seq in (4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 18) order by seq$$,
  'each line names its event'
);

-- The largest amounts: funding goes beyond a bigint.
set local role baseledger_operator;
do $$
begin
  perform tap.wallet('max', 9223372036854775807);
  perform baseledger.charge('max', 9223372036854775807, 'c');
  perform baseledger.credit('max', 9223372036854775807, 'more');
end
$$;
set local role baseledger_auditor;
select is(sum(amount), -18446744073709551614, 'a sum of lines can exceed a bigint')
  from baseledger.postings where wallet_id = 'max' and account = 'funding';

select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
