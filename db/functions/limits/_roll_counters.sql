-- Moves counters to the windows of a later instant, for a batch during which a window ends.
create or replace function baseledger._roll_counters(
  p_counters baseledger._counter[],
  p_at timestamptz
)
returns baseledger._counter[]
language plpgsql
stable
as $$
declare
  v_window tstzrange;
begin
  for v_i in 1 .. cardinality(p_counters) loop
    continue when p_counters[v_i].ends_at > p_at;
    v_window := baseledger._window(p_counters[v_i].per, p_counters[v_i].time_zone, p_at);
    p_counters[v_i].spent := 0;
    p_counters[v_i].starts_at := lower(v_window);
    p_counters[v_i].ends_at := upper(v_window);
    p_counters[v_i].counts_from := lower(v_window);
    p_counters[v_i].alerted := 0;
    p_counters[v_i].next_alert := baseledger._next_alert(
      p_counters[v_i].amount, p_counters[v_i].alert_at, 0
    );
    p_counters[v_i].rolled := true;
  end loop;
  return p_counters;
end
$$;

revoke all on function baseledger._roll_counters from public;
