-- Adds a price to the catalogue, which the caller has locked; or returns the row that says the same
-- already: what would count then would not change. Whatever a call may have been priced by stays:
-- only a model that had no price until this call gets one for the past.
create or replace function baseledger._add_price(
  p_price baseledger.price,
  p_now timestamptz,
  p_known bigint,                     -- the last row from before this call
  p_place bigint
)
returns baseledger.price
language plpgsql
volatile
as $$
declare
  c_provider constant text := split_part(p_price.model, '/', 1);
  c_model constant text := substr(p_price.model, strpos(p_price.model, '/') + 1);
  c_variant constant text := coalesce(p_price.variant, '');
  v_field text := coalesce(
    baseledger._find_invalid_price(p_price), baseledger._find_wrong_name(p_price)
  );
  v_last baseledger.price;
begin
  if v_field is not null then
    perform baseledger._refuse_price(v_field, p_place);
  end if;

  select r.price_id, p_price.model, p_price.variant, r.above, r.valid_from, r.rates, r.currency,
      r.context_window, r.max_output, r.alias_of, r.source, r.added_at, r.added_by
    into v_last
    from baseledger.price_rows r
    where r.provider = c_provider
      and r.model = c_model
      and r.variant = c_variant
      and r.above = p_price.above
      and (p_price.valid_from is null or r.valid_from = p_price.valid_from)
    order by r.provider desc, r.model desc, r.variant desc, r.above desc, r.valid_from desc,
      r.price_id desc
    limit 1;
  if found
    and (p_price.valid_from is not null or v_last.valid_from <= p_now)
    and row(v_last.rates, v_last.currency, v_last.context_window, v_last.max_output,
        v_last.alias_of)
      is not distinct from row(p_price.rates, p_price.currency, p_price.context_window,
        p_price.max_output, p_price.alias_of)
  then
    return v_last;
  end if;

  if p_price.valid_from < p_now and exists (
    select from baseledger.price_rows r
      where r.provider = c_provider
        and r.model = c_model
        and r.variant = c_variant
        and r.price_id <= p_known
  ) then
    perform baseledger._refuse_price('valid_from', p_place);
  end if;
  p_price.price_id := coalesce((select max(r.price_id) from baseledger.price_rows r), 0) + 1;
  p_price.valid_from := coalesce(p_price.valid_from, p_now);
  p_price.added_at := p_now;
  p_price.added_by := baseledger._describe_actor(null);
  insert into baseledger.price_rows (
      price_id, provider, model, variant, above, valid_from, rates, currency, context_window,
      max_output, alias_of, source, added_at, added_by
    )
    values (
      p_price.price_id, c_provider, c_model, c_variant, p_price.above, p_price.valid_from,
      p_price.rates, p_price.currency, p_price.context_window, p_price.max_output,
      p_price.alias_of, p_price.source, p_price.added_at, p_price.added_by
    );
  return p_price;
end
$$;

revoke all on function baseledger._add_price from public;
