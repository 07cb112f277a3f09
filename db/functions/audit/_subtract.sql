-- The change of a balance; null if it is more than any event moves, as a journal that was tampered
-- with may say. A SQL function without settings, so that it is inlined.
create or replace function baseledger._subtract(p_from bigint, p_to bigint)
returns bigint
language sql
immutable
parallel safe
as $$
  select case
    when (p_from < 0) = (p_to < 0) then p_to - p_from
    when p_to::numeric - p_from between -9223372036854775807 and 9223372036854775807
      then p_to - p_from
  end
$$;

revoke all on function baseledger._subtract from public;
