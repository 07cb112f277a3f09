-- What usage costs.
create type baseledger.quote as (
  amount bigint,
  currency text,
  scale integer,
  model text,
  variant text,
  price_id bigint,
  context_window bigint,
  max_output bigint
);
comment on type baseledger.quote is 'What usage costs, and by which price.';
comment on column baseledger.quote.amount is
  'The cost, rounded up to the smallest step of a wallet of this scale. @notNull';
comment on column baseledger.quote.currency is 'What the amount is in, such as USD. @notNull';
comment on column baseledger.quote.scale is 'Decimal digits of the smallest step. @notNull';
comment on column baseledger.quote.model is 'The model, as provider/model; no alias. @notNull';
comment on column baseledger.quote.variant is 'Its variant. @notNull';
comment on column baseledger.quote.price_id is 'The price that counted. @notNull';
comment on column baseledger.quote.context_window is
  'How many tokens the model takes in one request, input and output together, where known.';
comment on column baseledger.quote.max_output is
  'How many tokens it gives in one request at most, where known.';
