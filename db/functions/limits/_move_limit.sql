-- Moves a limit whose window has passed on to that of an instant, and returns when its window
-- begins; null if somebody else has locked it.
create or replace function baseledger._move_limit(
  p_wallet_id text,
  p_limit_id text,
  p_at timestamptz
)
returns timestamptz
language plpgsql
volatile
as $$
declare
  v_limit baseledger.limits;
  v_window tstzrange;
begin
  select * into v_limit from baseledger.limits l
    where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id
    for no key update skip locked;
  if v_limit.ends_at <= p_at then
    v_window := baseledger._window(v_limit.per, v_limit.time_zone, p_at);
    v_limit.starts_at := lower(v_window);
    update baseledger.limits l
      set starts_at = lower(v_window),
        ends_at = upper(v_window),
        counted_until = greatest(l.counted_until, upper(v_window))
      where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id;
  end if;
  return v_limit.starts_at;
end
$$;

revoke all on function baseledger._move_limit from public;
