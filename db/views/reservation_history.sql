-- The life of each reservation, from the journal. What it held and what came back are differences
-- of the wallet's balances before and after each of its events: what an event moves is not written
-- here again.
create or replace view baseledger.reservation_history as
select
  h.wallet_id,
  h.reservation_id,
  case
    when h.ended is null then 'open'
    when h.late > 0 then 'settled late'
    when h.ended = 'charged' then 'settled'
    else h.ended::text
  end as status,
  h.opened_at,
  h.amount,
  h.settled,
  h.settlements,
  h.amount - h.held - h.released as used,
  h.settled - (h.amount - h.held - h.released) as overage,
  h.released,
  h.refunded,
  h.held,
  h.expires_at,
  h.ended_at
from (
  select
    e.wallet_id,
    e.reservation_id,
    min(e.occurred_at) as opened_at,
    coalesce(
      sum(e.amount) filter (where e.event not in ('settled', 'cancelled', 'expired', 'refunded')), 0
    ) as amount,
    coalesce(sum(e.amount) filter (where e.event in ('settled', 'charged')), 0) as settled,
    count(*) filter (where e.event in ('settled', 'charged')) as settlements,
    count(*) filter (where e.event = 'settled' and e.details @> '{"late": true}') as late,
    coalesce(
      sum(greatest(e.available - b.available, 0))
        filter (where e.event in ('settled', 'cancelled', 'expired')),
      0
    ) as released,
    coalesce(sum(e.amount) filter (where e.event = 'refunded'), 0) as refunded,
    sum(e.reserved - coalesce(b.reserved, 0)) as held,
    (array_agg(e.expires_at order by e.seq desc) filter (where e.expires_at is not null))[1]
      as expires_at,
    (array_agg(e.event order by e.seq) filter (where not l.open))[1] as ended,
    min(e.occurred_at) filter (where not l.open) as ended_at
  from baseledger.events e
  left join baseledger.events b on b.wallet_id = e.wallet_id and b.seq = e.seq - 1
  -- As in _leaves_open, which those who read a view may not call.
  cross join lateral (select e.expires_at is not null and e.event <> 'expired') as l(open)
  where e.reservation_id is not null
  group by e.wallet_id, e.reservation_id
) as h;

comment on view baseledger.reservation_history is
  'One row for each reservation there ever was: how it stands or ended (open, settled, settled '
  'late, cancelled, expired), what was granted in all, settled (in how many parts; used is what '
  'came out of the hold, overage what came on top), released, refunded and is still held, in the '
  'wallet''s smallest step. As the journal has it: one past its deadline stays open here until the '
  'sweep, or the next command of its wallet, has written its expiry.';
revoke all on baseledger.reservation_history from public;
grant select on baseledger.reservation_history to baseledger_auditor;
