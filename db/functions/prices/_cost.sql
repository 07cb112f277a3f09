-- What usage costs by the rates of its kinds, in steps of a wallet: the sum over the kinds, divided
-- once and rounded up. Null, if it has a kind without a rate, or a count that is no whole number
-- from 0 to 10^12, or none at all. The one place where tokens become money.
create or replace function baseledger._cost(
  p_usage jsonb,
  p_kinds text[],
  p_rates numeric[],                  -- 10^-15 of the currency for one
  p_step numeric                      -- in 10^-18 of the wallet's unit
)
returns numeric
language plpgsql
immutable
as $$
declare
  v_value jsonb;
  v_sum numeric;
begin
  for v_k in 1 .. cardinality(p_kinds) loop
    v_value := p_usage -> p_kinds[v_k];
    continue when v_value is null;
    v_sum := coalesce(v_sum, 0) + case
      when jsonb_typeof(v_value) <> 'number' or scale(v_value::numeric) > 0 then null
      when v_value::numeric between 0 and 1000000000000 then p_rates[v_k] * v_value::numeric
    end;
    exit when v_sum is null;
  end loop;
  return case
    -- Perhaps it is no object.
    when v_sum is null then null
    when p_usage - p_kinds - '{model,variant}'::text[] = '{}'
      then div(v_sum * 1000 + p_step - 1, p_step)
  end;
end
$$;

revoke all on function baseledger._cost from public;
