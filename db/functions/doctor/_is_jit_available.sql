-- Whether the server can compile plans; pg_jit_available() answers only where jit is on.
create or replace function baseledger._is_jit_available()
returns boolean
language plpgsql
stable
set jit = on
as $$
begin
  return pg_jit_available();
end
$$;

revoke all on function baseledger._is_jit_available from public;
