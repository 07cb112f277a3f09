-- Sets prices, all or none of them. Locks the catalogue like set_price.
create or replace function baseledger.set_prices(p_prices jsonb, p_source text default null)
returns setof baseledger.price
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_now timestamptz;
  v_known bigint;
  v_last bigint;
  v_given record;
  v_field text;
  v_price baseledger.price;
begin
  perform baseledger._require_operators_only('baseledger.set_prices(jsonb,text)');
  if jsonb_typeof(p_prices) is distinct from 'array'
    or jsonb_array_length(p_prices) > 10000
    or p_prices @? 'strict $[*] ? (@.type() != "object")'
  then
    perform baseledger._raise('LGARG', baseledger._describe_argument('prices'));
  end if;
  lock table baseledger.price_rows in share row exclusive mode;
  v_now := clock_timestamp();
  v_known := (select max(r.price_id) from baseledger.price_rows r);
  v_last := coalesce(v_known, 0);
  for v_given in
    select e.place, e.price from jsonb_array_elements(p_prices) with ordinality as e (price, place)
  loop
    v_field := baseledger._find_unreadable_field(v_given.price);
    if v_field is not null then
      perform baseledger._refuse_price(v_field, v_given.place);
    end if;
    v_price := baseledger._add_price(
      baseledger._make_price(
        v_given.price ->> 'model',
        nullif(v_given.price -> 'rates', 'null'),
        v_given.price ->> 'variant',
        baseledger._parse_bigint(v_given.price -> 'above'),
        baseledger._read_valid_from(v_given.price -> 'valid_from'),
        v_given.price ->> 'currency',
        baseledger._parse_bigint(v_given.price -> 'context_window'),
        baseledger._parse_bigint(v_given.price -> 'max_output'),
        v_given.price ->> 'alias_of',
        p_source
      ),
      v_now, v_known, v_given.place
    );
    if v_price.price_id > v_last then
      v_last := v_price.price_id;
      return next v_price;
    end if;
  end loop;
end
$$;

comment on function baseledger.set_prices is
  e'Sets prices, all or none of them, in their order: an alias may stand for a model that comes '
  'before it. Returns the rows that were added, without those that held already. Refused with '
  'LGARG, whose detail has the place (from 1) of the price.'
  '\np_prices: A JSON array of at most 10,000 objects with the arguments of set_price without p_ '
  '(but for p_source): {"model": "openai/gpt-5", "rates": {"input": 1250000000}}. A time is ISO '
  '8601, in UTC where it has no offset, or -infinity.'
  '\np_source: Where the prices come from, which goes on record with each. Default: not said.';
revoke all on function baseledger.set_prices from public;
grant execute on function baseledger.set_prices to baseledger_operator;
