-- What usage says, as far as it can be read without a price: the tokens of all its kinds of input,
-- which decide the tier, and whether its counts are whole numbers from 0 to 10^12, at least one of
-- them. A SQL function without settings, so that it is inlined.
create or replace function baseledger._read_usage(p_usage jsonb)
returns table (input numeric, valid boolean)
language sql
immutable
parallel safe
as $$
  select
      pg_catalog.sum(case when k.key like 'input%' or k.key like 'cache\_%' then k.count end),
      coalesce(
        pg_catalog.bool_and(
          k.count between 0 and 1000000000000 and pg_catalog.scale(k.count) = 0
        ),
        false
      )
    from (
      select u.key,
          case when pg_catalog.jsonb_typeof(u.value) = 'number' then u.value::numeric else -1
          end as count
        from pg_catalog.jsonb_each(p_usage) as u
        where u.key <> 'model' and u.key <> 'variant'
    ) as k
$$;

revoke all on function baseledger._read_usage from public;
