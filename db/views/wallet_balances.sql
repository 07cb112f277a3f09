-- Every wallet with its balances by deadline, as baseledger.balance() answers.
create or replace view baseledger.wallet_balances as
select
  w.wallet_id,
  w.unit,
  w.scale,
  w.available + d.due as available,
  w.reserved - d.due as reserved,
  w.spent,
  w.overdraft_limit,
  w.frozen,
  w.seq,
  w.last_event_at,
  case when w.last_event_at > c.clock + interval '1 second'
    then w.last_event_at - c.clock
  end as ahead_by,
  w.restricted,
  w.closed,
  w.limited,
  w.low_balances
from baseledger.wallets w
-- As in _read_clock, _deadline_clock and _clock_slack (1 second), which those who read a view may
-- not call.
cross join (
  select case
    when pg_is_in_recovery() then pg_last_xact_replay_timestamp()
    else statement_timestamp()
  end
) as c(clock)
cross join lateral (
  select case
    when w.last_event_at > c.clock + interval '1 second' then c.clock
    else greatest(c.clock, w.last_event_at)
  end
) as i(instant)
cross join lateral (
  select coalesce(sum(r.held), 0)::bigint
  from baseledger.reservations r
  where r.wallet_id = w.wallet_id
    and w.next_deadline <= i.instant
    and r.expires_at <= i.instant
    and r.expires_at < 'infinity'
) as d(due);

comment on view baseledger.wallet_balances is
  'Every wallet with its balances now, in its smallest step; reservations past their deadline '
  'count as returned.';
comment on column baseledger.wallet_balances.ahead_by is
  'By how much the last event is ahead of the server''s clock, if by more than a second: the clock '
  'was ahead when it was written, or is behind now. Deadlines count by the clock all the same.';
comment on column baseledger.wallet_balances.restricted is
  'Only those may use it who have a grant or a key.';
comment on column baseledger.wallet_balances.closed is
  'Nothing new may be reserved, charged or credited.';
comment on column baseledger.wallet_balances.limited is 'It has limits.';
comment on column baseledger.wallet_balances.low_balances is
  'Amounts that alert when available + reserved falls below them.';
revoke all on baseledger.wallet_balances from public;
grant select on baseledger.wallet_balances to baseledger_auditor;
