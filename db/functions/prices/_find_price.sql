-- The row of the catalogue that counts for a model (provider/model, no alias) and a variant at an
-- instant, with so many tokens of input: of those that are valid and whose `above` the input
-- exceeds, the ones with the highest `above`; of these the latest valid_from, then the latest
-- added. Null, if there is none.
create or replace function baseledger._find_price(
  p_model text,
  p_variant text,
  p_input numeric,
  p_at timestamptz
)
returns baseledger._price
language plpgsql
stable
as $$
declare
  v_price baseledger._price;
  v_price_id bigint;
  v_since timestamptz;
  v_until timestamptz;
  v_until_above bigint;
begin
  select
      (array_agg(r.price_id order by r.above desc, r.valid_from desc, r.price_id desc)
        filter (where r.above < greatest(p_input, 1) and r.valid_from <= p_at))[1],
      max(r.valid_from) filter (where r.valid_from <= p_at),
      coalesce(min(r.valid_from) filter (where r.valid_from > p_at), 'infinity'),
      min(r.above) filter (where r.above >= greatest(p_input, 1) and r.valid_from <= p_at)
    into v_price_id, v_since, v_until, v_until_above
    from baseledger.price_rows r
    where r.provider = split_part(p_model, '/', 1)
      and r.model = substr(p_model, strpos(p_model, '/') + 1)
      and r.variant = p_variant;
  if v_price_id is null then
    return null;
  end if;
  v_price := baseledger._read_price(v_price_id);
  v_price.since := v_since;
  v_price.until := v_until;
  v_price.until_above := v_until_above;
  return v_price;
end
$$;

revoke all on function baseledger._find_price from public;
