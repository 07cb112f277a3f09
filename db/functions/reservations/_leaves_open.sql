-- Whether an event leaves its reservation open: it then carries the deadline in force. Any other
-- ends the reservation, or follows its end; `expired` carries the deadline that has passed. A SQL
-- function without settings, so that it is inlined. The view reservation_history does the same, as
-- those who read a view may not call private functions.
create or replace function baseledger._leaves_open(
  p_event baseledger.event_type,
  p_expires_at timestamptz
)
returns boolean
language sql
immutable
parallel safe
as $$
  select p_expires_at is not null and p_event <> 'expired'
$$;

revoke all on function baseledger._leaves_open from public;
