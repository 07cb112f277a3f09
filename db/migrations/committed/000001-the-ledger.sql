--! Previous: -
--! Hash: sha1:b615c3c2896458166e5593a4c69f1eb87bbc0725
--! Message: The ledger

-- The ledger: types, tables, functions and views, each in a file of its own.

--! Included schema/privileges.sql
-- The schema, before anything is in it. Runs as baseledger_owner, who owns it.

-- Nothing is open to the public unless a file says so. (Not `in schema`: a default there can only
-- add to what the public has anyway.)
alter default privileges revoke execute on functions from public;
revoke all on schema baseledger from public;
grant usage on schema baseledger
  to baseledger_agent, baseledger_operator, baseledger_auditor, baseledger_worker;

-- The arguments that mean the same in every function that has them.
comment on schema baseledger is
  e'The ledger: wallets, reservations, and a hash-chained journal. The comment of a function says '
  'what it does; its arguments are, unless its comment says otherwise:\n'
  'p_wallet_id: Id of the wallet.\n'
  'p_amount: In the wallet''s smallest step, above 0.\n'
  'p_idempotency_key: The caller''s name for the command, unique in its wallet: sent again with '
  'it, the command is carried out once.\n'
  'p_reservation_id: Name of the reservation in its wallet.\n'
  'p_at_least: The smallest amount to grant if p_amount is not available. Default: p_amount.\n'
  'p_final: Whether the rest is given back; false books a part and keeps the rest reserved.\n'
  'p_metadata: A JSON object of at most 16 KiB, which goes on record with the event.\n'
  'p_reason: Why, in 1 to 1000 characters; goes on record.\n'
  'p_unit: What amounts are of, such as USD or tokens.\n'
  'p_scale: Decimal digits of the smallest step, 0 to 18.\n'
  'p_overdraft_limit: How far below zero settlements may take available; 0 = not at all. '
  'Default: without limit.\n'
  'p_at: The instant; after now means now.\n'
  'p_limit: How many at most, 1 to 100,000.';
--! EndIncluded schema/privileges.sql
--! Included schema/types/_overdraft_limit.sql
-- How far settlements may take available below zero. A domain for the reason given in _unit.sql.
create domain baseledger._overdraft_limit as bigint check (value >= 0);
--! EndIncluded schema/types/_overdraft_limit.sql
--! Included schema/types/_scale.sql
-- The scale of a wallet: decimal digits of its smallest step. A domain for the reason given in
-- _unit.sql.
create domain baseledger._scale as smallint check (value between 0 and 18);
--! EndIncluded schema/types/_scale.sql
--! Included schema/types/_unit.sql
-- The unit of a wallet. It never changes, so its check is a domain's: PostgreSQL evaluates the
-- checks of a table again with every change of a balance.
create domain baseledger._unit as text check (btrim(value) <> '' and length(value) <= 255);
--! EndIncluded schema/types/_unit.sql
--! Included schema/types/event_type.sql
-- The names of events. New ones are added at the end: the order is part of no rule.
create type baseledger.event_type as enum (
  'opened', 'credited', 'withdrawn', 'reserved', 'settled', 'cancelled', 'expired', 'extended',
  'charged', 'refunded', 'transferred_out', 'transferred_in', 'frozen', 'unfrozen'
);
comment on type baseledger.event_type is 'What an event of the journal says has happened.';
--! EndIncluded schema/types/event_type.sql
--! Included schema/types/_command.sql
-- A command on its way into baseledger._execute: one of a batch, a single one, or an expiry.
--   details          what goes into events.details as it is: the reason of a freeze, the other
--                    wallet of a transfer, the terms of an opening
--   due_at           of an expiry: the deadline that has passed
--   refused, detail  set when the command could not be parsed, or has an invalid argument
--   key_at           position of the first command of the batch with the same idempotency key
--   hold_at          position of the first command of the batch with the same reservation
create type baseledger._command as (
  op text,
  idempotency_key text,
  reservation_id text,
  amount bigint,
  at_least bigint,
  ttl interval,
  final boolean,
  metadata jsonb,
  details jsonb,
  due_at timestamptz,
  refused text,
  detail jsonb,
  key_at integer,
  hold_at integer
);
--! EndIncluded schema/types/_command.sql
--! Included schema/types/_hold.sql
-- The state of a reservation while baseledger._execute works on its wallet.
--   status  none (never opened) | open | expired | settled | cancelled, or unknown: not found by the
--           first look-up, to be found by _find_reservation when a command needs it
--   stored  true while the row in reservations is as it is here
--   net     settled less refunded by the commands executed so far
create type baseledger._hold as (
  reservation_id text,
  status text,
  amount bigint,
  settled bigint,
  held bigint,
  expires_at timestamptz,
  stored boolean,
  net bigint,
  ended_seq bigint,
  ended_at timestamptz
);
--! EndIncluded schema/types/_hold.sql
--! Included schema/types/_move.sql
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
--! EndIncluded schema/types/_move.sql
--! Included schema/types/_right.sql
-- A right that a role must have.
--   kind  schema | function | view
create type baseledger._right as (
  kind text,
  name text,
  grantee text,
  privilege text
);
--! EndIncluded schema/types/_right.sql
--! Included schema/types/_rights_difference.sql
-- A right that differs from what it must be, and the statement that repairs it.
--   open  true: somebody may do what must not be allowed; false: somebody lacks a right
create type baseledger._rights_difference as (
  object text,
  expected text,
  found text,
  open boolean,
  cure text
);
--! EndIncluded schema/types/_rights_difference.sql
--! Included schema/types/_setting.sql
-- A setting of the server, or of a login (whose) that uses the ledger.
create type baseledger._setting as (
  name text,
  value text,
  boot_value text,
  whose text,
  is_worker boolean
);
--! EndIncluded schema/types/_setting.sql
--! Included schema/types/diagnosis.sql
-- A row of doctor.
create type baseledger.diagnosis as (
  "check" text,
  status text,
  found text,
  expected text,
  advice text
);
comment on type baseledger.diagnosis is 'What the doctor says of one thing.';
comment on column baseledger.diagnosis."check" is 'What was looked at. @notNull';
comment on column baseledger.diagnosis.status is 'fine, warning or wrong. @notNull';
comment on column baseledger.diagnosis.found is 'How it is. @notNull';
comment on column baseledger.diagnosis.expected is 'How it should be; null if that is not known.';
comment on column baseledger.diagnosis.advice is 'What to do; null if it is fine.';
--! EndIncluded schema/types/diagnosis.sql
--! Included schema/types/discrepancy.sql
-- A row of verify and verify_rights.
create type baseledger.discrepancy as (
  wallet_id text,
  seq bigint,
  "check" text,
  expected text,
  found text
);
comment on type baseledger.discrepancy is 'Something in the ledger that does not hold.';
comment on column baseledger.discrepancy.wallet_id is
  'The wallet; null when it concerns the rights of the whole ledger.';
comment on column baseledger.discrepancy.seq is
  'The event at which it shows; null when it concerns the wallet or a live reservation.';
comment on column baseledger.discrepancy."check" is 'Which check failed. @notNull';
comment on column baseledger.discrepancy.expected is 'What the journal implies.';
comment on column baseledger.discrepancy.found is 'What is stored.';
--! EndIncluded schema/types/discrepancy.sql
--! Included schema/types/receipt.sql
-- What every command returns.
create type baseledger.receipt as (
  wallet_id text,
  seq bigint,
  event baseledger.event_type,
  reservation_id text,
  amount bigint,
  available bigint,
  reserved bigint,
  spent bigint,
  expires_at timestamptz,
  occurred_at timestamptz,
  idempotency_key text,
  replayed boolean,
  refused text,
  detail jsonb
);
comment on type baseledger.receipt is
  'The answer to a command. Of a granted command it shows the event that was written, with the '
  'balances right after it; a retry gets the same receipt with replayed = true. Of a refused '
  'command in a batch it shows the code in refused and the reason in detail, and no event.';
comment on column baseledger.receipt.wallet_id is 'The wallet. @notNull';
comment on column baseledger.receipt.seq is
  'Number of the event in its wallet: 1, 2, 3 … without gaps. Null when refused.';
comment on column baseledger.receipt.event is 'What happened. Null when refused.';
comment on column baseledger.receipt.reservation_id is
  'The reservation, for the events that have one.';
comment on column baseledger.receipt.amount is
  'What was moved, in the wallet''s smallest step: granted, settled, released … For extended the '
  'change of the hold, which may be negative. Null for events that move nothing.';
comment on column baseledger.receipt.available is 'Available balance right after the event.';
comment on column baseledger.receipt.reserved is 'Reserved balance right after the event.';
comment on column baseledger.receipt.spent is 'Spent balance right after the event.';
comment on column baseledger.receipt.expires_at is
  'The deadline of the reservation, if the event leaves it open; of expired the one that passed.';
comment on column baseledger.receipt.occurred_at is
  'When it happened, by the database''s clock; strictly increasing in a wallet.';
comment on column baseledger.receipt.idempotency_key is 'The caller''s name for the command.';
comment on column baseledger.receipt.replayed is
  'True when this command had been carried out before, and nothing was done now. @notNull';
comment on column baseledger.receipt.refused is
  'In a batch: the SQLSTATE of the refusal (LG…), else null.';
comment on column baseledger.receipt.detail is 'In a batch: why it was refused, for a program.';
--! EndIncluded schema/types/receipt.sql
--! Included schema/types/statement_line.sql
-- A row of statement.
create type baseledger.statement_line as (
  seq bigint,
  occurred_at timestamptz,
  event baseledger.event_type,
  reservation_id text,
  amount bigint,
  available bigint,
  reserved bigint,
  spent bigint,
  expires_at timestamptz,
  idempotency_key text,
  actor text,
  metadata jsonb,
  details jsonb
);
comment on type baseledger.statement_line is 'One event of a wallet, with the balances after it.';
comment on column baseledger.statement_line.seq is 'Number of the event in its wallet. @notNull';
comment on column baseledger.statement_line.occurred_at is 'When it happened. @notNull';
comment on column baseledger.statement_line.event is 'What happened. @notNull';
comment on column baseledger.statement_line.reservation_id is 'The reservation, if it has one.';
comment on column baseledger.statement_line.amount is
  'What was moved, in the wallet''s smallest step; null where nothing moves.';
comment on column baseledger.statement_line.available is 'Available after it. @notNull';
comment on column baseledger.statement_line.reserved is 'Reserved after it. @notNull';
comment on column baseledger.statement_line.spent is 'Spent after it. @notNull';
comment on column baseledger.statement_line.expires_at is
  'The deadline of the reservation, if the event leaves it open; of expired the one that passed.';
comment on column baseledger.statement_line.idempotency_key is
  'The caller''s name for the command; null for events of the system.';
comment on column baseledger.statement_line.actor is 'The database role that asked. @notNull';
comment on column baseledger.statement_line.metadata is 'As the caller gave it. @notNull';
comment on column baseledger.statement_line.details is
  'What the event says beyond its other columns, e.g. the reason of a freeze.';
--! EndIncluded schema/types/statement_line.sql
--! Included schema/types/sweep_status.sql
-- What sweep_status returns.
create type baseledger.sweep_status as (
  as_of timestamptz,
  last_sweep timestamptz,
  next_due timestamptz
);
comment on type baseledger.sweep_status is 'How the sweep of due reservations is doing.';
comment on column baseledger.sweep_status.as_of is 'The server''s clock. @notNull';
comment on column baseledger.sweep_status.last_sweep is
  'When a sweep last worked, to 5 seconds; null if none has yet.';
comment on column baseledger.sweep_status.next_due is
  'No open reservation has an earlier deadline; null if none is open. See next_due.';
--! EndIncluded schema/types/sweep_status.sql
--! Included schema/types/wallet_balance.sql
-- What balance and balance_at return.
create type baseledger.wallet_balance as (
  wallet_id text,
  unit text,
  scale smallint,
  available bigint,
  reserved bigint,
  spent bigint,
  overdraft_limit bigint,
  frozen boolean,
  seq bigint,
  as_of timestamptz
);
comment on type baseledger.wallet_balance is
  'A wallet''s balances at an instant, in its smallest step. A reservation whose deadline has '
  'passed counts as returned, whether or not a worker has swept it.';
comment on column baseledger.wallet_balance.wallet_id is 'The wallet. @notNull';
comment on column baseledger.wallet_balance.unit is 'What is counted, e.g. USD. @notNull';
comment on column baseledger.wallet_balance.scale is
  'Decimal digits of the smallest step: 9 for USD means nano-dollars. @notNull';
comment on column baseledger.wallet_balance.available is
  'What can be reserved; below zero after an overdraft. @notNull';
comment on column baseledger.wallet_balance.reserved is 'Held by open reservations. @notNull';
comment on column baseledger.wallet_balance.spent is 'Settled and charged, less refunds. @notNull';
comment on column baseledger.wallet_balance.overdraft_limit is
  'How far settlements may take available below zero; null = without limit.';
comment on column baseledger.wallet_balance.frozen is
  'True while nothing new may be reserved, charged, withdrawn or transferred out. @notNull';
comment on column baseledger.wallet_balance.seq is 'The last event counted. @notNull';
comment on column baseledger.wallet_balance.as_of is 'The instant of these balances. @notNull';
--! EndIncluded schema/types/wallet_balance.sql
--! Included schema/types/wallets_ahead.sql
-- What wallets_ahead returns.
create type baseledger.wallets_ahead as (
  as_of timestamptz,
  wallets bigint,
  wallet_id text,
  last_event_at timestamptz
);
comment on type baseledger.wallets_ahead is 'Wallets whose last event lies ahead of the clock.';
comment on column baseledger.wallets_ahead.as_of is 'The server''s clock. @notNull';
comment on column baseledger.wallets_ahead.wallets is 'How many there are. @notNull';
comment on column baseledger.wallets_ahead.wallet_id is
  'The one that is furthest ahead; null without any.';
comment on column baseledger.wallets_ahead.last_event_at is 'Its last event; null without any.';
--! EndIncluded schema/types/wallets_ahead.sql

-- The trigger of events needs its function.
--! Included functions/execute/tg_events__append_only.sql
-- Refuses to change the journal. Privileges come first: only the owner could try.
create or replace function baseledger.tg_events__append_only()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform baseledger._raise('LGIMM', jsonb_build_object('operation', tg_op));
  return null;
end
$$;

revoke all on function baseledger.tg_events__append_only from public;
--! EndIncluded functions/execute/tg_events__append_only.sql
--! Included schema/tables/wallets.sql
-- Funds of one payer, with the balances after its last event.
--
-- Private, as every table: no role but the owner can touch it. Ids and keys compare bytewise
-- (collate "C"), the same on every server. No other table has a foreign key to this one: the only
-- writer holds the wallet's row lock, and checking every event would cost more than writing it;
-- verify() finds what a foreign key would. No CHECKs: PostgreSQL prepares them anew for each
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

-- For the sweep: wallets in order of what is due in them. next_deadline changes seldom, so that
-- updates of the balances stay heap-only in spite of it.
create index wallets_next_deadline_idx on baseledger.wallets (next_deadline)
  where next_deadline is not null;
--! EndIncluded schema/tables/wallets.sql
--! Included schema/tables/events.sql
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
  'What the event says beyond its columns: opened {unit, scale, overdraft_limit}; reserved with '
  'p_at_least {requested, at_least}; extended with p_amount {hold}; settled in part '
  '{final: false}, after the deadline {late: true}; frozen, unfrozen {reason}; transferred_out '
  '{to}, transferred_in {from, from_seq}. Any event: {backlog: true} when more reservations were '
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
--! EndIncluded schema/tables/events.sql
--! Included schema/tables/reservations.sql
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
--! EndIncluded schema/tables/reservations.sql
--! Included schema/tables/sweeps.sql
-- When sweeps looked at the clock: see _clock_jumped.
create table baseledger.sweeps (
  looked_at timestamptz not null,
  constraint sweeps_pkey primary key (looked_at)
);

comment on table baseledger.sweeps is
  'When a sweep of any worker has looked at the clock: the last few times, at least 5 seconds '
  'apart.';
--! EndIncluded schema/tables/sweeps.sql

--! Included functions/clock/_clock_slack.sql
-- How far a wallet's last event may be ahead of the server's clock and still count as now, so that
-- a coarse clock, or one that is set back a little, makes no difference. A SQL function without
-- settings, so that it is inlined; stable, so that no plan takes it for a constant. The view
-- wallet_balances says the same.
create or replace function baseledger._clock_slack()
returns interval
language sql
stable
parallel safe
as $$
  select interval '1 second'
$$;

revoke all on function baseledger._clock_slack from public;
--! EndIncluded functions/clock/_clock_slack.sql
--! Included functions/clock/_deadline_clock.sql
-- The instant by which a wallet's deadlines count when it is read: by the clock, but not before the
-- last event, unless that is ahead of the clock. A SQL function without settings, so that it is
-- inlined; the view wallet_balances does the same.
create or replace function baseledger._deadline_clock(
  p_clock timestamptz,
  p_last_event_at timestamptz
)
returns timestamptz
language sql
stable
parallel safe
as $$
  select case
    when p_last_event_at > p_clock + baseledger._clock_slack() then p_clock
    else greatest(p_clock, p_last_event_at)
  end
$$;

revoke all on function baseledger._deadline_clock from public;
--! EndIncluded functions/clock/_deadline_clock.sql
--! Included functions/clock/_describe_ahead.sql
-- What the details of an event record when it is ahead of the server's clock, as its wallet's last
-- event was: by how many microseconds. Null for any other event.
create or replace function baseledger._describe_ahead(p_at timestamptz)
returns jsonb
language plpgsql
volatile
as $$
declare
  c_clock constant timestamptz := clock_timestamp();
begin
  if p_at > c_clock + baseledger._clock_slack() then
    return jsonb_build_object(
      'ahead_us', (extract(epoch from p_at - c_clock) * 1000000)::bigint
    );
  end if;
  return null;
end
$$;

revoke all on function baseledger._describe_ahead from public;
--! EndIncluded functions/clock/_describe_ahead.sql
--! Included functions/clock/_event_clock.sql
-- When an event was written by the server's clock, by which deadlines count: its date, less what
-- its details say it is ahead. The interval has microseconds only, as a day is not always 24 hours.
-- A SQL function without settings, so that it is inlined.
create or replace function baseledger._event_clock(p_occurred_at timestamptz, p_details jsonb)
returns timestamptz
language sql
stable
parallel safe
as $$
  select case
    when p_details -> 'ahead_us' between '0' and '1000000000000000'
      then p_occurred_at
        - (p_details ->> 'ahead_us')::double precision * interval '1 microsecond'
    else p_occurred_at
  end
$$;

revoke all on function baseledger._event_clock from public;
--! EndIncluded functions/clock/_event_clock.sql
--! Included functions/clock/_read_clock.sql
-- The clock for reading: on a standby the time up to which it has replayed its primary, so that
-- nothing counts as returned that the primary may have settled since; null if it has replayed
-- nothing since its start. The views do the same. A SQL function without settings, so that it is
-- inlined.
create or replace function baseledger._read_clock()
returns timestamptz
language sql
volatile
as $$
  select case
    when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_xact_replay_timestamp()
    else pg_catalog.clock_timestamp()
  end
$$;

revoke all on function baseledger._read_clock from public;
--! EndIncluded functions/clock/_read_clock.sql
--! Included functions/clock/wallets_ahead.sql
-- Wallets whose last event is ahead of the clock: the clock was ahead for a while. Reads every
-- wallet's row, as an index would cost every command. The view wallet_balances has it for each
-- wallet.
create or replace function baseledger.wallets_ahead()
returns baseledger.wallets_ahead
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_ahead baseledger.wallets_ahead;
  v_limit timestamptz;
begin
  -- Null on a standby that has replayed nothing since it was started.
  v_ahead.as_of := coalesce(baseledger._read_clock(), clock_timestamp());
  v_limit := v_ahead.as_of + baseledger._clock_slack();
  select count(*) into v_ahead.wallets
    from baseledger.wallets w
    where w.last_event_at > v_limit;
  if v_ahead.wallets > 0 then
    select w.wallet_id, w.last_event_at into v_ahead.wallet_id, v_ahead.last_event_at
      from baseledger.wallets w
      where w.last_event_at > v_limit
      order by w.last_event_at desc, w.wallet_id
      limit 1;
  end if;
  return v_ahead;
end
$$;

comment on function baseledger.wallets_ahead is
  'How many wallets have a last event more than a second ahead of the server''s clock, and which '
  'is the furthest ahead: the clock was ahead when the event was written, or is behind now. '
  'Their books are right: deadlines count by the clock, and events go on in order. Reads the row '
  'of every wallet. @notNull';
revoke all on function baseledger.wallets_ahead from public;
grant execute on function baseledger.wallets_ahead
  to baseledger_worker, baseledger_operator, baseledger_auditor;
--! EndIncluded functions/clock/wallets_ahead.sql
--! Included functions/refusals/_describe_argument.sql
-- The detail of LGARG: the field, and what it must be.
create or replace function baseledger._describe_argument(p_field text)
returns jsonb
language sql
immutable
as $$
  select pg_catalog.jsonb_build_object('field', p_field, 'reason', case
    when p_field in ('wallet_id', 'from', 'to', 'idempotency_key', 'reservation_id', 'unit')
      then 'must be 1 to 255 characters, the first and the last of them visible'
    when p_field = 'amount' then 'must be a whole number above 0 (for settle, 0 is allowed), '
      'in the wallet''s smallest step, up to 9223372036854775807'
    when p_field = 'at_least' then 'must be a whole number from 1 up to the amount'
    when p_field = 'ttl' then 'must be an interval from 1 second to 30 days'
    when p_field = 'metadata' then 'must be a JSON object of at most 16 KiB'
    when p_field = 'reason' then 'must be 1 to 1000 characters and not blank'
    when p_field = 'scale' then 'must be from 0 to 18'
    when p_field = 'overdraft_limit' then 'must be null or a whole number of at least 0'
    when p_field = 'final' then 'must be true or false'
    when p_field = 'op' then 'must be a string'
    when p_field = 'commands' then 'must be a JSON array of at most 10,000 objects'
    when p_field = 'at' then 'must be a time'
    when p_field = 'limit' then 'must be from 1 to 100,000'
    else 'is not a field of this command'
  end)
$$;

