-- The time to live of a reservation in seconds: 10 minutes by default.
create or replace function baseledger._default_ttl(p_ttl interval)
returns interval
language sql
immutable
parallel safe
as $$
  select case when p_ttl is null then interval '10 minutes' else baseledger._as_seconds(p_ttl) end
$$;

revoke all on function baseledger._default_ttl from public;
