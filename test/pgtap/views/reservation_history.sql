-- reservation_history: each reservation that ever was, with its parts and its end.
begin;
select plan(31);

set local role baseledger_operator;
do $$
begin
  perform tap.wallet('w', 10000);
  perform baseledger.reserve('w', 100, 'open', '10 hours');
  perform baseledger.reserve('w', 100, 'part', '10 hours');
  perform baseledger.settle('w', 'part', 30, 'k1', false);
  perform baseledger.reserve('w', 100, 'part over', '10 hours');
  perform baseledger.settle('w', 'part over', 130, 'k2', false);
  perform baseledger.reserve('w', 100, 'extended', '1 hour');
  perform baseledger.extend('w', 'extended', '10 hours', 'k3', 150);
  perform baseledger.extend('w', 'extended', '5 hours', 'k4', 120);
  perform baseledger.reserve('w', 100, 'exact');
  perform baseledger.settle('w', 'exact', 100, 'k5');
  perform baseledger.reserve('w', 100, 'less');
  perform baseledger.settle('w', 'less', 70, 'k6');
  perform baseledger.reserve('w', 100, 'nothing');
  perform baseledger.settle('w', 'nothing', 0, 'k7');
  perform baseledger.reserve('w', 100, 'over');
  perform baseledger.settle('w', 'over', 150, 'k8');
  perform baseledger.reserve('w', 100, 'parts');
  perform baseledger.settle('w', 'parts', 30, 'k9', false);
  perform baseledger.settle('w', 'parts', 90, 'k10', false);
  perform baseledger.settle('w', 'parts', 5, 'k11');
  perform baseledger.reserve('w', 100, 'parts, rest');
  perform baseledger.settle('w', 'parts, rest', 30, 'k12', false);
  perform baseledger.settle('w', 'parts, rest', 50, 'k13');
  perform baseledger.reserve('w', 100, 'cancelled');
  perform baseledger.cancel('w', 'cancelled', 'k14');
  perform baseledger.reserve('w', 100, 'cancelled after a part');
  perform baseledger.settle('w', 'cancelled after a part', 30, 'k15', false);
  perform baseledger.cancel('w', 'cancelled after a part', 'k16');
  perform baseledger.charge('w', 40, 'charged');
  perform baseledger.charge('w', 40, 'charged, refunded');
  perform baseledger.refund('w', 'charged, refunded', 15, 'k17');
  perform baseledger.reserve('w', 100, 'refunded');
  perform baseledger.settle('w', 'refunded', 80, 'k18');
  perform baseledger.refund('w', 'refunded', 30, 'k19');
  perform baseledger.refund('w', 'refunded', 50, 'k20');
  perform baseledger.reserve('w', 100, 'part refunded', '10 hours');
  perform baseledger.settle('w', 'part refunded', 30, 'k21', false);
  perform baseledger.refund('w', 'part refunded', 10, 'k22');
  perform baseledger.reserve('w', 100, 'granted less', '10 hours', p_at_least => 1);

  perform tap.wallet('late', 10000);
  perform baseledger.reserve('late', 100, 'expired', '1 hour');
  perform baseledger.reserve('late', 100, 'expired after a part', '1 hour');
  perform baseledger.settle('late', 'expired after a part', 30, 'k1', false);
  perform baseledger.reserve('late', 100, 'late', '1 hour');
  perform baseledger.reserve('late', 100, 'late in parts', '1 hour');
  perform baseledger.settle('late', 'late in parts', 30, 'k2', false);
  perform baseledger.reserve('late', 100, 'late part', '1 hour');
  perform tap.travel_back('late', '2 hours');
  perform baseledger.settle('late', 'late', 70, 'k3');
  perform baseledger.settle('late', 'late in parts', 20, 'k4', false);
  perform baseledger.settle('late', 'late in parts', 25, 'k5');
  perform baseledger.settle('late', 'late part', 20, 'k6', false);
  perform baseledger.refund('late', 'late part', 5, 'k7');

  perform tap.wallet('unswept', 1000);
  perform baseledger.reserve('unswept', 100, 'due', '1 hour');
  perform tap.travel_back('unswept', '2 hours');
end
$$;

set local role baseledger_auditor;

-- status | granted, settled, number of parts | settled from the hold, settled above it |
-- released, refunded, still held
create temp table summary as
  select wallet_id collate "default" as wallet_id, reservation_id collate "default" as id,
      format('%s | %s, %s, %s | %s, %s | %s, %s, %s', status, amount, settled, settlements, used,
        overage, released, refunded, held) as summary
    from baseledger.reservation_history;

