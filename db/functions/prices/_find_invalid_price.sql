-- The first field of a price that is not allowed, whatever the catalogue has; null if all are. An
-- alias has a name, the model that it stands for, and when: all else must be as it is by default,
-- which _make_price has left out.
create or replace function baseledger._find_invalid_price(p_price baseledger.price)
returns text
language plpgsql
immutable
as $$
begin
  return case
    when not baseledger._is_model_name(p_price.model)
      then 'model'
    when p_price.alias_of is not null and not baseledger._is_model_name(p_price.alias_of)
      then 'alias_of'
    when case when p_price.alias_of is null
        then not baseledger._are_rates(p_price.rates)
        else p_price.rates is not null
      end
      then 'rates'
    when case when p_price.alias_of is null
        then p_price.variant = ''
          or length(p_price.variant) > 255
          or baseledger._is_ambiguous_name(p_price.variant)
        else p_price.variant is not null
      end
      then 'variant'
    when p_price.above < 0 or p_price.above > 0 and p_price.alias_of is not null
      then 'above'
    when p_price.valid_from = 'infinity'
      then 'valid_from'
    when case when p_price.alias_of is null
        then p_price.currency = ''
          or length(p_price.currency) > 16
          or baseledger._is_ambiguous_name(p_price.currency)
        else p_price.currency is not null
      end
      then 'currency'
    when p_price.context_window < 1
      or p_price.context_window is not null and p_price.alias_of is not null
      then 'context_window'
    when p_price.max_output < 1
      or p_price.max_output is not null and p_price.alias_of is not null
      then 'max_output'
    when p_price.source = ''
      or length(p_price.source) > 255
      or baseledger._is_ambiguous_name(p_price.source)
      then 'source'
  end;
end
$$;

revoke all on function baseledger._find_invalid_price from public;
