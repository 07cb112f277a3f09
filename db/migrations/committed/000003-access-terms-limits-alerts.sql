--! Previous: sha1:ab14cc40c0fe1b460131b8f059b2a22e9544fa8b
--! Hash: sha1:a3a43fc34c21e89317d216f95deedb209b91ea70
--! Message: Access, terms, limits, alerts

-- Function bodies name values of event_type that are not committed yet.
set local check_function_bodies = off;
alter type baseledger.event_type add value 'allowed';
alter type baseledger.event_type add value 'disallowed';
alter type baseledger.event_type add value 'key_created';
alter type baseledger.event_type add value 'key_revoked';
alter type baseledger.event_type add value 'limit_set';
alter type baseledger.event_type add value 'limit_set_for';
alter type baseledger.event_type add value 'limit_removed';
alter type baseledger.event_type add value 'overdraft_limit_set';
alter type baseledger.event_type add value 'low_balance_set';
alter type baseledger.event_type add value 'closed';
alter type baseledger.event_type add value 'reopened';

-- With defaults that rewrite nothing.
alter table baseledger.wallets
  add column restricted boolean not null default false,
  add column closed boolean not null default false,
  add column limited boolean not null default false,
  add column low_balances bigint[],
  add column below bigint[];
comment on column baseledger.wallets.restricted is
  'Only those who have a grant or a key may use it; once restricted, always restricted.';
comment on column baseledger.wallets.closed is 'Nothing new is reserved, charged or credited.';
comment on column baseledger.wallets.limited is 'It has rows in limits.';
comment on column baseledger.wallets.low_balances is
  'Amounts that alert when available + reserved falls below them.';
comment on column baseledger.wallets.below is 'Those of low_balances that it is below.';

-- Calls under way fail with 42846 or 42804, which clients retry.
alter type baseledger._locked_wallet
  add attribute restricted boolean,
  add attribute closed boolean,
  add attribute limited boolean,
  add attribute low_balances bigint[],
  add attribute below bigint[];
--! Included schema/types/_access.sql
-- Who calls, as far as one wallet is concerned.
--   allowed      may use the wallet
--   labels       fixed labels of the grant or key: every reservation that it opens has them, and it
--                sees only those that do
--   free_labels  labels that it may choose itself, as metadata; {*} for all
--   actor        who it is, as events record it
create type baseledger._access as (
  allowed boolean,
  labels jsonb,
  free_labels text[],
  actor text
);
--! EndIncluded schema/types/_access.sql
--! Included schema/types/_alert.sql
-- An alert on its way into baseledger.raised_alerts.
create type baseledger._alert as (
  kind text,
  threshold bigint,
  limit_id text,
  label_values text[],
  amount numeric,
  value numeric,
  starts_at timestamptz,
  ends_at timestamptz,
  occurred_at timestamptz
);
--! EndIncluded schema/types/_alert.sql
--! Included schema/types/_counter.sql
-- A counter of a limit while baseledger._execute works on its wallet.
--   amount       its own or the limit's; null: not limited
--   counts_from  the start of its window, or the setting of the limit, if that was later
--   next_alert   what is spent when the next alert is due; null: none
--   alerted      the highest percentage that was alerted in this window; 0: none
--   changed      by the commands executed so far
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
  counts_from timestamptz,
  next_alert numeric,
  alerted integer,
  changed boolean
);
--! EndIncluded schema/types/_counter.sql
--! Included schema/types/_slot.sql
-- What a command in a limited wallet is counted by.
--   counters   positions of the counters of its reservation; null if a command before it opens that
--   opened_at  when its reservation was opened, by the clock; null if it is opened now
create type baseledger._slot as (
  counters integer[],
  opened_at timestamptz
);
--! EndIncluded schema/types/_slot.sql
--! Included schema/tables/counters.sql
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

-- For clearing those of past windows.
create index counters_ends_at_idx on baseledger.counters (ends_at) where ends_at < 'infinity';
--! EndIncluded schema/tables/counters.sql
--! Included schema/tables/deliveries.sql
-- Alerts on their way to webhooks.
create table baseledger.deliveries (
  wallet_id text collate "C" not null,
  seq bigint not null,
  number integer not null,
  webhook_id text collate "C" not null,
  state text not null default 'pending',
  attempts integer not null default 0,
  due_at timestamptz not null default '-infinity',
  suppressed bigint,
  last_error text,
  ended_at timestamptz,
  constraint deliveries_pkey primary key (wallet_id, seq, number, webhook_id)
);

comment on table baseledger.deliveries is
  'One row for each alert and each webhook that there was when it was raised, written in the '
  'transaction of its command.';
comment on column baseledger.deliveries.state is
  'pending, sent, failed (given up), or suppressed (counted in a later one instead).';
comment on column baseledger.deliveries.attempts is 'Requests that have begun.';
comment on column baseledger.deliveries.due_at is
  'While pending: when a worker queues it, the first time or because its job was lost.';
comment on column baseledger.deliveries.suppressed is
  'How many before it were suppressed and are counted in it; null until it is queued first.';

-- For the workers: what is to be queued.
create index deliveries_due_at_idx on baseledger.deliveries (due_at, wallet_id, seq)
  where state = 'pending';
--! EndIncluded schema/tables/deliveries.sql
--! Included schema/tables/delivery_rates.sql
-- How often alerts of a limit have been sent to a webhook lately.
create table baseledger.delivery_rates (
  wallet_id text collate "C" not null,
  webhook_id text collate "C" not null,
  limit_id text collate "C" not null,
  queued_at timestamptz[] not null,
  suppressed bigint not null,
  constraint delivery_rates_pkey primary key (wallet_id, webhook_id, limit_id)
);

