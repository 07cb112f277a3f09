-- A right that differs from what it must be, and the statement that repairs it.
--   open  true when somebody may do what he must not; false when somebody lacks a right
create type baseledger._rights_difference as (
  object text,
  expected text,
  found text,
  open boolean,
  cure text
);
