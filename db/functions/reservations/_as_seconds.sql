-- Converts an interval to seconds: without months and days, which a time zone may stretch. One that
-- no reservation may have stays as it is, for _find_invalid_field to refuse.
create or replace function baseledger._as_seconds(p_interval interval)
returns interval
language sql
immutable
parallel safe
as $$
  select case when p_interval between interval '0' and interval '1 year'
    then pg_catalog.make_interval(
      secs => pg_catalog.extract('epoch', p_interval)::double precision
    )
    else p_interval
  end
$$;

revoke all on function baseledger._as_seconds from public;
