-- An interval as so many seconds: without months and days, which a time zone may stretch.
create or replace function baseledger._seconds(p_interval interval)
returns interval
language sql
immutable
parallel safe
as $$
  select pg_catalog.make_interval(secs => pg_catalog.extract('epoch', p_interval)::double precision)
$$;

revoke all on function baseledger._seconds from public;
