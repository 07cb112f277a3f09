-- Parses a time in JSON: a date or a time of ISO 8601, in UTC where it has no offset, or -infinity;
-- null if it is neither. The session's settings do not count.
create or replace function baseledger._read_valid_from(p_value jsonb)
returns timestamptz
language plpgsql
stable
set "TimeZone" = 'UTC'
set "DateStyle" = 'ISO, YMD'
as $$
begin
  return case
    when jsonb_typeof(p_value) = 'string' and p_value #>> '{}' ~ (
      '^(-infinity|[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?'
        '(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?)$'
    )
      then (p_value #>> '{}')::timestamptz
  end;
exception
  when data_exception then
    return null;
end
$$;

revoke all on function baseledger._read_valid_from from public;
