-- A counter as of an instant, from what is on record. Nothing is written when a window ends: in the
-- new one it has spent nothing. A window that comes back, as after a clock that was ahead, is
-- counted again from the journal.
create or replace function baseledger._refresh_counter(
  p_wallet_id text,
  p_counter baseledger._counter,
  p_at timestamptz
)
returns baseledger._counter
language plpgsql
stable
as $$
declare
  v_window tstzrange;
begin
  if p_at < p_counter.starts_at or p_at >= p_counter.ends_at then
    v_window := baseledger._window(p_counter.per, p_counter.time_zone, p_at);
    p_counter.starts_at := lower(v_window);
    p_counter.ends_at := upper(v_window);
    p_counter.rolled := true;
  end if;
  if p_counter.counted_at is distinct from p_counter.starts_at then
    p_counter.spent := 0;
    p_counter.alerted := 0;
    if p_counter.ends_at < p_counter.counted_until
      or p_counter.rolled and p_counter.starts_at < p_counter.counted_until
    then
      p_counter.spent := baseledger._count_spent(
        p_wallet_id, p_counter.limit_id, p_counter.label_values, p_counter.starts_at,
        p_counter.ends_at
      );
      p_counter.alerted := coalesce((
        select max(a.threshold) from baseledger.raised_alerts a
          where a.wallet_id = p_wallet_id
            and a.limit_id = p_counter.limit_id
            and a.label_values = p_counter.label_values
            and a.starts_at = p_counter.starts_at
      ), 0);
    end if;
  end if;
  p_counter.next_alert := baseledger._next_alert(
    p_counter.amount, p_counter.alert_at, p_counter.alerted
  );
  return p_counter;
end
$$;

revoke all on function baseledger._refresh_counter from public;
