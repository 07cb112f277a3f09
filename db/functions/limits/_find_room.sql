-- What the hard limits of amounts leave for a reservation that may get less than it asks for; null:
-- no limit.
create or replace function baseledger._find_room(
  p_max numeric[],
  p_spent numeric[],
  p_held numeric[],
  p_kinds text[],
  p_counted integer[]
)
returns numeric
language plpgsql
immutable
as $$
begin
  return (
    select min(p_max[k] - p_spent[k] - p_held[k]) from unnest(p_counted) as k
      where p_kinds[k] = 'amount'
  );
end
$$;

revoke all on function baseledger._find_room from public;
