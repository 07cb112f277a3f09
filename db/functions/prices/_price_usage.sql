-- Prices usage, or says why it has no price: the whole rule. _price_commands has a shorter way for
-- what is plain.
create or replace function baseledger._price_usage(
  p_usage jsonb,
  p_model text,                       -- where the usage names none
  p_variant text,
  p_at timestamptz,                   -- when the call was opened
  p_known bigint,                     -- the price row of its reservation
  p_unit text,                        -- of the wallet; null: any
  p_scale integer
)
returns baseledger._priced_usage
language plpgsql
stable
as $$
declare
  c_names constant jsonb := jsonb_build_object('model', p_model, 'variant', p_variant);
  c_step constant numeric := 10::numeric ^ (18 - p_scale);
  c_counts constant jsonb := case when jsonb_typeof(p_usage) = 'object'
    then p_usage - '{model,variant}'::text[] else '{}' end;
  v_price baseledger._price;
  v_known baseledger._price;
  v_reason jsonb;
  v_cost numeric;
begin
  if c_counts = '{}'
    or c_counts @? 'strict $.* ? (@.type() != "number" || @ < 0 || @ > 1000000000000)'
    or exists (select from jsonb_each(c_counts) as c where scale(c.value::numeric) > 0)
    or p_model is null
    or p_model not like '_%/_%'
    or p_model like '/%'
    or jsonb_typeof(p_usage -> 'model') <> 'string'
    or jsonb_typeof(p_usage -> 'variant') <> 'string'
  then
    return row(null, null, null, 'LGARG', baseledger._describe_argument('usage'))
      ::baseledger._priced_usage;
  end if;

  p_model := coalesce(baseledger._find_alias(p_model, p_at), p_model);
  v_price := baseledger._find_price(p_model, p_variant, baseledger._count_input(p_usage), p_at);
  if p_known <> v_price.price_id then
    -- A row of the same tier that was added while the call was being opened does not count.
    v_known := baseledger._read_price(p_known);
    if (v_known.model, v_known.variant, v_known.above) = (p_model, p_variant, v_price.above) then
      v_price := v_known;
    end if;
  end if;
  v_reason := case
    when v_price.price_id is null then jsonb_build_object('reason', case
      when exists (
        select from baseledger.price_rows r
          where r.provider || '/' || r.model = p_model and r.valid_from <= p_at
      ) then 'variant'
      else 'model'
    end)
    when c_counts - v_price.kinds <> '{}' then jsonb_build_object('reason', 'kind', 'kind', (
      select min(k) from jsonb_object_keys(c_counts - v_price.kinds) as k
    ))
    when v_price.currency <> p_unit then jsonb_build_object(
      'reason', 'currency', 'currency', v_price.currency, 'unit', p_unit
    )
    when p_scale < 6 then jsonb_build_object('reason', 'scale', 'scale', p_scale)
  end;
  if v_reason is not null then
    return row(null, null, null, 'LGPRC', v_reason || c_names)::baseledger._priced_usage;
  end if;
  v_cost := baseledger._cost(p_usage, v_price.kinds, v_price.rates, c_step);
  if v_cost > 9223372036854775807 then
    return row(
      v_price.price_id, null, null, 'LGARG', baseledger._describe_argument('usage')
    )::baseledger._priced_usage;
  end if;
  return row(v_price.price_id, p_model, v_cost, null, null)::baseledger._priced_usage;
end
$$;

revoke all on function baseledger._price_usage from public;
