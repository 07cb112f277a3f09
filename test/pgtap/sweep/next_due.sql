-- next_due: the earliest deadline that the sweep has to look at.
begin;
select plan(13);

set local role baseledger_worker;
select is(baseledger.next_due(), null, 'it is null without wallets');

reset role;
do $$ begin perform tap.wallet('a', 100); perform tap.wallet('b', 100); end $$;
set local role baseledger_worker;
select is(baseledger.next_due(), null, 'it is null without reservations');

reset role;
create temp table late as select baseledger.reserve('a', 10, 'late', '3 hours') as receipt;
grant select on late to baseledger_worker;
set local role baseledger_worker;
select is(baseledger.next_due(), (receipt).expires_at,
  'it is the deadline of the only reservation') from late;

reset role;
create temp table early as select baseledger.reserve('b', 10, 'early', '1 hour') as receipt;
grant select on early to baseledger_worker;
set local role baseledger_worker;
select is(baseledger.next_due(), (receipt).expires_at,
  'it is the earliest deadline of all wallets') from early;

reset role;
do $$
begin
  perform baseledger.extend('a', 'late', '30 minutes', 'e1');
end
$$;
set local role baseledger_worker;
select cmp_ok(baseledger.next_due(), '<', now() + interval '31 minutes',
  'it follows an extension to an earlier deadline');

reset role;
do $$
begin
  perform baseledger.cancel('a', 'late', 'c1');
  perform baseledger.settle('b', 'early', 1, 's1');
  perform baseledger.reserve('b', 10, 'open', '5 hours');
end
$$;
set local role baseledger_worker;
select cmp_ok(baseledger.next_due(), '<=', now() + interval '5 hours 1 minute',
  'it is never too late, though it may be too early');

reset role;
do $$
begin
  perform tap.travel_back('a', '4 hours');
  perform tap.travel_back('b', '4 hours');
end
$$;
create temp table open as
  select expires_at from baseledger.reservations where reservation_id = 'open';
grant select on open to baseledger_worker;
set local role baseledger_worker;
select cmp_ok(baseledger.next_due(), '<=', now(), 'a deadline that has passed is due');
select is(baseledger.expire_due(), 0, 'the sweep finds that the reservation has ended');
select is(baseledger.next_due(), expires_at,
  'the sweep corrects it to the next deadline') from open;

reset role;
do $$ begin perform tap.travel_back('b', '2 hours'); end $$;
set local role baseledger_worker;
select is(baseledger.expire_due(), 1, 'the last reservation expires');
select is(baseledger.next_due(), null, 'it is null when no reservation is open');

-- A command corrects it as well.
reset role;
do $$
begin
  perform baseledger.reserve('a', 10, 'x', '1 hour');
  perform tap.travel_back('a', '2 hours');
  perform baseledger.credit('a', 1, 'k');
end
$$;
set local role baseledger_worker;
select is(baseledger.next_due(), null, 'a command that expires what was due corrects it');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
