-- The row of the catalogue that counts for usage of a model, and for what else it counts.
--   since, until        instants
--   above, until_above  tokens of input: more than the one, at most the other; null: any number
--   kinds, rates        of each kind, 10^-15 of the currency for one
--   details             of an event, but for the usage
create type baseledger._price as (
  price_id bigint,
  model text,
  variant text,
  since timestamptz,
  until timestamptz,
  above bigint,
  until_above bigint,
  currency text,
  kinds text[],
  rates numeric[],
  details jsonb
);
