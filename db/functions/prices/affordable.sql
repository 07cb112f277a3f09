-- How many tokens of output an amount pays. With the rest at R and the output at r, in 10^-15 of
-- the currency, n tokens cost ceil((R + n r) × 1000 / step): at most the amount exactly if
-- (R + n r) × 1000 <= amount × step, as the amount is whole.
create or replace function baseledger.affordable(
  p_usage jsonb,
  p_amount bigint,
  p_at timestamptz default null,
  p_scale integer default 9
)
returns bigint
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  -- Its own output decides nothing, not even the tier.
  c_rest constant jsonb := case when jsonb_typeof(p_usage) = 'object'
    then p_usage || '{"output": 0}'
    else p_usage
  end;
  v_priced baseledger._priced_usage;
  v_price baseledger._price;
  v_most bigint;
  v_left numeric;
begin
  if p_amount is null then
    perform baseledger._raise('LGARG', baseledger._describe_argument('amount'));
  end if;
  perform baseledger._require_scale(p_scale);
  v_priced := baseledger._require_price(c_rest, coalesce(p_at, clock_timestamp()), p_scale, null);
  v_price := baseledger._read_price(v_priced.price_id);
  select coalesce(r.max_output, 1000000000000) into v_most
    from baseledger.price_rows r
    where r.price_id = v_priced.price_id;
  v_left := p_amount * 10::numeric ^ (18 - p_scale)
    - baseledger._cost(c_rest, v_price.kinds, v_price.rates, 1000) * 1000;
  return case
    when v_left < 0 then 0
    when v_price.rates[array_position(v_price.kinds, 'output')] = 0 then v_most
    else least(
      div(v_left, v_price.rates[array_position(v_price.kinds, 'output')] * 1000), v_most
    )
  end;
end
$$;

comment on function baseledger.affordable is
  e'How many tokens of output an amount pays beside the other kinds of the usage: the largest '
  'number whose cost is not above it, and at most what the model gives (max_output). 0 if not even '
  'the rest is paid. Where the output is free, max_output, or 10^12 if that is unknown. Refused '
  'with LGARG, LGPRC. @notNull'
  '\np_usage: As for quote; its own output is left out. @type(Usage)'
  '\np_amount: In the smallest step of p_scale; 0 or less pays only what is free.'
  '\np_at: By the prices of which instant; it may be a time to come. Default: now.'
  '\np_scale: Decimal digits of the smallest step, 6 to 18.';
revoke all on function baseledger.affordable from public;
grant execute on function baseledger.affordable
  to baseledger_agent, baseledger_operator, baseledger_auditor;
