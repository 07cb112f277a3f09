-- balance_at: what a wallet had at an instant, which is what balance would have answered then.
begin;
select plan(26);

set local role baseledger_operator;

create temp table happened (what text, receipt baseledger.receipt);
do $$
begin
  insert into happened values ('opened', baseledger.open_wallet('w', 'USD', 9, 500));
  perform tap.travel_back('w', '1 minute');
  perform baseledger.credit('w', 1000, 'c');
  perform tap.travel_back('w', '1 minute');
  perform baseledger.reserve('w', 300, 'r', '1 hour');
  perform tap.travel_back('w', '1 minute');
  perform baseledger.settle('w', 'r', 50, 'part', false);
  perform tap.travel_back('w', '1 minute');
  perform baseledger.freeze_wallet('w', 'a test');
  perform tap.travel_back('w', '1 minute');
  perform baseledger.unfreeze_wallet('w', 'a test');
  perform tap.travel_back('w', '2 hours');
  perform baseledger.charge('w', 100, 'late');
  perform tap.travel_back('w', '1 minute');
end
$$;

set local role baseledger_auditor;
create temp table j as
  select * from baseledger.journal where wallet_id = 'w';

-- At each event, and just before it -------------------------------------------------------------

select results_eq(
  $$select j.seq, b.available, b.reserved, b.spent, b.frozen, b.seq, b.as_of = j.occurred_at
    from j cross join lateral baseledger.balance_at('w', j.occurred_at) as b
    where j.seq <> 7 order by j.seq$$,
  $$values (1::bigint, 0::bigint, 0::bigint, 0::bigint, false, 1::bigint, true),
    (2, 1000, 0, 0, false, 2, true), (3, 700, 300, 0, false, 3, true),
    (4, 700, 250, 50, false, 4, true), (5, 700, 250, 50, true, 5, true),
    (6, 700, 250, 50, false, 6, true), (8, 850, 0, 150, false, 8, true)$$,
  'at the time of an event the balance includes it'
);
select results_eq(
  $$select j.seq, b.available, b.reserved, b.spent, b.frozen, b.seq
    from j cross join lateral
      baseledger.balance_at('w', j.occurred_at - interval '1 microsecond') as b
    where j.seq <> 7 order by j.seq$$,
  $$values (1::bigint, 0::bigint, 0::bigint, 0::bigint, false, 0::bigint),
    (2, 0, 0, 0, false, 1), (3, 1000, 0, 0, false, 2), (4, 700, 300, 0, false, 3),
    (5, 700, 250, 50, false, 4), (6, 700, 250, 50, true, 5), (8, 950, 0, 50, false, 7)$$,
  'a microsecond before an event the balance does not include it'
);
select is(to_jsonb(b) - 'as_of', '{
  "wallet_id": "w", "unit": "USD", "scale": 9, "available": 700, "reserved": 250, "spent": 50,
  "overdraft_limit": 500, "frozen": false, "seq": 4
}', 'between two events the balance is that of the first, with the terms')
  from j cross join lateral baseledger.balance_at('w', j.occurred_at + interval '30 s') as b
  where j.seq = 4;

-- Around a deadline that was swept two hours late -----------------------------------------------

select results_eq(
  $$select d.shift, b.available, b.reserved, b.spent, b.seq
    from j
      cross join (values ('-1 microsecond'), ('0'), ('1 microsecond'), ('30 minutes')) as d(shift)
      cross join lateral baseledger.balance_at('w', j.expires_at + d.shift::interval) as b
    where j.event = 'expired'$$,
  $$values ('-1 microsecond', 700::bigint, 250::bigint, 50::bigint, 6::bigint),
    ('0', 950, 0, 50, 6), ('1 microsecond', 950, 0, 50, 6), ('30 minutes', 950, 0, 50, 6)$$,
  'a reservation is returned from its deadline on, however late it is swept'
);
select results_eq(
  $$select d.shift, b.available, b.reserved, b.spent, b.seq
    from j
      cross join (values ('-1 microsecond'), ('0')) as d(shift)
      cross join lateral baseledger.balance_at('w', j.occurred_at + d.shift::interval) as b
    where j.event = 'expired'$$,
  $$values ('-1 microsecond', 950::bigint, 0::bigint, 50::bigint, 6::bigint),
    ('0', 950, 0, 50, 7)$$,
  'the sweep changes no balance'
);

