-- The model and the variant that usage names, or else those of p_opening, the details of the event
-- that has opened its reservation. Null for what is no text: it has no price, and _price_usage says
-- why. A SQL function without settings, so that it is inlined.
create or replace function baseledger._name_model(p_usage jsonb, p_opening jsonb)
returns table (model text, variant text)
language sql
immutable
parallel safe
as $$
  select
      case
        when p_usage ? 'model' then p_usage ->> 'model'
        else coalesce(p_opening ->> 'model', p_opening -> 'usage' ->> 'model')
      end,
      case
        when p_usage ? 'variant'
          then case when pg_catalog.jsonb_typeof(p_usage -> 'variant') = 'string'
            then p_usage ->> 'variant'
          end
        else coalesce(p_opening -> 'usage' ->> 'variant', 'standard')
      end
$$;

revoke all on function baseledger._name_model from public;
