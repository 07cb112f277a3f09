-- Refuses a scale that no wallet has.
create or replace function baseledger._require_scale(p_scale integer)
returns void
language plpgsql
stable
as $$
begin
  if p_scale is null or p_scale not between 0 and 18 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('scale'));
  end if;
end
$$;

revoke all on function baseledger._require_scale from public;
