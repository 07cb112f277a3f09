--! Previous: -
--! Hash: sha1:c79af6fece62c25ffb6b03099f7f253b4eb584b7
--! Message: The ledger

-- The types and tables of BaseLedger. Functions and views follow, one file each.
-- This runs as baseledger_owner, in a schema `baseledger` that this role owns.

-- Nothing is open to the public unless a file says so. (Not `in schema`: a default there can
-- only add to what the public has anyway.)
alter default privileges revoke execute on functions from public;
revoke all on schema baseledger from public;
grant usage on schema baseledger
  to baseledger_agent, baseledger_operator, baseledger_auditor, baseledger_worker;

-- Types ---------------------------------------------------------------------------------------

create type baseledger.event_type as enum (
  'opened', 'credited', 'withdrawn', 'reserved', 'settled', 'cancelled', 'expired', 'extended',
  'charged', 'refunded', 'transferred_out', 'transferred_in', 'frozen', 'unfrozen'
);
comment on type baseledger.event_type is 'What an event of the journal says has happened.';

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

create type baseledger.discrepancy as (
  wallet_id text,
  seq bigint,
  "check" text,
  expected text,
  found text
);
comment on type baseledger.discrepancy is 'Something in the ledger that does not hold.';
comment on column baseledger.discrepancy.wallet_id is 'The wallet. @notNull';
comment on column baseledger.discrepancy.seq is
  'The event at which it shows; null when it concerns the wallet or a live reservation.';
comment on column baseledger.discrepancy."check" is 'Which check failed. @notNull';
comment on column baseledger.discrepancy.expected is 'What the journal implies.';
comment on column baseledger.discrepancy.found is 'What is stored.';

-- Internal: a command on its way into baseledger._fold, in whichever way it came.
--   details  what goes into events.details as it is: the reason of a freeze, the other wallet of
--            a transfer, the terms of an opening
--   due_at   of an expiry: the deadline that passed
--   refused, detail  it could not be read
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
  detail jsonb
);

-- Internal: what baseledger._fold knows of a reservation that its commands name.
--   status   new | unknown (to be looked up) | open | expired | settled | cancelled | none
--   stored   a row in reservations stands for it
--   changed  that row is no longer true
--   net      settled less refunded by this fold
create type baseledger._hold as (
  reservation_id text,
  status text,
  amount bigint,
  settled bigint,
  held bigint,
  expires_at timestamptz,
  stored boolean,
  changed boolean,
  net bigint,
  ended_seq bigint,
  ended_at timestamptz
);

-- Internal: what never changes in a wallet. Domains, because a check of the table would be read
-- and evaluated again with every change of a balance.
create domain baseledger._unit as text check (btrim(value) <> '' and length(value) <= 255);
create domain baseledger._scale as smallint check (value between 0 and 18);
create domain baseledger._overdraft_limit as bigint check (value >= 0);

-- Tables --------------------------------------------------------------------------------------
-- Private: no role but the owner can touch them. Ids and keys compare bytewise (collate "C"),
-- the same on every server. There are no foreign keys to wallets: the only writer holds the
-- wallet's row lock, and the check of every event row would cost more than writing it;
-- baseledger.verify() finds what a foreign key would. Checks are few, as each costs every single
-- command about 2 %: those that stand between a mistake in the fold and a wrong balance.

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
  constraint wallets_pkey primary key (wallet_id),
  constraint wallets_available_within_overdraft check (available >= -overdraft_limit),
  constraint wallets_reserved_not_negative check (reserved >= 0),
  constraint wallets_spent_not_negative check (spent >= 0)
)
-- Room on each page for the next version of a row: updates stay heap-only.
with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

comment on table baseledger.wallets is
  'Funds of one payer, with the balances after its last event. The row is the wallet''s lock.';
comment on column baseledger.wallets.hash is 'Hash of the last event: the head of the chain.';
comment on column baseledger.wallets.next_deadline is
  'No open reservation has an earlier deadline; null if none is open. May be too early (it is '
  'put right when it is reached), never too late. So most commands need not look for due ones.';

-- For the sweep: wallets in order of what is due in them. next_deadline changes seldom, so that
-- updates of the balances stay heap-only in spite of it.
create index wallets_next_deadline_idx on baseledger.wallets (next_deadline)
  where next_deadline is not null;

