-- Quotes many usages at once. What is plain is priced by one query; whatever is not goes through
-- the whole rule, which says why it has no price.
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
  v_usage record;
begin
  if jsonb_typeof(p_usages) is distinct from 'array' or jsonb_array_length(p_usages) > 10000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('usages'));
  end if;
  perform baseledger._require_scale(p_scale);
  for v_usage in
    select c.place, c.usage, a.model, c.variant, p.price_id, p.currency, r.context_window,
        r.max_output, k.cost
      from (
        select e.place, e.usage,
            case when jsonb_typeof(e.usage -> 'model') = 'string' then e.usage ->> 'model' end
              as name,
            case jsonb_typeof(e.usage -> 'variant')
              when 'string' then e.usage ->> 'variant'
              else case when e.usage -> 'variant' is null then 'standard' end
            end as variant
          from jsonb_array_elements(p_usages) with ordinality as e (usage, place)
          offset 0
      ) as c
      cross join lateral (
        select coalesce(baseledger._find_alias(c.name, c_at), c.name) as model offset 0
      ) as a
      cross join lateral baseledger._read_usage(
        case when jsonb_typeof(c.usage) = 'object' then c.usage else '{}' end
      ) as u
      left join lateral baseledger._find_price(
        a.model, c.variant, u.input, c_at
      ) as p on u.valid and p_scale >= 6
      left join baseledger.price_rows r on r.price_id = p.price_id
      left join lateral baseledger._cost(
        case when p.price_id is not null then c.usage else '{}' end, p.rates,
        10::numeric ^ (18 - p_scale)
      ) as k on true
      order by c.place
  loop
    return next case when v_usage.cost <= 9223372036854775807
      then row(
        v_usage.cost, v_usage.currency, p_scale, v_usage.model, v_usage.variant, v_usage.price_id,
        v_usage.context_window, v_usage.max_output
      )::baseledger.quote
      else baseledger._quote(v_usage.usage, c_at, p_scale, v_usage.place)
    end;
  end loop;
end
$$;

comment on function baseledger.quotes is
  e'What each of many usages costs, in their order: what quote says of each. Refused with LGARG, '
  'LGPRC for the first that has no price; the detail has its place (from 1).'
  '\np_usages: A JSON array of at most 10,000 usages, as for quote.'
  '\np_at: By the prices of which instant; it may be a time to come. Default: now.'
  '\np_scale: Decimal digits of the smallest step, 6 to 18.';
revoke all on function baseledger.quotes from public;
grant execute on function baseledger.quotes
  to baseledger_agent, baseledger_operator, baseledger_auditor;
