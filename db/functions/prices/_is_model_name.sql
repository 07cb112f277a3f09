-- Whether a name is provider/model: the provider is what stands before the first slash. A SQL
-- function without settings, so that it is inlined.
create or replace function baseledger._is_model_name(p_name text)
returns boolean
language sql
immutable
parallel safe
as $$
  select coalesce(
    pg_catalog.strpos(p_name, '/') between 2 and pg_catalog.length(p_name) - 1
      and pg_catalog.length(p_name) <= 255
      and not baseledger._is_ambiguous_name(p_name),
    false
  )
$$;

revoke all on function baseledger._is_model_name from public;
