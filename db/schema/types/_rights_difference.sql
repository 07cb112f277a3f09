-- A right that differs from what it must be, and the statement that repairs it.
--   open  true: somebody may do what must not be allowed; false: somebody lacks a right
create type baseledger._rights_difference as (
  object text,
  expected text,
  found text,
  open boolean,
  cure text
);
