-- The windows in which a wallet has events, of those from p_first to p_last: when each begins, and
-- its first event. As times increase with seq, a window is a range of seq. Its end is looked for in
-- growing steps, so that neither a long window nor many empty ones cost much.
create or replace function baseledger._list_windows(
  p_wallet_id text,
  p_per text,
  p_time_zone text,
  p_first bigint,
  p_last bigint
)
returns table (starts_at timestamptz[], first_seq bigint[])
language plpgsql
stable
as $$
declare
  v_seq bigint := p_first;
  v_step bigint := 1;
  v_low bigint;                       -- is in the window
  v_high bigint;                      -- the first that may not be
  v_middle bigint;
  v_at timestamptz;
  v_window tstzrange;
begin
  starts_at := '{}';
  first_seq := '{}';
  loop
    -- The next one, not that number: a journal that was tampered with may have a gap.
    select e.seq, e.occurred_at into v_seq, v_at
      from baseledger.events e
      where e.wallet_id = p_wallet_id and e.seq between v_seq and p_last
      order by e.seq
      limit 1;
    exit when not found;
    v_window := baseledger._window(p_per, p_time_zone, v_at);
    starts_at := starts_at || lower(v_window);
    first_seq := first_seq || v_seq;
    v_low := v_seq;
    v_high := p_last + 1;
    v_step := 1;
    while v_low + 1 < v_high loop
      v_middle := least(v_low + v_step, (v_low + v_high) / 2);
      select e.occurred_at into v_at
        from baseledger.events e
        where e.wallet_id = p_wallet_id and e.seq = v_middle;
      if v_at < upper(v_window) then
        v_low := v_middle;
        v_step := v_step * 2;
      else
        v_high := v_middle;
      end if;
    end loop;
    v_seq := v_high;
  end loop;
  return next;
end
$$;

revoke all on function baseledger._list_windows from public;
