-- Moves counters to the windows of a later instant, for a batch during which a window ends.
create or replace function baseledger._roll_counters(
  p_wallet_id text,
  p_counters baseledger._counter[],
  p_at timestamptz
)
returns baseledger._counter[]
language plpgsql
stable
as $$
begin
  for v_i in 1 .. cardinality(p_counters) loop
    continue when p_counters[v_i].ends_at > p_at;
    p_counters[v_i] := baseledger._refresh_counter(p_wallet_id, p_counters[v_i], p_at);
  end loop;
  return p_counters;
end
$$;

revoke all on function baseledger._roll_counters from public;
