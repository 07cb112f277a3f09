-- Which of these settings are off, and for whom, in one line; null if none is.
create or replace function baseledger._list_settings_off(p_names text[])
returns text
language sql
stable
as $$
  select pg_catalog.string_agg(
      pg_catalog.format('%s = off%s', s.name, ' for ' || s.whose), ', ' order by s.name, s.whose
    )
    from baseledger._read_settings(p_names) as s
    where pg_catalog.lower(s.value) in ('off', 'false', 'no', '0')
      and pg_catalog.lower(s.boot_value) <> 'off'
$$;

revoke all on function baseledger._list_settings_off from public;