comment on table baseledger.delivery_rates is
  'How often alerts of a limit have been sent to a webhook lately: at most so many an hour.';
comment on column baseledger.delivery_rates.limit_id is 'Empty for alerts of low balances.';
comment on column baseledger.delivery_rates.queued_at is 'When, in the last hour.';
comment on column baseledger.delivery_rates.suppressed is
  'How many were suppressed since the last that was queued.';
--! EndIncluded schema/tables/delivery_rates.sql
--! Included schema/tables/grants.sql
-- Who may use a restricted wallet, by login role.
create table baseledger.grants (
  wallet_id text collate "C" not null,
  role_name text collate "C" not null,
  labels jsonb not null,
  free_labels text[] not null,
  granted_at timestamptz not null,
  constraint grants_pkey primary key (wallet_id, role_name)
);

comment on table baseledger.grants is
  'Which roles may use a restricted wallet. A name that is dropped and made again has what it had.';
comment on column baseledger.grants.labels is
  'Fixed labels: what the role opens has them, and it sees only what has them.';
comment on column baseledger.grants.free_labels is
  'Labels that the role may choose itself, as metadata; {*} for all.';
--! EndIncluded schema/tables/grants.sql
--! Included schema/tables/keys.sql
-- Who may use a restricted wallet, by a secret.
create table baseledger.keys (
  wallet_id text collate "C" not null,
  key_id text collate "C" not null,
  secret_sha256 bytea not null,
  labels jsonb not null,
  free_labels text[] not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  constraint keys_pkey primary key (wallet_id, key_id),
  constraint keys_secret_sha256_key unique (wallet_id, secret_sha256)
);

comment on table baseledger.keys is
  'Keys to a restricted wallet. A revoked one stays: what it has opened can still be settled with it.';
comment on column baseledger.keys.secret_sha256 is 'SHA-256 of the secret, which is kept nowhere.';
--! EndIncluded schema/tables/keys.sql
--! Included schema/tables/limits.sql
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
  'In the wallet''s smallest step, or a number of calls or open reservations; null: only '
  'combinations with an amount of their own are limited.';
comment on column baseledger.limits.set_at is
  'When it was first set, by the clock: it counts from there on.';
comment on column baseledger.limits.set_seq is 'The event that first set it.';
comment on column baseledger.limits.starts_at is
  'The window that it was last in, which is computed when the first event at or after its end comes.';
comment on column baseledger.limits.counted_until is
  'The latest end of any window that it was in. Windows before that are counted again from the '
  'journal when they come back, as after a clock that was ahead.';
--! EndIncluded schema/tables/limits.sql
--! Included schema/tables/raised_alerts.sql
-- What somebody wants to be told: a limit is used up to a percentage, or funds fall below an amount.
create table baseledger.raised_alerts (
  wallet_id text collate "C" not null,
  seq bigint not null,
  number integer not null,
  kind text not null,
  threshold bigint not null,
  limit_id text collate "C",
  label_values text[],
  amount numeric not null,
  value numeric not null,
  starts_at timestamptz,
  ends_at timestamptz,
  occurred_at timestamptz not null,
  constraint raised_alerts_pkey primary key (wallet_id, seq, number)
);

comment on table baseledger.raised_alerts is
  'One row for each threshold that a command has crossed, written in its transaction.';
comment on column baseledger.raised_alerts.seq is
  'The last event that was written with it: that of the command, or of its batch.';
comment on column baseledger.raised_alerts.number is 'Counts the alerts of that event from 1.';
comment on column baseledger.raised_alerts.kind is 'limit or low_balance.';
comment on column baseledger.raised_alerts.threshold is
  'limit: the percentage; low_balance: the amount that available + reserved fell below.';
comment on column baseledger.raised_alerts.amount is
  'limit: its amount; low_balance: the same as threshold.';
comment on column baseledger.raised_alerts.value is
  'limit: what was spent in the window; low_balance: available + reserved.';
--! EndIncluded schema/tables/raised_alerts.sql
--! Included schema/tables/webhooks.sql
-- Where alerts are sent.
create table baseledger.webhooks (
  wallet_id text collate "C" not null,
  webhook_id text collate "C" not null,
  url text not null,
  events text[] not null,
  secret text,
  allow_private boolean not null,
  idempotency_key text collate "C",
  added_at timestamptz not null,
  removed_at timestamptz,
  constraint webhooks_pkey primary key (wallet_id, webhook_id),
  constraint webhooks_idempotency_key_key unique (wallet_id, idempotency_key)
);

comment on table baseledger.webhooks is
  'Where alerts are sent. A removed one stays, without its secret, for the deliveries that name it.';
comment on column baseledger.webhooks.wallet_id is
  'Whose alerts; empty, which is the id of no wallet: those of all wallets.';
comment on column baseledger.webhooks.events is 'The kinds of alerts: limit, low_balance.';
comment on column baseledger.webhooks.secret is
  'What deliveries are signed with. In plain text, as a signature needs it.';
comment on column baseledger.webhooks.allow_private is
  'Whether it may be at an address that is not public.';
