-- Sets a price. Locks the catalogue against other writers until the transaction ends, not against
-- readers. Idempotent without a key: what holds already is not added again.
create or replace function baseledger.set_price(
  p_model text,
  p_rates jsonb,
  p_variant text default 'standard',
  p_above bigint default 0,
  p_valid_from timestamptz default null,
  p_currency text default 'USD',
  p_context_window bigint default null,
  p_max_output bigint default null,
  p_alias_of text default null,
  p_source text default null
)
returns baseledger.price
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
begin
  perform baseledger._require_operators_only(
    'baseledger.set_price(text,jsonb,text,bigint,timestamptz,text,bigint,bigint,text,text)'
  );
  -- Numbers and times are read under the lock: they are in the order of commits.
  lock table baseledger.price_rows in share row exclusive mode;
  return baseledger._add_price(
    baseledger._make_price(
      p_model, p_rates, p_variant, p_above, p_valid_from, p_currency, p_context_window,
      p_max_output, p_alias_of, p_source
    ),
    clock_timestamp(),
    (select max(r.price_id) from baseledger.price_rows r),
    null
  );
end
$$;

comment on function baseledger.set_price is
  e'Sets what a model costs, from now or a later time on, or what a name stands for. Returns the '
  'row that was added; nothing is added if the same holds already, and then its row is returned. '
  'Rows never change: what a call has cost can be computed again. A call has the price of the '
  'instant at which its reservation was opened. Refused with LGARG.'
  '\np_model: provider/model, such as openai/gpt-5; matched exactly. A name that has rates never '
  'becomes an alias, nor an alias a model.'
  '\np_rates: Kind of usage → whole nano-units (10^-9) of the currency per million, 0 to 10^18: '
  '$1.25 a million tokens are 1250000000, $10 per 1,000 searches are 10000000000000. A kind that '
  'is not named has no price; 0 = free. Null for an alias. @nullable'
  '\np_variant: standard, flex, batch, priority …'
  '\np_above: These rates hold for the whole request when its kinds of input (input…, cache_…) '
  'together exceed so many tokens.'
  '\np_valid_from: From when on they hold. A time before now, -infinity too, only for a variant of '
  'a model that has no price yet. Default: now.'
  '\np_currency: What the rates are in: the unit of the wallets that pay by them.'
  '\np_context_window: How many tokens the model takes in one request, input and output together. '
  'Default: unknown.'
  '\np_max_output: How many tokens it gives in one request at most. Default: unknown.'
  '\np_alias_of: The model that p_model stands for, in all variants; without rates and what '
  'belongs to them. Default: p_model is a model.'
  '\np_source: Where the price comes from, which goes on record. Default: not said.';
revoke all on function baseledger.set_price from public;
grant execute on function baseledger.set_price to baseledger_operator;