-- Fixed-width columns first: no padding. A row is some 190 bytes.
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
  constraint events_pkey primary key (wallet_id, seq),
  constraint events_amount_not_negative check (amount >= 0 or event = 'extended'),
  constraint events_reserved_not_negative check (reserved >= 0)
)
with (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

comment on table baseledger.events is
  'The journal: append-only, numbered and hash-chained in each wallet. Each row holds the '
  'balances after it.';
comment on column baseledger.events.details is
  'What the event says beyond its columns: opened {unit, scale, overdraft_limit}; reserved with '
  'p_at_least {requested, at_least}; extended with p_amount {hold}; settled in part '
  '{final: false}, after the deadline {late: true}; frozen, unfrozen {reason}; transferred_out '
  '{to}, transferred_in {from, from_seq}.';
comment on column baseledger.events.hash is
  'sha256(hash of the event before ‖ canonical encoding of this one), see _canonical.';

create unique index events_idempotency_key_idx on baseledger.events (wallet_id, idempotency_key)
  where idempotency_key is not null;

-- The life of a reservation, also after its end. Not unique: its events share the entry.
create index events_reservation_id_idx on baseledger.events (wallet_id, reservation_id)
  where reservation_id is not null;

-- Few events, many questions: was it frozen then, where did the funds go.
create index events_rare_idx on baseledger.events (wallet_id, seq)
  where event in ('frozen', 'unfrozen', 'transferred_out', 'transferred_in');

-- Without this, a table analysed while wallets were young says "one event a wallet", and probes
-- by key may walk a hot wallet's whole history through the primary key instead.
alter table baseledger.events alter column wallet_id set (n_distinct = 100);

create table baseledger.reservations (
  wallet_id text collate "C" not null,
  reservation_id text collate "C" not null,
  amount bigint not null,
  settled bigint not null,
  held bigint not null,
  expires_at timestamptz not null,
  constraint reservations_pkey primary key (wallet_id, reservation_id),
  constraint reservations_held_not_negative check (held >= 0),
  constraint reservations_settled_covers_used check (settled >= amount - held)
)
with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

comment on table baseledger.reservations is
  'Open reservations only: a row goes when its reservation ends; the journal keeps its history.';
comment on column baseledger.reservations.amount is 'Granted in all, extensions included.';
comment on column baseledger.reservations.settled is 'Spent so far by partial settlements.';
comment on column baseledger.reservations.held is 'What it still holds of the wallet''s funds.';

-- Due reservations of one wallet. The predicate holds for every row; it is there so that only a
-- query which repeats it can use this index: probes by reservation id must take the primary key.
create index reservations_expires_at_idx on baseledger.reservations (wallet_id, expires_at)
  where expires_at < 'infinity';

-- Functions: first those that others inline.
--! Included functions/_seconds.sql
-- An interval as so many seconds: without months and days, which a time zone may stretch. One that
-- no reservation may have stays as it is, for _invalid_field to refuse.
create or replace function baseledger._seconds(p_interval interval)
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

revoke all on function baseledger._seconds from public;
--! EndIncluded functions/_seconds.sql
--! Included functions/_canonical.sql
-- The canonical encoding of an event, and so what the hash chain commits to: PostgreSQL's binary
-- form of a row (record_send), in which every field carries its type and its length, so that no
-- two different events share an encoding. Texts go in as UTF-8 bytes, because a text would be
-- sent in the client's encoding. docs/hash-chain.md spells it out byte by byte.
--
-- A SQL function without settings, so that it is inlined into the fold and into verify.
create or replace function baseledger._canonical(
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

revoke all on function baseledger._canonical from public;
--! EndIncluded functions/_canonical.sql
--! Included functions/_whole.sql
-- A JSON number or string as a whole number that fits a bigint; null if it is none.
create or replace function baseledger._whole(p_value jsonb)
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

revoke all on function baseledger._whole from public;
--! EndIncluded functions/_whole.sql
--! Included functions/_ttl.sql
-- A time to live in JSON: a number of seconds, or an interval as a string ('5 minutes', 'PT5M');
-- null if it is neither.
create or replace function baseledger._ttl(p_value jsonb)
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
      return baseledger._seconds((p_value #>> '{}')::interval);
    else
      return null;
  end case;
exception
  when data_exception then
    return null;
end
$$;

revoke all on function baseledger._ttl from public;
--! EndIncluded functions/_ttl.sql
--! Included functions/_command_fields.sql
-- The fields that a command of a batch may have: the parameters of the function of its name.
create or replace function baseledger._command_fields(p_op text)
returns text[]
language sql
immutable
parallel safe
as $$
  select case p_op
    when 'reserve' then
      '{op,idempotency_key,amount,reservation_id,ttl,at_least,metadata}'::text[]
    when 'settle' then '{op,idempotency_key,amount,reservation_id,final,metadata}'::text[]
    when 'cancel' then '{op,idempotency_key,reservation_id,metadata}'::text[]
    when 'extend' then '{op,idempotency_key,reservation_id,ttl,amount,metadata}'::text[]
    when 'charge' then '{op,idempotency_key,amount,reservation_id,metadata}'::text[]
    when 'credit' then '{op,idempotency_key,amount,metadata}'::text[]
    when 'withdraw' then '{op,idempotency_key,amount,metadata}'::text[]
    when 'refund' then '{op,idempotency_key,amount,reservation_id,metadata}'::text[]
  end
$$;

revoke all on function baseledger._command_fields from public;
--! EndIncluded functions/_command_fields.sql
--! Included functions/_argument_detail.sql
-- The detail of LGARG: the field, and what it must be.
create or replace function baseledger._argument_detail(p_field text)
returns jsonb
language sql
immutable
as $$
  select pg_catalog.jsonb_build_object('field', p_field, 'reason', case
    when p_field in ('wallet_id', 'from', 'to', 'idempotency_key', 'reservation_id', 'unit')
      then 'must be 1 to 255 characters and not blank'
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

revoke all on function baseledger._argument_detail from public;
--! EndIncluded functions/_argument_detail.sql
--! Included functions/_verify_events.sql
-- The events of wallets p_first to p_last (null: to the end), each against the one before it in
-- its wallet and the one before it of its reservation. Three passes: the chain's order, the
-- reservation's order, the verdicts.
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
        e.available::numeric - pg_catalog.lag(e.available, 1, 0::bigint) over chain as available_by,
        e.reserved::numeric - pg_catalog.lag(e.reserved, 1, 0::bigint) over chain as reserved_by,
        e.spent::numeric - pg_catalog.lag(e.spent, 1, 0::bigint) over chain as spent_by
      from baseledger.events e
      where e.wallet_id >= p_first
        and e.wallet_id <= coalesce(p_last, e.wallet_id)
      window chain as (partition by e.wallet_id order by e.seq)
  ),
  lived as (
    select c.*,
        pg_catalog.lag(c.event) over life as life_event,
        pg_catalog.lag(c.expires_at) over life as life_deadline,
        pg_catalog.lag(c.details) over life as life_details,
        coalesce(pg_catalog.sum(c.reserved_by) over earlier, 0) as held,
        coalesce(pg_catalog.sum(c.spent_by) over earlier, 0) as refundable
      from chained c
      window life as (partition by c.wallet_id, c.reservation_id order by c.seq),
        earlier as (life rows between unbounded preceding and 1 preceding)
  ),
  judged as (
    select l.*,
        coalesce((l.details ->> 'late')::boolean, false) as late,
        coalesce((l.details ->> 'final')::boolean, true) as final,
        -- An event that leaves its reservation open carries the deadline in force.
        l.life_deadline is not null and l.life_event <> 'expired' as was_open,
        pg_catalog.sha256(l.before_hash || baseledger._canonical(
          l.wallet_id, l.seq, l.event, l.reservation_id, l.amount, l.available, l.reserved,
          l.spent, l.expires_at, l.occurred_at, l.idempotency_key, l.actor, l.metadata, l.details
        )) as true_hash
      from lived l
  ),
  expected as (
    select j.*, m.available_due, m.reserved_due, m.spent_due,
        j.seq = j.before_seq + 1 as seq_holds,
        j.before_at is null or j.occurred_at > j.before_at as time_holds,
        j.hash = j.true_hash as hash_holds,
        j.available_by is not distinct from m.available_due
          and j.reserved_by is not distinct from m.reserved_due
          and j.spent_by is not distinct from m.spent_due as balances_hold,
        -- Nothing but a settlement takes available below zero.
        j.available >= 0 or j.available_by >= 0 or j.event = 'settled' as funds_hold,
        coalesce(case j.event
          when 'reserved' then j.life_event is null and j.expires_at > j.occurred_at
          when 'charged' then j.life_event is null
          when 'extended' then j.was_open and j.life_deadline > j.occurred_at
            and j.expires_at > j.occurred_at
          when 'cancelled' then j.was_open and j.life_deadline > j.occurred_at
            and j.amount = j.held
          when 'expired' then j.was_open and j.expires_at = j.life_deadline
            and j.expires_at <= j.occurred_at and j.amount = j.held
          when 'settled' then
            case when j.late
              then not j.was_open and (
                j.life_event in ('expired', 'refunded')
                or j.life_details @> '{"late": true, "final": false}'
              )
              else j.was_open and j.life_deadline > j.occurred_at
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
          pg_catalog.encode(x.true_hash, 'hex'), pg_catalog.encode(x.hash, 'hex')),
        ('balances', x.balances_hold,
          pg_catalog.format('available %s, reserved %s, spent %s',
            x.available - x.available_by + x.available_due,
            x.reserved - x.reserved_by + x.reserved_due,
            x.spent - x.spent_by + x.spent_due),
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
--! EndIncluded functions/_verify_events.sql
--! Included functions/_verify_wallets.sql
-- Wallets p_first to p_last (null: to the end) against the end of their journals, their open
-- reservations, and the other side of their transfers.
create or replace function baseledger._verify_wallets(p_first text, p_last text)
returns setof baseledger.discrepancy
language sql
stable
as $$
  with w as materialized (
    select * from baseledger.wallets l
      where l.wallet_id >= p_first and l.wallet_id <= coalesce(p_last, l.wallet_id)
  ),
  -- What the journal says is open: the last event of a reservation, if it carries a deadline.
  lived as (
    select e.wallet_id, e.reservation_id,
        pg_catalog.max(e.seq) as seq,
        pg_catalog.sum(e.amount) filter (where e.event in ('reserved', 'extended')) as amount,
        pg_catalog.sum(e.amount) filter (where e.event = 'settled') as settled,
        pg_catalog.sum(e.reserved - coalesce(b.reserved, 0)) as held
      from baseledger.events e
      left join baseledger.events b on b.wallet_id = e.wallet_id and b.seq = e.seq - 1
      where e.wallet_id >= p_first and e.wallet_id <= coalesce(p_last, e.wallet_id)
        and e.reservation_id is not null
      group by e.wallet_id, e.reservation_id
      having pg_catalog.bool_or(e.event = 'reserved') and not pg_catalog.bool_or(
        e.event in ('cancelled', 'expired') or e.event = 'settled' and e.expires_at is null
      )
  ),
  open as (
    select l.*, e.expires_at
      from lived l
      join baseledger.events e on e.wallet_id = l.wallet_id and e.seq = l.seq
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
            and i.details = pg_catalog.jsonb_build_object('from', t.wallet_id, 'from_seq', t.seq)
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
--! EndIncluded functions/_verify_wallets.sql
--! Included functions/_batch.sql
-- Folds a batch. Without commands there is nothing to do but to say so of an unknown wallet:
-- _fold without commands would be the sweep.
create or replace function baseledger._batch(
  p_wallet_id text,
  p_commands baseledger._command[]
)
returns baseledger.receipt[]
language plpgsql
volatile
as $$
begin
  if cardinality(p_commands) > 0 then
    return baseledger._fold(p_wallet_id, p_commands);
  end if;
  perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
  if not found then
    perform baseledger._no_wallet(p_wallet_id);
  end if;
  return '{}'::baseledger.receipt[];
end
$$;

revoke all on function baseledger._batch from public;
--! EndIncluded functions/_batch.sql
--! Included functions/_difference.sql
-- The first field in which two requests differ, as the detail of LGIDK; null if they are equal.
create or replace function baseledger._difference(p_stored jsonb, p_given jsonb)
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

revoke all on function baseledger._difference from public;
--! EndIncluded functions/_difference.sql
--! Included functions/_due.sql
-- The expiries that a wallet has coming up to an instant, earliest first, as commands of the
-- system: without a key, so that they never meet the callers' keys.
create or replace function baseledger._due(
  p_wallet_id text,
  p_until timestamptz,
  p_limit integer
)
returns baseledger._command[]
language plpgsql
stable
as $$
declare
  v_due baseledger._command[];
begin
  select array_agg(row(
      'expire', null, d.reservation_id, d.held, null, null, null, '{}', null, d.expires_at,
      null, null
    )::baseledger._command order by d.expires_at, d.reservation_id)
    into v_due
    from (
      select r.reservation_id, r.held, r.expires_at
        from baseledger.reservations r
        where r.wallet_id = p_wallet_id
          and r.expires_at <= p_until
          and r.expires_at < 'infinity'
        order by r.expires_at, r.reservation_id
        limit p_limit
    ) as d;
  return coalesce(v_due, '{}');
end
$$;

revoke all on function baseledger._due from public;
--! EndIncluded functions/_due.sql
--! Included functions/_find_hold.sql
-- A reservation as it stands in the tables, open or ended; status none if there never was one.
-- Of an ended one its last event tells how it ended, refunds aside.
create or replace function baseledger._find_hold(p_wallet_id text, p_reservation_id text)
returns baseledger._hold
language plpgsql
stable
as $$
declare
  v_hold baseledger._hold;
begin
  select r.reservation_id, 'open', r.amount, r.settled, r.held, r.expires_at, true, false,
      0::bigint, null::bigint, null::timestamptz
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
      false, false, 0::bigint, e.seq, e.occurred_at
    into v_hold
    from (
      -- A range of one value in the order of its index, for the planner's sake: see _fold.
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
    v_hold := row(p_reservation_id, 'none', null, null, null, null, false, false, 0, null, null);
  end if;
  return v_hold;
end
$$;

revoke all on function baseledger._find_hold from public;
--! EndIncluded functions/_find_hold.sql
--! Included functions/_fold.sql
-- The one place where money moves. Folds commands into a wallet, in order:
--
--   1. lock the wallet's row, before anything is read (the row is the wallet's lock);
--   2. find what the commands refer to, as sets: earlier uses of their keys, their reservations,
--      and the reservations that come due;
--   3. decide each command in memory, expiries first, each at its own instant;
--   4. write as sets: events, reservations, and the wallet's row once.
--
-- Returns one receipt per command, in order. A refusal is a receipt with `refused` set; the single
-- commands raise it (_single), batches hand it on. A command that was carried out before gets
-- its first receipt with replayed = true. When nothing was granted, nothing is written: not even
-- the expiries, which then count by deadline as before.
--
-- Without commands it is the sweep of one wallet, and returns the expiries; p_limit bounds them.
--
-- Every statement probes by index whatever the statistics say: generic plans without sequential
-- scans or sorts, so that neither a first call on empty tables nor a hot wallet's history spoils
-- them.
create or replace function baseledger._fold(
  p_wallet_id text,
  p_commands baseledger._command[],
  p_limit integer default null
)
returns baseledger.receipt[]
language plpgsql
volatile
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
as $$
declare
  c_max constant bigint := 9223372036854775807;
  c_step constant interval := interval '1 microsecond';
  c_ttl constant interval := interval '10 minutes';   -- of a reservation that names none
  v_actor constant text := session_user::text;
  v_asked constant integer := cardinality(p_commands);

  v_wallet baseledger.wallets;
  v_first_seq bigint;                 -- the wallet's seq before this fold
  v_at timestamptz;                   -- when the next event happens
  v_commands baseledger._command[] := p_commands;
  v_total integer := v_asked;         -- the asked ones, then the expiries
  v_had_due boolean := false;

  -- By position of the command. Commands that share a key or a reservation share the position
  -- of the first of them.
  v_key_at integer[] := array[1];
  v_hold_at integer[] := array[1];
  v_done bigint[];                    -- at v_key_at: seq of the event that the key stands for
  v_holds baseledger._hold[];         -- at v_hold_at

  v_next_command integer := 1;
  v_next_due integer := v_asked + 1;
  v_i integer;
  v_command baseledger._command;
  v_hold baseledger._hold;
  v_seq bigint;
  v_stored baseledger.events;

  -- The decision: refused, or an event with what it moves.
  v_field text;
  v_refused text;
  v_detail jsonb;
  v_event baseledger.event_type;
  v_amount bigint;
  v_available bigint;
  v_reserved bigint;
  v_spent bigint;
  v_expires_at timestamptz;
  v_details jsonb;

  v_granted integer := 0;             -- commands carried out; expiries do not count
  v_events baseledger.events[] := '{}'::baseledger.events[];
  v_receipts baseledger.receipt[] := '{}'::baseledger.receipt[];
  v_untrue text[] := '{}'::text[];    -- reservations whose row is not true any more
  v_opened boolean := false;          -- a reservation is open without a true row
begin
  -- 1. Lock.
  select * into v_wallet from baseledger.wallets w
    where w.wallet_id = p_wallet_id
    for no key update;
  if not found then
    perform baseledger._no_wallet(p_wallet_id);
  end if;
  v_first_seq := v_wallet.seq;
  v_at := greatest(clock_timestamp(), v_wallet.last_event_at + c_step);

  -- 2. Find. Expiries: whatever comes due until the last command has happened. As each expiry
  -- takes its instant, too, they are looked for until there are no more.
  if v_wallet.next_deadline <= v_at + v_asked * c_step then
    v_had_due := true;
    loop
      v_commands := p_commands || baseledger._due(p_wallet_id, v_at + v_total * c_step, p_limit);
      exit when cardinality(v_commands) = v_total;
      v_total := cardinality(v_commands);
    end loop;
  end if;
  if v_total > 1 then
    select array_agg(p.key_at order by p.ordinality), array_agg(p.hold_at order by p.ordinality)
      into v_key_at, v_hold_at
      from (
        select c.ordinality,
          min(c.ordinality) over (partition by c.idempotency_key collate "C")::integer as key_at,
          min(c.ordinality) over (partition by c.reservation_id collate "C")::integer as hold_at
        from unnest(v_commands) with ordinality as c
      ) as p;
  end if;

  -- One probe a key and one a reservation: what is to be opened is looked for in the journal,
  -- the rest among the open ones (what is not there is looked up when it is needed: unknown).
  -- Each probe asks for a range of one value in the order of its index; as sorts are off, no
  -- statistics can make the planner walk a wallet's history through another index instead.
  select array_agg(k.seq order by c.ordinality),
      array_agg(row(
        c.reservation_id,
        case when r.reservation_id is not null then 'open'
          when c.op in ('reserve', 'charge') and x.seq is null then 'new'
          else 'unknown' end,
        r.amount, r.settled, r.held, r.expires_at,
        r.reservation_id is not null, false, 0, null, null
      )::baseledger._hold order by c.ordinality)
    into v_done, v_holds
    from unnest(v_commands) with ordinality as c
    left join lateral (
      select e.seq from baseledger.events e
        where e.wallet_id = p_wallet_id
          and e.idempotency_key between c.idempotency_key and c.idempotency_key
          and v_key_at[c.ordinality] = c.ordinality
        order by e.idempotency_key
        limit 1
    ) k on true
    left join lateral (
      select e.seq from baseledger.events e
        where e.wallet_id = p_wallet_id
          and e.reservation_id between c.reservation_id and c.reservation_id
          and c.op in ('reserve', 'charge')
          and v_hold_at[c.ordinality] = c.ordinality
        order by e.reservation_id
        limit 1
    ) x on true
    left join lateral (
      select o.* from baseledger.reservations o
        where o.wallet_id = p_wallet_id
          and o.reservation_id between c.reservation_id and c.reservation_id
          and c.op not in ('reserve', 'charge')
          and v_hold_at[c.ordinality] = c.ordinality
        order by o.reservation_id
        limit 1
    ) r on true;

  -- 3. Decide.
  loop
    if v_next_due <= v_total and v_commands[v_next_due].due_at <= v_at then
      v_i := v_next_due;
      v_next_due := v_next_due + 1;
    elsif v_next_command <= v_asked then
      v_i := v_next_command;
      v_next_command := v_next_command + 1;
    else
      exit;
    end if;
    v_command := v_commands[v_i];
    v_refused := v_command.refused;
    v_detail := v_command.detail;

    if v_command.op = 'reserve' and v_command.ttl is null then
      v_command.ttl := c_ttl;
    end if;
    if v_refused is null and v_i <= v_asked then
      v_field := baseledger._invalid_field(
        v_command.op, v_command.idempotency_key, v_command.reservation_id, v_command.amount,
        v_command.at_least, v_command.ttl, v_command.metadata, v_command.details
      );
      if v_field is not null then
        v_refused := 'LGARG';
      end if;
    end if;

    -- The key stands for an event already: the same command gets its receipt, another is refused.
    v_seq := v_done[v_key_at[v_i]];
    if v_seq is not null and v_refused is null and v_command.idempotency_key is not null then
      if v_seq > v_first_seq then
        v_stored := v_events[v_seq - v_first_seq];
      else
        select * into v_stored from baseledger.events e
          where e.wallet_id = p_wallet_id and e.seq = v_seq;
      end if;
      v_detail := baseledger._difference(
        baseledger._request_of_event(
          v_stored.event, v_stored.reservation_id, v_stored.amount,
          v_stored.expires_at - v_stored.occurred_at, v_stored.metadata, v_stored.details
        ),
        baseledger._request_of_command(v_command)
      );
      if v_detail is null then
        v_receipts[v_i] := row(
          v_stored.wallet_id, v_stored.seq, v_stored.event, v_stored.reservation_id,
          v_stored.amount, v_stored.available, v_stored.reserved, v_stored.spent,
          v_stored.expires_at, v_stored.occurred_at, v_stored.idempotency_key, true, null, null
        )::baseledger.receipt;
        continue;
      end if;
      v_refused := 'LGIDK';
    end if;

    if v_refused is null then
      v_amount := v_command.amount;
      v_available := 0;
      v_reserved := 0;
      v_spent := 0;
      v_expires_at := null;
      v_details := v_command.details;
      if v_command.reservation_id is not null then
        v_hold := v_holds[v_hold_at[v_i]];
        if v_hold.status = 'unknown' then
          v_hold := baseledger._find_hold(p_wallet_id, v_command.reservation_id);
        end if;
      end if;

      case v_command.op
        when 'reserve' then
          if v_command.at_least is not null then
            v_amount := least(v_amount, greatest(v_wallet.available, v_command.at_least));
            v_details := jsonb_build_object(
              'requested', v_command.amount, 'at_least', v_command.at_least
            );
          end if;
          if v_hold.status not in ('new', 'none') then
            v_refused := 'LGRID';
          elsif v_wallet.frozen then
            v_refused := 'LGFRZ';
          elsif v_wallet.available < v_amount then
            v_refused := 'LGNSF';
          else
            v_event := 'reserved';
            v_available := -v_amount;
            v_reserved := v_amount;
            v_hold.status := 'open';
            v_hold.expires_at := v_at + v_command.ttl;
            v_hold.amount := v_amount;
            v_hold.settled := 0;
            v_hold.held := v_amount;
          end if;

        when 'settle' then
          if v_hold.status = 'open' and v_hold.settled > c_max - v_amount then
            v_refused := 'LGOVF';
          elsif v_hold.status = 'open' then
            v_event := 'settled';
            v_spent := v_amount;
            v_hold.settled := v_hold.settled + v_amount;
            if v_command.final then
              v_available := v_hold.held - v_amount;
              v_reserved := -v_hold.held;
              v_hold.status := 'settled';
            else
              v_reserved := -least(v_amount, v_hold.held);
              v_available := -(v_amount + v_reserved);
              v_hold.held := v_hold.held + v_reserved;
              v_details := '{"final": false}';
            end if;
          elsif v_hold.status = 'expired' then
            -- Late: its hold is back in available, and what was spent comes from there.
            v_event := 'settled';
            v_spent := v_amount;
            v_available := -v_amount;
            if v_command.final then
              v_details := '{"late": true}';
              v_hold.status := 'settled';
            else
              v_details := '{"late": true, "final": false}';
            end if;
          else
            v_refused := 'LGEND';
          end if;
          if v_available < 0 and v_wallet.available < -v_wallet.overdraft_limit - v_available then
            v_refused := 'LGOVD';
          end if;

        when 'expire' then
          -- Settled, cancelled or extended by a command before it in this fold: not due any more.
          continue when v_hold.status <> 'open' or v_hold.expires_at > v_at;
          v_event := 'expired';
          v_amount := v_hold.held;
          v_available := v_amount;
          v_reserved := -v_amount;
          v_expires_at := v_hold.expires_at;
          v_hold.status := 'expired';

        when 'cancel' then
          if v_hold.status = 'open' then
            v_event := 'cancelled';
            v_amount := v_hold.held;
            v_available := v_amount;
            v_reserved := -v_amount;
            v_hold.status := 'cancelled';
          elsif v_hold.status = 'expired' then
            v_refused := 'LGEXP';
          else
            v_refused := 'LGEND';
          end if;

        when 'extend' then
          v_reserved := coalesce(v_amount - v_hold.held, 0);
          if v_hold.status = 'expired' then
            v_refused := 'LGEXP';
          elsif v_hold.status <> 'open' then
            v_refused := 'LGEND';
          elsif v_reserved > 0 and v_wallet.frozen then
            v_refused := 'LGFRZ';
          elsif v_reserved > 0 and v_wallet.available < v_reserved then
            v_refused := 'LGNSF';
          elsif v_reserved > 0 and v_hold.amount > c_max - v_reserved then
            v_refused := 'LGOVF';
          else
            v_event := 'extended';
            v_available := -v_reserved;
            if v_amount is not null then
              v_details := jsonb_build_object('hold', v_amount);
            end if;
            v_amount := v_reserved;
            v_hold.expires_at := v_at + v_command.ttl;
            v_hold.amount := v_hold.amount + v_reserved;
            v_hold.held := v_hold.held + v_reserved;
          end if;

        when 'charge' then
          if v_hold.status not in ('new', 'none') then
            v_refused := 'LGRID';
          elsif v_wallet.frozen then
            v_refused := 'LGFRZ';
          elsif v_wallet.available < v_amount then
            v_refused := 'LGNSF';
          else
            v_event := 'charged';
            v_available := -v_amount;
            v_spent := v_amount;
            v_hold.status := 'settled';
          end if;

        when 'refund' then
          if v_hold.status in ('new', 'none') then
            v_refused := 'LGRNF';
          elsif v_hold.net + baseledger._refundable(p_wallet_id, v_hold.reservation_id) < v_amount
          then
            v_refused := 'LGRFD';
          else
            v_event := 'refunded';
            v_available := v_amount;
            v_spent := -v_amount;
          end if;

        when 'credit' then
          v_event := 'credited';
          v_available := v_amount;

        when 'withdraw', 'transfer_out' then
          if v_wallet.frozen then
            v_refused := 'LGFRZ';
          elsif v_wallet.available < v_amount then
            v_refused := 'LGNSF';
          else
            v_available := -v_amount;
            v_event := 'withdrawn';
            if v_command.op = 'transfer_out' then
              v_event := 'transferred_out';
            end if;
          end if;

        when 'transfer_in' then
          v_event := 'transferred_in';
          v_available := v_amount;

        when 'freeze' then
          v_event := 'frozen';
          v_wallet.frozen := true;

        when 'unfreeze' then
          v_event := 'unfrozen';
          v_wallet.frozen := false;

        when 'open' then
          v_event := 'opened';
      end case;

      if v_refused = 'LGEND' and v_hold.status in ('new', 'none') then
        v_refused := 'LGRNF';
      end if;
      -- Funds that come in must leave room for all that is reserved to come back, so that no
      -- hold can ever be stuck.
      if v_refused is null and (
        v_available + v_reserved > 0
          and v_wallet.available > c_max - v_wallet.reserved - (v_available + v_reserved)
        or v_available < 0 and v_wallet.available < -c_max - v_available
        or v_spent > 0 and v_wallet.spent > c_max - v_spent
      ) then
        v_refused := 'LGOVF';
      end if;
    end if;

    if v_refused is not null then
      v_detail := coalesce(v_detail, baseledger._refusal_detail(
        v_refused, p_wallet_id, v_wallet.available, v_wallet.reserved, v_wallet.spent,
        v_wallet.overdraft_limit, v_available, v_field, v_command, v_hold, v_holds
      ));
      -- No rule stands against an expiry: the wallet's rows are not as the fold has left them.
      if v_i > v_asked then
        perform baseledger._raise(v_refused, v_detail);
      end if;
      v_receipts[v_i] := row(
        p_wallet_id, null, null, v_command.reservation_id, null, null, null, null, null, null,
        v_command.idempotency_key, false, v_refused, v_detail
      )::baseledger.receipt;
      continue;
    end if;

    if v_command.reservation_id is not null and v_hold.status = 'open' then
      v_expires_at := v_hold.expires_at;
    end if;
    v_wallet.available := v_wallet.available + v_available;
    v_wallet.reserved := v_wallet.reserved + v_reserved;
    v_wallet.spent := v_wallet.spent + v_spent;
    v_wallet.seq := v_wallet.seq + 1;
    v_wallet.last_event_at := v_at;
    v_wallet.hash := sha256(v_wallet.hash || baseledger._canonical(
      p_wallet_id, v_wallet.seq, v_event, v_command.reservation_id, v_amount,
      v_wallet.available, v_wallet.reserved, v_wallet.spent, v_expires_at, v_at,
      v_command.idempotency_key, v_actor, v_command.metadata, v_details
    ));
    v_events[v_wallet.seq - v_first_seq] := row(
      v_wallet.seq, v_amount, v_wallet.available, v_wallet.reserved, v_wallet.spent, v_at,
      v_expires_at, v_event, p_wallet_id, v_command.reservation_id, v_command.idempotency_key,
      v_actor, v_command.metadata, v_details, v_wallet.hash
    )::baseledger.events;
    v_receipts[v_i] := row(
      p_wallet_id, v_wallet.seq, v_event, v_command.reservation_id, v_amount,
      v_wallet.available, v_wallet.reserved, v_wallet.spent, v_expires_at, v_at,
      v_command.idempotency_key, false, null, null
    )::baseledger.receipt;
    if v_i <= v_asked then
      v_granted := v_granted + 1;
      v_done[v_key_at[v_i]] := v_wallet.seq;
    end if;

    if v_command.reservation_id is not null then
      v_hold.net := v_hold.net + v_spent;
      if v_event <> 'refunded' then
        if v_hold.stored and not v_hold.changed then
          v_hold.changed := true;
          v_untrue := v_untrue || v_hold.reservation_id;
        end if;
        if v_hold.status = 'open' then
          v_wallet.next_deadline := least(v_wallet.next_deadline, v_expires_at);
          v_opened := true;
        else
          v_hold.ended_seq := v_wallet.seq;
          v_hold.ended_at := v_at;
        end if;
      end if;
      v_holds[v_hold_at[v_i]] := v_hold;
    end if;
    v_at := v_at + c_step;
  end loop;

  -- 4. Write.
  if v_granted = 0 and v_asked > 0 then
    return v_receipts[:v_asked];
  end if;
  if v_wallet.seq > v_first_seq then
    insert into baseledger.events select * from unnest(v_events);
  end if;
  if v_untrue <> '{}' then
    delete from baseledger.reservations r
      where r.wallet_id = p_wallet_id and r.reservation_id = any(v_untrue);
  end if;
  if v_opened then
    insert into baseledger.reservations
      (wallet_id, reservation_id, amount, settled, held, expires_at)
    select p_wallet_id, h.reservation_id, h.amount, h.settled, h.held, h.expires_at
      from unnest(v_holds) as h
      where h.status = 'open' and (not h.stored or h.changed);
  end if;
  if v_had_due then
    v_wallet.next_deadline := (
      select r.expires_at from baseledger.reservations r
        where r.wallet_id = p_wallet_id and r.expires_at < 'infinity'
        order by r.expires_at
        limit 1
    );
  end if;
  update baseledger.wallets w
    set available = v_wallet.available,
      reserved = v_wallet.reserved,
      spent = v_wallet.spent,
      seq = v_wallet.seq,
      hash = v_wallet.hash,
      frozen = v_wallet.frozen,
      last_event_at = v_wallet.last_event_at,
      next_deadline = v_wallet.next_deadline
    where w.wallet_id = p_wallet_id;

  if v_asked > 0 then
    return v_receipts[:v_asked];
  end if;
  return v_receipts;
end
$$;

revoke all on function baseledger._fold from public;
--! EndIncluded functions/_fold.sql
--! Included functions/_invalid_field.sql
-- The first field of a command that is not as it must be, or null: the one place for the limits
-- of arguments. A SQL function without settings, so that it is inlined into the fold.
create or replace function baseledger._invalid_field(
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
      or pg_catalog.btrim(p_idempotency_key, E' \t\r\n') = ''
      or pg_catalog.length(p_idempotency_key) > 255
      then 'idempotency_key'
    when p_reservation_id is null
      and p_op in ('reserve', 'settle', 'cancel', 'extend', 'charge', 'refund')
      or pg_catalog.btrim(p_reservation_id, E' \t\r\n') = ''
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
    when p_metadata is null
      or pg_catalog.jsonb_typeof(p_metadata) <> 'object'
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

revoke all on function baseledger._invalid_field from public;
--! EndIncluded functions/_invalid_field.sql
--! Included functions/_misread.sql
-- Why a command of a batch could not be read: {code, detail}, by the first problem found.
create or replace function baseledger._misread(p_command jsonb, p_op text, p_ops text[])
returns jsonb
language plpgsql
stable
as $$
declare
  v_field text;
begin
  if jsonb_typeof(p_command -> 'op') is distinct from 'string' then
    v_field := 'op';
  elsif p_op <> all (p_ops) then
    return jsonb_build_object('code', 'LGUNK', 'detail', jsonb_build_object('op', p_op));
  else
    select k into v_field
      from jsonb_object_keys(p_command) as k
      where k <> all (baseledger._command_fields(p_op))
      order by k
      limit 1;
    v_field := coalesce(v_field, case
      when jsonb_typeof(p_command -> 'idempotency_key') not in ('string', 'null')
        then 'idempotency_key'
      when jsonb_typeof(p_command -> 'reservation_id') not in ('string', 'null')
        then 'reservation_id'
      when p_command -> 'amount' <> 'null' and baseledger._whole(p_command -> 'amount') is null
        then 'amount'
      when p_command -> 'at_least' <> 'null' and baseledger._whole(p_command -> 'at_least') is null
        then 'at_least'
      when p_command -> 'ttl' <> 'null' and baseledger._ttl(p_command -> 'ttl') is null
        then 'ttl'
      else 'final'
    end);
  end if;
  return jsonb_build_object('code', 'LGARG', 'detail', baseledger._argument_detail(v_field));
end
$$;

revoke all on function baseledger._misread from public;
--! EndIncluded functions/_misread.sql
--! Included functions/_next_return.sql
-- The next deadline at which an open reservation gives its hold back: of those in the table that
-- the fold has not touched, and of those that it has.
create or replace function baseledger._next_return(p_wallet_id text, p_holds baseledger._hold[])
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
      and r.expires_at < 'infinity'
      and not exists (
        select from unnest(p_holds) as h
          where h.reservation_id = r.reservation_id and h.stored
      )
    order by r.expires_at
    limit 1;
  select min(h.expires_at) into v_folded
    from unnest(p_holds) as h
    where h.status = 'open';
  return least(v_stored, v_folded);
end
$$;

revoke all on function baseledger._next_return from public;
--! EndIncluded functions/_next_return.sql
--! Included functions/_no_wallet.sql
-- Refuses a wallet id that no wallet has: as an invalid argument if none can have it.
create or replace function baseledger._no_wallet(p_wallet_id text)
returns void
language plpgsql
volatile
as $$
begin
  perform baseledger._require_id('wallet_id', p_wallet_id);
  perform baseledger._raise('LGWNF', jsonb_build_object('wallet_id', p_wallet_id));
end
$$;

revoke all on function baseledger._no_wallet from public;
--! EndIncluded functions/_no_wallet.sql
--! Included functions/_raise.sql
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
      v_hint := case p_detail ->> 'reason'
        when 'held' then 'Open reservations hold what is missing: retry when one has ended.'
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
      v_hint := 'Its funds are back. What was spent can still be settled; else reserve anew.';
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
--! EndIncluded functions/_raise.sql
--! Included functions/_read_commands.sql
-- Reads the commands of a batch, strictly: what is not an array of at most 10,000 objects is
-- refused as a whole; an unknown command, an unknown field or a value of the wrong type refuses
-- that command alone. A field that is null counts as absent. Whether the values themselves are
-- allowed is for _fold to say.
--
-- The usual forms of amounts and times are read right here; only others go through _whole and
-- _ttl, which cost more.
create or replace function baseledger._read_commands(p_commands jsonb, p_ops text[])
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
    perform baseledger._raise('LGARG', baseledger._argument_detail('commands'));
  end if;

  select array_agg(row(
      r.op,
      r.idempotency_key,
      coalesce(
        r.reservation_id,
        case when r.op in ('reserve', 'charge') then r.idempotency_key end
      ),
      r.amount,
      r.at_least,
      r.ttl,
      r.final is distinct from 'false',
      coalesce(r.metadata, '{}'),
      null,
      null,
      r.problem ->> 'code',
      r.problem -> 'detail'
    )::baseledger._command order by r.n)
    into v_commands
    from (
      select v.*,
          case when v.op is null
            or v.op <> all (p_ops)
            or v.c - baseledger._command_fields(v.op) <> '{}'
            or jsonb_typeof(v.c -> 'op') <> 'string'
            or jsonb_typeof(v.c -> 'idempotency_key') not in ('string', 'null')
            or jsonb_typeof(v.c -> 'reservation_id') not in ('string', 'null')
            or v.amount is null and v.given_amount is not null
            or v.at_least is null and v.given_at_least is not null
            or v.ttl is null and v.given_ttl is not null
            or v.final is not null and jsonb_typeof(v.c -> 'final') <> 'boolean'
          then baseledger._misread(v.c, v.op, p_ops) end as problem
        from (
          select e.c, e.n, e.op, e.idempotency_key, e.reservation_id, e.final, e.metadata,
              e.amount as given_amount,
              case when ltrim(e.amount, '0123456789') = '' and length(e.amount) between 1 and 18
                  then e.amount::bigint
                when e.amount is not null then baseledger._whole(e.c -> 'amount')
              end as amount,
              e.at_least as given_at_least,
              case when e.at_least is not null then baseledger._whole(e.c -> 'at_least')
              end as at_least,
              e.ttl as given_ttl,
              case when ltrim(e.ttl, '0123456789') = '' and length(e.ttl) between 1 and 8
                  then make_interval(secs => e.ttl::integer)
                when e.ttl is not null then baseledger._ttl(e.c -> 'ttl')
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
            offset 0   -- each value is computed once, however often it is named above
        ) as v
        offset 0
    ) as r;
  return coalesce(v_commands, '{}');
end
$$;

revoke all on function baseledger._read_commands from public;
--! EndIncluded functions/_read_commands.sql
--! Included functions/_refundable.sql
-- What a reservation has settled so far and not had refunded.
create or replace function baseledger._refundable(p_wallet_id text, p_reservation_id text)
returns numeric
language plpgsql
stable
as $$
declare
  v_net numeric;
begin
  select sum(case e.event when 'refunded' then -e.amount else e.amount end) into v_net
    from (
      -- A range of one value in the order of its index, for the planner's sake: see _fold.
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

revoke all on function baseledger._refundable from public;
--! EndIncluded functions/_refundable.sql
--! Included functions/_refusal_detail.sql
-- The detail of a refusal, for a program. Amounts are in the wallet's smallest step; p_change is
-- what the command would have done to available.
create or replace function baseledger._refusal_detail(
  p_code text,
  p_wallet_id text,
  p_available bigint,
  p_reserved bigint,
  p_spent bigint,
  p_overdraft_limit bigint,
  p_change bigint,
  p_field text,
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
      return baseledger._argument_detail(p_field);
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
        'shortfall', v_requested::numeric - p_available,
        'reason', case when v_held then 'held' else 'exhausted' end,
        'retry_at', case when v_held then baseledger._next_return(p_wallet_id, p_holds) end
      );
    when 'LGRFD' then
      return jsonb_build_object(
        'reservation_id', p_command.reservation_id,
        'requested', p_command.amount,
        'refundable',
          p_hold.net + baseledger._refundable(p_wallet_id, p_command.reservation_id)
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

revoke all on function baseledger._refusal_detail from public;
--! EndIncluded functions/_refusal_detail.sql
--! Included functions/_request_of_command.sql
-- A command's parameters in one form, so that a key's second use can be compared with its first.
create or replace function baseledger._request_of_command(p_command baseledger._command)
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

revoke all on function baseledger._request_of_command from public;
--! EndIncluded functions/_request_of_command.sql
--! Included functions/_request_of_event.sql
-- The parameters of the command that an event was written for, in the form of
-- _request_of_command: what it was granted is the amount, unless details say what it asked for.
create or replace function baseledger._request_of_event(
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

revoke all on function baseledger._request_of_event from public;
--! EndIncluded functions/_request_of_event.sql
--! Included functions/_require_id.sql
-- Refuses an id that is null, blank or over-long.
create or replace function baseledger._require_id(p_field text, p_id text)
returns void
language plpgsql
volatile
as $$
begin
  if p_id is null or btrim(p_id, E' \t\r\n') = '' or length(p_id) > 255 then
    perform baseledger._raise('LGARG', baseledger._argument_detail(p_field));
  end if;
end
$$;

revoke all on function baseledger._require_id from public;
--! EndIncluded functions/_require_id.sql
--! Included functions/_seq_before.sql
-- The last event of a wallet before an instant; 0 if there is none. Times strictly increase with
-- seq, so that it is found by bisection over the primary key.
create or replace function baseledger._seq_before(p_wallet_id text, p_before timestamptz)
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
    perform baseledger._no_wallet(p_wallet_id);
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

revoke all on function baseledger._seq_before from public;
--! EndIncluded functions/_seq_before.sql
--! Included functions/_single.sql
-- The receipt of a single command; raises its refusal.
create or replace function baseledger._single(p_receipts baseledger.receipt[])
returns baseledger.receipt
language plpgsql
volatile
as $$
begin
  if p_receipts[1].refused is not null then
    perform baseledger._raise(p_receipts[1].refused, p_receipts[1].detail);
  end if;
  return p_receipts[1];
end
$$;

revoke all on function baseledger._single from public;
--! EndIncluded functions/_single.sql
--! Included functions/_sweep.sql
-- Sweeps wallets, each under its lock, until p_limit reservations have expired; returns how many.
create or replace function baseledger._sweep(p_wallet_ids text[], p_limit integer)
returns integer
language plpgsql
volatile
as $$
declare
  v_id text;
  v_expired integer := 0;
begin
  foreach v_id in array p_wallet_ids loop
    exit when v_expired >= p_limit;
    perform from baseledger.wallets w
      where w.wallet_id = v_id
      for no key update skip locked;
    if found then
      v_expired := v_expired
        + cardinality(baseledger._fold(v_id, '{}', p_limit - v_expired));
    end if;
  end loop;
  return v_expired;
end
$$;

revoke all on function baseledger._sweep from public;
--! EndIncluded functions/_sweep.sql
--! Included functions/_sweep_singly.sql
-- Sweeps wallets one by one, leaving out with a warning those that cannot be swept.
create or replace function baseledger._sweep_singly(p_wallet_ids text[], p_limit integer)
returns integer
language plpgsql
volatile
as $$
declare
  v_id text;
  v_expired integer := 0;
begin
  foreach v_id in array p_wallet_ids loop
    exit when v_expired >= p_limit;
    begin
      v_expired := v_expired + baseledger._sweep(array[v_id], p_limit - v_expired);
    exception
      when others then
        raise warning 'baseledger: wallet % cannot be swept: %', v_id, sqlerrm
          using hint = 'Run baseledger.verify() on it.';
    end;
  end loop;
  return v_expired;
end
$$;

revoke all on function baseledger._sweep_singly from public;
--! EndIncluded functions/_sweep_singly.sql
--! Included functions/balance.sql
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
as $$
declare
  v_balance baseledger.wallet_balance;
begin
  select w.wallet_id, w.unit, w.scale, w.available + d.due, w.reserved - d.due, w.spent,
      w.overdraft_limit, w.frozen, w.seq, i.instant
    into v_balance
    from baseledger.wallets w
    -- The clock may have stepped back behind the last event.
    cross join lateral (select greatest(clock_timestamp(), w.last_event_at) offset 0) as i(instant)
    cross join lateral (
      select coalesce(sum(o.held), 0)::bigint
        from (
          -- In the order of the index, for the planner's sake: see _fold.
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
    perform baseledger._no_wallet(p_wallet_id);
  end if;
  return v_balance;
end
$$;

comment on function baseledger.balance is
  'The balances of a wallet now, in its smallest step. Reservations past their deadline count as '
  'returned, whether or not a worker has swept them. Refused with LGARG, LGWNF.';
revoke all on function baseledger.balance from public;
grant execute on function baseledger.balance
  to baseledger_agent, baseledger_operator, baseledger_auditor;
--! EndIncluded functions/balance.sql
--! Included functions/balance_at.sql
-- The balances at an instant: those after the last event before it, with what had come due by
-- then and was swept later. That is found without a search: whatever writes to a wallet expires
-- what is due first, so the expiries in question follow that event without a gap, and the rest
-- is still in reservations.
create or replace function baseledger.balance_at(p_wallet_id text, p_at timestamptz)
returns baseledger.wallet_balance
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_sort = off
as $$
declare
  v_at timestamptz;
  v_seq bigint;
  v_next bigint;
  v_due bigint;
  v_balance baseledger.wallet_balance;
begin
  if p_at is null then
    perform baseledger._raise('LGARG', baseledger._argument_detail('at'));
  end if;
  -- The future is not known: at most now, which is never before the last event.
  select least(p_at, greatest(clock_timestamp(), w.last_event_at)) into v_at
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id;
  v_seq := baseledger._seq_before(p_wallet_id, v_at + interval '1 microsecond');

  select e.seq into v_next
    from baseledger.events e
    where e.wallet_id = p_wallet_id and e.seq > v_seq and e.event <> 'expired'
    order by e.seq
    limit 1;
  select coalesce(sum(x.amount), 0) into v_due
    from (
      select e.amount
        from baseledger.events e
        where e.wallet_id = p_wallet_id
          and e.seq > v_seq
          and (e.seq < v_next or v_next is null)
          and e.expires_at <= v_at
      union all
      select o.held
        from (
          -- In the order of the index, for the planner's sake: see _fold.
          select r.held from baseledger.reservations r
            where r.wallet_id = p_wallet_id and r.expires_at <= v_at and r.expires_at < 'infinity'
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
      v_seq, v_at
    into v_balance
    from baseledger.wallets w
    left join baseledger.events e on e.wallet_id = w.wallet_id and e.seq = v_seq
    where w.wallet_id = p_wallet_id;
  return v_balance;
end
$$;

comment on function baseledger.balance_at is
  'The balances of a wallet at an instant (at most now; zero before it was opened), in its '
  'smallest step, exactly as balance() would have answered then: reservations past their deadline '
  'count as returned. Refused with LGARG, LGWNF.';
revoke all on function baseledger.balance_at from public;
grant execute on function baseledger.balance_at to baseledger_operator, baseledger_auditor;
--! EndIncluded functions/balance_at.sql
--! Included functions/cancel.sql
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
  return baseledger._single(baseledger._fold(p_wallet_id, array[row(
    'cancel', p_idempotency_key, p_reservation_id, null,
    null, null, null, coalesce(p_metadata, '{}'), null, null, null, null
  )::baseledger._command]));
end
$$;

comment on function baseledger.cancel is
  'Ends a reservation and gives what it still holds back; the receipt''s amount says how much. '
  'A retry with the same key gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGRNF, '
  'LGEND (already settled or cancelled), LGEXP (past its deadline: the funds are back already).';
revoke all on function baseledger.cancel from public;
grant execute on function baseledger.cancel to baseledger_agent, baseledger_operator;
--! EndIncluded functions/cancel.sql
--! Included functions/charge.sql
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
  return baseledger._single(baseledger._fold(p_wallet_id, array[row(
    'charge', p_idempotency_key, coalesce(p_reservation_id, p_idempotency_key), p_amount,
    null, null, null, coalesce(p_metadata, '{}'), null, null, null, null
  )::baseledger._command]));
end
$$;

comment on function baseledger.charge is
  'Spends p_amount (above 0) at once, when the cost is known already. Leaves a reservation that '
  'is settled from the start, named p_reservation_id or else the idempotency key, so that it can '
  'be looked up and refunded. A retry with the same key gets the first receipt. Refused with '
  'LGARG, LGWNF, LGIDK, LGRID, LGFRZ, LGNSF, LGOVF.';
revoke all on function baseledger.charge from public;
grant execute on function baseledger.charge to baseledger_agent, baseledger_operator;
--! EndIncluded functions/charge.sql
--! Included functions/credit.sql
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
as $$
begin
  return baseledger._single(baseledger._fold(p_wallet_id, array[row(
    'credit', p_idempotency_key, null, p_amount,
    null, null, null, coalesce(p_metadata, '{}'), null, null, null, null
  )::baseledger._command]));
end
$$;

comment on function baseledger.credit is
  'Adds p_amount (above 0, in the wallet''s smallest step) to available. A retry with the same key '
  'gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGOVF.';
revoke all on function baseledger.credit from public;
grant execute on function baseledger.credit to baseledger_operator;
--! EndIncluded functions/credit.sql
--! Included functions/expire_due.sql
-- The sweep. Finds wallets with something due without locking, earliest first, and hands each to
-- the fold. A wallet that another session has locked is left to it, or to the next sweep.
create or replace function baseledger.expire_due(p_limit integer default 1000)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  c_page constant integer := 200;
  v_now constant timestamptz := clock_timestamp();
  v_deadline timestamptz := timestamptz '-infinity';
  v_wallet_id text := '';
  v_ids text[];
  v_expired integer := 0;
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._argument_detail('limit'));
  end if;

  while v_expired < p_limit loop
    select array_agg(p.wallet_id order by p.next_deadline, p.wallet_id),
        (array_agg(p.wallet_id order by p.next_deadline desc, p.wallet_id desc))[1],
        max(p.next_deadline)
      into v_ids, v_wallet_id, v_deadline
      from (
        select w.wallet_id, w.next_deadline
          from baseledger.wallets w
          where w.next_deadline <= v_now
            and w.next_deadline >= v_deadline
            and (w.next_deadline, w.wallet_id) > (v_deadline, v_wallet_id)
          order by w.next_deadline, w.wallet_id
          limit c_page
      ) as p;
    exit when v_ids is null;

    -- A wallet whose rows do not let themselves be swept must not stop the others: the page is
    -- undone, and its wallets are swept one by one.
    begin
      v_expired := v_expired + baseledger._sweep(v_ids, p_limit - v_expired);
    exception
      when others then
        v_expired := v_expired + baseledger._sweep_singly(v_ids, p_limit - v_expired);
    end;
  end loop;
  return v_expired;
end
$$;

comment on function baseledger.expire_due is
  'Expires reservations whose deadline has passed, earliest first, at most p_limit (1 to 100,000), '
  'and returns how many. Skips wallets that are locked. Call it until it returns 0: nothing is '
  'wrong while it is not called, as due reservations count as returned by their deadline. '
  'Refused with LGARG. @notNull';
revoke all on function baseledger.expire_due from public;
grant execute on function baseledger.expire_due to baseledger_worker;
--! EndIncluded functions/expire_due.sql
--! Included functions/extend.sql
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
  return baseledger._single(baseledger._fold(p_wallet_id, array[row(
    'extend', p_idempotency_key, p_reservation_id, p_amount,
    null, baseledger._seconds(p_ttl), null, coalesce(p_metadata, '{}'), null, null, null, null
  )::baseledger._command]));
end
$$;

comment on function baseledger.extend is
  'Gives an open reservation a new deadline, p_ttl (1 second to 30 days) from now. With p_amount '
  'it also holds that much from now on, more or less than before; the receipt''s amount is the '
  'change. A frozen wallet allows no more. A retry with the same key gets the first receipt. '
  'Refused with LGARG, LGWNF, LGIDK, LGRNF, LGEND, LGEXP (past its deadline), LGNSF, LGFRZ.';
revoke all on function baseledger.extend from public;
grant execute on function baseledger.extend to baseledger_agent, baseledger_operator;
--! EndIncluded functions/extend.sql
--! Included functions/freeze_wallet.sql
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
as $$
begin
  return baseledger._single(baseledger._fold(p_wallet_id, array[row(
    'freeze', p_idempotency_key, null, null,
    null, null, null, coalesce(p_metadata, '{}'), jsonb_build_object('reason', p_reason),
    null, null, null
  )::baseledger._command]));
end
$$;

comment on function baseledger.freeze_wallet is
  'The kill switch: from now on no new reservations, larger holds, charges, withdrawals or '
  'transfers out; settling, cancelling, crediting go on. p_reason (1 to 1000 characters) goes on record. '
  'The key is optional: each call without one is an event, the wallet just stays frozen. Refused '
  'with LGARG, LGWNF, LGIDK.';
revoke all on function baseledger.freeze_wallet from public;
grant execute on function baseledger.freeze_wallet to baseledger_operator;
--! EndIncluded functions/freeze_wallet.sql
--! Included functions/next_due.sql
-- When the sweep has something to do next.
create or replace function baseledger.next_due()
returns timestamptz
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
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
--! EndIncluded functions/next_due.sql
--! Included functions/open_wallet.sql
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
as $$
declare
  v_terms jsonb := jsonb_build_object(
    'unit', p_unit, 'scale', p_scale, 'overdraft_limit', p_overdraft_limit
  );
  v_event baseledger.events;
  v_difference jsonb;
begin
  perform baseledger._require_id('wallet_id', p_wallet_id);
  perform baseledger._require_id('unit', p_unit);
  if p_scale is null or p_scale not between 0 and 18 then
    perform baseledger._raise('LGARG', baseledger._argument_detail('scale'));
  end if;
  if p_overdraft_limit < 0 then
    perform baseledger._raise('LGARG', baseledger._argument_detail('overdraft_limit'));
  end if;

  if baseledger._invalid_field(
    'open', null, null, null, null, null, coalesce(p_metadata, '{}'), null
  ) is not null then
    perform baseledger._raise('LGARG', baseledger._argument_detail('metadata'));
  end if;

  insert into baseledger.wallets (wallet_id, unit, scale, overdraft_limit, hash, last_event_at)
    values (
      p_wallet_id, p_unit, p_scale, p_overdraft_limit, decode(repeat('00', 32), 'hex'), '-infinity'
    )
    on conflict (wallet_id) do nothing;
  if found then
    return baseledger._single(baseledger._fold(p_wallet_id, array[row(
      'open', null, null, null, null, null, null, coalesce(p_metadata, '{}'), v_terms,
      null, null, null
    )::baseledger._command]));
  end if;

  select * into v_event from baseledger.events e where e.wallet_id = p_wallet_id and e.seq = 1;
  v_difference := baseledger._difference(v_event.details, v_terms);
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
--! EndIncluded functions/open_wallet.sql
--! Included functions/post.sql
-- A batch for one wallet. Locks the wallet's row once, writes it once.
create or replace function baseledger.post(p_wallet_id text, p_commands jsonb)
returns setof baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_receipt baseledger.receipt;
begin
  foreach v_receipt in array baseledger._batch(
    p_wallet_id,
    baseledger._read_commands(
      p_commands,
      '{reserve,settle,cancel,extend,charge}'
    )
  ) loop
    return next v_receipt;
  end loop;
end
$$;

comment on function baseledger.post is
  'Carries out a batch of commands in one wallet, in order. p_commands is a JSON array of at most '
  '10,000 objects, each with op (reserve, settle, cancel, extend or charge) and the parameters of '
  'that function without p_; amounts are numbers or strings, ttl is seconds or an interval. '
  'Returns one row a command, in order: its receipt, or its refusal (the code in refused, the '
  'reason in detail); a refused command does not stop the others. A retry of a command with the '
  'same key gets its first receipt. Raises LGARG if p_commands is no such array, and LGWNF.';
revoke all on function baseledger.post from public;
grant execute on function baseledger.post to baseledger_agent, baseledger_operator;
--! EndIncluded functions/post.sql
--! Included functions/post_funds.sql
-- A batch for one wallet that may also move funds in and out. Locks the row once, writes it once.
create or replace function baseledger.post_funds(p_wallet_id text, p_commands jsonb)
returns setof baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_receipt baseledger.receipt;
begin
  foreach v_receipt in array baseledger._batch(
    p_wallet_id,
    baseledger._read_commands(
      p_commands,
      '{reserve,settle,cancel,extend,charge,credit,withdraw,refund}'
    )
  ) loop
    return next v_receipt;
  end loop;
end
$$;

comment on function baseledger.post_funds is
  'Carries out a batch of commands in one wallet, in order. p_commands is a JSON array of at most '
  '10,000 objects, each with op (those of post, and credit, withdraw, refund) and the parameters '
  'of that function without p_; amounts are numbers or strings, ttl is seconds or an interval. '
  'Returns one row a command, in order: its receipt, or its refusal (the code in refused, the '
  'reason in detail); a refused command does not stop the others. A retry of a command with the '
  'same key gets its first receipt. Raises LGARG if p_commands is no such array, and LGWNF.';
revoke all on function baseledger.post_funds from public;
grant execute on function baseledger.post_funds to baseledger_operator;
--! EndIncluded functions/post_funds.sql
--! Included functions/refund.sql
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
as $$
begin
  return baseledger._single(baseledger._fold(p_wallet_id, array[row(
    'refund', p_idempotency_key, p_reservation_id, p_amount,
    null, null, null, coalesce(p_metadata, '{}'), null, null, null, null
  )::baseledger._command]));
end
$$;

comment on function baseledger.refund is
  'Takes p_amount (above 0) from spent back to available, in all never more than the reservation '
  'has settled. A retry with the same key gets the first receipt. Refused with LGARG, LGWNF, '
  'LGIDK, LGRNF, LGRFD (more than is refundable), LGOVF.';
revoke all on function baseledger.refund from public;
grant execute on function baseledger.refund to baseledger_operator;
--! EndIncluded functions/refund.sql
--! Included functions/reserve.sql
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
  return baseledger._single(baseledger._fold(p_wallet_id, array[row(
    'reserve', p_idempotency_key, coalesce(p_reservation_id, p_idempotency_key), p_amount,
    p_at_least, baseledger._seconds(p_ttl), null, coalesce(p_metadata, '{}'), null, null, null, null
  )::baseledger._command]));
end
$$;

comment on function baseledger.reserve is
  'Holds p_amount (the wallet''s smallest step, above 0) for a call, until it is settled or '
  'cancelled, or p_ttl (1 second to 30 days, default 10 minutes) has passed. p_reservation_id '
  'defaults to the idempotency key. With p_at_least, grants what is there between p_at_least and '
  'p_amount; the receipt''s amount says how much. A retry with the same key gets the first '
  'receipt. Refused with LGARG, LGWNF, LGIDK, LGRID (reservation id taken), LGFRZ (wallet frozen), '
  'LGNSF (insufficient funds).';
revoke all on function baseledger.reserve from public;
grant execute on function baseledger.reserve to baseledger_agent, baseledger_operator;
--! EndIncluded functions/reserve.sql
--! Included functions/settle.sql
-- Books what a call did cost. Locks the wallet's row.
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
  return baseledger._single(baseledger._fold(p_wallet_id, array[row(
    'settle', p_idempotency_key, p_reservation_id, p_amount,
    null, null, coalesce(p_final, true), coalesce(p_metadata, '{}'), null, null, null, null
  )::baseledger._command]));
end
$$;

comment on function baseledger.settle is
  'Books p_amount (0 or more) as spent and gives the rest of the reservation back. With '
  'p_final => false it books a part and keeps the rest reserved. More than was reserved is '
  'booked in full, from available; after the deadline the whole is, once, as a late '
  'settlement. Either may take available below zero, down to the wallet''s overdraft limit. '
  'A retry with the same key gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGRNF, '
  'LGEND (ended otherwise), LGOVD (over the overdraft limit), LGOVF.';
revoke all on function baseledger.settle from public;
grant execute on function baseledger.settle to baseledger_agent, baseledger_operator;
--! EndIncluded functions/settle.sql
--! Included functions/statement.sql
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
  v_first := baseledger._seq_before(p_wallet_id, p_from) + 1;
  v_last := baseledger._seq_before(p_wallet_id, p_to);
  return query
    select e.seq, e.occurred_at, e.event, e.reservation_id, e.amount, e.available, e.reserved,
        e.spent, e.expires_at, e.idempotency_key, e.actor, e.metadata, e.details
      from baseledger.events e
      where e.wallet_id = p_wallet_id and e.seq between v_first and v_last
      order by e.seq;
end
$$;

comment on function baseledger.statement is
  'The events of a wallet from p_from up to, not including, p_to (without them: all), in order, '
  'each with the balances after it, in the wallet''s smallest step. Refused with LGARG, LGWNF.';
revoke all on function baseledger.statement from public;
grant execute on function baseledger.statement to baseledger_operator, baseledger_auditor;
--! EndIncluded functions/statement.sql
--! Included functions/tg_events__append_only.sql
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
--! EndIncluded functions/tg_events__append_only.sql
--! Included functions/transfer.sql
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
as $$
declare
  v_id text;
  v_terms text[] := '{}'::text[];
  v_out baseledger.receipt;
begin
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
      perform baseledger._no_wallet(v_id);
    end if;
  end loop;
  if p_from = p_to or v_terms[1:2] <> v_terms[3:4] then
    perform baseledger._raise('LGARG', jsonb_build_object(
      'field', 'to', 'reason', 'must be another wallet of the same unit and scale'
    ));
  end if;

  v_out := baseledger._single(baseledger._fold(p_from, array[row(
    'transfer_out', p_idempotency_key, null, p_amount, null, null, null,
    coalesce(p_metadata, '{}'), jsonb_build_object('to', p_to), null, null, null
  )::baseledger._command]));
  if not v_out.replayed then
    perform baseledger._single(baseledger._fold(p_to, array[row(
      'transfer_in', null, null, p_amount, null, null, null,
      coalesce(p_metadata, '{}'), jsonb_build_object('from', p_from, 'from_seq', v_out.seq),
      null, null, null
    )::baseledger._command]));
  end if;
  return v_out;
end
$$;

comment on function baseledger.transfer is
  'Moves p_amount (above 0) from the available funds of one wallet to those of another of the '
  'same unit and scale, never taking the sender below zero. Writes one event in each journal and '
  'returns the sender''s receipt; the key belongs to the sender''s wallet. A retry with the same '
  'key gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGFRZ (sender frozen), LGNSF, '
  'LGOVF.';
revoke all on function baseledger.transfer from public;
grant execute on function baseledger.transfer to baseledger_operator;
--! EndIncluded functions/transfer.sql
--! Included functions/unfreeze_wallet.sql
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
as $$
begin
  return baseledger._single(baseledger._fold(p_wallet_id, array[row(
    'unfreeze', p_idempotency_key, null, null,
    null, null, null, coalesce(p_metadata, '{}'), jsonb_build_object('reason', p_reason),
    null, null, null
  )::baseledger._command]));
end
$$;

comment on function baseledger.unfreeze_wallet is
  'Ends a freeze. p_reason (1 to 1000 characters) goes on record. '
  'The key is optional: each call without one is an event, the wallet just stays open. Refused '
  'with LGARG, LGWNF, LGIDK.';
revoke all on function baseledger.unfreeze_wallet from public;
grant execute on function baseledger.unfreeze_wallet to baseledger_operator;
--! EndIncluded functions/unfreeze_wallet.sql
--! Included functions/verify.sql
-- Proves the ledger, or finds where it does not hold. Reads only; one snapshot for all of it, as
-- a stable function sees the one of its query. The whole ledger is read in portions of wallets,
-- so that memory does not grow with it.
create or replace function baseledger.verify(p_wallet_id text default null)
returns setof baseledger.discrepancy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
as $$
declare
  c_events constant bigint := 100000;     -- in a portion, if wallets are small
  v_first text collate "C" := '';
  v_last text collate "C";
begin
  if p_wallet_id is not null then
    perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
    if not found then
      perform baseledger._no_wallet(p_wallet_id);
    end if;
    return query select * from baseledger._verify_events(p_wallet_id, p_wallet_id);
    return query select * from baseledger._verify_wallets(p_wallet_id, p_wallet_id);
    return;
  end if;

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
    -- Without a last wallet up to the end, and so past every wallet: events without one show.
    return query select * from baseledger._verify_events(v_first, v_last);
    return query select * from baseledger._verify_wallets(v_first, v_last);
    exit when v_last is null;
    v_first := v_last || chr(1);          -- the least text above it
  end loop;
end
$$;

comment on function baseledger.verify is
  'Checks a wallet, or without one the whole ledger, and returns what does not hold: none = sound. '
  'Finds gaps, edits, insertions, deletions, reordering and a cut tail by the hash chain; folds '
  'the events anew and compares each balance, the wallet''s row, the open reservations and the '
  'other side of each transfer. Reads only. Refused with LGARG, LGWNF.';
revoke all on function baseledger.verify from public;
grant execute on function baseledger.verify to baseledger_auditor;
--! EndIncluded functions/verify.sql
--! Included functions/withdraw.sql
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
as $$
begin
  return baseledger._single(baseledger._fold(p_wallet_id, array[row(
    'withdraw', p_idempotency_key, null, p_amount,
    null, null, null, coalesce(p_metadata, '{}'), null, null, null, null
  )::baseledger._command]));
end
$$;

comment on function baseledger.withdraw is
  'Takes p_amount (above 0) out of available, never below zero. A retry with the same key gets the '
  'first receipt. Refused with LGARG, LGWNF, LGIDK, LGFRZ, LGNSF.';
revoke all on function baseledger.withdraw from public;
grant execute on function baseledger.withdraw to baseledger_operator;
--! EndIncluded functions/withdraw.sql

-- After the functions: the journal's guard. Always: also for a session that replays a replica.
create trigger events_append_only before update or delete on baseledger.events
  for each row execute function baseledger.tg_events__append_only();
create trigger events_no_truncate before truncate on baseledger.events
  for each statement execute function baseledger.tg_events__append_only();
alter table baseledger.events enable always trigger events_append_only;
alter table baseledger.events enable always trigger events_no_truncate;

-- Views.
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
  r.expires_at - statement_timestamp() as time_left
from baseledger.reservations r
where r.expires_at > statement_timestamp();

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
-- The life of each reservation, told from the journal. What it held is read off the wallet's
-- reserved balance before and after each of its events.
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
    coalesce(sum(e.amount) filter (where e.event in ('reserved', 'extended', 'charged')), 0)
      as amount,
    coalesce(sum(e.amount) filter (where e.event in ('settled', 'charged')), 0) as settled,
    count(*) filter (where e.event in ('settled', 'charged')) as settlements,
    count(*) filter (where e.event = 'settled' and e.details @> '{"late": true}') as late,
    coalesce(sum(
      case
        when e.event in ('cancelled', 'expired') then e.amount
        when e.event = 'settled' and e.expires_at is null
          then greatest(b.reserved - e.reserved - e.amount, 0)
      end
    ), 0) as released,
    coalesce(sum(e.amount) filter (where e.event = 'refunded'), 0) as refunded,
    sum(e.reserved - coalesce(b.reserved, 0)) as held,
    (array_agg(e.expires_at order by e.seq desc) filter (where e.expires_at is not null))[1]
      as expires_at,
    -- An event that leaves its reservation open carries the deadline in force.
    min(e.event) filter (
      where e.event in ('cancelled', 'expired', 'charged')
        or e.event = 'settled' and e.expires_at is null and e.details is null
    ) as ended,
    min(e.occurred_at) filter (
      where e.event in ('cancelled', 'expired', 'charged')
        or e.event = 'settled' and e.expires_at is null and e.details is null
    ) as ended_at
  from baseledger.events e
  left join baseledger.events b on b.wallet_id = e.wallet_id and b.seq = e.seq - 1
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
  w.last_event_at
from baseledger.wallets w
cross join lateral (
  select coalesce(sum(r.held), 0)::bigint
  from baseledger.reservations r
  where r.wallet_id = w.wallet_id
    and w.next_deadline <= greatest(statement_timestamp(), w.last_event_at)
    and r.expires_at <= greatest(statement_timestamp(), w.last_event_at)
    and r.expires_at < 'infinity'
) as d(due);

comment on view baseledger.wallet_balances is
  'Every wallet with its balances now, in its smallest step; reservations past their deadline '
  'count as returned.';
revoke all on baseledger.wallet_balances from public;
grant select on baseledger.wallet_balances to baseledger_auditor;
--! EndIncluded views/wallet_balances.sql
