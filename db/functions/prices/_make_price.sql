-- A price that is to be set, from arguments of which null means the default. An alias has neither a
-- variant nor a currency: it stands for all of them.
create or replace function baseledger._make_price(
  p_model text,
  p_rates jsonb,
  p_variant text,
  p_above bigint,
  p_valid_from timestamptz,
  p_currency text,
  p_context_window bigint,
  p_max_output bigint,
  p_alias_of text,
  p_source text
)
returns baseledger.price
language sql
immutable
as $$
  select row(
    null, p_model,
    case when p_alias_of is null
      then coalesce(p_variant, 'standard')
      else nullif(p_variant, 'standard')
    end,
    coalesce(p_above, 0), p_valid_from, p_rates,
    case when p_alias_of is null then coalesce(p_currency, 'USD') else nullif(p_currency, 'USD')
    end,
    p_context_window, p_max_output, p_alias_of, p_source, null, null
  )::baseledger.price
$$;

revoke all on function baseledger._make_price from public;
