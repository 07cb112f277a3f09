-- What a command does to its wallet, as its event records it: the amount, and the change of each
-- balance.
create type baseledger._move as (
  event baseledger.event_type,
  amount bigint,
  available bigint,
  reserved bigint,
  spent bigint,
  expires_at timestamptz,
  details jsonb
);
