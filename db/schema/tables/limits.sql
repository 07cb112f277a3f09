-- Limits: how much a wallet may use in a window, as a whole or for each combination of labels. What
-- was used is in counters.
create table baseledger.limits (
  wallet_id text collate "C" not null,
  limit_id text collate "C" not null,
  amount bigint,
  per text not null,
  by text[] not null,
  of text not null,
  time_zone text not null,
  hard boolean not null,
  alert_at integer[] not null,
  set_at timestamptz not null,
  set_seq bigint not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  counted_until timestamptz not null,
  constraint limits_pkey primary key (wallet_id, limit_id)
)
with (fillfactor = 70);

comment on table baseledger.limits is
  'How much a wallet may use in a window: as a whole, or for each combination of values of some '
  'labels.';
comment on column baseledger.limits.amount is
  'In the wallet''s smallest step, or a number of tokens, calls or open reservations; null: only '
  'combinations with an amount of their own are limited.';
comment on column baseledger.limits.set_at is
  'When it was first set, by the clock: it counts from there on.';
comment on column baseledger.limits.set_seq is 'The event that first set it.';
comment on column baseledger.limits.starts_at is
  'The window that it was last in, which is computed when the first event at or after its end comes.';
comment on column baseledger.limits.counted_until is
  'The latest end of any window that it was in. Windows before that are counted again from the '
  'journal when they come back, as after a clock that was ahead.';