revoke all on function baseledger._describe_argument from public;
--! EndIncluded functions/refusals/_describe_argument.sql
--! Included functions/refusals/_describe_refusal.sql
-- The detail of a refusal at an instant, for a program. Amounts are in the wallet's smallest step,
-- by deadline; p_change is what the command would have done to available.
create or replace function baseledger._describe_refusal(
  p_code text,
  p_wallet_id text,
  p_now timestamptz,
  p_available bigint,
  p_reserved bigint,
  p_spent bigint,
  p_overdraft_limit bigint,
  p_change bigint,
  p_command baseledger._command,
  p_hold baseledger._hold,
  p_holds baseledger._hold[]
)
returns jsonb
language plpgsql
stable
as $$
declare
  v_requested bigint := coalesce(p_command.at_least, p_command.amount);
  v_held boolean;
begin
  case p_code
    when 'LGARG' then
      return baseledger._describe_argument(baseledger._find_invalid_field(
        p_command.op, p_command.idempotency_key, p_command.reservation_id, p_command.amount,
        p_command.at_least, p_command.ttl, p_command.metadata, p_command.details
      ));
    when 'LGFRZ' then
      return jsonb_build_object('wallet_id', p_wallet_id);
    when 'LGRNF', 'LGRID' then
      return jsonb_build_object('reservation_id', p_command.reservation_id);
    when 'LGEXP' then
      return jsonb_build_object(
        'reservation_id', p_command.reservation_id,
        'expired_at', p_hold.expires_at
      );
    when 'LGEND' then
      return jsonb_build_object(
        'reservation_id', p_command.reservation_id,
        'status', p_hold.status,
        'ended_at', p_hold.ended_at,
        'ended_seq', p_hold.ended_seq
      );
    when 'LGNSF' then
      -- Of an extension only the increase is asked for.
      if p_command.op = 'extend' then
        v_requested := p_command.amount - p_hold.held;
      end if;
      v_held := p_reserved::numeric + p_available >= v_requested;
      return jsonb_build_object(
        'requested', v_requested,
        'available', p_available,
        'reserved', p_reserved,
        -- Nothing is short where the funds are past their deadline, only more than one command
        -- may expire.
        'shortfall', greatest(v_requested::numeric - p_available, 0),
        'reason', case when v_held then 'held' else 'exhausted' end,
        'retry_at', case
          when p_available >= v_requested then p_now
          when v_held then baseledger._find_next_return(p_wallet_id, p_now, p_holds)
        end
      );
    when 'LGRFD' then
      return jsonb_build_object(
        'reservation_id', p_command.reservation_id,
        'requested', p_command.amount,
        'refundable',
          p_hold.net + baseledger._sum_refundable(p_wallet_id, p_command.reservation_id)
      );
    when 'LGOVD' then
      return jsonb_build_object(
        'requested', p_command.amount,
        'available', p_available,
        'would_be', p_available::numeric + p_change,
        'overdraft_limit', p_overdraft_limit
      );
    when 'LGOVF' then
      return jsonb_build_object(
        'requested', p_command.amount,
        'available', p_available,
        'reserved', p_reserved,
        'spent', p_spent
      );
  end case;
end
$$;

revoke all on function baseledger._describe_refusal from public;
--! EndIncluded functions/refusals/_describe_refusal.sql
--! Included functions/refusals/_is_ambiguous_name.sql
-- Whether a name looks like another one, or like nothing: it is empty, or its first or last
-- character is white space, a control character, or one without width or ink. By code points, as
-- what a server takes for a blank depends on its locale. Two spellings of one letter (composed and
-- decomposed) stay two names, as bytes decide.
--
-- The usual name begins and ends with a printable ASCII character, which a comparison of bytes
-- finds without the regular expression. A SQL function without settings, so that it is inlined.
create or replace function baseledger._is_ambiguous_name(p_name text)
returns boolean
language sql
immutable
parallel safe
as $$
  select not (
      p_name collate "C" >= '!'
      and p_name collate "C" < E'\x7f'
      and pg_catalog.right(p_name, 1) collate "C" >= '!'
      and pg_catalog.right(p_name, 1) collate "C" < E'\x7f'
    )
    and p_name collate "C" ~ pg_catalog.replace(
      '^$|^[-]|[-]$',
      '-',
      E'\\u0001-\\u0020\\u007f-\\u00a0\\u00ad\\u034f\\u061c\\u115f\\u1160\\u1680\\u17b4\\u17b5'
        '\\u180b-\\u180f\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u2800\\u3000\\u3164'
        '\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\U0001bca0-\\U0001bca3'
        '\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff'
    )
$$;

revoke all on function baseledger._is_ambiguous_name from public;
--! EndIncluded functions/refusals/_is_ambiguous_name.sql
--! Included functions/refusals/_find_invalid_field.sql
-- The first invalid field of a command, or null: the one place for the limits of arguments. A new
-- name must show where it begins and ends (_is_ambiguous_name); one that is looked up may be older
-- than that rule. A SQL function without settings, so that it is inlined into _execute's callers.
create or replace function baseledger._find_invalid_field(
  p_op text,
  p_idempotency_key text,
  p_reservation_id text,
  p_amount bigint,
  p_at_least bigint,
  p_ttl interval,
  p_metadata jsonb,
  p_details jsonb
)
returns text
language sql
immutable
parallel safe
as $$
  select case
    when p_idempotency_key is null
        and p_op not in ('freeze', 'unfreeze', 'transfer_in', 'open')
      or baseledger._is_ambiguous_name(p_idempotency_key)
      or pg_catalog.length(p_idempotency_key) > 255
      then 'idempotency_key'
    when p_reservation_id is null
      and p_op not in (
        'credit', 'withdraw', 'transfer_out', 'transfer_in', 'freeze', 'unfreeze', 'open'
      )
      or case when p_op in ('reserve', 'charge')
        then baseledger._is_ambiguous_name(p_reservation_id)
        else pg_catalog.btrim(p_reservation_id, E' \t\r\n') = ''
      end
      or pg_catalog.length(p_reservation_id) > 255
      then 'reservation_id'
    when p_amount < 1 and (p_amount < 0 or p_op <> 'settle')
      or p_amount is null and p_op not in ('cancel', 'extend', 'freeze', 'unfreeze', 'open')
      then 'amount'
    when p_at_least < 1 or p_at_least > p_amount
      then 'at_least'
    when p_op in ('reserve', 'extend') and (
      p_ttl is null
      or p_ttl < interval '1 second'
      or p_ttl > interval '720 hours'
    )
      then 'ttl'
    when pg_catalog.jsonb_typeof(p_metadata) <> 'object'
      or pg_catalog.octet_length(p_metadata::text) > 16384
      then 'metadata'
    when p_op in ('freeze', 'unfreeze') and (
      p_details ->> 'reason' is null
      or pg_catalog.btrim(p_details ->> 'reason', E' \t\r\n') = ''
      or pg_catalog.length(p_details ->> 'reason') > 1000
    )
      then 'reason'
  end
$$;

revoke all on function baseledger._find_invalid_field from public;
--! EndIncluded functions/refusals/_find_invalid_field.sql
--! Included functions/refusals/_raise.sql
-- Raises a refusal: the SQLSTATE, a message for a person, the detail as JSON for a program, and
-- what to do. The one place for messages and hints; db/ERRORS.md is the catalogue.
create or replace function baseledger._raise(p_code text, p_detail jsonb)
returns void
language plpgsql
volatile
as $$
declare
  v_message text;
  v_hint text;
begin
  case p_code
    when 'LGARG' then
      v_message := format('invalid argument: %s %s', p_detail ->> 'field', p_detail ->> 'reason');
      v_hint := 'Correct the argument; sending the same again will be refused again.';
    when 'LGWNF' then
      v_message := format('wallet not found: %s', p_detail ->> 'wallet_id');
      v_hint := 'Open it with baseledger.open_wallet, or check the id.';
    when 'LGRNF' then
      v_message := format('reservation not found: %s', p_detail ->> 'reservation_id');
      v_hint := 'Check the id; reservation ids belong to their wallet.';
    when 'LGRID' then
      v_message := format('reservation id already taken: %s', p_detail ->> 'reservation_id');
      v_hint := 'Choose another p_reservation_id. To repeat a command, repeat its idempotency key.';
    when 'LGNSF' then
      v_message := format(
        'insufficient funds: %s asked for, %s available, %s reserved',
        p_detail ->> 'requested', p_detail ->> 'available', p_detail ->> 'reserved'
      );
      v_hint := case
        when p_detail ->> 'shortfall' = '0'
          then 'More reservations are past their deadline than one command expires. Send it as a '
            'batch (post, post_funds), which keeps what each attempt has expired, or run the worker.'
        when p_detail ->> 'reason' = 'held'
          then 'Open reservations hold what is missing: retry when one has ended.'
        else 'Credit the wallet, or ask for less.'
      end;
    when 'LGIDK' then
      v_message := format(
        'idempotency key reused with another %s: stored %s, given %s',
        p_detail ->> 'field', coalesce(p_detail ->> 'stored', 'none'),
        coalesce(p_detail ->> 'given', 'none')
      );
      v_hint := 'One key names one command: repeat it unchanged, or use a new key.';
    when 'LGEND' then
      v_message := format(
        'reservation %s already ended: %s', p_detail ->> 'reservation_id', p_detail ->> 'status'
      );
      v_hint := 'A reservation ends once. Spending beyond it is a charge, a return a refund.';
    when 'LGEXP' then
      v_message := format('reservation %s is past its deadline', p_detail ->> 'reservation_id');
      v_hint := 'Its funds are back. What was spent can still be settled; else reserve again.';
    when 'LGRFD' then
      v_message := format(
        'refund of %s exceeds the %s that reservation %s has settled and not had refunded',
        p_detail ->> 'requested', p_detail ->> 'refundable', p_detail ->> 'reservation_id'
      );
      v_hint := 'Refund at most what is refundable.';
    when 'LGOVD' then
      v_message := format(
        'over the overdraft limit: available would be %s, the limit is %s',
        p_detail ->> 'would_be', p_detail ->> 'overdraft_limit'
      );
      v_hint := 'Credit the wallet and settle again.';
    when 'LGOVF' then
      v_message := 'balance out of range';
      v_hint := 'Balances are 64-bit counts of the smallest step: use a smaller scale or amount.';
    when 'LGFRZ' then
      v_message := format('wallet is frozen: %s', p_detail ->> 'wallet_id');
      v_hint := 'Settling, cancelling and crediting go on; unfreeze_wallet ends it.';
    when 'LGIMM' then
      v_message := format('the journal is append-only: %s refused', p_detail ->> 'operation');
      v_hint := 'Correct a mistake with a new command: credit, withdraw, charge or refund.';
    when 'LGUNK' then
      v_message := format('unknown command: %s', p_detail ->> 'op');
      v_hint := 'See baseledger.post and baseledger.post_funds for the commands of a batch.';
  end case;
  raise exception using
    errcode = p_code, message = v_message, detail = p_detail::text, hint = v_hint;
end
$$;

revoke all on function baseledger._raise from public;
--! EndIncluded functions/refusals/_raise.sql
--! Included functions/refusals/_raise_corrupted.sql
-- Stops a command that would leave a wallet with balances to which no command may lead: a bug of
-- _execute, or a row that somebody has changed. Nothing is written.
create or replace function baseledger._raise_corrupted(
  p_wallet_id text,
  p_available bigint,
  p_reserved bigint,
  p_spent bigint
)
returns void
language plpgsql
volatile
as $$
begin
  raise exception using
    errcode = 'data_corrupted',
    message = format('wallet %s is unsound', p_wallet_id),
    detail = jsonb_build_object(
      'available', p_available, 'reserved', p_reserved, 'spent', p_spent
    )::text,
    hint = 'Nothing was changed. Run baseledger.verify() on this wallet.';
end
$$;

revoke all on function baseledger._raise_corrupted from public;
--! EndIncluded functions/refusals/_raise_corrupted.sql
--! Included functions/refusals/_raise_wallet_not_found.sql
-- Refuses a wallet id that no wallet has; as an invalid argument if none can have it.
create or replace function baseledger._raise_wallet_not_found(p_wallet_id text)
returns void
language plpgsql
volatile
as $$
begin
  perform baseledger._require_id('wallet_id', p_wallet_id);
  perform baseledger._raise('LGWNF', jsonb_build_object('wallet_id', p_wallet_id));
end
$$;

revoke all on function baseledger._raise_wallet_not_found from public;
--! EndIncluded functions/refusals/_raise_wallet_not_found.sql
--! Included functions/refusals/_require_id.sql
-- Refuses an id that is null, blank or over-long.
create or replace function baseledger._require_id(p_field text, p_id text)
returns void
language plpgsql
volatile
as $$
begin
  if p_id is null or btrim(p_id, E' \t\r\n') = '' or length(p_id) > 255 then
    perform baseledger._raise('LGARG', baseledger._describe_argument(p_field));
  end if;
end
$$;

revoke all on function baseledger._require_id from public;
--! EndIncluded functions/refusals/_require_id.sql
--! Included functions/access/_expected_rights.sql
-- What each role may do: the one list of all rights. Nobody has any other right on an object of the
-- schema, except the owner, and roles to which the host grants a view or a public function. Each
-- file grants what this list says; _find_rights_differences compares, and `baseledger migrate`
-- repairs.
create or replace function baseledger._expected_rights()
returns setof baseledger._right
language sql
immutable
as $$
  select r.kind, n.name, r.grantee, r.privilege
    from (
      values
        ('schema', 'USAGE', 'baseledger_agent', '{baseledger}'::text[]),
        ('schema', 'USAGE', 'baseledger_operator', '{baseledger}'),
        ('schema', 'USAGE', 'baseledger_auditor', '{baseledger}'),
        ('schema', 'USAGE', 'baseledger_worker', '{baseledger}'),
        ('function', 'EXECUTE', 'baseledger_agent',
          '{balance,cancel,charge,extend,post,reserve,settle}'),
        ('function', 'EXECUTE', 'baseledger_operator',
          '{balance,cancel,charge,extend,post,reserve,settle,
            balance_at,credit,freeze_wallet,open_wallet,post_funds,refund,statement,transfer,
            unfreeze_wallet,withdraw,doctor,sweep_status,wallets_ahead}'),
        ('function', 'EXECUTE', 'baseledger_auditor',
          '{balance,balance_at,statement,verify,verify_rights,doctor,sweep_status,wallets_ahead}'),
        ('function', 'EXECUTE', 'baseledger_worker',
          '{expire_due,next_due,sweep_status,wallets_ahead}'),
        ('view', 'SELECT', 'baseledger_auditor',
          '{journal,open_reservations,postings,reservation_history,wallet_balances}')
    ) as r (kind, privilege, grantee, names)
    cross join lateral pg_catalog.unnest(r.names) as n (name)
$$;

revoke all on function baseledger._expected_rights from public;
--! EndIncluded functions/access/_expected_rights.sql
--! Included functions/access/_find_rights_differences.sql
-- The rights that are not what they must be: too many (open = true), which may let somebody do what
-- he must not, or too few. cure is the statement that repairs it. Reads only what everybody may
-- read in the catalog.
create or replace function baseledger._find_rights_differences()
returns setof baseledger._rights_difference
language sql
stable
as $$
  with
  ours (name) as (
    values ('baseledger_agent'), ('baseledger_operator'), ('baseledger_auditor'),
      ('baseledger_worker')
  ),
  -- Private is what no role but the owner may have any right on.
  objects as (
    select 'schema' as kind, n.nspname::text as name, 'schema ' || n.nspname as label,
        'schema ' || n.nspname as target, n.nspowner as owner,
        coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)) as acl, false as private
      from pg_catalog.pg_namespace n
      where n.nspname = 'baseledger'
    union all
    select 'function', p.proname, 'function ' || p.oid::regprocedure,
        'routine ' || p.oid::regprocedure, p.proowner,
        coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)), p.proname ~ '^(_|tg_)'
      from pg_catalog.pg_proc p
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where n.nspname = 'baseledger'
    union all
    select case c.relkind when 'v' then 'view' else 'table' end, c.relname,
        case c.relkind when 'v' then 'view ' else 'table ' end || c.oid::regclass,
        'table ' || c.oid::regclass, c.relowner,
        coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner)), c.relkind <> 'v'
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'baseledger' and c.relkind in ('r', 'p', 'v', 'm', 'f')
    union all
    select 'type', t.typname, 'type ' || t.oid::regtype, 'type ' || t.oid::regtype, t.typowner,
        null, false
      from pg_catalog.pg_type t
      join pg_catalog.pg_namespace n on n.oid = t.typnamespace
      left join pg_catalog.pg_class c on c.oid = t.typrelid
      where n.nspname = 'baseledger' and (t.typtype in ('d', 'e', 'r') or c.relkind = 'c')
  ),
  granted as (
    select o.kind, o.name, o.label, o.target, o.private, a.privilege_type as privilege,
        case when a.grantee = 0 then 'public' else pg_catalog.pg_get_userbyid(a.grantee)::text end
          as grantee,
        a.is_grantable
      from objects o
      cross join lateral pg_catalog.aclexplode(o.acl) as a
      where a.grantee <> o.owner
    union all
    select 'column', c.relname, pg_catalog.format('column %s.%I', c.oid::regclass, f.attname),
        'table ' || c.oid::regclass, true,
        pg_catalog.format('%s (%I)', a.privilege_type, f.attname),
        case when a.grantee = 0 then 'public' else pg_catalog.pg_get_userbyid(a.grantee)::text end,
        a.is_grantable
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      join pg_catalog.pg_attribute f on f.attrelid = c.oid
      cross join lateral pg_catalog.aclexplode(f.attacl) as a
      where n.nspname = 'baseledger' and a.grantee <> c.relowner
  )

  select o.label, 'owned by baseledger_owner',
      pg_catalog.format('owned by %I', pg_catalog.pg_get_userbyid(o.owner)),
      true, pg_catalog.format('alter %s owner to baseledger_owner', o.target)
    from objects o
    where pg_catalog.pg_get_userbyid(o.owner) <> 'baseledger_owner'
  union all
  -- What a host grants to roles of its own on views and public functions is its own affair.
  select g.label, pg_catalog.format('no %s for %s', g.privilege, g.grantee),
      pg_catalog.format('%s for %s', g.privilege, g.grantee),
      true, pg_catalog.format('revoke %s on %s from %s cascade', g.privilege, g.target, q.grantee)
    from granted g
    cross join lateral (
      select case g.grantee when 'public' then 'public' else pg_catalog.quote_ident(g.grantee) end
    ) as q (grantee)
    where (
        g.private or g.grantee = 'public' or g.grantee in (select name from ours)
        or g.kind = 'schema' and g.privilege <> 'USAGE'
      )
      and (g.kind, g.name, g.grantee, g.privilege) not in (
        select r.kind, r.name, r.grantee, r.privilege from baseledger._expected_rights() r
      )
  union all
  select g.label, pg_catalog.format('%s for %s, not to be granted on', g.privilege, g.grantee),
      pg_catalog.format('%s for %s with grant option', g.privilege, g.grantee), true,
      pg_catalog.format('revoke grant option for %s on %s from %I cascade',
        g.privilege, g.target, g.grantee)
    from granted g
    join baseledger._expected_rights() r
      on (r.kind, r.name, r.grantee, r.privilege) = (g.kind, g.name, g.grantee, g.privilege)
    where g.is_grantable
  union all
  select coalesce(o.label, r.kind || ' baseledger.' || r.name),
      pg_catalog.format('%s for %s', r.privilege, r.grantee),
      case when o.name is null then 'missing' else
        pg_catalog.format('no %s for %s', r.privilege, r.grantee)
      end,
      false, pg_catalog.format('grant %s on %s to %I', r.privilege, o.target, r.grantee)
    from baseledger._expected_rights() r
    left join objects o on o.kind = r.kind and o.name = r.name
    where not exists (
      select from granted g
        where (g.label, g.kind, g.grantee, g.privilege)
          = (o.label, r.kind, r.grantee, r.privilege)
    )
  union all
  -- What the owner makes later is closed to the public, and to everybody.
  select 'default privileges on functions', 'no EXECUTE for public', 'EXECUTE for public', true,
      'alter default privileges for role baseledger_owner revoke execute on functions from public'
    where not exists (
      select from pg_catalog.pg_default_acl d
        where pg_catalog.pg_get_userbyid(d.defaclrole) = 'baseledger_owner'
          and d.defaclnamespace = 0
          and d.defaclobjtype = 'f'
          and not exists (
            select from pg_catalog.aclexplode(d.defaclacl) as a where a.grantee = 0
          )
    )
  union all
  select 'default privileges on ' || t.name,
      pg_catalog.format('no %s for %s', a.privilege_type, g.name),
      pg_catalog.format('%s for %s', a.privilege_type, g.name), true,
      pg_catalog.format(
        'alter default privileges for role baseledger_owner %s revoke %s on %s from %s',
        case when d.defaclnamespace <> 0 then 'in schema baseledger' end,
        a.privilege_type, t.name, g.name
      )
    from pg_catalog.pg_default_acl d
    join (values ('r', 'tables'), ('S', 'sequences'), ('f', 'functions')) as t (letter, name)
      on t.letter::"char" = d.defaclobjtype
    left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
    cross join lateral pg_catalog.aclexplode(d.defaclacl) as a
    cross join lateral (
      select case when a.grantee = 0 then 'public'
        else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end
    ) as g (name)
    where pg_catalog.pg_get_userbyid(d.defaclrole) = 'baseledger_owner'
      and (d.defaclnamespace = 0 or n.nspname = 'baseledger')
      and a.grantee <> d.defaclrole
      and not (a.grantee = 0 and d.defaclnamespace = 0 and t.letter = 'f')
  union all
  -- The roles themselves: nobody logs in as the owner, and none of them has more than its grants.
  select 'role ' || r.rolname, 'NOLOGIN', 'LOGIN', true, 'alter role baseledger_owner nologin'
    from pg_catalog.pg_roles r
    where r.rolname = 'baseledger_owner' and r.rolcanlogin
  union all
  select 'role ' || r.rolname, 'NO' || a.name, a.name, true,
      pg_catalog.format('alter role %I no%s', r.rolname, pg_catalog.lower(a.name))
    from pg_catalog.pg_roles r
    cross join lateral (
      values ('SUPERUSER', r.rolsuper), ('CREATEROLE', r.rolcreaterole),
        ('CREATEDB', r.rolcreatedb), ('REPLICATION', r.rolreplication),
        ('BYPASSRLS', r.rolbypassrls)
    ) as a (name, has)
    where (r.rolname = 'baseledger_owner' or r.rolname in (select name from ours)) and a.has
  union all
  select 'role ' || r.rolname, 'a member of no role', 'a member of ' || g.rolname, true,
      pg_catalog.format('revoke %I from %I', g.rolname, r.rolname)
        -- Since 16, each grantor's grant is one of its own.
        || case when exists (
            select from pg_catalog.pg_attribute a
              where a.attrelid = m.tableoid and a.attname = 'inherit_option'
          )
          then pg_catalog.format(' granted by %I', pg_catalog.pg_get_userbyid(m.grantor))
          else ''
        end
    from pg_catalog.pg_auth_members m
    join pg_catalog.pg_roles r on r.oid = m.member
    join pg_catalog.pg_roles g on g.oid = m.roleid
    where r.rolname = 'baseledger_owner' or r.rolname in (select name from ours)
