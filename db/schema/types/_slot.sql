-- What a command in a limited wallet is counted by.
--   counters   positions of the counters of its reservation; null if a command before it opens that
--   opened_at  when its reservation was opened, by the clock; null if it is opened now
create type baseledger._slot as (
  counters integer[],
  opened_at timestamptz
);
