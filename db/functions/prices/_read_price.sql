-- A row of the catalogue; null, if there is none or it is an alias.
create or replace function baseledger._read_price(p_price_id bigint)
returns baseledger._price
language plpgsql
stable
as $$
declare
  v_price baseledger._price;
begin
  select r.price_id, r.provider || '/' || r.model, r.variant, null, null, r.above, null, r.currency,
      k.kinds, k.rates,
      jsonb_build_object('price', r.price_id, 'usage', null)
    into v_price
    from baseledger.price_rows r
    cross join lateral (
      select array_agg(e.key order by e.key) as kinds,
          array_agg(e.value::numeric order by e.key) as rates
        from jsonb_each(r.rates) as e
    ) as k
    where r.price_id = p_price_id and r.alias_of is null;
  return v_price;
end
$$;

revoke all on function baseledger._read_price from public;
