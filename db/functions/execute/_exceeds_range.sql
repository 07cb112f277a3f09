-- Whether funds that come in exceed the range of a balance: they must leave room for everything
-- that is reserved to come back, so that no hold can get stuck.
create or replace function baseledger._exceeds_range(
  p_available bigint,
  p_reserved bigint,
  p_amount bigint
)
returns boolean
language sql
immutable
parallel safe
as $$
  select p_available > 9223372036854775807 - p_reserved - p_amount
$$;

revoke all on function baseledger._exceeds_range from public;
