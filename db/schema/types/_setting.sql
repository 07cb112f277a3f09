-- A setting of the server, or of a login (whose) that uses the ledger.
create type baseledger._setting as (
  name text,
  value text,
  boot_value text,
  whose text,
  is_worker boolean
);
