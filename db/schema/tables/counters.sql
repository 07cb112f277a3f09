-- What a combination of labels has used of a limit.
create table baseledger.counters (
  wallet_id text collate "C" not null,
  limit_id text collate "C" not null,
  label_values text[] collate "C" not null,
  own_amount bigint,
  spent numeric not null,
  held numeric not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  alerted integer not null default 0,
  constraint counters_pkey primary key (wallet_id, limit_id, label_values)
)
-- Room on each page for the next version of a row: updates stay heap-only.
with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

comment on table baseledger.counters is
  'What each combination of values of a limit''s labels has used in its window.';
comment on column baseledger.counters.own_amount is
  'Its own amount, in place of the limit''s; null: it has none.';
comment on column baseledger.counters.spent is
  'What the events of this window have spent, or the calls that were opened in it.';
comment on column baseledger.counters.held is
  'What its open reservations hold, whenever they were opened; or how many are open.';
comment on column baseledger.counters.alerted is
  'The highest percentage that was alerted in this window; 0: none.';

-- For clearing those of past windows. Neither column changes with what is counted, so that updates
-- stay heap-only.
create index counters_ends_at_idx on baseledger.counters (ends_at)
  where ends_at < 'infinity' and own_amount is null;
