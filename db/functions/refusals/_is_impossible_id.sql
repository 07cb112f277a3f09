-- Whether nothing can have this id: it is null, blank or over-long. A SQL function without settings,
-- so that it is inlined.
create or replace function baseledger._is_impossible_id(p_id text)
returns boolean
language sql
immutable
parallel safe
as $$
  select p_id is null
    or pg_catalog.btrim(p_id, E' \t\r\n') = ''
    or pg_catalog.length(p_id) > 255
$$;

revoke all on function baseledger._is_impossible_id from public;