-- Before and after everything -------------------------------------------------------------------

select is(to_jsonb(b), jsonb_build_object(
  'wallet_id', 'w', 'unit', 'USD', 'scale', 9, 'available', 0, 'reserved', 0, 'spent', 0,
  'overdraft_limit', 500, 'frozen', false, 'seq', 0, 'as_of', c.at
), 'a balance before the wallet was opened is zero: ' || c.at)
  from (values
    ('1970-01-01 00:00:00+00'::timestamptz), ('-infinity'), ('4714-11-24 00:00:00+00 BC')
  ) as c(at)
  cross join lateral baseledger.balance_at('w', c.at) as b;
select is(
  array[b.available, b.reserved, b.spent, b.seq], array[850, 0, 150, 8]::bigint[],
  'a time in the future means now: ' || c.at
) from (values (now() + interval '1 second'), (now() + interval '10 years'), ('infinity')) as c(at)
  cross join lateral baseledger.balance_at('w', c.at) as b;
select ok((baseledger.balance_at('w', 'infinity')).as_of between now() and clock_timestamp(),
  'as_of is now for a time in the future');
select changes_nothing($$select baseledger.balance_at('w', now())$$, 'it writes nothing');

-- What is due and not swept ---------------------------------------------------------------------

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('due', 100);
  perform baseledger.reserve('due', 60, 'r', '1 hour');
  perform baseledger.reserve('due', 10, 'q', '3 hours');
  perform baseledger.reserve('due', 5, 'open', '30 hours');
  perform tap.travel_back('due', '4 hours');
end
$$;
select results_eq(
  $$select d.shift, b.available, b.reserved, b.seq
    from (values ('-1 microsecond'), ('0'), ('1 hour'), ('2 hours 1 minute')) as d(shift)
      cross join lateral baseledger.balance_at('due',
        (baseledger.reserve('due', 60, 'r', '1 hour')).expires_at + d.shift::interval) as b$$,
  $$values ('-1 microsecond', 25::bigint, 75::bigint, 5::bigint),
    ('0', 85, 15, 5), ('1 hour', 85, 15, 5), ('2 hours 1 minute', 95, 5, 5)$$,
  'a due reservation counts as returned before it is swept'
);
select is(
  to_jsonb(baseledger.balance_at('due', 'infinity')) - 'as_of',
  to_jsonb(baseledger.balance('due')) - 'as_of',
  'at infinity the balance is that of balance()'
);

-- Exactly at the last event, while the clock is behind it.
do $$
begin
  perform tap.wallet('at', 100);
  perform baseledger.reserve('at', 60, 'a', '1 hour');
  perform baseledger.reserve('at', 30, 'b', '1 hour');
  perform tap.due_after('at', 'a', -1);
  perform tap.due_after('at', 'b', 0);
end
$$;
select is(
  array[b.available, b.reserved, b.seq], array[70, 30, 4]::bigint[],
  'while the clock is behind the last event, the balance is as of that event'
) from baseledger.balance_at('at', 'infinity') as b;

-- The same answers as balance -------------------------------------------------------------------
-- A random history with a few minutes between the commands: balance is called after each of them
-- and at times between; then balance_at is called for all these times.

do $$
begin
  perform tap.wallet('random', 1000);
  perform setseed(0.7);
end
$$;
create temp table answer (n integer, as_of timestamptz, balance jsonb);
do $$
declare
  v_balance baseledger.wallet_balance;
  v_minutes interval;
