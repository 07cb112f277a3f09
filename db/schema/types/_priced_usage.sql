-- What usage costs in a wallet, or why it has no price.
--   model            provider/model, an alias resolved
--   refused, detail  LGARG or LGPRC
create type baseledger._priced_usage as (
  price_id bigint,
  model text,
  cost bigint,
  refused text,
  detail jsonb
);