$$;

revoke all on function baseledger._find_rights_differences from public;
--! EndIncluded functions/access/_find_rights_differences.sql
--! Included functions/access/_require_operators_only.sql
-- Refuses to run a function that moves funds in or out when others than operators may call it, or
-- when it does not run as the owner: a restore without rights opens every function to the public,
-- and a lost REVOKE must not let an agent credit itself. Checks the rights of the function, not
-- those of the caller: the session may belong to an application whose own function calls this one
-- as an operator. What the public may do, an agent may do as well. (current_user is the owner of
-- the security definer function that calls this.)
create or replace function baseledger._require_operators_only(p_function regprocedure)
returns void
language plpgsql
stable
as $$
begin
  if current_user <> 'baseledger_owner'
    or has_function_privilege('baseledger_agent', p_function, 'execute')
    or has_function_privilege('baseledger_auditor', p_function, 'execute')
    or has_function_privilege('baseledger_worker', p_function, 'execute')
  then
    raise exception using
      errcode = 'insufficient_privilege',
      message = format('permission denied: %s is open to others than operators', p_function),
      hint = 'Its owner or its rights were changed, as by a restore without them. '
        'Run: baseledger migrate';
  end if;
end
$$;

revoke all on function baseledger._require_operators_only from public;
--! EndIncluded functions/access/_require_operators_only.sql
--! Included functions/access/verify_rights.sql
-- Rights that are open and must not be: who could move or read more than his role may. A right that
-- somebody lacks is no discrepancy. Reads the catalog only.
create or replace function baseledger.verify_rights()
returns setof baseledger.discrepancy
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
  select null::text, null::bigint, 'rights',
      d.object || ': ' || d.expected, d.object || ': ' || d.found
    from baseledger._find_rights_differences() d
    where d.open
$$;

comment on function baseledger.verify_rights is
  'Checks who owns the ledger''s objects and who may do what with them, and returns the rights '
  'that are open and must not be, as after a restore without owners and rights: no row = sound. '
  'verify of the whole ledger includes it. Reads only.';
revoke all on function baseledger.verify_rights from public;
grant execute on function baseledger.verify_rights to baseledger_auditor;
--! EndIncluded functions/access/verify_rights.sql
--! Included functions/execute/_compare_requests.sql
-- The first field in which two requests differ, as the detail of LGIDK; null if they are equal.
create or replace function baseledger._compare_requests(p_stored jsonb, p_given jsonb)
returns jsonb
language plpgsql
immutable
as $$
declare
  v_field text;
begin
  if p_stored = p_given then
    return null;
  end if;
  foreach v_field in array array[
    'op', 'reservation_id', 'amount', 'at_least', 'ttl', 'final', 'to', 'reason', 'metadata',
    'unit', 'scale', 'overdraft_limit'
  ] loop
    if p_stored -> v_field is distinct from p_given -> v_field then
      return jsonb_build_object(
        'field', v_field, 'stored', p_stored -> v_field, 'given', p_given -> v_field
      );
    end if;
  end loop;
  return null;
end
$$;

revoke all on function baseledger._compare_requests from public;
--! EndIncluded functions/execute/_compare_requests.sql
--! Included functions/execute/_due_chunk_size.sql
-- How many expiries a command writes when more are due. Each takes some 40 microseconds.
create or replace function baseledger._due_chunk_size()
returns integer
language sql
immutable
parallel safe
as $$
  select 1000
$$;

revoke all on function baseledger._due_chunk_size from public;
--! EndIncluded functions/execute/_due_chunk_size.sql
--! Included functions/execute/_encode_event.sql
-- The canonical encoding of an event, which its hash is made of: PostgreSQL's binary form of a row
-- (record_send), in which every field carries its type and its length, so that no two different
-- events share an encoding. Texts are encoded as UTF-8, because PostgreSQL sends a text in the
-- client's encoding. docs/hash-chain.md describes it byte by byte.
--
-- A SQL function without settings, so that it is inlined into _execute and _verify_events.
create or replace function baseledger._encode_event(
  p_wallet_id text,
  p_seq bigint,
  p_event baseledger.event_type,
  p_reservation_id text,
  p_amount bigint,
  p_available bigint,
  p_reserved bigint,
  p_spent bigint,
  p_expires_at timestamptz,
  p_occurred_at timestamptz,
  p_idempotency_key text,
  p_actor text,
  p_metadata jsonb,
  p_details jsonb
)
returns bytea
language sql
stable
parallel safe
as $$
  select pg_catalog.record_send(row(
    pg_catalog.convert_to(p_wallet_id, 'UTF8'),
    p_seq,
    pg_catalog.convert_to(p_event::text, 'UTF8'),
    pg_catalog.convert_to(p_reservation_id, 'UTF8'),
    p_amount,
    p_available,
    p_reserved,
    p_spent,
    p_expires_at,
    p_occurred_at,
    pg_catalog.convert_to(p_idempotency_key, 'UTF8'),
    pg_catalog.convert_to(p_actor, 'UTF8'),
    pg_catalog.convert_to(p_metadata::text, 'UTF8'),
    pg_catalog.convert_to(p_details::text, 'UTF8')
  ))
$$;

revoke all on function baseledger._encode_event from public;
--! EndIncluded functions/execute/_encode_event.sql
--! Included functions/execute/_exceeds_range.sql
-- Whether funds that come in exceed the range of a balance: they must leave room for everything
-- that is reserved to come back, so that no hold can get stuck.
create or replace function baseledger._exceeds_range(
  p_available bigint,
  p_reserved bigint,
  p_amount bigint
)
returns boolean
language sql
immutable
parallel safe
as $$
  select p_available > 9223372036854775807 - p_reserved - p_amount
$$;

revoke all on function baseledger._exceeds_range from public;
--! EndIncluded functions/execute/_exceeds_range.sql
--! Included functions/execute/_execute.sql
-- The engine: the one place where money moves. Executes commands in one wallet, in order:
--
--   1. lock the wallet's row, before anything is read: the row is the wallet's lock;
--   2. look up, as sets, what the commands refer to: earlier uses of their keys, their
--      reservations, and the reservations that are due;
--   3. decide each command in memory, due reservations first, each at its own instant;
--   4. write, as sets: events, reservations, and the wallet's row once.
--
-- Returns one receipt a command, in order. A refusal is a receipt with `refused` set, or is raised
-- if p_raises. A command that was executed before gets its first receipt with replayed = true. If
-- nothing was granted, nothing is written: not even expiries, which then count by deadline as
-- before.
--
-- Without commands it is the sweep of one wallet, and returns the expiries; p_limit bounds them.
--
-- Backlog. When more is due than _due_chunk_size(), the earliest expire first; the rest is the
-- backlog: still reserved on record, it counts as returned all the same. If a command names a
-- reservation of the backlog, that one expires before the command. If a command needs the funds of
-- the backlog, more chunks expire, up to 10. If that is not enough, a settlement is booked against
-- the funds that the backlog will return, and any other command is refused; a batch then writes the
-- expiries even if nothing was granted, so that every retry makes progress. Events that leave a
-- backlog behind say so in their details (balance_at needs that).
--
-- Two clocks. Events are ordered by their own time, deadlines count by the server's clock. The two
-- differ where the clock was ahead for a while: the wallet's time then goes on from there by
-- microseconds, and the details of its events say by how many they are ahead (_event_clock).
--
-- Cost. PL/pgSQL prepares each expression anew in each transaction, so the cost of a single command
-- is the number of expressions that it meets: few and large ones, none that a branch does not need;
-- composites by position, as an assignment by name would be an expression a field; and a single
-- command skips the statements for sets. docs/performance.md has the figures.
--
-- Plans. Every statement uses an index whatever the statistics say: generic plans without
-- sequential scans or sorts, so that neither a first call on empty tables nor a hot wallet's
-- history spoils them. Without JIT: a plan with an unavoidable sort costs 1e10 when sorts are off,
-- and any server would compile it, at some 100 ms a call.
create or replace function baseledger._execute(
  p_wallet_id text,
  p_commands baseledger._command[],
  p_limit integer default null,
  p_raises boolean default false
)
returns baseledger.receipt[]
language plpgsql
volatile
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_asked constant integer := cardinality(p_commands);
  v_total integer := v_asked;         -- the asked commands, then the expiries
  v_wallet baseledger.wallets;        -- as it was before, but for frozen and next_deadline
  v_last baseledger.events;           -- the last event: its balances are the wallet's
  v_at timestamptz;                   -- when the next event happens
  v_ahead interval;                   -- by how much that is ahead of the clock; null: not looked at
  v_look_due boolean;                 -- something may be due: expiries are merged in
  v_due record;                       -- a chunk of what is due, see _find_due
  v_next_command integer;             -- of the two queues in p_commands: the asked commands
  v_next_due integer;                 -- and, after them, the expiries by deadline
  v_expired integer := 0;
  v_since timestamptz;                -- when this call began, by the clock
  v_backlog boolean;                  -- more is due than was taken
  v_bounded boolean;                  -- that was so at first
  v_rest bigint;                      -- what the backlog holds; null: no command needed to know
  v_note jsonb;                       -- goes into the details of each event: backlog, ahead_us

  -- By key_at and hold_at of the commands: commands that share a key or a reservation share one
  -- element, at the position of the first of them.
  v_done bigint[];                    -- seq of the event that was written for the key
  v_holds baseledger._hold[];

  v_command baseledger._command;
  v_seq bigint;                       -- of the event that was written for its key
  v_hold baseledger._hold;            -- its reservation
  v_move baseledger._move;
  v_amount bigint;                    -- of a reservation: what is granted
  v_available bigint;                 -- by how much a settlement would change available
  v_reserved bigint;                  -- by how much a settlement or extension would change reserved
  v_earlier baseledger.events;

  v_events baseledger.events[];
  v_receipts baseledger.receipt[];
  v_outdated text[];                  -- reservations whose stored row is out of date
  v_opened timestamptz;               -- first deadline of the reservations that are inserted
begin
  -- 1. Lock.
  select * into v_wallet from baseledger.wallets w
    where w.wallet_id = p_wallet_id
    for no key update;
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  v_last := row(
    v_wallet.seq, null, v_wallet.available, v_wallet.reserved, v_wallet.spent,
    v_wallet.last_event_at, null, null, null, null, null, null, null, null, v_wallet.hash
  )::baseledger.events;
  v_at := greatest(clock_timestamp(), v_last.occurred_at + interval '1 microsecond');

  -- 2. Look up. Includes what comes due until the last command has happened.
  if v_asked > 1
    or v_wallet.next_deadline <= v_at + v_asked * interval '1 microsecond'
    or v_at > clock_timestamp() + baseledger._clock_slack()
  then
    v_note := baseledger._describe_ahead(v_at);
    v_ahead := coalesce((v_note ->> 'ahead_us')::bigint, 0) * interval '1 microsecond';
    v_look_due := v_asked <= 1
      or v_wallet.next_deadline <= v_at - v_ahead + v_asked * interval '1 microsecond';
    select array_agg(p.done order by c.ordinality),
        array_agg(row(
          p.reservation_id, p.status, p.amount, p.settled, p.held, p.expires_at, p.stored, p.net,
          null, null
        )::baseledger._hold order by c.ordinality)
      into v_done, v_holds
      from unnest(p_commands) with ordinality as c
      cross join lateral baseledger._look_up(
        p_wallet_id,
        case when c.key_at = c.ordinality then c.idempotency_key end,
        case when c.hold_at = c.ordinality then c.reservation_id end,
        c.op in ('reserve', 'charge')
      ) as p;
    if v_look_due then
      v_since := v_at - v_ahead;
      v_due := baseledger._find_due(p_wallet_id, v_since, p_commands, v_asked, 0, p_limit);
      p_commands := p_commands || v_due.commands;
      v_holds := v_holds || v_due.holds;
      v_total := cardinality(p_commands);
      v_next_command := 1;
      v_next_due := v_asked + 1;
      if v_due.more and v_asked > 0 then
        v_bounded := true;
        v_backlog := true;
        v_note := coalesce(v_note, '{}') || '{"backlog": true}';
      end if;
    end if;
  elsif p_commands[1].op in ('reserve', 'charge') then
    -- The kind as a constant, so that the planner leaves out what is not asked for.
    select p.* into v_seq, v_hold.reservation_id, v_hold.status, v_hold.amount, v_hold.settled,
        v_hold.held, v_hold.expires_at, v_hold.stored, v_hold.net
      from baseledger._look_up(
        p_wallet_id, p_commands[1].idempotency_key, p_commands[1].reservation_id, true
      ) as p;
  else
    select p.* into v_seq, v_hold.reservation_id, v_hold.status, v_hold.amount, v_hold.settled,
        v_hold.held, v_hold.expires_at, v_hold.stored, v_hold.net
      from baseledger._look_up(
        p_wallet_id, p_commands[1].idempotency_key, p_commands[1].reservation_id, false
      ) as p;
  end if;

  -- 3. Decide. Without anything due, v_i runs over the commands. Otherwise two queues are merged:
  -- each turn takes the next expiry if its deadline is reached, else the next command, and sets v_i
  -- to its position; the loop then has no end of its own. (A second variable for the position would
  -- be one more expression for every command.)
  for v_i in 1 .. case when v_look_due then 2147483647 else v_asked end loop
    if v_look_due then
      if v_next_due <= v_total and p_commands[v_next_due].due_at <= v_at - v_ahead then
        v_i := v_next_due;
        v_next_due := v_next_due + 1;
      else
        exit when v_next_command > v_asked;
        v_i := v_next_command;
        v_next_command := v_next_command + 1;
      end if;
    end if;
    v_command := p_commands[v_i];
    if v_look_due or v_asked > 1 then
      v_seq := v_done[v_command.key_at];
      v_hold := v_holds[v_command.hold_at];
      if v_backlog and v_i <= v_asked then
        if v_hold.status = 'open' and v_hold.expires_at <= v_at - v_ahead then
          -- The command names a reservation of the backlog, which expires first. The expiry takes
          -- the place of the first one, which is done; the command has its turn again.
          v_next_command := v_i;
          v_i := v_asked + 1;
          v_seq := null;
          v_command := row(
            'expire', null, v_hold.reservation_id, v_hold.held, null, null, null, '{}', null,
            v_hold.expires_at, null, null, v_i, v_command.hold_at
          )::baseledger._command;
        elsif v_seq is null
          and v_command.refused is null
          and v_last.available
            < baseledger._required_funds(v_command, v_hold, v_wallet.overdraft_limit)
        then
          v_rest := coalesce(v_rest, baseledger._sum_backlog(p_wallet_id, v_since) - (
            select coalesce(sum(e.amount), 0) from unnest(v_events) as e
              where e.event = 'expired' and e.expires_at <= v_since
          ));
          if v_rest > 0
            and v_last.available + v_rest >= coalesce(
              v_command.at_least,
              baseledger._required_funds(v_command, v_hold, v_wallet.overdraft_limit)
            )
            and v_total < v_asked + 10 * baseledger._due_chunk_size()
          then
            -- Its funds are in the backlog: another chunk expires, then it has its turn again.
            v_next_command := v_i;
            v_due := baseledger._find_due(
              p_wallet_id, v_at - v_ahead, p_commands, v_asked, v_total, null
            );
            p_commands := p_commands || v_due.commands;
            v_holds := v_holds || v_due.holds;
            v_total := cardinality(p_commands);
            v_backlog := v_due.more;
            v_note := case
              when v_backlog then v_note
              else nullif(v_note - 'backlog', '{}')
            end;
            continue;
          end if;
        end if;
      end if;
    end if;

    if v_seq is not null or v_hold.status = 'unknown' then
      if v_hold.status = 'unknown' and v_command.reservation_id is not null then
        v_hold := baseledger._find_reservation(p_wallet_id, v_command.reservation_id);
      end if;
      -- The key was used: the same command gets its first receipt, another one is refused.
      if v_command.refused is null and v_seq is not null then
        if v_seq > v_wallet.seq then
          v_earlier := v_events[v_seq - v_wallet.seq];
        else
          select * into v_earlier from baseledger.events e
            where e.wallet_id = p_wallet_id and e.seq = v_seq;
        end if;
        v_command.detail := baseledger._compare_requests(
          baseledger._request_from_event(
            v_earlier.event, v_earlier.reservation_id, v_earlier.amount,
            v_earlier.expires_at - baseledger._event_clock(v_earlier.occurred_at, v_earlier.details),
            v_earlier.metadata, v_earlier.details
          ),
          baseledger._request_from_command(v_command)
        );
        if v_command.detail is null then
          v_receipts[v_i] := row(
            v_earlier.wallet_id, v_earlier.seq, v_earlier.event, v_earlier.reservation_id,
            v_earlier.amount, v_earlier.available, v_earlier.reserved, v_earlier.spent,
            v_earlier.expires_at, v_earlier.occurred_at, v_earlier.idempotency_key, true, null, null
          )::baseledger.receipt;
          continue;
        end if;
        v_command.refused := 'LGIDK';
      end if;
    end if;

    if v_command.refused is null then
      case v_command.op
        when 'reserve' then
          v_amount := case
            when v_command.at_least is null then v_command.amount
            else least(v_command.amount, greatest(v_last.available, v_command.at_least))
          end;
          v_command.refused := case
            when v_hold.status <> 'none' then 'LGRID'
            when v_wallet.frozen then 'LGFRZ'
            when v_last.available < v_amount then 'LGNSF'
          end;
          v_hold := row(
            v_hold.reservation_id, 'open', v_amount, 0, v_amount,
            coalesce(v_at - v_ahead, v_at) + v_command.ttl, false, v_hold.net, null, null
          )::baseledger._hold;
          v_move := row(
            'reserved', v_amount, -v_amount, v_amount, 0, v_hold.expires_at,
            case when v_command.at_least is not null then jsonb_build_object(
              'requested', v_command.amount, 'at_least', v_command.at_least
            ) end
          )::baseledger._move;

        when 'settle' then
          -- Late, its hold is back in available, and what was spent comes from there.
          v_reserved := -case
            when v_hold.status <> 'open' then 0
            when v_command.final then v_hold.held
            else least(v_command.amount, v_hold.held)
          end;
          v_available := -v_command.amount - v_reserved;
          v_command.refused := case
            when v_hold.status = 'none' then 'LGRNF'
            when v_hold.status not in ('open', 'expired') then 'LGEND'
            when v_hold.settled > 9223372036854775807 - v_command.amount then 'LGOVF'
            when v_available < 0 and v_last.available + coalesce(v_rest, 0)
              < -v_wallet.overdraft_limit - v_available
              then 'LGOVD'
            when v_available < 0 and v_last.available < -9223372036854775807 - v_available
              or v_last.spent > 9223372036854775807 - v_command.amount
              then 'LGOVF'
          end;
          if v_command.refused is null then
            v_move := row(
              'settled', v_command.amount, v_available, v_reserved, v_command.amount,
              case when v_hold.status = 'open' and not v_command.final then v_hold.expires_at end,
              case
                when v_hold.status = 'open' and v_command.final then null
                when v_hold.status = 'open' then '{"final": false}'
                when v_command.final then '{"late": true}'
                else '{"late": true, "final": false}'
              end
            )::baseledger._move;
            v_outdated := v_outdated || case when v_hold.stored then v_hold.reservation_id end;
            v_hold := row(
              v_hold.reservation_id,
              case when v_command.final then 'settled' else v_hold.status end,
              v_hold.amount, v_hold.settled + v_command.amount, v_hold.held + v_reserved,
              v_hold.expires_at, false, v_hold.net + v_command.amount, v_last.seq + 1, v_at
            )::baseledger._hold;
          end if;

        when 'expire' then
          -- A command before it has settled, cancelled or extended it.
          continue when v_hold.status <> 'open' or v_hold.expires_at > v_at - v_ahead;
          v_expired := v_expired + 1;
          v_rest := v_rest - case when v_hold.expires_at <= v_since then v_hold.held else 0 end;
          v_move := row(
            'expired', v_hold.held, v_hold.held, -v_hold.held, 0, v_hold.expires_at, null
          )::baseledger._move;
          v_outdated := v_outdated || case when v_hold.stored then v_hold.reservation_id end;
          v_hold := row(
            v_hold.reservation_id, 'expired', null, null, null, v_hold.expires_at, false,
            v_hold.net, v_last.seq + 1, v_at
          )::baseledger._hold;

        when 'cancel' then
          v_command.refused := case
            when v_hold.status = 'expired' then 'LGEXP'
            when v_hold.status = 'none' then 'LGRNF'
            when v_hold.status <> 'open' then 'LGEND'
          end;
          if v_command.refused is null then
            v_move := row(
              'cancelled', v_hold.held, v_hold.held, -v_hold.held, 0, null, null
            )::baseledger._move;
            v_outdated := v_outdated || case when v_hold.stored then v_hold.reservation_id end;
            v_hold := row(
              v_hold.reservation_id, 'cancelled', null, null, null, null, false, v_hold.net,
              v_last.seq + 1, v_at
            )::baseledger._hold;
          end if;

        when 'extend' then
          v_reserved := coalesce(v_command.amount - v_hold.held, 0);
          v_command.refused := case
            when v_hold.status = 'expired' then 'LGEXP'
            when v_hold.status = 'none' then 'LGRNF'
            when v_hold.status <> 'open' then 'LGEND'
            when v_reserved <= 0 then null
            when v_wallet.frozen then 'LGFRZ'
            when v_last.available < v_reserved then 'LGNSF'
            when v_hold.amount > 9223372036854775807 - v_reserved then 'LGOVF'
          end;
          if v_command.refused is null then
            v_outdated := v_outdated || case when v_hold.stored then v_hold.reservation_id end;
            v_hold := row(
              v_hold.reservation_id, 'open', v_hold.amount + v_reserved, v_hold.settled,
              v_hold.held + v_reserved, coalesce(v_at - v_ahead, v_at) + v_command.ttl, false,
              v_hold.net, null, null
            )::baseledger._hold;
            v_move := row(
              'extended', v_reserved, -v_reserved, v_reserved, 0, v_hold.expires_at,
              case when v_command.amount is not null
                then jsonb_build_object('hold', v_command.amount)
              end
            )::baseledger._move;
          end if;

        when 'charge' then
          v_command.refused := case
            when v_hold.status <> 'none' then 'LGRID'
            when v_wallet.frozen then 'LGFRZ'
            when v_last.available < v_command.amount then 'LGNSF'
            when v_last.spent > 9223372036854775807 - v_command.amount then 'LGOVF'
          end;
          v_move := row(
            'charged', v_command.amount, -v_command.amount, 0, v_command.amount, null, null
          )::baseledger._move;
          v_hold := row(
            v_hold.reservation_id, 'settled', null, null, null, null, false, v_command.amount,
            v_last.seq + 1, v_at
          )::baseledger._hold;

        when 'refund' then
          if v_hold.status = 'none' then
            v_command.refused := 'LGRNF';
          elsif v_hold.net + baseledger._sum_refundable(p_wallet_id, v_hold.reservation_id)
            < v_command.amount
          then
            v_command.refused := 'LGRFD';
          elsif baseledger._exceeds_range(v_last.available, v_last.reserved, v_command.amount) then
            v_command.refused := 'LGOVF';
          else
            v_move := row(
              'refunded', v_command.amount, v_command.amount, 0, -v_command.amount,
              case when v_hold.status = 'open' then v_hold.expires_at end, null
            )::baseledger._move;
            v_hold.net := v_hold.net - v_command.amount;
          end if;

        when 'withdraw', 'transfer_out' then
          v_command.refused := case
            when v_wallet.frozen then 'LGFRZ'
            when v_last.available < v_command.amount then 'LGNSF'
          end;
          v_move := row(
            case v_command.op when 'withdraw' then 'withdrawn'::baseledger.event_type
              else 'transferred_out' end,
            v_command.amount, -v_command.amount, 0, 0, null, v_command.details
          )::baseledger._move;

        when 'credit', 'transfer_in' then
          if baseledger._exceeds_range(v_last.available, v_last.reserved, v_command.amount) then
            v_command.refused := 'LGOVF';
          end if;
          v_move := row(
            case v_command.op when 'credit' then 'credited'::baseledger.event_type
              else 'transferred_in' end,
            v_command.amount, v_command.amount, 0, 0, null, v_command.details
          )::baseledger._move;

        when 'freeze', 'unfreeze' then
          v_wallet.frozen := v_command.op = 'freeze';
          v_move := row(
            case v_command.op when 'freeze' then 'frozen'::baseledger.event_type
              else 'unfrozen' end,
            null, 0, 0, 0, null, v_command.details
          )::baseledger._move;

        when 'open' then
          v_move := row('opened', null, 0, 0, 0, null, v_command.details)::baseledger._move;
      end case;
    end if;

    if v_command.refused is not null then
      v_command.detail := coalesce(v_command.detail, baseledger._describe_refusal(
        v_command.refused, p_wallet_id, coalesce(v_at - v_ahead, v_at),
        v_last.available + coalesce(v_rest, 0), v_last.reserved - coalesce(v_rest, 0), v_last.spent,
        v_wallet.overdraft_limit, v_available, v_command, v_hold, v_holds
      ));
      if p_raises then
        perform baseledger._raise(v_command.refused, v_command.detail);
      end if;
      v_receipts[v_i] := row(
        p_wallet_id, null, null, v_command.reservation_id, null, null, null, null, null, null,
        v_command.idempotency_key, false, v_command.refused, v_command.detail
      )::baseledger.receipt;
      continue;
    end if;

    v_last := row(
      v_last.seq + 1, v_move.amount, v_last.available + v_move.available,
      v_last.reserved + v_move.reserved, v_last.spent + v_move.spent, v_at, v_move.expires_at,
      v_move.event, p_wallet_id, v_command.reservation_id, v_command.idempotency_key,
      session_user::text, v_command.metadata,
      coalesce(v_move.details || v_note, v_note, v_move.details), v_last.hash
    )::baseledger.events;
    v_last.hash := sha256(v_last.hash || baseledger._encode_event(
      p_wallet_id, v_last.seq, v_last.event, v_last.reservation_id, v_last.amount,
      v_last.available, v_last.reserved, v_last.spent, v_last.expires_at, v_at,
      v_last.idempotency_key, v_last.actor, v_last.metadata, v_last.details
    ));
    v_receipts[v_i] := row(
      p_wallet_id, v_last.seq, v_last.event, v_last.reservation_id, v_last.amount,
      v_last.available, v_last.reserved, v_last.spent, v_last.expires_at, v_at,
      v_last.idempotency_key, false, null, null
    )::baseledger.receipt;
    exit when v_total = 1;
    v_events[v_last.seq - v_wallet.seq] := v_last;
    v_done[v_command.key_at] := v_last.seq;
    v_holds[v_command.hold_at] := v_hold;
    v_at := v_at + interval '1 microsecond';
  end loop;

  -- 4. Write.
  if v_asked > 0 and v_last.seq = v_wallet.seq + v_expired and v_bounded is null then
    return v_receipts[:v_asked];
  end if;
  if v_last.reserved < 0 or v_last.spent < 0 or v_last.available < -v_wallet.overdraft_limit then
    -- Available may be below the limit on record by what the backlog will return, or was so before.
    if v_last.reserved < 0 or v_last.spent < 0
      or v_last.available < -v_wallet.overdraft_limit - coalesce(v_rest, 0)
        and v_last.available < v_wallet.available
    then
      perform baseledger._raise_corrupted(
        p_wallet_id, v_last.available, v_last.reserved, v_last.spent
      );
    end if;
  end if;
  -- By position, as an expression a column would be too dear. A migration that adds a column makes
  -- a call under way fail with XX000, which clients retry.
  if v_total = 1 then
    insert into baseledger.events values (v_last.*);
    if v_outdated is not null then
      delete from baseledger.reservations r
        where r.wallet_id = p_wallet_id and r.reservation_id = v_hold.reservation_id;
    end if;
    if v_hold.status = 'open' and not v_hold.stored then
      insert into baseledger.reservations
        (wallet_id, reservation_id, amount, settled, held, expires_at)
        values (
          p_wallet_id, v_hold.reservation_id, v_hold.amount, v_hold.settled, v_hold.held,
          v_hold.expires_at
        );
      v_opened := v_hold.expires_at;
    end if;
  else
    insert into baseledger.events select * from unnest(v_events);
    if v_outdated is not null then
      delete from baseledger.reservations r
        where r.wallet_id = p_wallet_id and r.reservation_id = any(v_outdated);
    end if;
    insert into baseledger.reservations
      (wallet_id, reservation_id, amount, settled, held, expires_at)
    select p_wallet_id, h.reservation_id, h.amount, h.settled, h.held, h.expires_at
      from unnest(v_holds) as h
      where h.status = 'open' and not h.stored;
    v_opened := (
      select min(h.expires_at) from unnest(v_holds) as h where h.status = 'open' and not h.stored
    );
  end if;
  if v_look_due then
    v_wallet.next_deadline := (
      select r.expires_at from baseledger.reservations r
        where r.wallet_id = p_wallet_id and r.expires_at < 'infinity'
        order by r.expires_at
        limit 1
    );
  end if;
  update baseledger.wallets w
    set available = v_last.available,
      reserved = v_last.reserved,
      spent = v_last.spent,
      seq = v_last.seq,
      hash = v_last.hash,
      frozen = v_wallet.frozen,
      last_event_at = v_last.occurred_at,
      next_deadline = least(v_wallet.next_deadline, v_opened)
    where w.wallet_id = p_wallet_id;

  if v_asked > 0 and v_total > v_asked then
    return v_receipts[:v_asked];
  end if;
  return coalesce(v_receipts, '{}');
