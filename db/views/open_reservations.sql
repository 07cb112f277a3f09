-- What is held, and for how long. Not those past their deadline: they count as returned.
create or replace view baseledger.open_reservations as
select
  r.wallet_id,
  r.reservation_id,
  r.amount,
  r.settled,
  r.held,
  r.expires_at,
  r.expires_at - c.clock as time_left
from baseledger.reservations r
-- As in _read_clock, which those who read a view may not call.
cross join (
  select case
    when pg_is_in_recovery()
      then coalesce(pg_last_xact_replay_timestamp(), '-infinity')
    else statement_timestamp()
  end
) as c(clock)
where r.expires_at > c.clock;

comment on view baseledger.open_reservations is
  'Reservations that hold funds now: granted in all, settled so far, still held (the wallet''s '
  'smallest step), and the time left until the deadline.';
revoke all on baseledger.open_reservations from public;
grant select on baseledger.open_reservations to baseledger_auditor;
