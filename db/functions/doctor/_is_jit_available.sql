-- Whether the server can compile plans: it says so only where it may.
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
