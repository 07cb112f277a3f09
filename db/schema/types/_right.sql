-- A right that a role must have.
--   kind  schema | function | view
create type baseledger._right as (
  kind text,
  name text,
  grantee text,
  privilege text
);
