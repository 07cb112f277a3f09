-- Prices usage, or says why it has no price: the whole rule. _price_commands has a shorter way for
-- what is plain.
create or replace function baseledger._price_usage(
  p_usage jsonb,
  p_model text,                       -- where the usage names none
  p_variant text,
  p_at timestamptz,                   -- when the call was opened
  p_known bigint,                     -- the price row of its reservation
  p_unit text,
  p_scale integer
)
returns baseledger._priced_usage
language plpgsql
stable
as $$
declare
  c_names constant jsonb := jsonb_build_object('model', p_model, 'variant', p_variant);
  v_usage record;
  v_price record;
  v_known record;
  v_cost record;
begin
  select * into v_usage from baseledger._read_usage(
    case when jsonb_typeof(p_usage) = 'object' then p_usage else '{}' end
  );
  if not v_usage.valid
    or p_model is null
    or p_model not like '_%/_%'
    or jsonb_typeof(p_usage -> 'model') <> 'string'
    or jsonb_typeof(p_usage -> 'variant') <> 'string'
  then
    return row(null, null, null, 'LGARG', baseledger._describe_argument('usage'))
      ::baseledger._priced_usage;
  end if;

  p_model := coalesce(baseledger._find_alias(p_model, p_at), p_model);
  select * into v_price
    from baseledger._find_price(p_model, p_variant, v_usage.input, p_at);
  if p_known <> v_price.price_id then
    -- A row of the same tier that was added while the call was being opened does not count.
    select r.price_id, r.above, r.rates, r.currency into v_known
      from baseledger.price_rows r
      where r.price_id = p_known
        and r.provider || '/' || r.model = p_model
        and r.variant = p_variant
        and r.above = v_price.above;
    if found then
      v_price := v_known;
    end if;
  end if;
  if v_price.price_id is null then
    return row(null, null, null, 'LGPRC', jsonb_build_object(
      'reason', case
        when exists (
          select from baseledger.price_rows r
            where r.provider || '/' || r.model = p_model and r.valid_from <= p_at
        ) then 'variant'
        else 'model'
      end
    ) || c_names)::baseledger._priced_usage;
  end if;

  select * into v_cost from baseledger._cost(p_usage, v_price.rates, 10::numeric ^ (18 - p_scale));
  if v_cost.unknown is not null or v_price.currency <> p_unit or p_scale < 6 then
    return row(null, null, null, 'LGPRC', case
      when v_cost.unknown is not null
        then jsonb_build_object('reason', 'kind', 'kind', v_cost.unknown)
      when v_price.currency <> p_unit
        then jsonb_build_object(
          'reason', 'currency', 'currency', v_price.currency, 'unit', p_unit
        )
      else jsonb_build_object('reason', 'scale', 'scale', p_scale)
    end || c_names)::baseledger._priced_usage;
  end if;
  if v_cost.cost > 9223372036854775807 then
    return row(null, null, null, 'LGARG', baseledger._describe_argument('usage'))
      ::baseledger._priced_usage;
  end if;
  return row(v_price.price_id, p_model, v_cost.cost, null, null)::baseledger._priced_usage;
end
$$;

revoke all on function baseledger._price_usage from public;