end
$$;

revoke all on function baseledger._execute from public;
--! EndIncluded functions/execute/_execute.sql
--! Included functions/execute/_execute_single.sql
-- Executes a single command, and raises its refusal. A SQL function without settings, so that it is
-- inlined.
create or replace function baseledger._execute_single(
  p_wallet_id text,
  p_command baseledger._command
)
returns baseledger.receipt
language sql
volatile
as $$
  select (baseledger._execute(p_wallet_id, array[p_command], null, true))[1]
$$;

revoke all on function baseledger._execute_single from public;
--! EndIncluded functions/execute/_execute_single.sql
--! Included functions/execute/_find_due.sql
-- Finds what is due in a wallet, earliest first: the next chunk after what was found before, as
-- expiry commands that follow the asked ones, with their reservations. Expiries have no key, so
-- that they never clash with the callers' keys. `more` says whether something is left.
--
-- Each event takes its own instant, so what comes due during the call is included; it expires only
-- if its instant is reached.
create or replace function baseledger._find_due(
  p_wallet_id text,
  p_now timestamptz,
  p_commands baseledger._command[],   -- the asked ones, then what was found before
  p_asked integer,
  p_last integer,                     -- position of the last one found; 0 = none
  p_limit integer,                    -- null: a chunk
  out commands baseledger._command[],
  out holds baseledger._hold[],
  out more boolean
)
returns record
language plpgsql
stable
as $$
declare
  c_limit constant integer := coalesce(p_limit, baseledger._due_chunk_size());
  c_total constant integer := cardinality(p_commands);
  c_until constant timestamptz := p_now + (c_total + c_limit) * interval '1 microsecond';
  c_after constant timestamptz := coalesce(p_commands[p_last].due_at, '-infinity');
  c_after_id constant text := coalesce(p_commands[p_last].reservation_id, '');
  v_asked baseledger._command[];
begin
  if p_asked > 0 then
    v_asked := p_commands[:p_asked];
  end if;
  select
      array_agg(row(
        'expire', null, d.reservation_id, d.held, null, null, null, '{}', null, d.expires_at,
        null, null, c_total + d.n, coalesce(a.hold_at, c_total + d.n)
      )::baseledger._command order by d.n) filter (where d.n <= c_limit),
      -- A reservation that an asked command names is at that command's position already: here its
      -- status is null.
      array_agg(row(
        d.reservation_id, case when a.hold_at is null then 'open' end, d.amount, d.settled, d.held,
        d.expires_at, true, 0, null, null
      )::baseledger._hold order by d.n) filter (where d.n <= c_limit),
      count(*) > c_limit
    into commands, holds, more
    from (
      select r.*, row_number() over (order by r.expires_at, r.reservation_id)::integer as n
        from baseledger.reservations r
        where r.wallet_id = p_wallet_id
          and (r.expires_at, r.reservation_id) > (c_after, c_after_id)
          and r.expires_at <= c_until
          and r.expires_at < 'infinity'
        order by r.expires_at, r.reservation_id
        limit c_limit + 1
    ) as d
    -- Those that the asked commands name share what is known of them.
    left join (
      select c.reservation_id, min(c.hold_at) as hold_at
        from unnest(v_asked) as c
        where c.reservation_id is not null
        group by c.reservation_id
    ) as a on a.reservation_id = d.reservation_id;
  commands := coalesce(commands, '{}');
end
$$;

revoke all on function baseledger._find_due from public;
--! EndIncluded functions/execute/_find_due.sql
--! Included functions/execute/_find_next_return.sql
-- The next deadline at which an open reservation gives its hold back: among those in the table that
-- _execute has not looked up, and among those that it has. What is due counts as returned already.
create or replace function baseledger._find_next_return(
  p_wallet_id text,
  p_now timestamptz,
  p_holds baseledger._hold[]
)
returns timestamptz
language plpgsql
stable
as $$
declare
  v_stored timestamptz;
  v_folded timestamptz;
begin
  select r.expires_at into v_stored
    from baseledger.reservations r
    where r.wallet_id = p_wallet_id
      and r.expires_at > p_now
      and r.expires_at < 'infinity'
      and not exists (
        select from unnest(p_holds) as h
          where h.reservation_id = r.reservation_id and h.status <> 'unknown'
      )
    order by r.expires_at
    limit 1;
  select min(h.expires_at) into v_folded
    from unnest(p_holds) as h
    where h.status = 'open' and h.expires_at > p_now;
  return least(v_stored, v_folded);
end
$$;

revoke all on function baseledger._find_next_return from public;
--! EndIncluded functions/execute/_find_next_return.sql
--! Included functions/execute/_look_up.sql
-- Looks up a command's key and its reservation: the event that was written for the key, and the
-- reservation as far as one look-up shows it. A reservation that is to be opened is looked for in
-- the journal, any other among the open ones; one that is not there gets the status unknown,
-- until a command needs it and _find_reservation looks for it.
--
-- Each look-up asks for a range of one value in the order of its index; as _execute has sorts off,
-- no statistics can make the planner walk a wallet's history through another index instead. A SQL
-- function without settings, so that it is inlined into _execute.
create or replace function baseledger._look_up(
  p_wallet_id text,
  p_idempotency_key text,
  p_reservation_id text,
  p_opens boolean
)
returns table (
  done bigint,
  reservation_id text,
  status text,
  amount bigint,
  settled bigint,
  held bigint,
  expires_at timestamptz,
  stored boolean,
  net bigint
)
language sql
stable
as $$
  select
      (
        select e.seq from baseledger.events e
          where e.wallet_id = p_wallet_id
            and e.idempotency_key between p_idempotency_key and p_idempotency_key
          order by e.idempotency_key
          limit 1
      ),
      p_reservation_id,
      case
        when o.held is not null then 'open'
        when not p_opens or (
          select e.seq from baseledger.events e
            where e.wallet_id = p_wallet_id
              and e.reservation_id between p_reservation_id and p_reservation_id
            order by e.reservation_id
            limit 1
        ) is not null then 'unknown'
        else 'none'
      end,
      o.amount, o.settled, o.held, o.expires_at, o.held is not null, 0::bigint
    from (values (p_reservation_id)) as asked(id)
    left join lateral (
      select r.amount, r.settled, r.held, r.expires_at from baseledger.reservations r
        where r.wallet_id = p_wallet_id
          and r.reservation_id between asked.id and asked.id
          and not p_opens
        order by r.reservation_id
        limit 1
    ) as o on true
$$;

revoke all on function baseledger._look_up from public;
--! EndIncluded functions/execute/_look_up.sql
--! Included functions/execute/_make_command.sql
-- Makes a command for _execute from the arguments of a function, refused with LGARG if a value is
-- not allowed. A SQL function without settings, so that it is inlined, and the planner evaluates
-- what is constant in its caller.
create or replace function baseledger._make_command(
  p_op text,
  p_idempotency_key text,
  p_reservation_id text default null,
  p_amount bigint default null,
  p_at_least bigint default null,
  p_ttl interval default null,
  p_final boolean default null,
  p_metadata jsonb default '{}',
  p_details jsonb default null
)
returns baseledger._command
language sql
immutable
as $$
  select row(
    p_op, p_idempotency_key, p_reservation_id, p_amount, p_at_least, p_ttl, p_final,
    coalesce(p_metadata, '{}'), p_details, null,
    case when baseledger._find_invalid_field(
      p_op, p_idempotency_key, p_reservation_id, p_amount, p_at_least, p_ttl,
      p_metadata, p_details
    ) is not null then 'LGARG' end,
    null, 1, 1
  )::baseledger._command
$$;

revoke all on function baseledger._make_command from public;
--! EndIncluded functions/execute/_make_command.sql
--! Included functions/execute/_request_from_command.sql
-- The request of a command in a form that can be compared: see _compare_requests.
create or replace function baseledger._request_from_command(p_command baseledger._command)
returns jsonb
language sql
immutable
as $$
  select pg_catalog.jsonb_build_object(
    'op', p_command.op,
    'reservation_id', p_command.reservation_id,
    'amount', case when p_command.op <> 'cancel' then p_command.amount end,
    'at_least', p_command.at_least,
    'ttl', case when p_command.op in ('reserve', 'extend')
      then pg_catalog.extract('epoch', p_command.ttl) end,
    'final', case when p_command.op = 'settle' then p_command.final end,
    'to', p_command.details ->> 'to',
    'reason', p_command.details ->> 'reason',
    'metadata', p_command.metadata
  )
$$;

revoke all on function baseledger._request_from_command from public;
--! EndIncluded functions/execute/_request_from_command.sql
--! Included functions/execute/_request_from_event.sql
-- The request that an event was written for, in the form of _request_from_command. The amount is
-- the one granted, unless details record what was asked for.
create or replace function baseledger._request_from_event(
  p_event baseledger.event_type,
  p_reservation_id text,
  p_amount bigint,
  p_ttl interval,
  p_metadata jsonb,
  p_details jsonb
)
returns jsonb
language sql
immutable
as $$
  select pg_catalog.jsonb_build_object(
    'op', case p_event
      when 'opened' then 'open'
      when 'credited' then 'credit'
      when 'withdrawn' then 'withdraw'
      when 'reserved' then 'reserve'
      when 'settled' then 'settle'
      when 'cancelled' then 'cancel'
      when 'extended' then 'extend'
      when 'charged' then 'charge'
      when 'refunded' then 'refund'
      when 'transferred_out' then 'transfer_out'
      when 'frozen' then 'freeze'
      when 'unfrozen' then 'unfreeze'
    end,
    'reservation_id', p_reservation_id,
    'amount', case p_event
      when 'cancelled' then null
      when 'extended' then (p_details ->> 'hold')::bigint
      else coalesce((p_details ->> 'requested')::bigint, p_amount)
    end,
    'at_least', (p_details ->> 'at_least')::bigint,
    'ttl', case when p_event in ('reserved', 'extended')
      then pg_catalog.extract('epoch', p_ttl) end,
    'final', case when p_event = 'settled'
      then coalesce((p_details ->> 'final')::boolean, true) end,
    'to', p_details ->> 'to',
    'reason', p_details ->> 'reason',
    'metadata', p_metadata
  )
$$;

revoke all on function baseledger._request_from_event from public;
--! EndIncluded functions/execute/_request_from_event.sql
--! Included functions/execute/_required_funds.sql
-- What must be available on record for a command to be granted in full; null if it takes nothing,
-- or if it may take without limit. The backlog may stand in for it: see _execute.
create or replace function baseledger._required_funds(
  p_command baseledger._command,
  p_hold baseledger._hold,
  p_overdraft_limit bigint
)
returns bigint
language sql
immutable
as $$
  select case
    when p_command.op in ('reserve', 'charge', 'withdraw', 'transfer_out') then p_command.amount
    when p_command.op = 'extend' then p_command.amount - p_hold.held
    when p_command.op = 'settle' then
      greatest(
        p_command.amount - case when p_hold.status = 'open' then p_hold.held else 0 end, 0
      ) - p_overdraft_limit
  end
$$;

revoke all on function baseledger._required_funds from public;
--! EndIncluded functions/execute/_required_funds.sql
--! Included functions/execute/_sum_backlog.sql
-- What the reservations of a wallet hold that were due at an instant and are still in the table.
-- Reads all of them, so _execute asks only when a command lacks funds.
create or replace function baseledger._sum_backlog(p_wallet_id text, p_since timestamptz)
returns bigint
language plpgsql
stable
as $$
declare
  v_held numeric;
begin
  select sum(o.held) into v_held
    from (
      -- In the order of the index, for the planner's sake: see _execute.
      select r.held from baseledger.reservations r
        where r.wallet_id = p_wallet_id
          and r.expires_at <= p_since
          and r.expires_at < 'infinity'
        order by r.expires_at
        offset 0
    ) as o;
  return coalesce(v_held, 0);
end
$$;

revoke all on function baseledger._sum_backlog from public;
--! EndIncluded functions/execute/_sum_backlog.sql
--! Included functions/reservations/_as_seconds.sql
-- Converts an interval to seconds: without months and days, which a time zone may stretch. One that
-- no reservation may have stays as it is, for _find_invalid_field to refuse.
create or replace function baseledger._as_seconds(p_interval interval)
returns interval
language sql
immutable
parallel safe
as $$
  select case when p_interval between interval '0' and interval '1 year'
    then pg_catalog.make_interval(
      secs => pg_catalog.extract('epoch', p_interval)::double precision
    )
    else p_interval
  end
$$;

revoke all on function baseledger._as_seconds from public;
--! EndIncluded functions/reservations/_as_seconds.sql
--! Included functions/reservations/_default_ttl.sql
-- The time to live of a reservation in seconds: 10 minutes by default.
create or replace function baseledger._default_ttl(p_ttl interval)
returns interval
language sql
immutable
parallel safe
as $$
  select case when p_ttl is null then interval '10 minutes' else baseledger._as_seconds(p_ttl) end
$$;

revoke all on function baseledger._default_ttl from public;
--! EndIncluded functions/reservations/_default_ttl.sql
--! Included functions/reservations/_find_reservation.sql
-- Finds a reservation in the tables, open or ended; status none if there never was one. How it
-- ended shows in its last event, refunds aside.
create or replace function baseledger._find_reservation(p_wallet_id text, p_reservation_id text)
returns baseledger._hold
language plpgsql
stable
as $$
declare
  v_hold baseledger._hold;
begin
  select r.reservation_id, 'open', r.amount, r.settled, r.held, r.expires_at,
      true, 0::bigint, null::bigint, null::timestamptz
    into v_hold
    from baseledger.reservations r
    where r.wallet_id = p_wallet_id and r.reservation_id = p_reservation_id;
  if found then
    return v_hold;
  end if;

  select
      p_reservation_id,
      case
        when e.event = 'expired' then 'expired'
        -- A late part: more of what was spent may yet be booked.
        when e.event = 'settled' and e.details @> '{"late": true, "final": false}' then 'expired'
        when e.event = 'cancelled' then 'cancelled'
        else 'settled'
      end,
      null::bigint, null::bigint, null::bigint,
      e.deadline,
      false, 0::bigint, e.seq, e.occurred_at
    into v_hold
    from (
      -- A range of one value in the order of its index, for the planner's sake: see _execute.
      select l.event, l.details, l.seq, l.occurred_at,
          max(l.expires_at) filter (where l.event = 'expired') over () as deadline
        from (
          select * from baseledger.events o
            where o.wallet_id = p_wallet_id
              and o.reservation_id between p_reservation_id and p_reservation_id
              and o.event <> 'refunded'
            order by o.reservation_id
            offset 0
        ) as l
    ) as e
    order by e.seq desc
    limit 1;
  if not found then
    v_hold := row(p_reservation_id, 'none', null, null, null, null, false, 0, null, null);
  end if;
  return v_hold;
