-- The price of a model or an alias at an instant, for whatever input is below its first tier, if it
-- has one.
create or replace function baseledger._find_named_price(
  p_name text,
  p_variant text,
  p_at timestamptz
)
returns baseledger._price
language plpgsql
stable
as $$
declare
  v_price baseledger._price;
  v_model text;
begin
  v_price := baseledger._find_price(p_name, p_variant, 0, p_at);
  if v_price.price_id is null then
    v_model := baseledger._find_alias(p_name, p_at);
    if v_model is not null then
      v_price := baseledger._find_price(v_model, p_variant, 0, p_at);
      -- The alias may stand for something else at another instant.
      v_price.since := p_at;
      v_price.until := p_at + interval '1 microsecond';
      v_price.details := v_price.details || jsonb_build_object('model', v_model);
    end if;
  end if;
  return v_price;
end
$$;

revoke all on function baseledger._find_named_price from public;
