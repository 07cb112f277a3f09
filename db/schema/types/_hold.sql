-- The state of a reservation while baseledger._execute works on its wallet.
--   status  new | unknown (to be looked up) | open | expired | settled | cancelled | none
--   stored  true while the row in reservations is as it is here
--   net     settled less refunded by the commands executed so far
create type baseledger._hold as (
  reservation_id text,
  status text,
  amount bigint,
  settled bigint,
  held bigint,
  expires_at timestamptz,
  stored boolean,
  net bigint,
  ended_seq bigint,
  ended_at timestamptz
);
