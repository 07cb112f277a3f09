-- Formats a span of time for a person: whole seconds, or days and hours.
create or replace function baseledger._format_age(p_span interval)
returns text
language sql
immutable
as $$
  select case
    when p_span < interval '2 minutes' then pg_catalog.round(s.seconds) || ' s'
    when p_span < interval '2 hours' then pg_catalog.round(s.seconds / 60) || ' min'
    when p_span < interval '2 days' then pg_catalog.round(s.seconds / 3600) || ' h'
    else pg_catalog.round(s.seconds / 86400) || ' days'
  end
    from (select extract('epoch' from p_span)) as s (seconds)
$$;

revoke all on function baseledger._format_age from public;
