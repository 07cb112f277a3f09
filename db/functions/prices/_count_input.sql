-- How many tokens of all kinds of input usage says, which decide on the tier; 0 for what is no
-- number.
create or replace function baseledger._count_input(p_usage jsonb)
returns numeric
language plpgsql
immutable
as $$
begin
  return (
    select coalesce(
        sum(u.value::numeric) filter (where u.key like 'input%' or u.key like 'cache\_%'), 0
      )
      from jsonb_each(p_usage) as u
      where jsonb_typeof(u.value) = 'number'
  );
end
$$;

revoke all on function baseledger._count_input from public;
