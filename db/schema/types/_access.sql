-- Who calls, as far as one wallet is concerned.
--   allowed      may use the wallet
--   labels       fixed labels of the grant or key: every reservation that it opens has them, and it
--                sees only those that do
--   free_labels  labels that it may choose itself, as metadata; {*} for all
--   actor        who it is, as events record it
create type baseledger._access as (
  allowed boolean,
  labels jsonb,
  free_labels text[],
  actor text
);
