-- The amounts that available + reserved is below, in order; null if there are none.
create or replace function baseledger._list_below(
  p_amounts bigint[],
  p_available bigint,
  p_reserved bigint
)
returns bigint[]
language sql
immutable
as $$
  select pg_catalog.array_agg(a.amount order by a.amount)
    from pg_catalog.unnest(p_amounts) as a (amount)
    where p_available::numeric + p_reserved < a.amount
$$;

revoke all on function baseledger._list_below from public;
