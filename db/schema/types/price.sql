-- A row of the catalogue of prices: those of the view prices.
create type baseledger.price as (
  price_id bigint,
  model text,
  variant text,
  above bigint,
  valid_from timestamptz,
  rates jsonb,
  currency text,
  context_window bigint,
  max_output bigint,
  alias_of text,
  source text,
  added_at timestamptz,
  added_by text
);
comment on type baseledger.price is 'What a model costs from an instant on; or an alias of a model.';
comment on column baseledger.price.price_id is 'Its number; later ones were added later. @notNull';
comment on column baseledger.price.model is 'The model, as provider/model; or the alias. @notNull';
comment on column baseledger.price.variant is
  'standard, flex, batch, priority …; null for an alias, which stands for all of them.';
comment on column baseledger.price.above is
  'The row holds for the whole request when its kinds of input together exceed so many tokens; 0 = '
  'for every request. @notNull';
comment on column baseledger.price.valid_from is
  'From when on it holds; -infinity = from ever. @notNull @fromEver';
comment on column baseledger.price.rates is
  'Kind of usage → whole nano-units (10^-9) of the currency per million; null for an alias.';
comment on column baseledger.price.currency is
  'What the rates are in, which a wallet that pays by them has as its unit; null for an alias.';
comment on column baseledger.price.context_window is
  'How many tokens the model takes in one request, input and output together, where known.';
comment on column baseledger.price.max_output is
  'How many tokens it gives in one request at most, where known.';
comment on column baseledger.price.alias_of is 'The model that the alias stands for; else null.';
comment on column baseledger.price.source is 'Where the row comes from, if that was said.';
comment on column baseledger.price.added_at is 'When it was added. @notNull';
comment on column baseledger.price.added_by is 'The role that added it. @notNull';
