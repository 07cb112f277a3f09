-- Refuses a call whose commands are no array of at most 10,000 objects.
create or replace function baseledger._check_commands(p_commands jsonb)
returns void
language plpgsql
stable
as $$
begin
  if jsonb_typeof(p_commands) is distinct from 'array'
    or jsonb_array_length(p_commands) > 10000
    or p_commands @? 'strict $[*] ? (@.type() != "object")'
  then
    perform baseledger._raise('LGARG', baseledger._describe_argument('commands'));
  end if;
end
$$;

revoke all on function baseledger._check_commands from public;
