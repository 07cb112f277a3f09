-- How long a reservation lives, as so many seconds: 10 minutes unless it says otherwise.
create or replace function baseledger._default_ttl(p_ttl interval)
returns interval
language sql
immutable
parallel safe
as $$
  select case when p_ttl is null then interval '10 minutes' else baseledger._as_seconds(p_ttl) end
$$;

revoke all on function baseledger._default_ttl from public;
