-- The value of one label, as in _label_values. A SQL function without settings, so that it is
-- inlined.
create or replace function baseledger._label_value(p_labels jsonb, p_name text)
returns text
language sql
immutable
parallel safe
as $$
  select case
    when pg_catalog.jsonb_typeof(p_labels -> p_name) = 'string'
      and pg_catalog.octet_length(p_labels ->> p_name) <= 255
      then p_labels ->> p_name
    else ''
  end
$$;

revoke all on function baseledger._label_value from public;
