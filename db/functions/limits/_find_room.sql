-- What the hard limits of amounts leave for a reservation that may get less than it asks for; null:
-- no limit.
create or replace function baseledger._find_room(
  p_counters baseledger._counter[],
  p_counted integer[]
)
returns numeric
language plpgsql
stable
as $$
begin
  return (
    select min(c.amount - c.held - c.spent)
      from unnest(p_counters) with ordinality as c
      where c.ordinality = any(p_counted) and c.hard and c.of = 'amount'
  );
end
$$;

revoke all on function baseledger._find_room from public;
