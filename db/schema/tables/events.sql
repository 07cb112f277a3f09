-- The journal. Fixed-width columns first: no padding. A row is some 190 bytes.
create table baseledger.events (
  seq bigint not null,
  amount bigint,
  available bigint not null,
  reserved bigint not null,
  spent bigint not null,
  occurred_at timestamptz not null,
  expires_at timestamptz,
  event baseledger.event_type not null,
  wallet_id text collate "C" not null,
  reservation_id text collate "C",
  idempotency_key text collate "C",
  actor text not null,
  metadata jsonb not null,
  details jsonb,
  hash bytea not null,
  constraint events_pkey primary key (wallet_id, seq)
)
with (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

comment on table baseledger.events is
  'The journal: append-only, numbered and hash-chained in each wallet. Each row holds the '
  'balances after it.';
comment on column baseledger.events.details is
  'What the event says beyond its columns: opened {unit, scale, overdraft_limit}, restricted {…, '
  'restricted: true}; reserved with p_at_least {requested, at_least}; extended with p_amount {hold}; '
  'settled in part {final: false}, after the deadline {late: true}; charged with p_already_spent '
  '{already_spent: true}; reserved, charged {labels} where they differ from the metadata; reserved, '
  'settled, charged by usage {usage, price}, and {model} where an alias was resolved; frozen, '
  'unfrozen, closed, reopened {reason}; transferred_out {to}, transferred_in {from, from_seq}; '
  'allowed {role, labels, free_labels}, disallowed {role}; key_created {key_id, labels, '
  'free_labels, expires_at, secret_sha256}, key_revoked {key_id}; overdraft_limit_set '
  '{overdraft_limit}, low_balance_set {amounts}; limit_set {limit_id, amount, per, by, of, '
  'time_zone, hard, alert_at}, limit_set_for {limit_id, values, amount}, limit_removed {limit_id}. '
  'Any event: {backlog: true} when more reservations were '
  'past their deadline than were expired with it; {ahead_us} when it is dated so many microseconds '
  'ahead of the server''s clock.';
comment on column baseledger.events.hash is
  'sha256(hash of the event before ‖ canonical encoding of this one), see docs/hash-chain.md.';

create unique index events_idempotency_key_idx on baseledger.events (wallet_id, idempotency_key)
  where idempotency_key is not null;

-- The life of a reservation, also after its end. Not unique: its events share the entry.
create index events_reservation_id_idx on baseledger.events (wallet_id, reservation_id)
  where reservation_id is not null;

-- Few events, many questions: was it frozen then, where did the funds go.
create index events_rare_idx on baseledger.events (wallet_id, seq)
  where event in ('frozen', 'unfrozen', 'transferred_out', 'transferred_in');

-- Without this, a table analysed while wallets were young says "one event a wallet", and look-ups
-- by key may walk a hot wallet's whole history through the primary key instead.
alter table baseledger.events alter column wallet_id set (n_distinct = 100);

-- Append-only by privilege first; the triggers also stop the owner. Always: also in a session that
-- replays a replica.
create trigger events_append_only before update or delete on baseledger.events
  for each row execute function baseledger.tg_events__append_only();
create trigger events_no_truncate before truncate on baseledger.events
  for each statement execute function baseledger.tg_events__append_only();
alter table baseledger.events enable always trigger events_append_only;
alter table baseledger.events enable always trigger events_no_truncate;
