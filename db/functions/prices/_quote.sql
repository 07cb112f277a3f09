-- Quotes usage by the whole rule, or raises why it has no price.
create or replace function baseledger._quote(
  p_usage jsonb,
  p_at timestamptz,
  p_scale integer,
  p_place bigint
)
returns baseledger.quote
language plpgsql
stable
as $$
declare
  v_priced baseledger._priced_usage;
  v_quote baseledger.quote;
begin
  perform baseledger._require_scale(p_scale);
  v_priced := baseledger._require_price(p_usage, p_at, p_scale, p_place);
  select v_priced.cost, r.currency, p_scale, v_priced.model, r.variant, r.price_id,
      r.context_window, r.max_output
    into strict v_quote
    from baseledger.price_rows r
    where r.price_id = v_priced.price_id;
  return v_quote;
end
$$;

revoke all on function baseledger._quote from public;