begin
  for i in 1..70 loop
    v_balance := baseledger.balance('random');
    insert into answer values (i, v_balance.as_of, to_jsonb(v_balance) - 'as_of');
    perform baseledger.post_funds('random', (
      select jsonb_agg(jsonb_build_object('idempotency_key', i || '.' || n) || case
            when x.kind < 4 then jsonb_build_object('op', 'reserve', 'reservation_id', x.id,
              'amount', x.amount, 'ttl', 60 + x.amount * 60)
            when x.kind < 6 then jsonb_build_object('op', 'settle', 'reservation_id', x.id,
              'amount', x.amount, 'final', x.kind = 5)
            when x.kind = 6 then jsonb_build_object('op', 'cancel', 'reservation_id', x.id)
            when x.kind = 7 then jsonb_build_object('op', 'extend', 'reservation_id', x.id,
              'ttl', 60 + x.amount * 30, 'amount', x.amount)
            when x.kind = 8 then jsonb_build_object('op', 'credit', 'amount', x.amount)
            else jsonb_build_object('op', 'refund', 'reservation_id', x.id, 'amount', x.amount)
          end)
        from (
          select n, (random() * 9.49)::integer as kind,
              'r' || (random() * 20 + i / 4)::integer as id,
              1 + (random() * 40)::integer as amount
            from generate_series(1, 3) as s(n)
            offset 0
        ) as x
    ));
    if i % 10 = 0 then
      perform baseledger.freeze_wallet('random', 'a test');
    elsif i % 10 = 2 then
      perform baseledger.unfreeze_wallet('random', 'a test');
    end if;
    v_balance := baseledger.balance('random');
    insert into answer values (i, v_balance.as_of, to_jsonb(v_balance) - 'as_of');
    v_minutes := make_interval(secs => (random() * 600)::integer);
    perform tap.travel_back('random', v_minutes);
    update answer set as_of = as_of - v_minutes;
  end loop;
end
$$;
set local role baseledger_auditor;
select cmp_ok(
  (select count(*) from baseledger.journal where wallet_id = 'random' and event = 'expired'),
  '>', 10::bigint, 'the random history has expiries'
);
set local role baseledger_operator;
select is_empty(
  $$select n, balance, to_jsonb(b) - 'as_of'
    from answer cross join lateral baseledger.balance_at('random', as_of) as b
    where balance <> to_jsonb(b) - 'as_of'$$,
  'balance_at answers what balance has answered'
);

-- The same from the journal alone: the last event, less what was open past its deadline by then.
set local role baseledger_auditor;
create temp table model as
  with r as (select * from baseledger.journal where wallet_id = 'random'),
  instant as (
    select t + d.shift as at
      from (
        select occurred_at as t from r union select expires_at from r where expires_at < now()
      ) as x
      cross join (
        values (interval '-1 microsecond'), (interval '0'), (interval '1 microsecond')
      ) as d(shift)
  ),
  moved as (
    select *, reserved - lag(reserved, 1, 0::bigint) over (order by seq) as held from r
  )
  select i.at, e.seq, e.available + l.due as available, e.reserved - l.due as reserved, e.spent
    from instant i
    join lateral (
      select * from r where r.occurred_at <= i.at order by r.seq desc limit 1
    ) as e on true
    cross join lateral (
      select coalesce(sum(o.held), 0)::bigint as due
        from (
          select sum(m.held) as held,
              (array_agg(m.expires_at order by m.seq desc))[1] as deadline,
              (array_agg(m.event order by m.seq desc))[1] as last_event
            from moved m
            where m.occurred_at <= i.at and m.reservation_id is not null
            group by m.reservation_id
        ) as o
        where o.deadline <= i.at and o.last_event <> 'expired'
    ) as l;
select cmp_ok(count(*), '>', 300::bigint, 'the model has many instants') from model;
select is_empty(
  $$select m.*, b.* from model m cross join lateral baseledger.balance_at('random', m.at) as b
    where (m.seq, m.available, m.reserved, m.spent) <> (b.seq, b.available, b.reserved, b.spent)$$,
  'balance_at answers what the journal implies, at and around each event and deadline'
);

-- Limits ----------------------------------------------------------------------------------------

select refuses(c.call, c.code, c.detail::jsonb, 'refused: ' || c.name) from (values
  ('no time', $$balance_at('w', null)$$, 'LGARG', '{"field": "at"}'),
  ('no wallet', 'balance_at(null, now())', 'LGARG', '{"field": "wallet_id"}'),
  ('a blank id', $$balance_at(' ', now())$$, 'LGARG', '{"field": "wallet_id"}'),
  ('an id of 256', $$balance_at(repeat('x', 256), now())$$, 'LGARG', '{"field": "wallet_id"}'),
  ('an unknown wallet', $$balance_at('nobody', now())$$, 'LGWNF',
    '{"wallet_id": "nobody"}')
) as c(name, call, code, detail);

select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
