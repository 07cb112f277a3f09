-- Funds of one payer, with the balances after its last event.
--
-- Private, as every table: no role but the owner can touch it. Ids and keys compare bytewise
-- (collate "C"), the same on every server. No other table has a foreign key to this one: the only
-- writer holds the wallet's row lock, and checking every event would cost more than writing it;
-- verify() finds what a foreign key would. No CHECKs: PostgreSQL prepares them again for each
-- statement, a tenth of a single command's time; _execute looks at what it is about to write
-- instead.
create table baseledger.wallets (
  wallet_id text collate "C" not null,
  unit baseledger._unit not null,
  scale baseledger._scale not null,
  overdraft_limit baseledger._overdraft_limit,
  frozen boolean not null default false,
  available bigint not null default 0,
  reserved bigint not null default 0,
  spent bigint not null default 0,
  seq bigint not null default 0,
  hash bytea not null,
  last_event_at timestamptz not null,
  next_deadline timestamptz,
  restricted boolean not null default false,
  closed boolean not null default false,
  limited boolean not null default false,
  low_balances bigint[],
  below bigint[],
  constraint wallets_pkey primary key (wallet_id)
)
-- Room on each page for the next version of a row: updates stay heap-only.
with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

comment on table baseledger.wallets is
  'Funds of one payer, with the balances after its last event. The row is the wallet''s lock.';
comment on column baseledger.wallets.hash is 'Hash of the last event: the head of the chain.';
comment on column baseledger.wallets.next_deadline is
  'No open reservation has an earlier deadline; null if none is open. May be too early (it is '
  'corrected when it is reached), never too late, so that most commands do not look for due ones.';

comment on column baseledger.wallets.restricted is
  'Only those who have a grant or a key may use it; once restricted, always restricted.';
comment on column baseledger.wallets.closed is 'Nothing new is reserved, charged or credited.';
comment on column baseledger.wallets.limited is 'It has rows in limits.';
comment on column baseledger.wallets.low_balances is
  'Amounts that alert when available + reserved falls below them.';
comment on column baseledger.wallets.below is 'Those of low_balances that it is below.';

-- For the sweep: wallets in order of what is due in them. next_deadline changes seldom, so that
-- updates of the balances stay heap-only in spite of it.
create index wallets_next_deadline_idx on baseledger.wallets (next_deadline)
  where next_deadline is not null;
