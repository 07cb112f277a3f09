-- The field of a price that names what the catalogue has as something else; null if none does. A
-- name is a model or an alias, for ever, and an alias stands for a model: so one look-up finds what
-- a name means, and no call changes its model but by a change of its alias.
create or replace function baseledger._find_wrong_name(p_price baseledger.price)
returns text
language plpgsql
stable
as $$
begin
  return case
    when exists (
      select from baseledger.price_rows r
        where r.provider = split_part(p_price.model, '/', 1)
          and r.model = substr(p_price.model, strpos(p_price.model, '/') + 1)
          and (p_price.alias_of is null) = (r.variant = '')
    )
      then 'model'
    when p_price.alias_of is not null and not exists (
      select from baseledger.price_rows r
        where r.provider = split_part(p_price.alias_of, '/', 1)
          and r.model = substr(p_price.alias_of, strpos(p_price.alias_of, '/') + 1)
          and r.variant <> ''
    )
      then 'alias_of'
  end;
end
$$;

revoke all on function baseledger._find_wrong_name from public;
