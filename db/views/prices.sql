-- The catalogue of prices, with its history. Prices are no secret: every role reads them.
create or replace view baseledger.prices as
select
  r.price_id,
  r.provider || '/' || r.model as model,
  nullif(r.variant, '') as variant,
  r.above,
  r.valid_from,
  r.rates,
  r.currency,
  r.context_window,
  r.max_output,
  r.alias_of,
  r.source,
  r.added_at,
  r.added_by
from baseledger.price_rows r;

comment on view baseledger.prices is
  'What models cost: every price that was ever set, and aliases of models. Of the rows of a model '
  'and a variant that are valid, those count whose `above` is the highest that a request''s input '
  'exceeds; of these the one with the latest valid_from, then the one added last. rates are whole '
  'nano-units (10^-9) of the currency per million: $1.25 a million tokens are 1250000000.';
revoke all on baseledger.prices from public;
grant select on baseledger.prices
  to baseledger_agent, baseledger_operator, baseledger_auditor, baseledger_worker;
