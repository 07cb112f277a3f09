-- How many tokens usage says, of all kinds of input and output together; 0 without usage.
create or replace function baseledger._count_tokens(p_usage jsonb)
returns bigint
language plpgsql
immutable
as $$
begin
  return baseledger._count_input(p_usage) + (
    select coalesce(sum(u.value::numeric), 0)
      from jsonb_each(p_usage) as u
      where u.key like 'output%'
  );
end
$$;

revoke all on function baseledger._count_tokens from public;
