-- Refuses an id that is null, blank or over-long.
create or replace function baseledger._require_id(p_field text, p_id text)
returns void
language plpgsql
volatile
as $$
begin
  if baseledger._is_impossible_id(p_id) then
    perform baseledger._raise('LGARG', baseledger._describe_argument(p_field));
  end if;
end
$$;

revoke all on function baseledger._require_id from public;
