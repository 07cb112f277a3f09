-- The state of a reservation while baseledger._execute works on its wallet.
--   status   none (never opened) | open | expired | settled | cancelled, or unknown: not found by the
--            first look-up, to be found by _find_reservation when a command needs it
--   stored   where its row in reservations is; null if it has none. Nobody else moves the row, as the
--            wallet is locked, and the engine itself only inserts and deletes.
--   net      settled less refunded by the commands executed so far
--   changed  by the commands executed so far
create type baseledger._hold as (
  reservation_id text,
  status text,
  amount bigint,
  settled bigint,
  held bigint,
  expires_at timestamptz,
  stored tid,
  net bigint,
  ended_seq bigint,
  ended_at timestamptz,
  changed boolean
);
