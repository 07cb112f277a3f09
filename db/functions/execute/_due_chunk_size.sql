-- How many expiries a command writes when more are due. Each takes some 40 microseconds.
create or replace function baseledger._due_chunk_size()
returns integer
language sql
immutable
parallel safe
as $$
  select 1000
$$;

revoke all on function baseledger._due_chunk_size from public;