end
$$;

revoke all on function baseledger._find_reservation from public;
--! EndIncluded functions/reservations/_find_reservation.sql
--! Included functions/reservations/_leaves_open.sql
-- Whether an event leaves its reservation open: it then carries the deadline in force. Any other
-- ends the reservation, or follows its end; `expired` carries the deadline that has passed. A SQL
-- function without settings, so that it is inlined. The view reservation_history does the same, as
-- those who read a view may not call private functions.
create or replace function baseledger._leaves_open(
  p_event baseledger.event_type,
  p_expires_at timestamptz
)
returns boolean
language sql
immutable
parallel safe
as $$
  select p_expires_at is not null and p_event <> 'expired'
$$;

revoke all on function baseledger._leaves_open from public;
--! EndIncluded functions/reservations/_leaves_open.sql
--! Included functions/reservations/_sum_refundable.sql
-- What a reservation has settled so far and not had refunded.
create or replace function baseledger._sum_refundable(p_wallet_id text, p_reservation_id text)
returns numeric
language plpgsql
stable
as $$
declare
  v_net numeric;
begin
  select sum(case e.event when 'refunded' then -e.amount else e.amount end) into v_net
    from (
      -- A range of one value in the order of its index, for the planner's sake: see _execute.
      select o.event, o.amount from baseledger.events o
        where o.wallet_id = p_wallet_id
          and o.reservation_id between p_reservation_id and p_reservation_id
          and o.event in ('settled', 'charged', 'refunded')
        order by o.reservation_id
        offset 0
    ) as e;
  return coalesce(v_net, 0);
end
$$;

