-- reservation: how a reservation stands now.
begin;
select plan(31);

do $$
begin
  perform tap.wallet('w', 10000);
  perform tap.wallet('none');
end
$$;
-- The state in a line: 'open 100: 60 held, 40 settled, 0 refunded'.
create function pg_temp.state(p_id text) returns text language sql volatile as $$
  select format('%s %s: %s held, %s settled, %s refunded%s', r.status, r.amount, r.held, r.settled,
      r.refunded, case when r.late then ', late' end)
    from baseledger.reservation('w', p_id) as r
$$;
-- When it ends or has ended, and by which event.
create function pg_temp.ends(p_id text) returns text language sql volatile as $$
  select format('%s/%s %s',
      case
        when r.expires_at = r.ended_at then 'ended then'
        else extract('epoch' from r.expires_at - r.opened_at)::integer::text
      end,
      case when r.ended_at is not null then 'ended' end, r.ended_by)
    from baseledger.reservation('w', p_id) as r
$$;

set local role baseledger_agent;
do $$
begin
  perform baseledger.reserve('w', 100, 'r1', '1 hour', p_metadata => '{"run": "7", "n": 1}');
end
$$;
select is(to_jsonb(r) - 'opened_at' - 'expires_at', '{
  "wallet_id": "w", "reservation_id": "r1", "status": "open", "amount": 100, "held": 100,
  "settled": 0, "refunded": 0, "ended_at": null, "ended_by": null, "late": false,
  "metadata": {"run": "7", "n": 1}, "labels": {"run": "7", "n": 1}
}', 'one that is open holds its amount, and shows its metadata')
  from baseledger.reservation('w', 'r1') as r;
select is(array[r.opened_at, r.expires_at],
  array[tap.last_event_at('w'), tap.last_event_at('w') + interval '1 hour'],
  'it was opened with its event, and has its deadline') from baseledger.reservation('w', 'r1') as r;
do $$ begin perform baseledger.settle('w', 'r1', 40, 's1', false, '{"other": 1}'); end $$;
select is(pg_temp.state('r1'), 'open 100: 60 held, 40 settled, 0 refunded', 'settled in part');
do $$ begin perform baseledger.extend('w', 'r1', '2 hours', 'e1', 80); end $$;
select is(pg_temp.state('r1'), 'open 120: 80 held, 40 settled, 0 refunded', 'extended');
select ok(r.expires_at = tap.last_event_at('w') + interval '2 hours', 'with a new deadline')
  from baseledger.reservation('w', 'r1') as r;
do $$ begin perform baseledger.settle('w', 'r1', 100, 's2'); end $$;
select is(pg_temp.state('r1'), 'settled 120: 0 held, 140 settled, 0 refunded', 'settled above it');
select is(to_jsonb(r) -> 'ended_at', to_jsonb(tap.last_event_at('w')), 'then it ended')
  from baseledger.reservation('w', 'r1') as r;
select is(pg_temp.ends('r1'), '/ended settled', 'by a settlement, and has no deadline');
select is(r.metadata, '{"run": "7", "n": 1}', 'metadata stays that of the reservation')
  from baseledger.reservation('w', 'r1') as r;
set local role baseledger_operator;
do $$ begin perform baseledger.refund('w', 'r1', 30, 'f1'); end $$;
set local role baseledger_agent;
select is(pg_temp.state('r1'), 'settled 120: 0 held, 140 settled, 30 refunded', 'refunded');
select is(pg_temp.ends('r1'), '/ended settled', 'a refund is not its end');

do $$
begin
  perform baseledger.reserve('w', 100, 'r2');
  perform baseledger.cancel('w', 'r2', 'c2');
  perform baseledger.charge('w', 7, 'r3');
  perform baseledger.reserve('w', 100, 'r4', '1 hour');
  perform baseledger.settle('w', 'r4', 10, 's4', false);
  perform baseledger.reserve('w', 100, 'r5', '1 hour');
  perform baseledger.reserve('w', 100, 'r6', '1 hour');
  perform tap.travel_back('w', '3 hours');
end
$$;
select is(pg_temp.state('r2'), 'cancelled 100: 0 held, 0 settled, 0 refunded', 'cancelled');
select is(pg_temp.ends('r2'), '/ended cancelled', 'by a cancellation');
select is(pg_temp.state('r3'), 'settled 7: 0 held, 7 settled, 0 refunded', 'charged');
select is(pg_temp.ends('r3'), '/ended charged', 'a charge was settled from the start');
select is(array[pg_temp.state('r4'), pg_temp.ends('r4')],
  array['expired 100: 0 held, 10 settled, 0 refunded', 'ended then/ended expired'],
  'past its deadline it is expired, though nobody has swept it');
create temp table before as select r.* from baseledger.reservation('w', 'r4') as r;
set local role baseledger_worker;
do $$ begin perform baseledger.expire_due(); end $$;
set local role baseledger_agent;
select is(to_jsonb(r), to_jsonb(b), 'swept, it is the same')
  from before as b, baseledger.reservation('w', 'r4') as r;
do $$
begin
  perform baseledger.settle('w', 'r4', 5, 's5', false);
  perform baseledger.settle('w', 'r5', 120, 's6');
end
$$;
select is(array[pg_temp.state('r4'), pg_temp.ends('r4')],
  array['expired 100: 0 held, 15 settled, 0 refunded, late', 'ended then/ended expired'],
  'settled late in part, it stays expired');
select is(array[pg_temp.state('r5'), pg_temp.ends('r5')],
  array['settled 100: 0 held, 120 settled, 0 refunded, late', '/ended settled'],
  'settled late, it is settled');
select is(pg_temp.state('r6'), 'expired 100: 0 held, 0 settled, 0 refunded', 'swept and not settled');
set local role baseledger_operator;
do $$ begin perform baseledger.refund('w', 'r4', 15, 'f4'); end $$;
set local role baseledger_agent;
select is(pg_temp.state('r4'), 'expired 100: 0 held, 15 settled, 15 refunded, late',
  'refunded, an expired one stays so');

-- Not found -------------------------------------------------------------------------------------

select refuses($$reservation('w', 'none')$$, 'LGRNF', '{"reservation_id": "none"}',
  'one that never was is refused');
select refuses($$reservation('none', 'r1')$$, 'LGRNF', '{"reservation_id": "r1"}',
  'as is that of another wallet');
select refuses($$reservation('nobody', 'r1')$$, 'LGWNF', '{"wallet_id": "nobody"}',
  'an unknown wallet is refused');
select refuses(c.call, 'LGARG', jsonb_build_object('field', c.field), 'refused: ' || c.name)
  from (values
    ('wallet_id', 'no wallet', $$reservation(null, 'r1')$$),
    ('reservation_id', 'no reservation', $$reservation('w', null)$$),
    ('reservation_id', 'a blank one', $$reservation('w', ' ')$$),
    ('reservation_id', 'one of 256', $$reservation('w', repeat('x', 256))$$)
  ) as c(field, name, call);

reset role;
do $$
begin
  perform tap.wallet('edge', 100);
  perform baseledger.reserve('edge', 10, 'r', '1 hour');
  perform baseledger.credit('edge', 1, 'a moment later');
  perform tap.due_after('edge', 'r', -1);
end
$$;
select is((baseledger.reservation('edge', 'r')).status, 'expired', 'at its deadline it has expired');

set local role baseledger_auditor;
select is(pg_temp.state('r1'), 'settled 120: 0 held, 140 settled, 30 refunded',
  'auditors may read it');
select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