--! EndIncluded schema/tables/webhooks.sql
--! Included functions/access/_describe_actor.sql
-- Who calls, as events record it: the session's role, and where they differ from it the role in
-- effect and the key. Names are quoted where they could be taken for two.
create or replace function baseledger._describe_actor(p_key_id text)
returns text
language sql
stable
as $$
  select case
    when pg_catalog.current_setting('role') in ('none', session_user) and p_key_id is null
      and pg_catalog.strpos(session_user, ' ') = 0
      then session_user
    else pg_catalog.quote_ident(session_user)
      || case when pg_catalog.current_setting('role') not in ('none', session_user)
        then ' as ' || pg_catalog.quote_ident(pg_catalog.current_setting('role')) else ''
      end
      || coalesce(' with key ' || p_key_id, '')
  end
$$;

revoke all on function baseledger._describe_actor from public;
--! EndIncluded functions/access/_describe_actor.sql
--! Included functions/access/_find_access.sql
-- What the caller may do in a wallet, restricted or not. Who calls: where the setting
-- baseledger.key holds a secret, its key, and nobody else; else the role of the session, or else the
-- role in effect. Names match exactly: a member of a role has not what the role has. Operators may
-- use every wallet.
--
-- Volatile: called again under the wallet's lock, it sees the grants as they are then.
create or replace function baseledger._find_access(p_wallet_id text)
returns baseledger._access
language plpgsql
volatile
as $$
declare
  c_secret constant text := nullif(current_setting('baseledger.key', true), '');
  v_key baseledger.keys;
  v_grant baseledger.grants;
begin
  if c_secret is not null then
    select * into v_key from baseledger.keys k
      where k.wallet_id = p_wallet_id
        and k.secret_sha256 = sha256(convert_to(c_secret, 'UTF8'));
    return row(
      v_key.key_id is not null and v_key.revoked_at is null
        and coalesce(v_key.expires_at, 'infinity') > clock_timestamp(),
      v_key.labels, v_key.free_labels, baseledger._describe_actor(v_key.key_id)
    )::baseledger._access;
  end if;
  if baseledger._has_role('baseledger_operator') then
    return row(true, '{}', '{*}', baseledger._describe_actor(null))::baseledger._access;
  end if;
  select * into v_grant from baseledger.grants g
    where g.wallet_id = p_wallet_id and g.role_name in (session_user, current_setting('role'))
    order by g.role_name = session_user desc
    limit 1;
  return row(
    v_grant.role_name is not null, v_grant.labels, v_grant.free_labels,
    baseledger._describe_actor(null)
  )::baseledger._access;
end
$$;

revoke all on function baseledger._find_access from public;
--! EndIncluded functions/access/_find_access.sql
--! Included functions/access/_has_role.sql
-- Whether the role in effect has the rights of a role of ours. SET ROLE gives up those of the
-- session, as poolers and PostgREST use it.
create or replace function baseledger._has_role(p_role text)
returns boolean
language sql
stable
as $$
  select pg_catalog.pg_has_role(
    case pg_catalog.current_setting('role')
      when 'none' then session_user::text
      else pg_catalog.current_setting('role')
    end,
    p_role, 'usage'
  )
$$;

revoke all on function baseledger._has_role from public;
--! EndIncluded functions/access/_has_role.sql
--! Included functions/alerts/_write_alerts.sql
-- Writes the alerts that a call has raised in a wallet, and their deliveries to the webhooks that
-- there are now. p_seq is the wallet's last event, which the call has written. The caller has locked
-- the wallet; when alerts are sent is the worker's business.
create or replace function baseledger._write_alerts(
  p_wallet_id text,
  p_seq bigint,
  p_alerts baseledger._alert[]
)
returns void
language plpgsql
volatile
as $$
begin
  insert into baseledger.raised_alerts (
      wallet_id, seq, number, kind, threshold, limit_id, label_values, amount, value, starts_at,
      ends_at, occurred_at
    )
    select p_wallet_id, p_seq, a.ordinality, a.kind, a.threshold, a.limit_id, a.label_values,
        a.amount, a.value, a.starts_at, a.ends_at, a.occurred_at
      from unnest(p_alerts) with ordinality as a;
  insert into baseledger.deliveries (wallet_id, seq, number, webhook_id)
    select p_wallet_id, p_seq, a.ordinality, h.webhook_id
      from unnest(p_alerts) with ordinality as a
      -- Those of the empty id are for all wallets.
      join baseledger.webhooks h
        on h.wallet_id in (p_wallet_id, '') and h.removed_at is null and a.kind = any(h.events);
end
$$;

