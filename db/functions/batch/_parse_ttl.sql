-- Parses a time to live in JSON: a number of seconds, or an interval as a string ('5 minutes',
-- 'PT5M'); null if it is neither.
create or replace function baseledger._parse_ttl(p_value jsonb)
returns interval
language plpgsql
stable
as $$
begin
  case jsonb_typeof(p_value)
    when 'number' then
      -- More than any reservation may live; large enough to be refused, small enough to convert.
      return make_interval(secs => least(greatest(p_value::numeric, -1), 99999999)::float8);
    when 'string' then
      return baseledger._as_seconds((p_value #>> '{}')::interval);
    else
      return null;
  end case;
exception
  when data_exception then
    return null;
end
$$;

revoke all on function baseledger._parse_ttl from public;
