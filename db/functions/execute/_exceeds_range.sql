-- Whether funds that come in do not fit: they must leave room for all that is reserved to come back,
-- so that no hold can ever be stuck.
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
