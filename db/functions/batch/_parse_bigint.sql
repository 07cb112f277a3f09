-- Parses a JSON number or string as a whole number that fits a bigint; null if it is none.
create or replace function baseledger._parse_bigint(p_value jsonb)
returns bigint
language sql
immutable
parallel safe
as $$
  select case pg_catalog.jsonb_typeof(p_value)
    when 'number' then
      case when p_value::numeric between -9223372036854775808 and 9223372036854775807
          and p_value::numeric = pg_catalog.trunc(p_value::numeric)
        then p_value::bigint
      end
    when 'string' then
      case when p_value #>> '{}' ~ '^-?[0-9]{1,19}$'
          and (p_value #>> '{}')::numeric between -9223372036854775808 and 9223372036854775807
        then (p_value #>> '{}')::bigint
      end
  end
$$;

revoke all on function baseledger._parse_bigint from public;
