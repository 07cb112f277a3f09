-- next_due: when the sweep has something to do next.
begin;
select plan(13);

set local role baseledger_worker;
select is(baseledger.next_due(), null, 'no wallet, nothing to do');

reset role;
do $$ begin perform tap.wallet('a', 100); perform tap.wallet('b', 100); end $$;
set local role baseledger_worker;
select is(baseledger.next_due(), null, 'no reservation, nothing to do');

reset role;
create temp table late as select baseledger.reserve('a', 10, 'late', '3 hours') as receipt;
grant select on late to baseledger_worker;
set local role baseledger_worker;
select is(baseledger.next_due(), (receipt).expires_at, 'the deadline of the only one') from late;

reset role;
create temp table early as select baseledger.reserve('b', 10, 'early', '1 hour') as receipt;
grant select on early to baseledger_worker;
set local role baseledger_worker;
select is(baseledger.next_due(), (receipt).expires_at, 'the earliest of all wallets') from early;

reset role;
do $$
begin
  perform baseledger.extend('a', 'late', '30 minutes', 'e1');
end
$$;
set local role baseledger_worker;
select cmp_ok(baseledger.next_due(), '<', now() + interval '31 minutes',
  'an earlier deadline counts');

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
  'it may be too early, but never too late');

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
select cmp_ok(baseledger.next_due(), '<=', now(), 'the sweep is due');
select is(baseledger.expire_due(), 0, 'finds nothing in its place');
select is(baseledger.next_due(), expires_at, 'and so puts it right') from open;

reset role;
do $$ begin perform tap.travel_back('b', '2 hours'); end $$;
set local role baseledger_worker;
select is(baseledger.expire_due(), 1, 'the last one expires');
select is(baseledger.next_due(), null, 'then there is nothing to do');

-- Without the sweep: a command, too, puts it right.
reset role;
do $$
begin
  perform baseledger.reserve('a', 10, 'x', '1 hour');
  perform tap.travel_back('a', '2 hours');
  perform baseledger.credit('a', 1, 'k');
end
$$;
set local role baseledger_worker;
select is(baseledger.next_due(), null, 'a command has expired what was due');

set local role baseledger_auditor;
select is_empty('select * from baseledger.verify()', 'the ledger is sound after all of it');

select * from finish();
rollback;