select is(summary, x.expected, 'the row of: ' || x.id) from (values
  ('w', 'open', 'open | 100, 0, 0 | 0, 0 | 0, 0, 100'),
  ('w', 'part', 'open | 100, 30, 1 | 30, 0 | 0, 0, 70'),
  ('w', 'part over', 'open | 100, 130, 1 | 100, 30 | 0, 0, 0'),
  ('w', 'extended', 'open | 120, 0, 0 | 0, 0 | 0, 0, 120'),
  ('w', 'exact', 'settled | 100, 100, 1 | 100, 0 | 0, 0, 0'),
  ('w', 'less', 'settled | 100, 70, 1 | 70, 0 | 30, 0, 0'),
  ('w', 'nothing', 'settled | 100, 0, 1 | 0, 0 | 100, 0, 0'),
  ('w', 'over', 'settled | 100, 150, 1 | 100, 50 | 0, 0, 0'),
  ('w', 'parts', 'settled | 100, 125, 3 | 100, 25 | 0, 0, 0'),
  ('w', 'parts, rest', 'settled | 100, 80, 2 | 80, 0 | 20, 0, 0'),
  ('w', 'cancelled', 'cancelled | 100, 0, 0 | 0, 0 | 100, 0, 0'),
  ('w', 'cancelled after a part', 'cancelled | 100, 30, 1 | 30, 0 | 70, 0, 0'),
  ('w', 'charged', 'settled | 40, 40, 1 | 40, 0 | 0, 0, 0'),
  ('w', 'charged, refunded', 'settled | 40, 40, 1 | 40, 0 | 0, 15, 0'),
  ('w', 'refunded', 'settled | 100, 80, 1 | 80, 0 | 20, 80, 0'),
  ('w', 'part refunded', 'open | 100, 30, 1 | 30, 0 | 0, 10, 70'),
  ('w', 'granted less', 'open | 100, 0, 0 | 0, 0 | 0, 0, 100'),
  ('late', 'expired', 'expired | 100, 0, 0 | 0, 0 | 100, 0, 0'),
  ('late', 'expired after a part', 'expired | 100, 30, 1 | 30, 0 | 70, 0, 0'),
  ('late', 'late', 'settled late | 100, 70, 1 | 0, 70 | 100, 0, 0'),
  ('late', 'late in parts', 'settled late | 100, 75, 3 | 30, 45 | 70, 0, 0'),
  ('late', 'late part', 'settled late | 100, 20, 1 | 0, 20 | 100, 5, 0'),
  ('unswept', 'due', 'open | 100, 0, 0 | 0, 0 | 0, 0, 100')
) as x(wallet_id, id, expected) left join summary using (wallet_id, id);
select is(count(*), 23::bigint,
  'the view has one row for each reservation that ever was') from summary;

select is_empty(
  $$select * from baseledger.reservation_history
    where status <> 'open' and (used + released <> amount or held <> 0)$$,
  'an ended reservation holds nothing, and used and released sum to its amount'
);

-- Times.
select is_empty(
  $$select h.wallet_id, h.reservation_id
    from baseledger.reservation_history h
    where h.opened_at <> (
      select j.occurred_at from baseledger.journal j
        where j.wallet_id = h.wallet_id and j.reservation_id = h.reservation_id
          and j.event in ('reserved', 'charged'))$$,
  'opened_at is the time of the first event'
);
select is(
  array(
    select (extract('epoch' from expires_at - now()) / 60)::integer
      from baseledger.reservation_history
      where wallet_id = 'w' and reservation_id in ('extended', 'open') order by reservation_id
  ),
  array[300, 600],
  'expires_at is the deadline in force, also after an extension to an earlier one'
);
select is_empty(
  $$select h.reservation_id from baseledger.reservation_history h
    join baseledger.open_reservations o using (wallet_id, reservation_id)
    where (h.amount, h.settled, h.held, h.expires_at) is distinct from
      (o.amount, o.settled, o.held, o.expires_at)$$,
  'an open reservation is the same as in open_reservations'
);
select is(count(*), 6::bigint, 'six reservations are open') from baseledger.open_reservations;
select is_empty(
  $$select h.wallet_id, h.reservation_id, h.status, h.ended_at, j.event
    from baseledger.reservation_history h
    left join baseledger.journal j
      on j.wallet_id = h.wallet_id and j.reservation_id = h.reservation_id
        and j.occurred_at = h.ended_at
    where (h.status = 'open') <> (h.ended_at is null)
      or j.event::text <> case h.status
        when 'settled late' then 'expired'
        when 'settled'
          then case when h.reservation_id ~ '^charged' then 'charged' else 'settled' end
        else h.status end$$,
  'ended_at is the time of the settlement, cancellation or expiry'
);

select is_empty('select * from baseledger.verify()', 'verify finds nothing wrong at the end');

select * from finish();
rollback;
