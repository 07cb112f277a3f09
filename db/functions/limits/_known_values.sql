-- What a caller with fixed labels sees of a limit: the values of its labels, null for those that
-- the caller may choose. Null if the caller sees all.
create or replace function baseledger._known_values(p_access baseledger._access, p_by text[])
returns text[]
language sql
immutable
as $$
  select pg_catalog.array_agg(
      case
        when p_access.labels -> b.name is not null then p_access.labels ->> b.name
        when not p_access.free_labels && array['*', b.name] then ''
      end
      order by b.n
    )
    from pg_catalog.unnest(p_by) with ordinality as b (name, n)
    where p_access.labels <> '{}'
$$;

revoke all on function baseledger._known_values from public;
