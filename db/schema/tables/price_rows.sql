-- What models cost: the catalogue of prices, one for all wallets. Append-only: what a call has cost
-- can be computed again from the row that its event names. Rows are added one transaction after the
-- other, so that price_id is also their order.
--
-- The row that counts for a request is that of _find_price. A row either has rates, or is an alias:
-- a name has the one kind or the other, for ever.
create table baseledger.price_rows (
  price_id bigint not null,
  provider text collate "C" not null,
  model text collate "C" not null,
  variant text collate "C" not null,
  above bigint not null,
  valid_from timestamptz not null,
  rates jsonb,
  currency text,
  context_window bigint,
  max_output bigint,
  alias_of text collate "C",
  source text,
  added_at timestamptz not null,
  added_by text not null,
  constraint price_rows_pkey primary key (price_id)
);

comment on table baseledger.price_rows is
  'What models cost, and aliases of models: append-only. The latest row that is valid counts.';
comment on column baseledger.price_rows.variant is
  'standard, flex, batch, priority …; of an alias the empty text, as it stands for all of them.';
comment on column baseledger.price_rows.above is
  'The row holds for the whole request when its kinds of input together exceed so many tokens.';
comment on column baseledger.price_rows.rates is
  'Kind of usage → whole nano-units (10^-9) of the currency per million.';
comment on column baseledger.price_rows.alias_of is 'provider/model that the name stands for.';
comment on column baseledger.price_rows.source is
  'Where the row comes from, such as the seed of a date; null: an operator has set it.';

create index price_rows_model_idx on baseledger.price_rows
  (provider, model, variant, above, valid_from, price_id);

create trigger price_rows_append_only before update or delete on baseledger.price_rows
  for each row execute function baseledger.tg_events__append_only();
create trigger price_rows_no_truncate before truncate on baseledger.price_rows
  for each statement execute function baseledger.tg_events__append_only();
alter table baseledger.price_rows enable always trigger price_rows_append_only;
alter table baseledger.price_rows enable always trigger price_rows_no_truncate;
