-- Refuses an id that is null, blank or over-long.
create or replace function baseledger._require_id(p_field text, p_id text)
returns void
language plpgsql
volatile
as $$
begin
  if p_id is null or btrim(p_id, E' \t\r\n') = '' or length(p_id) > 255 then
    perform baseledger._raise('LGARG', baseledger._describe_argument(p_field));
  end if;
end
$$;

revoke all on function baseledger._require_id from public;
