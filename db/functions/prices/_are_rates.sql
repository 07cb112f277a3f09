-- Whether a JSON value has the rates of a price: 1 to 64 kinds of usage, each with a whole number
-- from 0 to 10^18.
create or replace function baseledger._are_rates(p_rates jsonb)
returns boolean
language plpgsql
immutable
as $$
begin
  return jsonb_typeof(p_rates) is not distinct from 'object' and (
    select count(*) between 1 and 64
        and bool_and(
          k.key collate "C" ~ '^[a-z][a-z0-9_]{0,62}$'
            and k.key not in ('model', 'variant')
            and k.rate between 0 and 1000000000000000000
            and scale(k.rate) = 0
        )
      from (
        select r.key,
            case when jsonb_typeof(r.value) = 'number' then r.value::numeric else -1 end as rate
          from jsonb_each(case when jsonb_typeof(p_rates) = 'object' then p_rates else '{}' end)
            as r
      ) as k
  );
end
$$;

revoke all on function baseledger._are_rates from public;