revoke all on function baseledger._sum_refundable from public;
--! EndIncluded functions/reservations/_sum_refundable.sql
--! Included functions/reservations/cancel.sql
-- Gives a reservation back. Locks the wallet's row.
create or replace function baseledger.cancel(
  p_wallet_id text,
  p_reservation_id text,
  p_idempotency_key text,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'cancel', p_idempotency_key, p_reservation_id, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.cancel is
  'Ends a reservation and gives what it still holds back; the receipt''s amount says how much. '
  'A retry with the same key gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGRNF, '
  'LGEND (already settled or cancelled), LGEXP (past its deadline: the funds are back already).';
revoke all on function baseledger.cancel from public;
grant execute on function baseledger.cancel to baseledger_agent, baseledger_operator;
--! EndIncluded functions/reservations/cancel.sql
--! Included functions/reservations/charge.sql
-- Spends at once. Locks the wallet's row.
create or replace function baseledger.charge(
  p_wallet_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_reservation_id text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'charge', p_idempotency_key, coalesce(p_reservation_id, p_idempotency_key), p_amount,
    p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.charge is
  e'Spends p_amount (above 0) at once, when the cost is known already. Leaves a reservation that '
  'is settled from the start, named p_reservation_id or else the idempotency key, so that it can '
  'be looked up and refunded. A retry with the same key gets the first receipt. Refused with '
  'LGARG, LGWNF, LGIDK, LGRID, LGFRZ, LGNSF, LGOVF.'
  '\np_reservation_id: Name of the reservation that it leaves. Default: the idempotency key.';
revoke all on function baseledger.charge from public;
grant execute on function baseledger.charge to baseledger_agent, baseledger_operator;
--! EndIncluded functions/reservations/charge.sql
--! Included functions/reservations/extend.sql
-- The heartbeat of a long call. Locks the wallet's row.
create or replace function baseledger.extend(
  p_wallet_id text,
  p_reservation_id text,
  p_ttl interval,
  p_idempotency_key text,
  p_amount bigint default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  p_ttl := baseledger._as_seconds(p_ttl);
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'extend', p_idempotency_key, p_reservation_id, p_amount,
    p_ttl => p_ttl, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.extend is
  e'Gives an open reservation a new deadline, p_ttl (1 second to 30 days) from now. With p_amount '
  'it also holds that much from now on, more or less than before; the receipt''s amount is the '
  'change. A frozen wallet allows no larger hold. A retry with the same key gets the first '
  'receipt. Refused with LGARG, LGWNF, LGIDK, LGRNF, LGEND, LGEXP (past its deadline), LGNSF, '
  'LGFRZ, LGOVF.'
  '\np_ttl: Time from now until the new deadline, 1 second to 30 days.'
  '\np_amount: What it holds from now on, in the wallet''s smallest step. Default: what it holds.';
revoke all on function baseledger.extend from public;
grant execute on function baseledger.extend to baseledger_agent, baseledger_operator;
--! EndIncluded functions/reservations/extend.sql
--! Included functions/reservations/refund.sql
-- Takes spending back. Locks the wallet's row.
create or replace function baseledger.refund(
  p_wallet_id text,
  p_reservation_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  perform baseledger._require_operators_only('baseledger.refund(text,text,bigint,text,jsonb)');
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'refund', p_idempotency_key, p_reservation_id, p_amount, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.refund is
  'Takes p_amount (above 0) from spent back to available, in all never more than the reservation '
  'has settled. A retry with the same key gets the first receipt. Refused with LGARG, LGWNF, '
  'LGIDK, LGRNF, LGRFD (more than is refundable), LGOVF.';
revoke all on function baseledger.refund from public;
grant execute on function baseledger.refund to baseledger_operator;
--! EndIncluded functions/reservations/refund.sql
--! Included functions/reservations/reserve.sql
-- Holds funds before a call. Locks the wallet's row.
create or replace function baseledger.reserve(
  p_wallet_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_ttl interval default null,
  p_reservation_id text default null,
  p_at_least bigint default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  p_ttl := baseledger._default_ttl(p_ttl);
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'reserve', p_idempotency_key, coalesce(p_reservation_id, p_idempotency_key), p_amount,
    p_at_least, p_ttl, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.reserve is
  e'Holds p_amount (the wallet''s smallest step, above 0) for a call, until it is settled or '
  'cancelled, or p_ttl (1 second to 30 days, default 10 minutes) has passed. p_reservation_id '
  'defaults to the idempotency key. With p_at_least, grants what is there between p_at_least and '
  'p_amount; the receipt''s amount says how much. A retry with the same key gets the first '
  'receipt. Refused with LGARG, LGWNF, LGIDK, LGRID (reservation id taken), LGFRZ (wallet frozen), '
  'LGNSF (insufficient funds).'
  '\np_ttl: Time until the deadline, 1 second to 30 days. Default: 10 minutes.'
  '\np_reservation_id: Name of the reservation in its wallet. Default: the idempotency key.';
revoke all on function baseledger.reserve from public;
grant execute on function baseledger.reserve to baseledger_agent, baseledger_operator;
--! EndIncluded functions/reservations/reserve.sql
--! Included functions/reservations/settle.sql
-- Books what a call has cost. Locks the wallet's row.
create or replace function baseledger.settle(
  p_wallet_id text,
  p_reservation_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_final boolean default true,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'settle', p_idempotency_key, p_reservation_id, p_amount,
    p_final => coalesce(p_final, true), p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.settle is
  e'Books p_amount (0 or more) as spent and gives the rest of the reservation back. With '
  'p_final => false it books a part and keeps the rest reserved. An amount above '
  'the reservation is booked in full; what exceeds it comes from available. A settlement after '
  'the deadline is booked from available, as a late one. Either may take available below zero, '
  'down to the wallet''s overdraft limit. '
  'A retry with the same key gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGRNF, '
  'LGEND (ended otherwise), LGOVD (over the overdraft limit), LGOVF.'
  '\np_amount: What was spent, 0 or more, in the wallet''s smallest step.';
revoke all on function baseledger.settle from public;
grant execute on function baseledger.settle to baseledger_agent, baseledger_operator;
--! EndIncluded functions/reservations/settle.sql
--! Included functions/batch/_batch_operations.sql
-- The operations of a batch, and the fields that each may have: op, and the parameters of the
-- function of that name without p_ and without the wallet. post_funds takes all of them, post those
-- that are not for operators. A SQL function without settings, so that it is inlined.
create or replace function baseledger._batch_operations()
returns table (operation text, for_operators boolean, fields text[])
language sql
immutable
parallel safe
as $$
  values
    ('reserve', false,
      '{op,idempotency_key,amount,reservation_id,ttl,at_least,metadata}'::text[]),
    ('settle', false, '{op,idempotency_key,amount,reservation_id,final,metadata}'),
    ('cancel', false, '{op,idempotency_key,reservation_id,metadata}'),
    ('extend', false, '{op,idempotency_key,reservation_id,ttl,amount,metadata}'),
    ('charge', false, '{op,idempotency_key,amount,reservation_id,metadata}'),
    ('credit', true, '{op,idempotency_key,amount,metadata}'),
    ('withdraw', true, '{op,idempotency_key,amount,metadata}'),
    ('refund', true, '{op,idempotency_key,amount,reservation_id,metadata}')
$$;

revoke all on function baseledger._batch_operations from public;
--! EndIncluded functions/batch/_batch_operations.sql
--! Included functions/batch/_execute_batch.sql
-- Executes a batch. An empty one only checks the wallet: _execute without commands would be the
-- sweep.
create or replace function baseledger._execute_batch(
  p_wallet_id text,
  p_commands baseledger._command[]
)
returns baseledger.receipt[]
language plpgsql
volatile
as $$
begin
  if cardinality(p_commands) > 0 then
    return baseledger._execute(p_wallet_id, p_commands);
  end if;
  perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  return '{}'::baseledger.receipt[];
end
$$;

revoke all on function baseledger._execute_batch from public;
--! EndIncluded functions/batch/_execute_batch.sql
--! Included functions/batch/_explain_parse_error.sql
-- Why a command of a batch could not be parsed: {code, detail} of the first problem. p_fields are
-- those that its operation may have; null if this batch has no such operation.
create or replace function baseledger._explain_parse_error(
  p_command jsonb,
  p_op text,
  p_fields text[]
)
returns jsonb
language plpgsql
stable
as $$
declare
  v_field text;
begin
  if jsonb_typeof(p_command -> 'op') is distinct from 'string' then
    v_field := 'op';
  elsif p_fields is null then
    return jsonb_build_object('code', 'LGUNK', 'detail', jsonb_build_object('op', p_op));
  else
    select k into v_field
      from jsonb_object_keys(p_command) as k
      where k <> all (p_fields)
      order by k
      limit 1;
    v_field := coalesce(v_field, case
      when jsonb_typeof(p_command -> 'idempotency_key') not in ('string', 'null')
        then 'idempotency_key'
      when jsonb_typeof(p_command -> 'reservation_id') not in ('string', 'null')
        then 'reservation_id'
      when p_command -> 'amount' <> 'null'
        and baseledger._parse_bigint(p_command -> 'amount') is null
        then 'amount'
      when p_command -> 'at_least' <> 'null'
        and baseledger._parse_bigint(p_command -> 'at_least') is null
        then 'at_least'
      when p_command -> 'ttl' <> 'null' and baseledger._parse_ttl(p_command -> 'ttl') is null
        then 'ttl'
      else 'final'
    end);
  end if;
  return jsonb_build_object('code', 'LGARG', 'detail', baseledger._describe_argument(v_field));
end
$$;

revoke all on function baseledger._explain_parse_error from public;
--! EndIncluded functions/batch/_explain_parse_error.sql
--! Included functions/batch/_parse_bigint.sql
-- Parses a JSON number or string as a whole number that fits a bigint; null if it is none.
create or replace function baseledger._parse_bigint(p_value jsonb)
returns bigint
language sql
immutable
parallel safe
as $$
  select case pg_catalog.jsonb_typeof(p_value)
    when 'number' then
      case when p_value::numeric between -9223372036854775808 and 9223372036854775807
          and p_value::numeric = pg_catalog.trunc(p_value::numeric)
        then p_value::bigint
      end
    when 'string' then
      case when p_value #>> '{}' ~ '^-?[0-9]{1,19}$'
          and (p_value #>> '{}')::numeric between -9223372036854775808 and 9223372036854775807
        then (p_value #>> '{}')::bigint
      end
  end
$$;

revoke all on function baseledger._parse_bigint from public;
--! EndIncluded functions/batch/_parse_bigint.sql
--! Included functions/batch/_parse_commands.sql
-- Parses the commands of a batch, strictly: p_commands must be an array of at most 10,000 objects,
-- or the whole call is refused; an unknown operation, an unknown field, a value of the wrong type
-- or one that is not allowed refuses that command alone. A field that is null counts as absent.
--
-- The usual forms of amounts and times are parsed right here; only others go through _parse_bigint
-- and _parse_ttl, which cost more.
create or replace function baseledger._parse_commands(p_commands jsonb, p_for_operators boolean)
returns baseledger._command[]
language plpgsql
stable
as $$
declare
  v_commands baseledger._command[];
begin
  if jsonb_typeof(p_commands) is distinct from 'array'
    or jsonb_array_length(p_commands) > 10000
    or exists (select from jsonb_array_elements(p_commands) e where jsonb_typeof(e) <> 'object')
  then
    perform baseledger._raise('LGARG', baseledger._describe_argument('commands'));
  end if;

  select array_agg(row(
      r.op, r.idempotency_key, r.reservation_id, r.amount, r.at_least, r.ttl, r.final, r.metadata,
      null, null,
      case
        when r.problem is not null then r.problem ->> 'code'
        when baseledger._find_invalid_field(
          r.op, r.idempotency_key, r.reservation_id, r.amount, r.at_least, r.ttl, r.metadata, null
        ) is not null then 'LGARG'
      end,
      r.problem -> 'detail',
      r.key_at, r.hold_at
    )::baseledger._command order by r.n)
    into v_commands
    from (
      select t.*,
          min(t.n) over (partition by t.idempotency_key collate "C") as key_at,
          min(t.n) over (partition by t.reservation_id collate "C") as hold_at
        from (
          select v.n, v.op, v.idempotency_key, v.amount, v.at_least,
              coalesce(
                v.reservation_id,
                case when v.op in ('reserve', 'charge') then v.idempotency_key end
              ) as reservation_id,
              case when v.op = 'reserve' then baseledger._default_ttl(v.ttl) else v.ttl end as ttl,
              v.final is distinct from 'false' as final,
              coalesce(v.metadata, '{}') as metadata,
              case when v.fields is null
                or v.c - v.fields <> '{}'
                or jsonb_typeof(v.c -> 'op') <> 'string'
                or jsonb_typeof(v.c -> 'idempotency_key') not in ('string', 'null')
                or jsonb_typeof(v.c -> 'reservation_id') not in ('string', 'null')
                or v.amount is null and v.given_amount is not null
                or v.at_least is null and v.given_at_least is not null
                or v.ttl is null and v.given_ttl is not null
                or v.final is not null and jsonb_typeof(v.c -> 'final') <> 'boolean'
              then baseledger._explain_parse_error(v.c, v.op, v.fields) end as problem
            from (
              select e.c, e.n, e.op, o.fields, e.idempotency_key, e.reservation_id, e.final,
                  e.metadata,
                  e.amount as given_amount,
                  case when ltrim(e.amount, '0123456789') = ''
                      and length(e.amount) between 1 and 18
                      then e.amount::bigint
                    when e.amount is not null then baseledger._parse_bigint(e.c -> 'amount')
                  end as amount,
                  e.at_least as given_at_least,
                  case when e.at_least is not null then baseledger._parse_bigint(e.c -> 'at_least')
                  end as at_least,
                  e.ttl as given_ttl,
                  case when ltrim(e.ttl, '0123456789') = '' and length(e.ttl) between 1 and 8
                      then make_interval(secs => e.ttl::integer)
                    when e.ttl is not null then baseledger._parse_ttl(e.c -> 'ttl')
                  end as ttl
                from rows from (
                  jsonb_array_elements(p_commands),
                  jsonb_to_recordset(p_commands) as (
                    op text, idempotency_key text, reservation_id text, amount text, at_least text,
                    ttl text, final text, metadata jsonb
                  )
                ) with ordinality as e(
                  c, op, idempotency_key, reservation_id, amount, at_least, ttl, final, metadata, n
                )
                left join baseledger._batch_operations() as o
                  on o.operation = e.op and (p_for_operators or not o.for_operators)
                -- each value is computed once, however often it is named
                offset 0
            ) as v
            offset 0
        ) as t
    ) as r;
  return coalesce(v_commands, '{}');
end
$$;

revoke all on function baseledger._parse_commands from public;
--! EndIncluded functions/batch/_parse_commands.sql
--! Included functions/batch/_parse_ttl.sql
-- Parses a time to live in JSON: a number of seconds, or an interval as a string ('5 minutes',
-- 'PT5M'); null if it is neither.
create or replace function baseledger._parse_ttl(p_value jsonb)
returns interval
language plpgsql
stable
as $$
begin
  case jsonb_typeof(p_value)
    when 'number' then
      -- More than any reservation may live; large enough to be refused, small enough to convert.
      return make_interval(secs => least(greatest(p_value::numeric, -1), 99999999)::float8);
    when 'string' then
      return baseledger._as_seconds((p_value #>> '{}')::interval);
    else
      return null;
  end case;
exception
  when data_exception then
    return null;
end
$$;

revoke all on function baseledger._parse_ttl from public;
--! EndIncluded functions/batch/_parse_ttl.sql
--! Included functions/batch/post.sql
-- A batch for one wallet. Locks the wallet's row once, writes it once.
create or replace function baseledger.post(p_wallet_id text, p_commands jsonb)
returns setof baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_receipt baseledger.receipt;
begin
  foreach v_receipt in array baseledger._execute_batch(
    p_wallet_id,
    baseledger._parse_commands(p_commands, false)
  ) loop
    return next v_receipt;
  end loop;
end
$$;

comment on function baseledger.post is
  e'Carries out a batch of commands in one wallet, in order. p_commands is a JSON array of at most '
  '10,000 objects, each with op (reserve, settle, cancel, extend or charge) and the parameters of '
  'that function without p_; amounts are numbers or strings, ttl is seconds or an interval. '
  'Returns one row a command, in order: its receipt, or its refusal (the code in refused, the '
  'reason in detail); a refused command does not stop the others. A retry of a command with the '
  'same key gets its first receipt. Raises LGARG if p_commands is no such array, and LGWNF.'
  '\np_commands: At most 10,000. @commands(reserve, settle, cancel, extend, charge)';
revoke all on function baseledger.post from public;
grant execute on function baseledger.post to baseledger_agent, baseledger_operator;
--! EndIncluded functions/batch/post.sql
--! Included functions/batch/post_funds.sql
-- A batch for one wallet that may also move funds in and out. Locks the row once, writes it once.
create or replace function baseledger.post_funds(p_wallet_id text, p_commands jsonb)
returns setof baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only('baseledger.post_funds(text,jsonb)');
  foreach v_receipt in array baseledger._execute_batch(
    p_wallet_id,
    baseledger._parse_commands(p_commands, true)
  ) loop
    return next v_receipt;
  end loop;
end
$$;

comment on function baseledger.post_funds is
  e'Carries out a batch of commands in one wallet, in order, also of those that move funds in and '
  'out. p_commands is a JSON array of at most 10,000 objects, each with op (those of post, and '
  'credit, withdraw, refund) and the parameters of that function without p_; amounts are numbers '
  'or strings, ttl is seconds or an interval. Returns one row a command, in order: its receipt, '
  'or its refusal (the code in refused, the reason in detail); a refused command does not stop '
  'the others. A retry of a command with the same key gets its first receipt. Raises LGARG if '
  'p_commands is no such array, and LGWNF.'
  '\np_commands: At most 10,000. @commands(post, credit, withdraw, refund)';
revoke all on function baseledger.post_funds from public;
grant execute on function baseledger.post_funds to baseledger_operator;
--! EndIncluded functions/batch/post_funds.sql
--! Included functions/wallets/balance.sql
-- The balances now. Takes no lock; one statement, so that wallet and reservations agree.
create or replace function baseledger.balance(p_wallet_id text)
returns baseledger.wallet_balance
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_clock constant timestamptz := baseledger._read_clock();
  v_balance baseledger.wallet_balance;
begin
  select w.wallet_id, w.unit, w.scale, w.available + d.due, w.reserved - d.due, w.spent,
      w.overdraft_limit, w.frozen, w.seq, i.instant
    into v_balance
    from baseledger.wallets w
    cross join lateral (
      select baseledger._deadline_clock(v_clock, w.last_event_at) offset 0
    ) as i(instant)
    cross join lateral (
      select coalesce(sum(o.held), 0)::bigint
        from (
          -- In the order of the index, for the planner's sake: see _execute.
          select r.held from baseledger.reservations r
            where r.wallet_id = p_wallet_id
              and w.next_deadline <= i.instant
              and r.expires_at <= i.instant
              and r.expires_at < 'infinity'
            order by r.expires_at
            offset 0
        ) as o
    ) as d(due)
    where w.wallet_id = p_wallet_id;
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  return v_balance;
end
$$;

comment on function baseledger.balance is
  'The balances of a wallet now, in its smallest step. Reservations past their deadline count as '
  'returned, whether or not a worker has swept them. On a standby: as of what it has replayed. '
  'Refused with LGARG, LGWNF.';
revoke all on function baseledger.balance from public;
grant execute on function baseledger.balance
  to baseledger_agent, baseledger_operator, baseledger_auditor;
--! EndIncluded functions/wallets/balance.sql
--! Included functions/wallets/credit.sql
-- Adds funds. Locks the wallet's row.
create or replace function baseledger.credit(
  p_wallet_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  perform baseledger._require_operators_only('baseledger.credit(text,bigint,text,jsonb)');
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'credit', p_idempotency_key, p_amount => p_amount, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.credit is
  'Adds p_amount (above 0, in the wallet''s smallest step) to available. A retry with the same key '
  'gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGOVF.';
revoke all on function baseledger.credit from public;
grant execute on function baseledger.credit to baseledger_operator;
--! EndIncluded functions/wallets/credit.sql
--! Included functions/wallets/freeze_wallet.sql
-- The kill switch. Locks the wallet's row.
create or replace function baseledger.freeze_wallet(
  p_wallet_id text,
  p_reason text,
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  perform baseledger._require_operators_only('baseledger.freeze_wallet(text,text,text,jsonb)');
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'freeze', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('reason', p_reason)
  ));
end
$$;

comment on function baseledger.freeze_wallet is
  e'The kill switch: from now on no new reservations, larger holds, charges, withdrawals or '
  'transfers out; settling, cancelling, crediting go on. p_reason (1 to 1000 characters) goes on '
  'record. The key is optional: a retry with the same key gets the first receipt; each call '
  'without one is an event, the wallet just stays frozen. Refused with LGARG, LGWNF, LGIDK.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.freeze_wallet from public;
grant execute on function baseledger.freeze_wallet to baseledger_operator;
--! EndIncluded functions/wallets/freeze_wallet.sql
--! Included functions/wallets/open_wallet.sql
-- Opens a wallet. A second opening finds the first and compares the terms.
create or replace function baseledger.open_wallet(
  p_wallet_id text,
  p_unit text default 'USD',
  p_scale integer default 9,
  p_overdraft_limit bigint default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_terms jsonb := jsonb_build_object(
    'unit', p_unit, 'scale', p_scale, 'overdraft_limit', p_overdraft_limit
  );
  v_event baseledger.events;
  v_difference jsonb;
begin
  perform baseledger._require_operators_only(
    'baseledger.open_wallet(text,text,integer,bigint,jsonb)'
  );
  perform baseledger._require_id('wallet_id', p_wallet_id);
  perform baseledger._require_id('unit', p_unit);
  if p_scale is null or p_scale not between 0 and 18 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('scale'));
  end if;
  if p_overdraft_limit < 0 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('overdraft_limit'));
  end if;

  if baseledger._find_invalid_field(
    'open', null, null, null, null, null, coalesce(p_metadata, '{}'), null
  ) is not null then
    perform baseledger._raise('LGARG', baseledger._describe_argument('metadata'));
  end if;

  insert into baseledger.wallets (wallet_id, unit, scale, overdraft_limit, hash, last_event_at)
    values (
      p_wallet_id, p_unit, p_scale, p_overdraft_limit, decode(repeat('00', 32), 'hex'), '-infinity'
    )
    on conflict (wallet_id) do nothing;
  if found then
    -- One that was opened before this was a rule can be opened again.
    if baseledger._is_ambiguous_name(p_wallet_id) or baseledger._is_ambiguous_name(p_unit) then
      perform baseledger._raise('LGARG', baseledger._describe_argument(
        case when baseledger._is_ambiguous_name(p_wallet_id) then 'wallet_id' else 'unit' end
      ));
    end if;
    return baseledger._execute_single(p_wallet_id, baseledger._make_command(
      'open', null, p_metadata => p_metadata, p_details => v_terms
    ));
  end if;

  select * into v_event from baseledger.events e where e.wallet_id = p_wallet_id and e.seq = 1;
  v_difference := baseledger._compare_requests(v_event.details, v_terms);
  if v_difference is not null then
    perform baseledger._raise('LGIDK', v_difference);
  end if;
  return row(
    v_event.wallet_id, v_event.seq, v_event.event, null, v_event.amount, v_event.available,
    v_event.reserved, v_event.spent, null, v_event.occurred_at, null, true, null, null
  )::baseledger.receipt;
end
$$;

comment on function baseledger.open_wallet is
  'Opens a wallet for amounts counted in the smallest step of p_unit: p_scale (0 to 18) decimal '
  'digits, so 9 for USD means nano-dollars. Settlements may take available down to '
  '-p_overdraft_limit; null = without limit, 0 = never below zero. Idempotent by id: opened again '
  'on the same terms, it returns the first receipt with replayed = true (metadata stays as it '
  'was). Refused with LGARG, and LGIDK when unit, scale or overdraft limit differ.';
revoke all on function baseledger.open_wallet from public;
grant execute on function baseledger.open_wallet to baseledger_operator;
--! EndIncluded functions/wallets/open_wallet.sql
--! Included functions/wallets/transfer.sql
-- Moves funds between two wallets. Locks both rows, one statement each, in id order, so that
-- transfers in both directions do not deadlock.
create or replace function baseledger.transfer(
  p_from text,
  p_to text,
  p_amount bigint,
  p_idempotency_key text,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_id text;
  v_terms text[] := '{}'::text[];
  v_out baseledger.receipt;
begin
  perform baseledger._require_operators_only('baseledger.transfer(text,text,bigint,text,jsonb)');
  perform baseledger._require_id('from', p_from);
  perform baseledger._require_id('to', p_to);
  foreach v_id in array array[
    least(p_from collate "C", p_to collate "C"), greatest(p_from collate "C", p_to collate "C")
  ] loop
    select v_terms || array[w.unit, w.scale::text] into v_terms
      from baseledger.wallets w
      where w.wallet_id = v_id
      for no key update;
    if not found then
      perform baseledger._raise_wallet_not_found(v_id);
    end if;
  end loop;
  if p_from = p_to or v_terms[1:2] <> v_terms[3:4] then
    perform baseledger._raise('LGARG', jsonb_build_object(
      'field', 'to', 'reason', 'must be another wallet of the same unit and scale'
    ));
  end if;

  v_out := baseledger._execute_single(p_from, baseledger._make_command(
    'transfer_out', p_idempotency_key, p_amount => p_amount, p_metadata => p_metadata,
    p_details => jsonb_build_object('to', p_to)
  ));
  if not v_out.replayed then
    perform baseledger._execute_single(p_to, baseledger._make_command(
      'transfer_in', null, p_amount => p_amount, p_metadata => p_metadata,
      p_details => jsonb_build_object('from', p_from, 'from_seq', v_out.seq)
    ));
  end if;
  return v_out;
end
$$;

comment on function baseledger.transfer is
  e'Moves p_amount (above 0) from the available funds of one wallet to those of another of the '
  'same unit and scale, never taking the sender below zero. Writes one event in each journal and '
  'returns the sender''s receipt; the key belongs to the sender''s wallet. A retry with the same '
  'key gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGFRZ (sender frozen), LGNSF, '
  'LGOVF.'
  '\np_from: Id of the wallet that gives.'
  '\np_to: Id of the wallet that gets.';
revoke all on function baseledger.transfer from public;
grant execute on function baseledger.transfer to baseledger_operator;
--! EndIncluded functions/wallets/transfer.sql
--! Included functions/wallets/unfreeze_wallet.sql
-- Ends the kill switch. Locks the wallet's row.
create or replace function baseledger.unfreeze_wallet(
  p_wallet_id text,
  p_reason text,
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  perform baseledger._require_operators_only('baseledger.unfreeze_wallet(text,text,text,jsonb)');
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'unfreeze', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('reason', p_reason)
  ));
end
$$;

comment on function baseledger.unfreeze_wallet is
  e'Ends a freeze. p_reason (1 to 1000 characters) goes on record. The key is optional: a retry '
  'with the same key gets the first receipt; each call without one is an event, the wallet just '
  'stays open. Refused with LGARG, LGWNF, LGIDK.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.unfreeze_wallet from public;
grant execute on function baseledger.unfreeze_wallet to baseledger_operator;
--! EndIncluded functions/wallets/unfreeze_wallet.sql
--! Included functions/wallets/withdraw.sql
-- Takes funds out. Locks the wallet's row.
create or replace function baseledger.withdraw(
  p_wallet_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  perform baseledger._require_operators_only('baseledger.withdraw(text,bigint,text,jsonb)');
  return baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'withdraw', p_idempotency_key, p_amount => p_amount, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.withdraw is
  'Takes p_amount (above 0) out of available, never below zero. A retry with the same key gets the '
  'first receipt. Refused with LGARG, LGWNF, LGIDK, LGFRZ, LGNSF.';
revoke all on function baseledger.withdraw from public;
grant execute on function baseledger.withdraw to baseledger_operator;
--! EndIncluded functions/wallets/withdraw.sql
--! Included functions/sweep/_clock_jumped.sql
-- Whether the clock has jumped ahead since the last sweeps, and has not gone on from there for a
-- while. An expiry is final, so the sweep waits for a clock that may be wrong for a moment; due
-- reservations count as returned all the same.
--
-- Each look at the clock is a row, at most one in c_apart: no sweep waits for another one's open
-- transaction, and a sweep that fails leaves no row. The gap that counts is the one after the last
-- look before c_settled: a jump that is younger is not believed. Whoever sweeps rarely has long
-- gaps, so a gap may also be twice as long as the one before it. Looks that are ahead of the clock
-- are left over from before it was set back, and are ignored.
create or replace function baseledger._clock_jumped(p_now timestamptz)
returns boolean
language plpgsql
volatile
as $$
declare
  c_apart constant interval := '5 seconds';
  c_settled constant interval := '10 seconds';
  c_far constant interval := '1 minute';
  v_earlier timestamptz;
  v_before timestamptz;
  v_after timestamptz;
begin
  select max(s.looked_at) into v_before
    from baseledger.sweeps s
    where s.looked_at <= p_now - c_settled;
  select max(s.looked_at) into v_earlier
    from baseledger.sweeps s
    where s.looked_at < v_before;
  select min(s.looked_at) into v_after
    from baseledger.sweeps s
    where s.looked_at > v_before and s.looked_at <= p_now;

  if not exists (
    select from baseledger.sweeps s
      where s.looked_at > p_now - c_apart and s.looked_at <= p_now
  ) then
    delete from baseledger.sweeps s
      where s.looked_at in (
        select d.looked_at from baseledger.sweeps d
          where d.looked_at < v_earlier or d.looked_at > p_now
          for update skip locked
      );
    insert into baseledger.sweeps values (p_now) on conflict do nothing;
  end if;

  -- null: there is no look to compare with
  return coalesce(
    coalesce(v_after, p_now) - v_before > greatest(c_far, 2 * (v_before - v_earlier)), false
  );
end
$$;

revoke all on function baseledger._clock_jumped from public;
--! EndIncluded functions/sweep/_clock_jumped.sql
--! Included functions/sweep/_sweep_in_turn.sql
-- Sweeps one of the wallets that were locked when the sweep came by: an overdue one, drawn by lot.
-- Waits for its lock in the same queue as its callers' commands, so that it has its turn among
-- hundreds of them; but not for long, as others may be due, or the role's statement_timeout be
-- short.
create or replace function baseledger._sweep_in_turn(
  p_wallet_ids text[],
  p_now timestamptz,
  p_limit integer
)
returns integer
language plpgsql
volatile
set lock_timeout = '1500ms'
as $$
declare
  c_patience constant interval := '2 seconds';
  v_id text;
begin
  select w.wallet_id into v_id
    from baseledger.wallets w
    where w.wallet_id = any(p_wallet_ids)
      and w.next_deadline <= p_now - c_patience
    order by random()
    limit 1;
  if v_id is null then
    return 0;
  end if;
  perform from baseledger.wallets w
    where w.wallet_id = v_id
    for no key update;
  return (select s.p_expired from baseledger._sweep_singly(array[v_id], p_limit) as s);
exception
  when lock_not_available then
    return 0;
end
$$;

revoke all on function baseledger._sweep_in_turn from public;
--! EndIncluded functions/sweep/_sweep_in_turn.sql
--! Included functions/sweep/_sweep_singly.sql
-- Sweeps wallets one by one; one that cannot be swept is left out with a warning. Errors that are
-- no fault of a wallet go to the caller: a transaction that may not write (class 25) or must be
-- retried (40), a server without resources (53), one that shuts down (57) or cannot read its files
-- (58).
create or replace function baseledger._sweep_singly(
  p_wallet_ids text[],
  p_limit integer,
  out p_expired integer,
  out p_locked text[]
)
language plpgsql
volatile
as $$
declare
  v_id text;
  v_expired integer := 0;
  v_locked text[] := '{}';
begin
  foreach v_id in array p_wallet_ids loop
    exit when v_expired >= p_limit;
    begin
      select v_expired + s.p_expired, v_locked || s.p_locked into v_expired, v_locked
        from baseledger._sweep_wallets(array[v_id], p_limit - v_expired) as s;
    exception
      when others then
        if left(sqlstate, 2) in ('25', '40', '53', '57', '58') then
          raise;
        end if;
        raise warning 'baseledger: wallet % cannot be swept: %', v_id, sqlerrm
          using hint = 'Run baseledger.verify() on it.';
    end;
  end loop;
  p_expired := v_expired;
  p_locked := v_locked;
end
$$;

revoke all on function baseledger._sweep_singly from public;
--! EndIncluded functions/sweep/_sweep_singly.sql
--! Included functions/sweep/_sweep_wallets.sql
-- Sweeps wallets, each under its lock, until p_limit reservations have expired. Returns how many,
-- and which wallets another session had locked.
create or replace function baseledger._sweep_wallets(
  p_wallet_ids text[],
  p_limit integer,
  out p_expired integer,
  out p_locked text[]
)
language plpgsql
volatile
as $$
declare
  v_id text;
begin
  p_expired := 0;
  p_locked := '{}';
  foreach v_id in array p_wallet_ids loop
    exit when p_expired >= p_limit;
    perform from baseledger.wallets w
      where w.wallet_id = v_id
      for no key update skip locked;
    if found then
      p_expired := p_expired
        + cardinality(baseledger._execute(v_id, '{}', p_limit - p_expired));
    else
      p_locked := p_locked || v_id;
    end if;
  end loop;
end
$$;

revoke all on function baseledger._sweep_wallets from public;
--! EndIncluded functions/sweep/_sweep_wallets.sql
--! Included functions/sweep/expire_due.sql
-- The sweep. Finds wallets with something due without locking them, earliest first, and executes
-- their expiries. A wallet that another session has locked is left out: the others come first. Only
-- when nothing else is left, and no lock is held, does the sweep wait for one of those.
create or replace function baseledger.expire_due(p_limit integer default 1000)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  c_page constant integer := 200;
  c_longest constant interval := '1 minute';
  v_now constant timestamptz := clock_timestamp();
  v_deadline timestamptz := timestamptz '-infinity';
  v_wallet_id text := '';
  v_ids text[];
  v_locked text[] := '{}';
  v_expired integer := 0;
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  end if;
  if baseledger._clock_jumped(v_now) then
    return 0;
  end if;

  while v_expired < p_limit loop
    -- next_deadline may be too early: of those found together, the truly earliest come first.
    select array_agg(p.wallet_id order by p.first_deadline, p.wallet_id),
        (array_agg(p.wallet_id order by p.next_deadline desc, p.wallet_id desc))[1],
        max(p.next_deadline)
      into v_ids, v_wallet_id, v_deadline
      from (
        select w.wallet_id, w.next_deadline, (
            select r.expires_at from baseledger.reservations r
              where r.wallet_id = w.wallet_id and r.expires_at < 'infinity'
              order by r.expires_at
              limit 1
          ) as first_deadline
          from baseledger.wallets w
          where w.next_deadline <= v_now
            and w.next_deadline >= v_deadline
            and (w.next_deadline, w.wallet_id) > (v_deadline, v_wallet_id)
          order by w.next_deadline, w.wallet_id
          limit c_page
      ) as p;
    exit when v_ids is null;

    -- A wallet that cannot be swept must not stop the others: the page is rolled back, and its
    -- wallets are swept one by one.
    begin
      select v_expired + s.p_expired, v_locked || s.p_locked into v_expired, v_locked
        from baseledger._sweep_wallets(v_ids, p_limit - v_expired) as s;
    exception
      when others then
        select v_expired + s.p_expired, v_locked || s.p_locked into v_expired, v_locked
          from baseledger._sweep_singly(v_ids, p_limit - v_expired) as s;
    end;
  end loop;
  if v_expired = 0 and v_locked <> '{}' then
    v_expired := baseledger._sweep_in_turn(v_locked, v_now, p_limit);
  end if;

  -- _execute reads the clock itself: if it has jumped since, what was expired is rolled back.
  if clock_timestamp() > v_now + c_longest then
    raise exception using
      errcode = 'serialization_failure',
      message = 'the sweep took too long, or the clock has jumped ahead',
      detail = format('It began at %s and ended at %s.', v_now, clock_timestamp()),
      hint = 'Call it again; with a lower limit if this is raised again.';
  end if;
  return v_expired;
end
$$;

comment on function baseledger.expire_due is
  'Expires reservations whose deadline has passed, earliest first, at most p_limit (1 to 100,000), '
  'and returns how many. Skips wallets that are locked; if there are no others, waits for one of '
  'them that is overdue, two seconds at most. Does nothing for 10 seconds after the clock has '
  'jumped ahead, in case it is wrong, and also when nobody has called it for minutes. Call it '
  'often; while it is not called, balances are right all the same, as due reservations count as '
  'returned by their deadline. A retry expires what is still due. Refused with LGARG. @notNull';
revoke all on function baseledger.expire_due from public;
grant execute on function baseledger.expire_due to baseledger_worker;
--! EndIncluded functions/sweep/expire_due.sql
--! Included functions/sweep/next_due.sql
-- When the sweep has something to do next.
create or replace function baseledger.next_due()
returns timestamptz
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_next timestamptz;
begin
  select w.next_deadline into v_next
    from baseledger.wallets w
    where w.next_deadline is not null
    order by w.next_deadline
    limit 1;
  return v_next;
end
$$;

comment on function baseledger.next_due is
  'No open reservation of any wallet has an earlier deadline than this; null if none is open. May '
  'be too early, never too late: the worker sleeps until then.';
revoke all on function baseledger.next_due from public;
grant execute on function baseledger.next_due to baseledger_worker;
--! EndIncluded functions/sweep/next_due.sql
--! Included functions/sweep/sweep_status.sql
-- The state of the sweep, for monitoring.
create or replace function baseledger.sweep_status()
returns baseledger.sweep_status
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_status baseledger.sweep_status;
begin
  v_status.as_of := clock_timestamp();
  select max(s.looked_at) into v_status.last_sweep
    from baseledger.sweeps s
    where s.looked_at <= v_status.as_of;
  v_status.next_due := baseledger.next_due();
  return v_status;
end
$$;

comment on function baseledger.sweep_status is
  'How the sweep of due reservations is doing, whichever worker does it. Costs next to nothing. '
  '@notNull';
revoke all on function baseledger.sweep_status from public;
grant execute on function baseledger.sweep_status
  to baseledger_worker, baseledger_operator, baseledger_auditor;
--! EndIncluded functions/sweep/sweep_status.sql
--! Included functions/audit/_find_seq_before.sql
-- The last event of a wallet before an instant; 0 if there is none. Times strictly increase with
-- seq, so that it is found by bisection over the primary key.
create or replace function baseledger._find_seq_before(p_wallet_id text, p_before timestamptz)
returns bigint
language plpgsql
stable
as $$
declare
  v_low bigint := 0;      -- is before
  v_high bigint;          -- the first that may not be
  v_middle bigint;
  v_occurred_at timestamptz;
begin
  select w.seq + 1 into v_high from baseledger.wallets w where w.wallet_id = p_wallet_id;
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  while v_low + 1 < v_high loop
    v_middle := (v_low + v_high) / 2;
    select e.occurred_at into v_occurred_at
      from baseledger.events e
      where e.wallet_id = p_wallet_id and e.seq = v_middle;
    if v_occurred_at < p_before then
      v_low := v_middle;
    else
      v_high := v_middle;
    end if;
  end loop;
  return v_low;
end
$$;

revoke all on function baseledger._find_seq_before from public;
--! EndIncluded functions/audit/_find_seq_before.sql
--! Included functions/audit/_subtract.sql
-- The change of a balance; null if it is more than any event moves, as a journal that was tampered
-- with may say. A SQL function without settings, so that it is inlined.
create or replace function baseledger._subtract(p_from bigint, p_to bigint)
returns bigint
language sql
immutable
parallel safe
as $$
  select case
    when (p_from < 0) = (p_to < 0) then p_to - p_from
    when p_to::numeric - p_from between -9223372036854775807 and 9223372036854775807
      then p_to - p_from
  end
$$;

revoke all on function baseledger._subtract from public;
--! EndIncluded functions/audit/_subtract.sql
--! Included functions/audit/_verify_events.sql
-- Checks the events of wallets p_first to p_last (null: to the end), each against the event before
-- it in its wallet and the event before it of its reservation. What each event moves is written
-- here a second time on purpose: a check that called the engine would repeat its mistakes.
--
-- Three passes: in the order of the chain, in the order of each reservation, the verdicts. The life
-- of a reservation is one window: a second window, or a wider row in it, would cost as much as
-- hashing.
create or replace function baseledger._verify_events(p_first text, p_last text)
returns setof baseledger.discrepancy
language sql
stable
as $$
  with chained as (
    select e.*,
        pg_catalog.lag(e.seq, 1, 0::bigint) over chain as before_seq,
        pg_catalog.lag(e.occurred_at) over chain as before_at,
        pg_catalog.lag(e.hash, 1, pg_catalog.decode(pg_catalog.repeat('00', 32), 'hex'))
          over chain as before_hash,
        pg_catalog.lag(e.available, 1, 0::bigint) over chain as before_available,
        pg_catalog.lag(e.reserved, 1, 0::bigint) over chain as before_reserved,
        pg_catalog.lag(e.spent, 1, 0::bigint) over chain as before_spent
      from baseledger.events e
      where e.wallet_id >= p_first
        and e.wallet_id <= coalesce(p_last, e.wallet_id)
      window chain as (partition by e.wallet_id order by e.seq)
  ),
  -- Hashed here, so that what is only hashed need not be sorted.
  hashed as (
    select c.wallet_id, c.seq, c.event, c.reservation_id, c.amount, c.available, c.reserved,
        c.spent, c.expires_at, c.occurred_at, c.details, c.before_seq, c.before_at,
        c.before_available, c.before_reserved, c.before_spent,
        baseledger._subtract(c.before_available, c.available) as available_by,
        baseledger._subtract(c.before_reserved, c.reserved) as reserved_by,
        baseledger._subtract(c.before_spent, c.spent) as spent_by,
        -- To sort by: a number is compared faster than a text.
        pg_catalog.hashtextextended(c.reservation_id, 0) as reservation_hash,
        nullif(pg_catalog.sha256(c.before_hash || baseledger._encode_event(
          c.wallet_id, c.seq, c.event, c.reservation_id, c.amount, c.available, c.reserved,
          c.spent, c.expires_at, c.occurred_at, c.idempotency_key, c.actor, c.metadata, c.details
        )), c.hash) as other_hash
      from chained c
  ),
  lived as (
    select c.*,
        pg_catalog.lag(c.event) over life as life_event,
        pg_catalog.lag(c.expires_at) over life as life_deadline,
        pg_catalog.lag(c.details) over life as life_details,
        coalesce(pg_catalog.sum(c.reserved_by) over life, 0) as held,
        coalesce(pg_catalog.sum(c.spent_by) over life, 0) as refundable
      from hashed c
      window life as (
        partition by c.wallet_id, c.reservation_hash, c.reservation_id order by c.seq
        rows between unbounded preceding and 1 preceding
      )
  ),
  judged as (
    select l.*,
        coalesce((l.details ->> 'late')::boolean, false) as late,
        coalesce((l.details ->> 'final')::boolean, true) as final,
        baseledger._event_clock(l.occurred_at, l.details) as instant,
        baseledger._leaves_open(l.life_event, l.life_deadline) as was_open
      from lived l
  ),
  expected as (
    select j.*, m.available_due, m.reserved_due, m.spent_due,
        j.seq = j.before_seq + 1 as seq_holds,
        j.before_at is null or j.occurred_at > j.before_at as time_holds,
        j.other_hash is null as hash_holds,
        j.available_by is not distinct from m.available_due
          and j.reserved_by is not distinct from m.reserved_due
          and j.spent_by is not distinct from m.spent_due as balances_hold,
        -- Nothing but a settlement takes available below zero.
        j.available >= 0 or j.available_by >= 0 or j.event = 'settled' as funds_hold,
        coalesce(case j.event
          when 'reserved' then j.life_event is null and j.expires_at > j.instant
          when 'charged' then j.life_event is null
          when 'extended' then j.was_open and j.life_deadline > j.instant
            and j.expires_at > j.instant
          when 'cancelled' then j.was_open and j.life_deadline > j.instant
            and j.amount = j.held
          when 'expired' then j.was_open and j.expires_at = j.life_deadline
            and j.expires_at <= j.instant and j.amount = j.held
          when 'settled' then
            case when j.late
              then not j.was_open and (
                j.life_event in ('expired', 'refunded')
                or j.life_details @> '{"late": true, "final": false}'
              )
              else j.was_open and j.life_deadline > j.instant
                and j.final = (j.expires_at is null)
            end
          when 'refunded' then j.refundable >= j.amount
          else j.reservation_id is null
        end, false) as life_holds
      from judged j
      cross join lateral (
        select
          case
            when j.event in ('credited', 'transferred_in', 'refunded') then j.amount
            when j.event in ('withdrawn', 'transferred_out', 'reserved', 'charged', 'extended')
              then -j.amount
            when j.event in ('cancelled', 'expired') then j.held
            when j.event <> 'settled' then 0
            when j.late then -j.amount
            when j.final then j.held - j.amount
            else -greatest(j.amount - j.held, 0)
          end,
          case
            when j.event in ('reserved', 'extended') then j.amount
            when j.event in ('cancelled', 'expired') then -j.held
            when j.event <> 'settled' or j.late then 0
            when j.final then -j.held
            else -least(j.amount, j.held)
          end,
          case
            when j.event in ('settled', 'charged') then j.amount
            when j.event = 'refunded' then -j.amount
            else 0
          end
      ) as m(available_due, reserved_due, spent_due)
  )
  select x.wallet_id, x.seq, f.name, f.expected, f.found
    from expected x
    cross join lateral (
      values
        ('seq', x.seq_holds, (x.before_seq + 1)::text, x.seq::text),
        ('time', x.time_holds, 'after ' || x.before_at::text, x.occurred_at::text),
        ('hash', x.hash_holds,
          pg_catalog.encode(x.other_hash, 'hex'), (
            select pg_catalog.encode(e.hash, 'hex') from baseledger.events e
              where e.wallet_id = x.wallet_id and e.seq = x.seq
          )),
        ('balances', x.balances_hold,
          pg_catalog.format('available %s, reserved %s, spent %s',
            x.before_available + x.available_due,
            x.before_reserved + x.reserved_due,
            x.before_spent::numeric + x.spent_due),
          pg_catalog.format('available %s, reserved %s, spent %s',
            x.available, x.reserved, x.spent)),
        ('reservation', x.life_holds, 'an event that may follow ' || coalesce(
            x.life_event::text || coalesce(' (deadline ' || x.life_deadline::text || ')', ''),
            'nothing'
          ),
          x.event::text || ' at ' || x.occurred_at::text),
        ('funds', x.funds_hold, 'available of at least 0', x.available::text)
    ) as f(name, holds, expected, found)
    where not (
      x.seq_holds and x.time_holds and x.hash_holds and x.balances_hold and x.life_holds
      and x.funds_hold
    )
    and f.holds is not true
    order by x.wallet_id, x.seq
$$;

revoke all on function baseledger._verify_events from public;
--! EndIncluded functions/audit/_verify_events.sql
--! Included functions/audit/_verify_wallets.sql
-- Checks the rows of wallets p_first to p_last (null: to the end) against the end of their
-- journals, their open reservations, and the other side of their transfers.
create or replace function baseledger._verify_wallets(p_first text, p_last text)
returns setof baseledger.discrepancy
language sql
stable
as $$
  with w as materialized (
    select * from baseledger.wallets l
      where l.wallet_id >= p_first and l.wallet_id <= coalesce(p_last, l.wallet_id)
  ),
  -- What the journal says is open: reserved, and no event has ended it.
  lived as (
    select e.wallet_id, e.reservation_id
      from baseledger.events e
      where e.wallet_id >= p_first and e.wallet_id <= coalesce(p_last, e.wallet_id)
        and e.event = 'reserved'
        and not exists (
          select from baseledger.events d
            where d.wallet_id >= p_first and d.wallet_id <= coalesce(p_last, d.wallet_id)
              and d.wallet_id = e.wallet_id
              and d.reservation_id = e.reservation_id
              and not baseledger._leaves_open(d.event, d.expires_at)
        )
  ),
  -- Few are open at a time: what they hold, and until when, is looked up one by one.
  open as (
    select l.*, h.seq, h.amount, h.settled, h.held, h.expires_at
      from lived l
      cross join lateral (
        select
            pg_catalog.max(e.seq) as seq,
            pg_catalog.sum(e.reserved::numeric - coalesce(b.reserved, 0))
              filter (where e.event <> 'settled') as amount,
            pg_catalog.sum(e.amount) filter (where e.event = 'settled') as settled,
            pg_catalog.sum(e.reserved::numeric - coalesce(b.reserved, 0)) as held,
            (pg_catalog.array_agg(e.expires_at order by e.seq desc))[1] as expires_at
          from baseledger.events e
          left join baseledger.events b on b.wallet_id = e.wallet_id and b.seq = e.seq - 1
          where e.wallet_id = l.wallet_id and e.reservation_id = l.reservation_id
      ) as h
  ),
  r as (
    select * from baseledger.reservations s
      where s.wallet_id >= p_first and s.wallet_id <= coalesce(p_last, s.wallet_id)
  )
  -- Each wallet's row is its last event.
  select w.wallet_id, w.seq, 'wallet',
      pg_catalog.format('seq %s, available %s, reserved %s, spent %s, at %s, hash %s',
        e.seq, e.available, e.reserved, e.spent, e.occurred_at, pg_catalog.encode(e.hash, 'hex')),
      pg_catalog.format('seq %s, available %s, reserved %s, spent %s, at %s, hash %s',
        w.seq, w.available, w.reserved, w.spent, w.last_event_at, pg_catalog.encode(w.hash, 'hex'))
    from w
    left join lateral (
      select * from baseledger.events l where l.wallet_id = w.wallet_id order by l.seq desc limit 1
    ) as e on true
    where (w.seq, w.available, w.reserved, w.spent, w.last_event_at, w.hash)
      is distinct from (e.seq, e.available, e.reserved, e.spent, e.occurred_at, e.hash)
  union all
  -- Its terms are those it was opened on.
  select w.wallet_id, 1::bigint, 'terms', e.details::text,
      pg_catalog.jsonb_build_object(
        'unit', w.unit, 'scale', w.scale, 'overdraft_limit', w.overdraft_limit
      )::text
    from w
    left join lateral (
      select l.details from baseledger.events l
        where l.wallet_id = w.wallet_id and l.seq = 1 and l.event = 'opened'
        limit 1
    ) as e on true
    where e.details is distinct from pg_catalog.jsonb_build_object(
      'unit', w.unit, 'scale', w.scale, 'overdraft_limit', w.overdraft_limit
    )
  union all
  select w.wallet_id, f.seq, 'frozen', coalesce(f.event = 'frozen', false)::text, w.frozen::text
    from w
    left join lateral (
      select l.seq, l.event from baseledger.events l
        where l.wallet_id = w.wallet_id and l.event in ('frozen', 'unfrozen')
        order by l.seq desc limit 1
    ) as f on true
    where w.frozen is distinct from coalesce(f.event = 'frozen', false)
  union all
  -- Every event has a wallet.
  select e.wallet_id, pg_catalog.min(e.seq), 'orphan', 'a wallet', 'none'
    from baseledger.events e
    where e.wallet_id >= p_first and e.wallet_id <= coalesce(p_last, e.wallet_id)
      and not exists (select from w where w.wallet_id = e.wallet_id)
    group by e.wallet_id
  union all
  -- The open reservations are those that the journal left open, with what they hold.
  select coalesce(o.wallet_id, r.wallet_id), o.seq, 'open reservation',
      case when o.wallet_id is not null then pg_catalog.format(
        '%s: amount %s, settled %s, held %s, until %s', o.reservation_id, o.amount,
        coalesce(o.settled, 0), o.held, o.expires_at
      ) end,
      case when r.wallet_id is not null then pg_catalog.format(
        '%s: amount %s, settled %s, held %s, until %s', r.reservation_id, r.amount, r.settled,
        r.held, r.expires_at
      ) end
    from open o
    full join r on r.wallet_id = o.wallet_id and r.reservation_id = o.reservation_id
    where (o.amount, coalesce(o.settled, 0), o.held, o.expires_at)
      is distinct from (r.amount::numeric, r.settled::numeric, r.held::numeric, r.expires_at)
  union all
  select w.wallet_id, w.seq, 'reserved', coalesce(h.held, 0)::text, w.reserved::text
    from w
    left join (
      select r.wallet_id, pg_catalog.sum(r.held) as held from r group by r.wallet_id
    ) as h on h.wallet_id = w.wallet_id
    where w.reserved <> coalesce(h.held, 0)
  union all
  select w.wallet_id, null, 'next deadline', 'not after ' || d.first::text,
      coalesce(w.next_deadline::text, 'none')
    from w
    join (
      select r.wallet_id, pg_catalog.min(r.expires_at) as first from r group by r.wallet_id
    ) as d on d.wallet_id = w.wallet_id
    where coalesce(w.next_deadline > d.first, true)
  union all
  -- A transfer has two sides.
  select t.wallet_id, t.seq, 'transfer', 'transferred_in to ' || (t.details ->> 'to'), 'none'
    from baseledger.events t
    where t.wallet_id >= p_first and t.wallet_id <= coalesce(p_last, t.wallet_id)
      and t.event = 'transferred_out'
      and not exists (
        select from baseledger.events i
          where i.wallet_id = t.details ->> 'to'
            and i.event = 'transferred_in'
            and i.details @> pg_catalog.jsonb_build_object('from', t.wallet_id, 'from_seq', t.seq)
            and i.amount = t.amount
      )
  union all
  select t.wallet_id, t.seq, 'transfer', 'transferred_out from ' || (t.details ->> 'from'), 'none'
    from baseledger.events t
    where t.wallet_id >= p_first and t.wallet_id <= coalesce(p_last, t.wallet_id)
      and t.event = 'transferred_in'
      and not exists (
        select from baseledger.events o
          where o.wallet_id = t.details ->> 'from'
            and o.seq = (t.details ->> 'from_seq')::bigint
            and o.event = 'transferred_out'
            and o.details ->> 'to' = t.wallet_id
            and o.amount = t.amount
      )
$$;

revoke all on function baseledger._verify_wallets from public;
--! EndIncluded functions/audit/_verify_wallets.sql
--! Included functions/audit/balance_at.sql
-- The balances at an instant: those after the last event before it, plus what had come due by then
-- and was swept later. No search is needed: whatever writes to a wallet expires what is due first,
-- or records in its details that a backlog is left. So the expiries in question precede the next
-- event that is neither an expiry nor records a backlog; if there is none, the rest is still in
-- reservations.
--
-- Events count by their own time, deadlines by the clock: up to the instant asked for, but no
-- further than the clock was at the next event, and is now.
create or replace function baseledger.balance_at(p_wallet_id text, p_at timestamptz)
returns baseledger.wallet_balance
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_clock constant timestamptz := baseledger._read_clock();
  v_at timestamptz;
  v_as_of timestamptz;
  v_seq bigint;
  v_next bigint;
  v_due bigint;
  v_balance baseledger.wallet_balance;
begin
  if p_at is null then
    perform baseledger._raise('LGARG', baseledger._describe_argument('at'));
  end if;
  -- The future is not known: at most now, which is never before the last event.
  select least(p_at, greatest(v_clock, w.last_event_at)) into v_at
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id;
  v_seq := baseledger._find_seq_before(p_wallet_id, v_at + interval '1 microsecond');
  select least(
      v_at,
      baseledger._deadline_clock(v_clock, w.last_event_at),
      baseledger._event_clock(e.occurred_at, e.details)
    ) into v_as_of
    from baseledger.wallets w
    left join baseledger.events e on e.wallet_id = w.wallet_id and e.seq = v_seq + 1
    where w.wallet_id = p_wallet_id;

  select e.seq into v_next
    from baseledger.events e
    where e.wallet_id = p_wallet_id
      and e.seq > v_seq
      and e.event <> 'expired'
      and e.details -> 'backlog' is null
    order by e.seq
    limit 1;
  select coalesce(sum(x.amount), 0) into v_due
    from (
      select e.amount
        from baseledger.events e
        where e.wallet_id = p_wallet_id
          and e.seq > v_seq
          and (e.seq < v_next or v_next is null)
          and e.event = 'expired'
          and e.expires_at <= v_as_of
      union all
      select o.held
        from (
          -- In the order of the index, for the planner's sake: see _execute.
          select r.held from baseledger.reservations r
            where r.wallet_id = p_wallet_id
              and v_next is null
              and r.expires_at <= v_as_of
              and r.expires_at < 'infinity'
            order by r.expires_at
            offset 0
        ) as o
    ) as x;

  select w.wallet_id, w.unit, w.scale, coalesce(e.available, 0) + v_due,
      coalesce(e.reserved, 0) - v_due, coalesce(e.spent, 0), w.overdraft_limit,
      coalesce((
        select f.event = 'frozen'
          from baseledger.events f
          where f.wallet_id = p_wallet_id
            and f.seq <= v_seq
            and f.event in ('frozen', 'unfrozen')
          order by f.seq desc
          limit 1
      ), false),
      v_seq, v_as_of
    into v_balance
    from baseledger.wallets w
    left join baseledger.events e on e.wallet_id = w.wallet_id and e.seq = v_seq
    where w.wallet_id = p_wallet_id;
  return v_balance;
end
$$;

comment on function baseledger.balance_at is
  'The balances of a wallet at an instant (at most now; zero before it was opened), in its '
  'smallest step, exactly as balance() would have answered then: reservations past their '
  'deadline count as returned. While the server''s clock had been ahead, a wallet''s events are '
  'dated ahead, and count from then. Refused with LGARG, LGWNF.';
revoke all on function baseledger.balance_at from public;
grant execute on function baseledger.balance_at to baseledger_operator, baseledger_auditor;
--! EndIncluded functions/audit/balance_at.sql
--! Included functions/audit/statement.sql
-- The events of a wallet from p_from up to, not including, p_to.
create or replace function baseledger.statement(
  p_wallet_id text,
  p_from timestamptz default '-infinity',
  p_to timestamptz default 'infinity'
)
returns setof baseledger.statement_line
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_first bigint;
  v_last bigint;
begin
  if p_from is null or p_to is null then
    perform baseledger._raise('LGARG', jsonb_build_object(
      'field', case when p_from is null then 'from' else 'to' end, 'reason', 'must be a time'
    ));
  end if;
  v_first := baseledger._find_seq_before(p_wallet_id, p_from) + 1;
  v_last := baseledger._find_seq_before(p_wallet_id, p_to);
  return query
    select e.seq, e.occurred_at, e.event, e.reservation_id, e.amount, e.available, e.reserved,
        e.spent, e.expires_at, e.idempotency_key, e.actor, e.metadata, e.details
      from baseledger.events e
      where e.wallet_id = p_wallet_id and e.seq between v_first and v_last
      order by e.seq;
end
$$;

comment on function baseledger.statement is
  e'The events of a wallet from p_from up to, not including, p_to (without them: all), in order, '
  'each with the balances after it, in the wallet''s smallest step. Refused with LGARG, LGWNF.'
  '\np_from: The first instant. Default: the beginning.'
  '\np_to: The instant after the last. Default: the end.';
revoke all on function baseledger.statement from public;
grant execute on function baseledger.statement to baseledger_operator, baseledger_auditor;
--! EndIncluded functions/audit/statement.sql
--! Included functions/audit/verify.sql
-- Proves the ledger, or finds where it is wrong. Reads only, in one snapshot: a stable function
-- uses that of its query. The whole ledger is read in portions of wallets, so that memory does not
-- grow with it.
create or replace function baseledger.verify(p_wallet_id text default null)
returns setof baseledger.discrepancy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set jit = off
as $$
declare
  c_events constant bigint := 100000;     -- in a portion, if wallets are small
  v_first text collate "C" := '';
  v_last text collate "C";
begin
  if p_wallet_id is not null then
    perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
    if not found then
      perform baseledger._raise_wallet_not_found(p_wallet_id);
    end if;
    return query select * from baseledger._verify_events(p_wallet_id, p_wallet_id);
    return query select * from baseledger._verify_wallets(p_wallet_id, p_wallet_id);
    return;
  end if;

  return query select * from baseledger.verify_rights();
  loop
    -- The last wallet of the next portion; none if the rest fits in.
    select min(p.wallet_id) into v_last
      from (
        select w.wallet_id, sum(w.seq) over (order by w.wallet_id) as events
          from (
            select l.wallet_id, l.seq from baseledger.wallets l
              where l.wallet_id >= v_first
              order by l.wallet_id
              limit 20000
          ) as w
      ) as p
      where p.events >= c_events;
    if v_last is null then
      select w.wallet_id into v_last from baseledger.wallets w
        where w.wallet_id >= v_first
        order by w.wallet_id
        offset 19999 limit 1;
    end if;
    -- Without a last wallet to the end of the events, to find those without a wallet.
    return query select * from baseledger._verify_events(v_first, v_last);
    return query select * from baseledger._verify_wallets(v_first, v_last);
    exit when v_last is null;
    v_first := v_last || chr(1);          -- the first text after it
  end loop;
end
$$;

comment on function baseledger.verify is
  e'Checks a wallet, or without one the whole ledger, and returns the discrepancies: no row = '
  'sound. Finds gaps, edits, insertions, deletions, reordering and a cut tail by the hash chain; '
  'replays the events and compares each balance, the wallet''s row, the open reservations and '
  'the other side of each transfer. For the whole ledger it also checks that nobody may do more '
  'than the role allows. Reads only. Refused with LGARG, LGWNF.'
  '\np_wallet_id: Id of the wallet. Default: all wallets.';
revoke all on function baseledger.verify from public;
grant execute on function baseledger.verify to baseledger_auditor;
--! EndIncluded functions/audit/verify.sql
--! Included functions/doctor/_doctor_rights.sql
-- The doctor's checks of owners and rights.
create or replace function baseledger._doctor_rights()
returns setof baseledger.diagnosis
language plpgsql
stable
as $$
declare
  v_count bigint;
  v_open boolean;
  v_first text;
begin
  select count(*), bool_or(d.open), (array_agg(
      format('%s: %s instead of %s', d.object, d.found, d.expected) order by d.open desc, d.object
    ))[1]
    into v_count, v_open, v_first
    from baseledger._find_rights_differences() as d;
  return next baseledger._make_diagnosis(
    'rights', case when v_open then 'wrong' when v_count > 0 then 'warning' end,
    case when v_count = 0 then 'as they must be'
      else format('%s that differ, the first: %s', v_count, v_first) end,
    'owners and grants as BaseLedger makes them',
    'Run `baseledger migrate`, which repairs them. baseledger.verify_rights() lists open ones.'
  );
end
$$;

revoke all on function baseledger._doctor_rights from public;
--! EndIncluded functions/doctor/_doctor_rights.sql
--! Included functions/doctor/_doctor_settings.sql
-- The doctor's checks of the server and its settings.
create or replace function baseledger._doctor_settings()
returns setof baseledger.diagnosis
language plpgsql
stable
as $$
declare
  c_short constant interval := '5 seconds';
  v_text text;
  v_cost float8;
  v_spared boolean;
begin
  select s.setting into v_text from pg_settings s where s.name = 'server_version';
  return next baseledger._make_diagnosis(
    'server',
    case when split_part(v_text, '.', 1) not in ('15', '16', '17', '18') then 'warning' end,
    'PostgreSQL ' || v_text, '15 to 18', 'Run a version that BaseLedger is tested with.'
  );

  -- To compile a plan takes 100 ms, a command less than one.
  select s.reset_val::float8 into v_cost
    from pg_settings s
    where s.name = 'jit_above_cost'
      and baseledger._is_jit_available()
      and exists (select from baseledger._read_settings('{jit}') as j where j.value = 'on');
  select 'jit=off' = any(p.proconfig) into v_spared
    from pg_proc p
    where p.oid = 'baseledger._execute'::regproc;
  return next baseledger._make_diagnosis(
    'jit',
    case when v_cost is not null and v_spared is not true then 'wrong'
      when v_cost between 0 and 99999 then 'warning' end,
    case when v_cost is null then 'off'
      when v_spared then format('on above a cost of %s; off in commands', v_cost)
      else 'on, in commands as well' end,
    'off, or on above a cost of 100000 and off in commands',
    'Run `baseledger migrate`. For queries on the views set jit = off, or raise jit_above_cost.'
  );

  v_text := baseledger._list_settings_off('{enable\_%}');
  return next baseledger._make_diagnosis(
    'planner', case when v_text is not null then 'warning' end, coalesce(v_text, 'as it comes'),
    'no enable_* switched off', 'Reset them: queries on the views may become slow.'
  );

  v_text := baseledger._list_settings_off('{fsync,full\_page\_writes,synchronous\_commit}');
  return next baseledger._make_diagnosis(
    'durability', case when v_text is not null then 'wrong' end, coalesce(v_text, 'on'),
    'fsync, full_page_writes and synchronous_commit on',
    'Switch them on: a crash may lose commands that were acknowledged, or the database.'
  );

  select string_agg(c.relname, ', ' order by c.relname) into v_text
    from pg_class c
    where c.relnamespace = 'baseledger'::regnamespace
      and array_to_string(c.reloptions, ',') ~ 'autovacuum_enabled=(off|false|no|0)';
  v_text := concat_ws('; ',
    baseledger._list_settings_off('{autovacuum,track\_counts}'),
    'autovacuum_enabled = off of ' || v_text
  );
  return next baseledger._make_diagnosis(
    'autovacuum', case when v_text <> '' then 'warning' end, coalesce(nullif(v_text, ''), 'on'),
    'on, for every table', 'Switch it on: tables and indexes grow, and commands become slow.'
  );

  select string_agg(format('statement_timeout = %s%s', s.value, ' for ' || s.whose), ', ')
    into v_text
    from baseledger._read_settings('{statement\_timeout}') as s
    where s.is_worker
      and case
        when s.value ~ '^[0-9]+$' then make_interval(secs => s.value::float8 / 1000)
        when s.value ~ '^[0-9.]+ *(us|ms|s|min|h|d)$' then s.value::interval
      end between interval '1 microsecond' and c_short;
  return next baseledger._make_diagnosis(
    'time-outs', case when v_text is not null then 'warning' end,
    coalesce(v_text, 'none too short'),
    'no statement_timeout below 5 s for the worker',
    'Set it to 0 for the worker''s login: sweeps are cut off before they have done their part.'
  );
end
$$;

revoke all on function baseledger._doctor_settings from public;
--! EndIncluded functions/doctor/_doctor_settings.sql
--! Included functions/doctor/_doctor_sweep.sql
-- The doctor's checks of the sweep and of the clock.
create or replace function baseledger._doctor_sweep()
returns setof baseledger.diagnosis
language plpgsql
stable
as $$
declare
  c_late constant interval := '30 seconds';
  v_status constant baseledger.sweep_status := baseledger.sweep_status();
  v_ahead constant baseledger.wallets_ahead := baseledger.wallets_ahead();
  v_idle constant interval := v_status.as_of - v_status.last_sweep;
  v_lag constant interval := greatest(v_status.as_of - v_status.next_due, '0');
  v_workers bigint;
begin
  select count(*) into v_workers
    from pg_stat_activity a
    where a.datname = current_database() and a.application_name = 'baseledger worker';
  return next baseledger._make_diagnosis(
    'worker', case when v_idle > c_late or v_idle is null then 'warning' end,
    format('%s; %s connections of workers',
      coalesce('last sweep ' || baseledger._format_age(v_idle) || ' ago', 'no sweep ever'), v_workers),
    'a sweep in the last 30 s',
    'Run `baseledger worker`, and look at its log. Without it, due reservations count as returned '
      'all the same, and the next commands of their wallets book that.'
  );
  return next baseledger._make_diagnosis(
    'sweep lag', case when v_lag > c_late then 'warning' end,
    baseledger._format_age(v_lag), '30 s at most',
    'Look at the worker and at open transactions; verify() finds an unsound wallet.'
  );
  return next baseledger._make_diagnosis(
    'wallets ahead', case when v_ahead.wallets > 0 then 'warning' end,
    case when v_ahead.wallets = 0 then 'none'
      else format('%s; %s by %s', v_ahead.wallets, v_ahead.wallet_id,
        baseledger._format_age(v_ahead.last_event_at - v_ahead.as_of)) end,
    'no last event ahead of the clock',
    'The clock was ahead for a while, or is behind now: correct the server''s time. Events keep '
      'their order all the same.'
  );
end
$$;

revoke all on function baseledger._doctor_sweep from public;
--! EndIncluded functions/doctor/_doctor_sweep.sql
--! Included functions/doctor/_doctor_tables.sql
-- The doctor's checks of a standby, and of rows that wait for vacuum.
create or replace function baseledger._doctor_tables()
returns setof baseledger.diagnosis
language plpgsql
stable
as $$
declare
  v_standby constant boolean := pg_is_in_recovery();
  v_behind interval := '0';
  v_connected boolean;
  v_dead text;
begin
  if v_standby then
    select count(r.pid) > 0 into v_connected from pg_stat_wal_receiver r;
    if pg_last_wal_receive_lsn() is distinct from pg_last_wal_replay_lsn() then
      v_behind := clock_timestamp() - pg_last_xact_replay_timestamp();
    end if;
  end if;
  return next baseledger._make_diagnosis(
    'replication', case when not v_connected or v_behind > interval '10 seconds' then 'warning' end,
    case
      when not v_standby then 'this is no standby'
      when not v_connected then format('a standby without its primary, replayed to %s',
        pg_last_xact_replay_timestamp())
      else format('a standby that is %s behind', baseledger._format_age(v_behind))
    end,
    'a standby follows within 10 s',
    'What is read here is old: look at the primary and the network.'
  );

  select string_agg(format('%s: %s dead, %s live, last vacuum %s', t.relname, t.n_dead_tup,
      t.n_live_tup, coalesce(t.vacuumed::text, 'never')), '; ' order by t.n_dead_tup desc)
    into v_dead
    from (
      select s.*, greatest(s.last_vacuum, s.last_autovacuum) as vacuumed
        from pg_stat_all_tables s
        where s.schemaname = 'baseledger'
    ) as t
    where t.n_dead_tup > 10000 + t.n_live_tup
      and (t.vacuumed > clock_timestamp() - interval '10 minutes') is not true;
  return next baseledger._make_diagnosis(
    'dead rows', case when v_dead is not null then 'warning' end, coalesce(v_dead, 'few'),
    'vacuumed in the last 10 minutes, or more live rows than dead ones',
    'Look for a transaction or a replication slot that is open for long, and at autovacuum''s log.'
  );
end
$$;

revoke all on function baseledger._doctor_tables from public;
--! EndIncluded functions/doctor/_doctor_tables.sql
--! Included functions/doctor/_doctor_transactions.sql
-- The doctor's checks of transactions that hold wallets. The server does not show the owner of this
-- function since when a transaction is open, so it looks twice: transactions of commands are over
-- by then.
create or replace function baseledger._doctor_transactions()
returns setof baseledger.diagnosis
language plpgsql
stable
as $$
declare
  c_pause constant float8 := 2;
  c_modes constant text[] := array[
    'RowShareLock', 'RowExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
    'AccessExclusiveLock'
  ];
  v_held text[];
  v_found text;
begin
  select array_agg(l.virtualtransaction) into v_held
    from pg_locks l
    where l.relation = 'baseledger.wallets'::regclass
      and l.mode = any(c_modes)
      and l.granted
      and l.pid <> pg_backend_pid();
  if v_held is not null then
    perform pg_sleep(c_pause);
  end if;
  select string_agg(format('pid %s, login %s, application %s, since %s, %s waiting', h.pid,
      coalesce(a.usename, '?'), coalesce(nullif(a.application_name, ''), '?'),
      coalesce(a.xact_start::text, 'when is hidden'), (
        select count(*) from pg_locks w
          where not w.granted and h.pid = any(pg_blocking_pids(w.pid))
      )), '; ' order by a.xact_start, h.pid)
    into v_found
    from (
      select distinct l.pid
        from pg_locks l
        where l.relation = 'baseledger.wallets'::regclass
          and l.mode = any(c_modes)
          and l.granted
          and l.virtualtransaction = any(v_held)
          -- whoever waits himself is not to blame
          and not exists (select from pg_locks w where w.pid = l.pid and not w.granted)
    ) as h
    left join pg_stat_activity a on a.pid = h.pid;
  return next baseledger._make_diagnosis(
    'open transactions', case when v_found is not null then 'warning' end,
    coalesce(v_found, 'none that lasts'), 'none holds a wallet for 2 s',
    'Their wallets stand still: commit a hold before the model is called. pg_terminate_backend ends '
      'one; pg_stat_activity shows since when, to members of pg_monitor.'
  );

  select string_agg(
      format('%s by %s, since %s', p.gid, p.owner, p.prepared), '; ' order by p.prepared
    )
    into v_found
    from pg_prepared_xacts p
    where p.database = current_database()
      and p.prepared < clock_timestamp() - make_interval(secs => c_pause)
      and exists (
        select from pg_locks t
          join pg_locks l on l.virtualtransaction = t.virtualtransaction and l.pid is null
          where t.transactionid = p.transaction
            and t.pid is null
            and l.relation = 'baseledger.wallets'::regclass
      );
  return next baseledger._make_diagnosis(
    'prepared transactions', case when v_found is not null then 'warning' end,
    coalesce(v_found, 'none'), 'none holds a wallet',
    'End it with commit prepared or rollback prepared: it outlives its session, and restarts.'
  );
end
$$;

revoke all on function baseledger._doctor_transactions from public;
--! EndIncluded functions/doctor/_doctor_transactions.sql
--! Included functions/doctor/_format_age.sql
-- Formats a span of time for a person: whole seconds, or days and hours.
create or replace function baseledger._format_age(p_span interval)
returns text
language sql
immutable
as $$
  select case
    when p_span < interval '2 minutes' then pg_catalog.round(s.seconds) || ' s'
    when p_span < interval '2 hours' then pg_catalog.round(s.seconds / 60) || ' min'
    when p_span < interval '2 days' then pg_catalog.round(s.seconds / 3600) || ' h'
    else pg_catalog.round(s.seconds / 86400) || ' days'
  end
    from (select extract('epoch' from p_span)) as s (seconds)
$$;

revoke all on function baseledger._format_age from public;
--! EndIncluded functions/doctor/_format_age.sql
--! Included functions/doctor/_is_jit_available.sql
-- Whether the server can compile plans; pg_jit_available() answers only where jit is on.
create or replace function baseledger._is_jit_available()
returns boolean
language plpgsql
stable
set jit = on
as $$
begin
  return pg_jit_available();
end
$$;

revoke all on function baseledger._is_jit_available from public;
--! EndIncluded functions/doctor/_is_jit_available.sql
--! Included functions/doctor/_read_settings.sql
-- Settings by name (like patterns) as they apply to those who use the ledger: of this server (the
-- values they are reset to, not those that a function sets for itself), and those set for one of
-- its logins, or for all. is_worker marks logins that may sweep.
create or replace function baseledger._read_settings(p_names text[])
returns setof baseledger._setting
language sql
stable
as $$
  with logins as (
    select r.oid, r.rolname, pg_catalog.bool_or(g.rolname = 'baseledger_worker') as is_worker
      from pg_catalog.pg_roles r
      join pg_catalog.pg_roles g
        on g.rolname in ('baseledger_agent', 'baseledger_operator', 'baseledger_worker')
          and pg_catalog.pg_has_role(r.oid, g.oid, 'member')
      where r.rolcanlogin and not r.rolsuper
      group by r.oid, r.rolname
  )
  select s.name, s.reset_val, s.boot_val, null, true
    from pg_catalog.pg_settings s
    where s.name like any (p_names)
      -- those of this login and this database follow
      and s.source not in ('global', 'database', 'user', 'database user', 'client')
  union all
  select s.name, c.value, s.boot_val, coalesce(l.rolname, 'all roles'), coalesce(l.is_worker, true)
    from pg_catalog.pg_db_role_setting d
    left join pg_catalog.pg_database b on b.oid = d.setdatabase
    left join logins l on l.oid = d.setrole
    cross join lateral pg_catalog.unnest(d.setconfig) as u (config)
    cross join lateral (
      select pg_catalog.split_part(u.config, '=', 1),
          pg_catalog.substr(u.config, pg_catalog.strpos(u.config, '=') + 1)
    ) as c (name, value)
    join pg_catalog.pg_settings s on s.name = c.name
    where s.name like any (p_names)
      and (d.setdatabase = 0 or b.datname = pg_catalog.current_database())
      and (d.setrole = 0 or l.oid is not null)
$$;

revoke all on function baseledger._read_settings from public;
--! EndIncluded functions/doctor/_read_settings.sql
--! Included functions/doctor/_list_settings_off.sql
-- Which of these settings are off, and for whom, in one line; null if none is.
create or replace function baseledger._list_settings_off(p_names text[])
returns text
language sql
stable
as $$
  select pg_catalog.string_agg(
      pg_catalog.format('%s = off%s', s.name, ' for ' || s.whose), ', ' order by s.name, s.whose
    )
    from baseledger._read_settings(p_names) as s
    where pg_catalog.lower(s.value) in ('off', 'false', 'no', '0')
      and pg_catalog.lower(s.boot_value) <> 'off'
$$;

revoke all on function baseledger._list_settings_off from public;
--! EndIncluded functions/doctor/_list_settings_off.sql
--! Included functions/doctor/_make_diagnosis.sql
-- Makes a row of the doctor: fine without a problem (warning or wrong), and only then without
-- advice.
create or replace function baseledger._make_diagnosis(
  p_check text,
  p_problem text,
  p_found text,
  p_expected text,
  p_advice text
)
returns baseledger.diagnosis
language sql
immutable
as $$
  select row(
      p_check, coalesce(p_problem, 'fine'), p_found, p_expected,
      case when p_problem is not null then p_advice end
    )::baseledger.diagnosis
$$;

revoke all on function baseledger._make_diagnosis from public;
--! EndIncluded functions/doctor/_make_diagnosis.sql
--! Included functions/doctor/doctor.sql
-- Checks everything around the ledger that may keep it from working well. verify() checks the data.
create or replace function baseledger.doctor()
returns setof baseledger.diagnosis
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  return next (
    select baseledger._make_diagnosis('schema', null, format('%s: %s', m.id, m.name), null, null)
      from baseledger.migrations m
      order by m.id desc
      limit 1
  );
  return query select * from baseledger._doctor_rights();
  return query select * from baseledger._doctor_settings();
  return query select * from baseledger._doctor_sweep();
  return query select * from baseledger._doctor_tables();
  return query select * from baseledger._doctor_transactions();
end
$$;

comment on function baseledger.doctor is
  'Checks everything around the ledger: server, schema, rights, settings, worker, clock, '
  'standby, vacuum, open transactions. Returns a row for each check, also for those that are '
  'fine. Takes two seconds if a transaction holds a wallet. Changes nothing; verify checks the '
  'data.';
revoke all on function baseledger.doctor from public;
grant execute on function baseledger.doctor to baseledger_operator, baseledger_auditor;
--! EndIncluded functions/doctor/doctor.sql

--! Included views/journal.sql
-- The events, all of them and as they are.
create or replace view baseledger.journal as
select
  e.wallet_id,
  e.seq,
  e.occurred_at,
  e.event,
  e.reservation_id,
  e.amount,
  e.available,
  e.reserved,
  e.spent,
  e.expires_at,
  e.idempotency_key,
  e.actor,
  e.metadata,
  e.details,
  e.hash
from baseledger.events e;

comment on view baseledger.journal is
  'The journal: each wallet''s events in the order of seq, each with the balances after it, the '
  'database role that asked, and the hash that chains it to the one before (docs/hash-chain.md).';
revoke all on baseledger.journal from public;
grant select on baseledger.journal to baseledger_auditor;
--! EndIncluded views/journal.sql
--! Included views/open_reservations.sql
-- What is held, and for how long. Not those past their deadline: they count as returned.
create or replace view baseledger.open_reservations as
select
  r.wallet_id,
  r.reservation_id,
  r.amount,
  r.settled,
  r.held,
  r.expires_at,
  r.expires_at - c.clock as time_left
from baseledger.reservations r
-- As in _read_clock, which those who read a view may not call.
cross join (
  select case
    when pg_is_in_recovery()
      then coalesce(pg_last_xact_replay_timestamp(), '-infinity')
    else statement_timestamp()
  end
) as c(clock)
where r.expires_at > c.clock;

comment on view baseledger.open_reservations is
  'Reservations that hold funds now: granted in all, settled so far, still held (the wallet''s '
  'smallest step), and the time left until the deadline.';
revoke all on baseledger.open_reservations from public;
grant select on baseledger.open_reservations to baseledger_auditor;
--! EndIncluded views/open_reservations.sql
--! Included views/postings.sql
-- Double entry: what each event moved between the four accounts of its wallet. The balances of
-- the event before are one probe of the primary key away.
create or replace view baseledger.postings as
select
  e.wallet_id,
  e.seq,
  e.occurred_at,
  e.event,
  e.reservation_id,
  l.account,
  l.amount
from baseledger.events e
left join baseledger.events b on b.wallet_id = e.wallet_id and b.seq = e.seq - 1
cross join lateral (
  values
    ('funding', coalesce(b.available, 0)::numeric + coalesce(b.reserved, 0) + coalesce(b.spent, 0)
      - e.available - e.reserved - e.spent),
    ('available', e.available::numeric - coalesce(b.available, 0)),
    ('reserved', e.reserved::numeric - coalesce(b.reserved, 0)),
    ('spent', e.spent::numeric - coalesce(b.spent, 0))
) as l(account, amount)
where l.amount <> 0;

comment on view baseledger.postings is
  'The journal in double entry: for each event one line for each of the accounts funding, '
  'available, reserved and spent that it changed, in the wallet''s smallest step. The lines of an '
  'event sum to zero; those of an account sum to its balance.';
revoke all on baseledger.postings from public;
grant select on baseledger.postings to baseledger_auditor;
--! EndIncluded views/postings.sql
--! Included views/reservation_history.sql
-- The life of each reservation, from the journal. What it held and what came back are differences
-- of the wallet's balances before and after each of its events: what an event moves is not written
-- here again.
create or replace view baseledger.reservation_history as
select
  h.wallet_id,
  h.reservation_id,
  case
    when h.ended is null then 'open'
    when h.late > 0 then 'settled late'
    when h.ended = 'charged' then 'settled'
    else h.ended::text
  end as status,
  h.opened_at,
  h.amount,
  h.settled,
  h.settlements,
  h.amount - h.held - h.released as used,
  h.settled - (h.amount - h.held - h.released) as overage,
  h.released,
  h.refunded,
  h.held,
  h.expires_at,
  h.ended_at
from (
  select
    e.wallet_id,
    e.reservation_id,
    min(e.occurred_at) as opened_at,
    coalesce(
      sum(e.amount) filter (where e.event not in ('settled', 'cancelled', 'expired', 'refunded')), 0
    ) as amount,
    coalesce(sum(e.amount) filter (where e.event in ('settled', 'charged')), 0) as settled,
    count(*) filter (where e.event in ('settled', 'charged')) as settlements,
    count(*) filter (where e.event = 'settled' and e.details @> '{"late": true}') as late,
    coalesce(
      sum(greatest(e.available - b.available, 0))
        filter (where e.event in ('settled', 'cancelled', 'expired')),
      0
    ) as released,
    coalesce(sum(e.amount) filter (where e.event = 'refunded'), 0) as refunded,
    sum(e.reserved - coalesce(b.reserved, 0)) as held,
    (array_agg(e.expires_at order by e.seq desc) filter (where e.expires_at is not null))[1]
      as expires_at,
    (array_agg(e.event order by e.seq) filter (where not l.open))[1] as ended,
    min(e.occurred_at) filter (where not l.open) as ended_at
  from baseledger.events e
  left join baseledger.events b on b.wallet_id = e.wallet_id and b.seq = e.seq - 1
  -- As in _leaves_open, which those who read a view may not call.
  cross join lateral (select e.expires_at is not null and e.event <> 'expired') as l(open)
  where e.reservation_id is not null
  group by e.wallet_id, e.reservation_id
) as h;

comment on view baseledger.reservation_history is
  'One row for each reservation there ever was: how it stands or ended (open, settled, settled '
  'late, cancelled, expired), what was granted in all, settled (in how many parts; used is what '
  'came out of the hold, overage what came on top), released, refunded and is still held, in the '
  'wallet''s smallest step. As the journal has it: one past its deadline stays open here until the '
  'sweep, or the next command of its wallet, has written its expiry.';
revoke all on baseledger.reservation_history from public;
grant select on baseledger.reservation_history to baseledger_auditor;
--! EndIncluded views/reservation_history.sql
--! Included views/wallet_balances.sql
-- Every wallet with its balances by deadline, as baseledger.balance() answers.
create or replace view baseledger.wallet_balances as
select
  w.wallet_id,
  w.unit,
  w.scale,
  w.available + d.due as available,
  w.reserved - d.due as reserved,
  w.spent,
  w.overdraft_limit,
  w.frozen,
  w.seq,
  w.last_event_at,
  case when w.last_event_at > c.clock + interval '1 second'
    then w.last_event_at - c.clock
  end as ahead_by
from baseledger.wallets w
-- As in _read_clock, _deadline_clock and _clock_slack (1 second), which those who read a view may
-- not call.
cross join (
  select case
    when pg_is_in_recovery() then pg_last_xact_replay_timestamp()
    else statement_timestamp()
  end
) as c(clock)
cross join lateral (
  select case
    when w.last_event_at > c.clock + interval '1 second' then c.clock
    else greatest(c.clock, w.last_event_at)
  end
) as i(instant)
cross join lateral (
  select coalesce(sum(r.held), 0)::bigint
  from baseledger.reservations r
  where r.wallet_id = w.wallet_id
    and w.next_deadline <= i.instant
    and r.expires_at <= i.instant
    and r.expires_at < 'infinity'
) as d(due);

comment on view baseledger.wallet_balances is
  'Every wallet with its balances now, in its smallest step; reservations past their deadline '
  'count as returned.';
comment on column baseledger.wallet_balances.ahead_by is
  'By how much the last event is ahead of the server''s clock, if by more than a second: the clock '
  'was ahead when it was written, or is behind now. Deadlines count by the clock all the same.';
revoke all on baseledger.wallet_balances from public;
grant select on baseledger.wallet_balances to baseledger_auditor;
--! EndIncluded views/wallet_balances.sql