revoke all on function baseledger._write_alerts from public;
--! EndIncluded functions/alerts/_write_alerts.sql
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
  -- Some of a change have names of their own, which come after these.
  foreach v_field in array array[
    'op', 'reservation_id', 'amount', 'at_least', 'ttl', 'final', 'to', 'reason', 'metadata',
    'unit', 'scale', 'overdraft_limit'
  ] || array(select k from jsonb_object_keys(p_stored || p_given) as k order by k) loop
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
-- Several wallets. With p_wallet_ids in place of p_wallet_id, 1, 2 and 4 are done for all wallets
-- at once, and 3 for each of them. Wallets are locked without waiting; the commands of one that was
-- not locked have no receipt, nor those of one with a backlog (see below), for which post() takes
-- the time. An unsound wallet refuses its own commands. The statements for one wallet stay apart,
-- as on Citus each of them must name its wallet.
--
-- Without commands it is the sweep of these wallets, and returns the expiries; p_limit bounds them.
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
-- Cost. PL/pgSQL prepares each expression again in each transaction, so the cost of a single
-- command is the number of expressions that it meets: few and large ones, none that a branch does
-- not need; composites by position, as an assignment by name would be an expression a field; and a
-- single command skips the statements for sets. docs/performance.md has the figures.
--
-- Plans. Every statement uses an index whatever the statistics say: generic plans without
-- sequential scans or sorts, so that neither a first call on empty tables nor a hot wallet's
-- history spoils them. Without JIT: a plan with an unavoidable sort costs 1e10 when sorts are off,
-- and any server would compile it, at some 100 ms a call.
create or replace function baseledger._execute(
  p_wallet_id text,
  p_commands baseledger._command[],
  p_limit integer default null,
  p_raises boolean default false,
  p_wallet_ids text[] default null    -- of each command, equal ones together; or those to sweep
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
  v_actor constant text := session_user;
  v_total integer := v_asked;         -- the asked commands, then the expiries
  v_locked baseledger._locked_wallet[];
  v_changed baseledger._locked_wallet[];  -- of several: as they are to be written
  v_wallet baseledger._locked_wallet; -- as it was before, but for frozen and next_deadline
  v_last baseledger.events;           -- the last event: its balances are the wallet's
  v_now timestamptz;                  -- of several: when this call began to decide, by the clock
  v_at timestamptz;                   -- when the next event happens
  v_ahead interval;                   -- by how much that is ahead of the clock; null: not looked at
  v_look_due boolean;                 -- something may be due: expiries are merged in
  v_due record;                       -- a chunk of what is due, see _find_due
  v_next_command integer;             -- of the two queues in p_commands: the asked commands
  v_next_due integer;                 -- and, after them, the expiries by deadline
  v_first_due integer;                -- where those of the wallet begin and end
  v_until_due integer;
  v_expired integer := 0;
  v_since timestamptz;                -- when this call began, by the clock
  v_backlog boolean;                  -- more is due than was taken
  v_bounded boolean;                  -- that was so at first
  v_rest bigint;                      -- what the backlog holds; null: no command needed to know
  v_note jsonb;                       -- goes into the details of each event: backlog, ahead_us

  -- By position of the commands; those that share a reservation share its first element.
  v_done bigint[];                    -- seq of the event that was written for the key, before
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
  v_opened timestamptz;               -- first deadline of what was opened or extended
  v_stale tid[];                      -- rows of reservations that are out of date
begin
  -- 1. Lock.
  select array[row(
      w.wallet_id, w.frozen, w.overdraft_limit, w.available, w.reserved, w.spent, w.seq, w.hash,
      w.last_event_at, w.next_deadline, false, 1, v_asked, null, null, null, w.restricted,
      w.closed, w.limited, w.low_balances, w.below
    )::baseledger._locked_wallet] into v_locked
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id
    for no key update;
  if not found then
    if p_wallet_ids is null then
      perform baseledger._raise_wallet_not_found(p_wallet_id);
    end if;
    v_locked := baseledger._lock_several(p_wallet_ids, v_asked > 0);
    if v_asked > 0 then
      select array_agg(p.done order by c.ordinality),
          array_agg(row(
            p.reservation_id, p.status, p.amount, p.settled, p.held, p.expires_at, p.stored, p.net,
            null, null, false
          )::baseledger._hold order by c.ordinality)
        into v_done, v_holds
        from unnest(p_commands) with ordinality as c
        cross join lateral baseledger._look_up(
          p_wallet_ids[c.ordinality],
          case when c.key_at is null then c.idempotency_key end,
          case when c.hold_at is null then c.reservation_id end,
          c.op in ('reserve', 'charge')
        ) as p;
      v_receipts := array_fill(null::baseledger.receipt, array[v_asked]);
    end if;
    v_now := clock_timestamp();
    v_due := baseledger._find_due_several(v_locked, v_now, p_commands, p_wallet_ids, p_limit);
    if v_due.locked is not null then
      v_locked := v_due.locked;
      p_commands := p_commands || v_due.commands;
      v_holds := v_holds || v_due.holds;
    end if;
  end if;

  <<wallets>>
  foreach v_wallet in array v_locked loop
    v_last := row(
      v_wallet.seq, null, v_wallet.available, v_wallet.reserved, v_wallet.spent,
      v_wallet.last_event_at, null, null, null, null, null, null, null, null, v_wallet.hash
    )::baseledger.events;
    v_at := greatest(
      coalesce(v_now, clock_timestamp()), v_last.occurred_at + interval '1 microsecond'
    );

    -- 2. Look up. Includes what comes due until the last command has happened.
    if v_asked > 1
      or p_wallet_ids is not null
      or v_wallet.next_deadline <= v_at + v_asked * interval '1 microsecond'
      or v_at > clock_timestamp() + baseledger._clock_slack()
    then
      v_note := case
        when v_at > clock_timestamp() + baseledger._clock_slack()
          then baseledger._describe_ahead(v_at, coalesce(v_now, clock_timestamp()))
      end;
      v_ahead := coalesce((v_note ->> 'ahead_us')::bigint, 0) * interval '1 microsecond';
      if p_wallet_ids is not null then
        continue when v_wallet.has_more and v_asked > 0;
        p_wallet_id := v_wallet.wallet_id;
        v_look_due := v_wallet.swept;
        v_next_command := v_wallet.first;
        v_first_due := v_wallet.first_due;
        v_next_due := v_wallet.first_due;
        v_until_due := v_wallet.until_due;
      else
        v_look_due := v_asked <= 1
          or v_wallet.next_deadline <= v_at - v_ahead + v_asked * interval '1 microsecond';
        select array_agg(p.done order by c.ordinality),
            array_agg(row(
              p.reservation_id, p.status, p.amount, p.settled, p.held, p.expires_at, p.stored,
              p.net, null, null, false
            )::baseledger._hold order by c.ordinality)
          into v_done, v_holds
          from unnest(p_commands) with ordinality as c
          cross join lateral baseledger._look_up(
            p_wallet_id,
            case when c.key_at is null then c.idempotency_key end,
            case when c.hold_at is null then c.reservation_id end,
            c.op in ('reserve', 'charge')
          ) as p;
      end if;
      if v_look_due and p_wallet_ids is null then
        v_since := v_at - v_ahead;
        v_due := baseledger._find_due(p_wallet_id, v_since, p_commands, v_asked, 0, p_limit);
        p_commands := p_commands || v_due.commands;
        v_holds := v_holds || v_due.holds;
        v_total := cardinality(p_commands);
        v_next_command := 1;
        v_first_due := v_asked + 1;
        v_next_due := v_first_due;
        v_until_due := v_total;
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
    -- each turn takes the next expiry if its deadline is reached, else the next command, and sets
    -- v_i to its position; the loop then has no end of its own. (A second variable for the position
    -- would be one more expression for every command.)
    for v_i in v_wallet.first .. case when v_look_due then 2147483647 else v_wallet.until end loop
      if v_look_due then
        if v_next_due <= v_until_due and p_commands[v_next_due].due_at <= v_at - v_ahead then
          v_i := v_next_due;
          v_next_due := v_next_due + 1;
        else
          exit when v_next_command > v_wallet.until;
          v_i := v_next_command;
          v_next_command := v_next_command + 1;
        end if;
      end if;
      v_command := p_commands[v_i];
      if v_look_due or v_asked > 1 or p_wallet_ids is not null then
        v_seq := v_done[coalesce(v_command.key_at, v_i)];
        v_hold := v_holds[coalesce(v_command.hold_at, v_i)];
        if v_backlog and v_i <= v_asked then
          if v_hold.status = 'open' and v_hold.expires_at <= v_at - v_ahead then
            -- The command names a reservation of the backlog, which expires first. The expiry takes
            -- the place of the first one, which is done; the command has its turn again.
            v_command := row(
              'expire', null, v_hold.reservation_id, v_hold.held, null, null, null, '{}', null,
              v_hold.expires_at, null, null, null, coalesce(v_command.hold_at, v_i)
            )::baseledger._command;
            v_next_command := v_i;
            v_i := v_first_due;
            v_seq := null;
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
              v_until_due := v_total;
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

      if v_seq is not null or v_hold.status = 'unknown' or v_command.key_at is not null then
        if v_hold.status = 'unknown' and v_command.reservation_id is not null then
          v_hold := baseledger._find_reservation(p_wallet_id, v_command.reservation_id);
        end if;
        if v_seq is not null then
          select * into v_earlier from baseledger.events e
            where e.wallet_id = p_wallet_id and e.seq = v_seq;
        elsif v_command.key_at is not null then
          -- Perhaps by a command before it in this batch.
          select * into v_earlier from unnest(v_events) as e
            where e.wallet_id = p_wallet_id and e.idempotency_key = v_command.idempotency_key;
          v_seq := v_earlier.seq;
        end if;
        -- The key was used: the same command gets its first receipt, another one is refused.
        if v_command.refused is null and v_seq is not null then
          v_command.detail := baseledger._compare_requests(
            baseledger._request_from_event(
              v_earlier.event, v_earlier.reservation_id, v_earlier.amount,
              v_earlier.expires_at
                - baseledger._event_clock(v_earlier.occurred_at, v_earlier.details),
              v_earlier.metadata, v_earlier.details
            ),
            baseledger._request_from_command(v_command)
          );
          if v_command.detail is null then
            v_receipts[v_i] := row(
              v_earlier.wallet_id, v_earlier.seq, v_earlier.event, v_earlier.reservation_id,
              v_earlier.amount, v_earlier.available, v_earlier.reserved, v_earlier.spent,
              v_earlier.expires_at, v_earlier.occurred_at, v_earlier.idempotency_key, true, null,
              null
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
              coalesce(v_at - v_ahead, v_at) + v_command.ttl, null, v_hold.net, null, null, true
            )::baseledger._hold;
            v_opened := case
              when v_command.refused is null then least(v_opened, v_hold.expires_at)
              else v_opened
            end;
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
              v_hold := row(
                v_hold.reservation_id,
                case when v_command.final then 'settled' else v_hold.status end,
                v_hold.amount, v_hold.settled + v_command.amount, v_hold.held + v_reserved,
                v_hold.expires_at, v_hold.stored, v_hold.net + v_command.amount, v_last.seq + 1,
                v_at, true
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
            v_hold := row(
              v_hold.reservation_id, 'expired', null, null, null, v_hold.expires_at, v_hold.stored,
              v_hold.net, v_last.seq + 1, v_at, true
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
              v_hold := row(
                v_hold.reservation_id, 'cancelled', null, null, null, null, v_hold.stored,
                v_hold.net, v_last.seq + 1, v_at, true
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
              v_hold := row(
                v_hold.reservation_id, 'open', v_hold.amount + v_reserved, v_hold.settled,
                v_hold.held + v_reserved, coalesce(v_at - v_ahead, v_at) + v_command.ttl,
                v_hold.stored, v_hold.net, null, null, true
              )::baseledger._hold;
              v_opened := least(v_opened, v_hold.expires_at);
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
              v_hold.reservation_id, 'settled', null, null, null, null, null, v_command.amount,
              v_last.seq + 1, v_at, true
            )::baseledger._hold;

          when 'refund' then
            if v_hold.status = 'none' then
              v_command.refused := 'LGRNF';
            elsif v_hold.net + baseledger._sum_refundable(p_wallet_id, v_hold.reservation_id)
              < v_command.amount
            then
              v_command.refused := 'LGRFD';
            elsif baseledger._exceeds_range(v_last.available, v_last.reserved, v_command.amount)
            then
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

          else
            -- A change of who may use the wallet, or how: the command is named as its event.
            v_move := row(
              v_command.op::baseledger.event_type, null, 0, 0, 0, null, v_command.details
            )::baseledger._move;
        end case;
      end if;

      if v_command.refused is not null then
        v_command.detail := coalesce(v_command.detail, baseledger._describe_refusal(
          v_command.refused, p_wallet_id, coalesce(v_at - v_ahead, v_at),
          v_last.available + coalesce(v_rest, 0), v_last.reserved - coalesce(v_rest, 0),
          v_last.spent, v_wallet.overdraft_limit, v_available, v_command, v_hold,
          case
            when p_wallet_ids is null then v_holds
            -- Those of the wallet: others may have the same names.
            when v_command.refused = 'LGNSF' then v_holds[v_wallet.first:v_wallet.until]
              || case when v_look_due then v_holds[v_first_due:v_until_due] end
          end
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

      -- The hash is made of the columns before it: see _encode_event.
      v_last := row(
        v_last.seq + 1, v_move.amount, v_last.available + v_move.available,
        v_last.reserved + v_move.reserved, v_last.spent + v_move.spent, v_at, v_move.expires_at,
        v_move.event, p_wallet_id, v_command.reservation_id, v_command.idempotency_key,
        v_actor, v_command.metadata,
        coalesce(v_move.details || v_note, v_note, v_move.details),
        sha256(v_last.hash || baseledger._encode_event(
          p_wallet_id, v_last.seq + 1, v_move.event, v_command.reservation_id, v_move.amount,
          v_last.available + v_move.available, v_last.reserved + v_move.reserved,
          v_last.spent + v_move.spent, v_move.expires_at, v_at, v_command.idempotency_key,
          v_actor, v_command.metadata,
          coalesce(v_move.details || v_note, v_note, v_move.details)
        ))
      )::baseledger.events;
      v_receipts[v_i] := row(
        p_wallet_id, v_last.seq, v_last.event, v_last.reservation_id, v_last.amount,
        v_last.available, v_last.reserved, v_last.spent, v_last.expires_at, v_at,
        v_last.idempotency_key, false, null, null
      )::baseledger.receipt;
      if v_total = 1 and p_wallet_ids is null then
        -- 4. Write a single event.
        if v_last.reserved < 0
          or v_last.spent < 0
          or v_last.available < -v_wallet.overdraft_limit
            and v_last.available < v_wallet.available
        then
          perform baseledger._raise_corrupted(
            p_wallet_id, v_last.available, v_last.reserved, v_last.spent
          );
        end if;
        -- By position, as an expression a column would be too dear. A migration that adds a column
        -- makes a call under way fail with XX000, which clients retry.
        insert into baseledger.events values (v_last.*);
        if v_hold.changed and v_hold.stored is not null then
          delete from baseledger.reservations r
            where r.wallet_id = p_wallet_id and r.ctid = v_hold.stored;
        end if;
        if v_hold.changed and v_hold.status = 'open' then
          insert into baseledger.reservations
            (wallet_id, reservation_id, amount, settled, held, expires_at)
            values (
              p_wallet_id, v_hold.reservation_id, v_hold.amount, v_hold.settled, v_hold.held,
              v_hold.expires_at
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
        return v_receipts;
      end if;
      v_events := v_events || v_last;
      v_holds[coalesce(v_command.hold_at, v_i)] := v_hold;
      v_at := v_at + interval '1 microsecond';
    end loop;
    continue when p_wallet_ids is null;

    -- One of several wallets is decided.
    if v_asked > 0 and v_last.seq = v_wallet.seq + v_expired
      or v_last.reserved < 0
      or v_last.spent < 0
      or v_last.available < -v_wallet.overdraft_limit and v_last.available < v_wallet.available
    then
      -- Nothing was granted, or nothing may be: it is as if nobody had asked.
      if v_asked = 0 then
        perform baseledger._raise_corrupted(
          p_wallet_id, v_last.available, v_last.reserved, v_last.spent
        );
      end if;
      v_events := v_events[:cardinality(v_events) - (v_last.seq - v_wallet.seq)];
      for v_i in v_wallet.first .. v_wallet.until loop
        v_holds[v_i] := null;
        if v_last.seq <> v_wallet.seq + v_expired then
          v_receipts[v_i] := row(
            p_wallet_id, null, null, p_commands[v_i].reservation_id, null, null, null, null, null,
            null, p_commands[v_i].idempotency_key, false, 'XX001',
            jsonb_build_object(
              'available', v_last.available, 'reserved', v_last.reserved, 'spent', v_last.spent
            )
          )::baseledger.receipt;
        end if;
      end loop;
      if v_look_due then
        for v_i in v_first_due .. v_until_due loop
          v_holds[v_i] := null;
        end loop;
      end if;
    else
      v_changed := v_changed || row(
        p_wallet_id, v_wallet.frozen, v_wallet.overdraft_limit, v_last.available, v_last.reserved,
        v_last.spent, v_last.seq, v_last.hash, v_last.occurred_at,
        least(v_wallet.next_deadline, v_opened), v_look_due, null, null, null, null, null, null, null,
        null, null, null
      )::baseledger._locked_wallet;
    end if;
    v_expired := 0;
    v_opened := null;
  end loop;

  -- 4. Write.
  if p_wallet_ids is not null then
    if v_changed is not null then
      insert into baseledger.events select * from unnest(v_events);
      v_stale := array(
        select h.stored from unnest(v_holds) as h where h.changed and h.stored is not null
      );
      perform baseledger._delete_reservations(null, v_stale) where v_stale <> '{}';
      insert into baseledger.reservations
        (wallet_id, reservation_id, amount, settled, held, expires_at)
      select p_wallet_ids[h.ordinality], h.reservation_id, h.amount, h.settled, h.held, h.expires_at
        from unnest(v_holds) with ordinality as h
        where h.changed and h.status = 'open';
      update baseledger.wallets w
        set available = u.available,
          reserved = u.reserved,
          spent = u.spent,
          seq = u.seq,
          hash = u.hash,
          last_event_at = u.last_event_at,
          next_deadline = case
            when u.swept then (
              select r.expires_at from baseledger.reservations r
                where r.wallet_id = u.wallet_id and r.expires_at < 'infinity'
                order by r.expires_at
                limit 1
            )
            else u.next_deadline
          end
        from unnest(v_changed) as u
        where w.wallet_id = u.wallet_id;
    end if;
    return case when v_asked > 0 then v_receipts[:v_asked] else coalesce(v_receipts, '{}') end;
  end if;
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
  insert into baseledger.events select * from unnest(v_events);
  v_stale := array(
    select h.stored from unnest(v_holds) as h where h.changed and h.stored is not null
  );
  perform baseledger._delete_reservations(p_wallet_id, v_stale) where v_stale <> '{}';
  insert into baseledger.reservations
    (wallet_id, reservation_id, amount, settled, held, expires_at)
  select p_wallet_id, h.reservation_id, h.amount, h.settled, h.held, h.expires_at
    from unnest(v_holds) as h
    where h.changed and h.status = 'open';
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
--! Included functions/execute/_find_due_several.sql
-- Finds what is due in several wallets, as _find_due does in one, all together p_limit at most:
-- returns the wallets with where their expiries will stand, after the asked commands, and the
-- expiries with their reservations. Nothing, if nothing is due.
create or replace function baseledger._find_due_several(
  p_locked baseledger._locked_wallet[],
  p_now timestamptz,
  p_commands baseledger._command[],
  p_wallet_ids text[],                -- the wallet of each
  p_limit integer,                    -- null: a chunk of each wallet
  out locked baseledger._locked_wallet[],
  out commands baseledger._command[],
  out holds baseledger._hold[]
)
returns record
language plpgsql
stable
as $$
declare
  c_asked constant integer := cardinality(p_commands);
  c_limit constant integer := coalesce(p_limit, baseledger._due_chunk_size());
  -- Each event takes its own instant: see _find_due.
  c_span constant interval := (c_asked + c_limit + 1) * interval '1 microsecond';
  v_found baseledger._hold[];
  v_places integer[];                 -- of each, the place of its wallet
  v_linked integer[];                 -- of each, the position of the command that names it
  v_firsts integer[] := array_fill(null::integer, array[cardinality(p_locked)]);
  v_untils integer[] := v_firsts;
begin
  if c_asked > 0 and not exists (
    select from unnest(p_locked) as w
      where w.next_deadline <= baseledger._deadline_clock(p_now, w.last_event_at) + c_span
  ) then
    return;
  end if;
  -- The join goes through the wallets in their order, so that the limit leaves out the last ones.
  select array_agg(row(
        d.reservation_id, 'open', d.amount, d.settled, d.held, d.expires_at, d.stored, 0, null,
        null, false
      )::baseledger._hold order by d.place, d.expires_at, d.reservation_id),
      array_agg(d.place order by d.place, d.expires_at, d.reservation_id)
    into v_found, v_places
    from (
      select w.ordinality::integer as place, o.*
        from unnest(p_locked) with ordinality as w
        cross join lateral (
          select r.*, r.ctid as stored from baseledger.reservations r
            where r.wallet_id = w.wallet_id
              and r.expires_at <= baseledger._deadline_clock(p_now, w.last_event_at) + c_span
              and r.expires_at < 'infinity'
            order by r.expires_at, r.reservation_id
            limit c_limit + 1
        ) as o
        limit p_limit
    ) as d;
  if c_asked > 0 and v_found is not null then
    v_linked := baseledger._link_due(v_found, v_places, p_locked, p_commands, p_wallet_ids);
  end if;
  for v_i in 1 .. coalesce(cardinality(v_found), 0) loop
    v_firsts[v_places[v_i]] := coalesce(v_firsts[v_places[v_i]], v_i);
    v_untils[v_places[v_i]] := v_i;
  end loop;

  select array_agg(row(
      w.wallet_id, w.frozen, w.overdraft_limit, w.available, w.reserved, w.spent, w.seq, w.hash,
      w.last_event_at, w.next_deadline,
      c_asked = 0
        or w.next_deadline <= baseledger._deadline_clock(p_now, w.last_event_at) + c_span,
      w.first, w.until, c_asked + coalesce(v_firsts[w.ordinality], 1),
      c_asked + coalesce(v_untils[w.ordinality], 0),
      v_untils[w.ordinality] - v_firsts[w.ordinality] >= baseledger._due_chunk_size(),
      w.restricted, w.closed, w.limited, w.low_balances, w.below
    )::baseledger._locked_wallet order by w.ordinality)
    into locked
    from unnest(p_locked) with ordinality as w;
  select array_agg(row(
        'expire', null, h.reservation_id, h.held, null, null, null, '{}', null, h.expires_at, null,
        null, null, v_linked[h.ordinality]
      )::baseledger._command order by h.ordinality),
      -- One that an asked command names is at that command's position already: see _find_due.
      array_agg(row(
        h.reservation_id, case when v_linked[h.ordinality] is null then 'open' end, h.amount,
        h.settled, h.held, h.expires_at, h.stored, 0, null, null, false
      )::baseledger._hold order by h.ordinality)
    into commands, holds
    from unnest(v_found) with ordinality as h;
  commands := coalesce(commands, '{}');
end
$$;

revoke all on function baseledger._find_due_several from public;
--! EndIncluded functions/execute/_find_due_several.sql
--! Included functions/execute/_is_change.sql
-- Whether a command changes who may use a wallet, or how, and moves nothing: it is named as its event,
-- and what it asks for are the event's details. A SQL function without settings, so that it is
-- inlined.
create or replace function baseledger._is_change(p_op text)
returns boolean
language sql
immutable
parallel safe
as $$
  select p_op in (
    'allowed', 'disallowed', 'key_created', 'key_revoked', 'limit_set', 'limit_set_for',
    'limit_removed', 'overdraft_limit_set', 'low_balance_set', 'closed', 'reopened'
  )
$$;

revoke all on function baseledger._is_change from public;
--! EndIncluded functions/execute/_is_change.sql
--! Included functions/execute/_lock_several.sql
-- Locks several wallets, those that nobody else has locked: it never waits, so that it can be part
-- of no deadlock, and a hot wallet holds up no other. p_wallet_ids names the wallet of each
-- command, equal ones together; without commands, the wallets in the order in which to sweep them.
--
-- No nested loops: the planner takes every array for a short one.
create or replace function baseledger._lock_several(p_wallet_ids text[], p_asks boolean)
returns baseledger._locked_wallet[]
language plpgsql
volatile
set enable_nestloop = off
as $$
declare
  v_locked baseledger._locked_wallet[];
begin
  select array_agg(row(
      l.wallet_id, l.frozen, l.overdraft_limit, l.available, l.reserved, l.spent, l.seq, l.hash,
      l.last_event_at, l.next_deadline, false,
      case when p_asks then c.first else 1 end, case when p_asks then c.until else 0 end,
      null, null, null, l.restricted, l.closed, l.limited, l.low_balances, l.below
    )::baseledger._locked_wallet order by c.first)
    into v_locked
    from (
      select * from baseledger.wallets w
        where w.wallet_id = any(p_wallet_ids)
        for no key update skip locked
    ) as l
    join (
      select u.id, min(u.place)::integer as first, max(u.place)::integer as until
        from unnest(p_wallet_ids) with ordinality as u(id, place)
        group by u.id
    ) as c on c.id = l.wallet_id;
  return coalesce(v_locked, '{}');
end
$$;

revoke all on function baseledger._lock_several from public;
--! EndIncluded functions/execute/_lock_several.sql
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
    'already_spent', p_command.details -> 'already_spent',
    'metadata', p_command.metadata
  ) || case
    when baseledger._is_change(p_command.op) then p_command.details
      - (case p_command.op when 'key_created' then '{key_id,secret_sha256}' else '{}' end)::text[]
    else '{}'
  end
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
      -- Changes of who may use the wallet, or how, are commands of the event's name.
      else p_event::text
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
    'already_spent', p_details -> 'already_spent',
    'metadata', p_metadata
  ) || case
    when baseledger._is_change(p_event::text)
      then p_details - (case when p_event = 'key_created' then '{key_id,secret_sha256,backlog,ahead_us}'
        else '{backlog,ahead_us}' end)::text[]
    else '{}'
  end
$$;

revoke all on function baseledger._request_from_event from public;
--! EndIncluded functions/execute/_request_from_event.sql
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
        and not baseledger._is_change(p_op)
      or baseledger._is_ambiguous_name(p_idempotency_key)
      or pg_catalog.octet_length(p_idempotency_key) > 255
        and pg_catalog.length(p_idempotency_key) > 255
      then 'idempotency_key'
    when p_reservation_id is null
      and p_op not in (
        'credit', 'withdraw', 'transfer_out', 'transfer_in', 'freeze', 'unfreeze', 'open'
      )
        and not baseledger._is_change(p_op)
      or case when p_op in ('reserve', 'charge')
        then baseledger._is_ambiguous_name(p_reservation_id)
        else pg_catalog.btrim(p_reservation_id, E' \t\r\n') = ''
      end
      or pg_catalog.octet_length(p_reservation_id) > 255
        and pg_catalog.length(p_reservation_id) > 255
      then 'reservation_id'
    when p_amount < 1 and (p_amount < 0 or p_op <> 'settle')
      or p_amount is null and p_op not in ('cancel', 'extend', 'freeze', 'unfreeze', 'open')
        and not baseledger._is_change(p_op)
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
    when p_op in ('freeze', 'unfreeze', 'closed', 'reopened') and (
      p_details ->> 'reason' is null
      or pg_catalog.btrim(p_details ->> 'reason', E' \t\r\n') = ''
      or pg_catalog.length(p_details ->> 'reason') > 1000
    )
      then 'reason'
  end
$$;

revoke all on function baseledger._find_invalid_field from public;
--! EndIncluded functions/refusals/_find_invalid_field.sql
