-- A counter of a limit while baseledger._execute works on its wallet.
--   amount         its own or the limit's; null: not limited
--   starts_at, …   the window that spent is of
--   counted_at     the start of the window that its row is of; null: it has none
--   counted_until  see limits
--   next_alert     what is spent when the next alert is due; null: none
--   alerted        the highest percentage that was alerted in this window; 0: none
--   rolled         its window is not the one on record
--   changed        by the commands executed so far
create type baseledger._counter as (
  limit_id text,
  label_values text[],
  per text,
  of text,
  time_zone text,
  hard boolean,
  amount numeric,
  alert_at integer[],
  spent numeric,
  held numeric,
  starts_at timestamptz,
  ends_at timestamptz,
  set_at timestamptz,
  counted_at timestamptz,
  counted_until timestamptz,
  next_alert numeric,
  alerted integer,
  rolled boolean,
  changed boolean
);
