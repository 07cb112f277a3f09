-- The row of the catalogue that counts for a request: of the rows of its model and variant that are
-- valid at the instant, those with the highest `above` that its input exceeds; of these the latest
-- valid_from, then the latest added. No row, if there is none, or the name is an alias: see
-- _find_alias. A SQL function without settings, so that it is inlined.
create or replace function baseledger._find_price(
  p_model text,                       -- provider/model
  p_variant text,
  p_input numeric,                    -- tokens of all kinds of input
  p_at timestamptz
)
returns table (price_id bigint, above bigint, rates jsonb, currency text)
language sql
stable
as $$
  select r.price_id, r.above, r.rates, r.currency
    from baseledger.price_rows r
    where r.provider = pg_catalog.split_part(p_model, '/', 1)
      and r.model = pg_catalog.substr(p_model, pg_catalog.strpos(p_model, '/') + 1)
      and r.variant = p_variant
      and r.above < greatest(p_input, 1)
      and r.valid_from <= p_at
    order by r.provider desc, r.model desc, r.variant desc, r.above desc, r.valid_from desc,
      r.price_id desc
    limit 1
$$;

revoke all on function baseledger._find_price from public;
