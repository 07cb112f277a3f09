-- A wallet that baseledger._execute has locked, or is about to write.
--   swept                 what is due in it was looked up: next_deadline is to be read again
--   first, until          positions of its commands
--   first_due, until_due  positions of the expiries, if it was swept with others
--   has_more              more is due in it than was looked up
--   low_balances, below   amounts that alert when funds fall below them, and those that they are below
create type baseledger._locked_wallet as (
  wallet_id text,
  frozen boolean,
  overdraft_limit bigint,
  available bigint,
  reserved bigint,
  spent bigint,
  seq bigint,
  hash bytea,
  last_event_at timestamptz,
  next_deadline timestamptz,
  swept boolean,
  first integer,
  until integer,
  first_due integer,
  until_due integer,
  has_more boolean,
  restricted boolean,
  closed boolean,
  limited boolean,
  low_balances bigint[],
  below bigint[]
);
