-- What usage costs by the rates of a row, in steps of a wallet: the sum over its kinds, divided once
-- and rounded up. unknown: the first kind that has no rate; the cost is null then. The one place
-- where tokens become money. A SQL function without settings, so that it is inlined.
create or replace function baseledger._cost(
  p_usage jsonb,
  p_rates jsonb,                      -- 10^-15 of the currency for one
  p_step numeric                      -- of the wallet, in 10^-18 of its unit
)
returns table (cost numeric, unknown text)
language sql
immutable
parallel safe
as $$
  select
      case when pg_catalog.count(k.rate) = pg_catalog.count(*)
        then pg_catalog.div(pg_catalog.sum(k.count * k.rate) * 1000 + p_step - 1, p_step)
      end,
      pg_catalog.min(k.key) filter (where k.rate is null)
    from (
      select u.key, u.value::numeric as count, (p_rates -> u.key)::numeric as rate
        from pg_catalog.jsonb_each(p_usage) as u
        where u.key <> 'model' and u.key <> 'variant'
    ) as k
$$;

revoke all on function baseledger._cost from public;
