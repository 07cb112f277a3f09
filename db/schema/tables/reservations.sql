-- Open reservations: what the engine needs to know of them without reading the journal.
create table baseledger.reservations (
  wallet_id text collate "C" not null,
  reservation_id text collate "C" not null,
  amount bigint not null,
  settled bigint not null,
  held bigint not null,
  expires_at timestamptz not null,
  constraint reservations_pkey primary key (wallet_id, reservation_id)
)
with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

comment on table baseledger.reservations is
  'Open reservations only: a row goes when its reservation ends; the journal keeps its history.';
comment on column baseledger.reservations.amount is 'Granted in all, extensions included.';
comment on column baseledger.reservations.settled is 'Spent so far by partial settlements.';
comment on column baseledger.reservations.held is 'What it still holds of the wallet''s funds.';

-- Due reservations of one wallet. The predicate holds for every row; it is there so that only a
-- query which repeats it can use this index: look-ups by reservation id must take the primary key.
create index reservations_expires_at_idx on baseledger.reservations (wallet_id, expires_at)
  where expires_at < 'infinity';

-- Before PostgreSQL 17, a statement that names a wallet and an array of reservations is planned as
-- a walk over all that the wallet has open, unless there seem to be many. This says that there are,
-- as soon as the table has statistics.
alter table baseledger.reservations alter column wallet_id set (n_distinct = 1);
