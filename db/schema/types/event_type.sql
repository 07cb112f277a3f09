-- The names of events. New ones are added at the end: the order is part of no rule.
create type baseledger.event_type as enum (
  'opened', 'credited', 'withdrawn', 'reserved', 'settled', 'cancelled', 'expired', 'extended',
  'charged', 'refunded', 'transferred_out', 'transferred_in', 'frozen', 'unfrozen', 'allowed',
  'disallowed', 'key_created', 'key_revoked', 'limit_set', 'limit_set_for', 'limit_removed',
  'overdraft_limit_set', 'low_balance_set', 'closed', 'reopened'
);
comment on type baseledger.event_type is 'What an event of the journal says has happened.';
