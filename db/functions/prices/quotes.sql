-- Quotes many usages at once. What is plain is priced with the rates of the last price; whatever is
-- not goes through the whole rule, which says why it has no price.
create or replace function baseledger.quotes(
  p_usages jsonb,
  p_at timestamptz default null,
  p_scale integer default 9
)
returns setof baseledger.quote
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
  c_at constant timestamptz := coalesce(p_at, clock_timestamp());
  v_step numeric;
  v_usage record;
  v_name text;                        -- of a model, or an alias
  v_price baseledger._price;          -- its price
  v_row baseledger.price_rows;
  v_cost numeric;
begin
  if jsonb_typeof(p_usages) is distinct from 'array' or jsonb_array_length(p_usages) > 10000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('usages'));
  end if;
  perform baseledger._require_scale(p_scale);
  v_step := 10::numeric ^ (18 - p_scale);
  for v_usage in
    select e.place, e.usage, m.model, m.variant
      from jsonb_array_elements(p_usages) with ordinality as e (usage, place)
      cross join lateral baseledger._name_model(e.usage, null) as m
      order by e.place
  loop
    if (v_usage.model, v_usage.variant) is distinct from (v_name, v_price.variant) then
      v_name := v_usage.model;
      v_price := baseledger._find_named_price(v_name, v_usage.variant, c_at);
      select * into v_row from baseledger.price_rows r where r.price_id = v_price.price_id;
    end if;
    v_cost := case
      when v_price.price_id is not null and v_price.until_above is null and p_scale >= 6
        then baseledger._cost(v_usage.usage, v_price.kinds, v_price.rates, v_step)
    end;
    return next case when v_cost <= 9223372036854775807
      then row(
        v_cost, v_price.currency, p_scale, v_price.model, v_price.variant, v_price.price_id,
        v_row.context_window, v_row.max_output
      )::baseledger.quote
      else baseledger._quote(v_usage.usage, c_at, p_scale, v_usage.place)
    end;
  end loop;
end
$$;

comment on function baseledger.quotes is
  e'What each of many usages costs, in their order: what quote says of each. Refused with LGARG, '
  'LGPRC for the first that has no price; the detail has its place (from 1).'
  '\np_usages: A JSON array of at most 10,000 usages, as for quote. @type(Usage[])'
  '\np_at: By the prices of which instant; it may be a time to come. Default: now.'
  '\np_scale: Decimal digits of the smallest step, 6 to 18.';
revoke all on function baseledger.quotes from public;
grant execute on function baseledger.quotes
  to baseledger_agent, baseledger_operator, baseledger_auditor;
