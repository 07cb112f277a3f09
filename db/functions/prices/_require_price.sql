-- Prices usage by the whole rule, or raises why it has no price; p_place is its place among
-- several.
create or replace function baseledger._require_price(
  p_usage jsonb,
  p_at timestamptz,
  p_scale integer,
  p_place bigint
)
returns baseledger._priced_usage
language plpgsql
stable
as $$
declare
  c_priced constant baseledger._priced_usage := baseledger._price_usage(
    p_usage, p_usage ->> 'model', coalesce(p_usage ->> 'variant', 'standard'), p_at, null, null,
    p_scale
  );
begin
  if c_priced.refused is not null then
    perform baseledger._raise(
      c_priced.refused, c_priced.detail || jsonb_strip_nulls(jsonb_build_object('place', p_place))
    );
  end if;
  return c_priced;
end
$$;

revoke all on function baseledger._require_price from public;
