-- The model that a name stands for at an instant; null, if it is no alias.
create or replace function baseledger._find_alias(p_model text, p_at timestamptz)
returns text
language plpgsql
stable
as $$
begin
  return (
    select r.alias_of
      from baseledger.price_rows r
      where r.provider = split_part(p_model, '/', 1)
        and r.model = substr(p_model, strpos(p_model, '/') + 1)
        and r.variant = ''
        and r.valid_from <= p_at
      order by r.provider desc, r.model desc, r.variant desc, r.above desc, r.valid_from desc,
        r.price_id desc
      limit 1
  );
end
$$;

revoke all on function baseledger._find_alias from public;
