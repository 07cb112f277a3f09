--! Previous: sha1:ab14cc40c0fe1b460131b8f059b2a22e9544fa8b
--! Hash: sha1:756871d90ace4cec55d7cb58bb2e619831a747aa
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

-- Signatures that have changed.
drop function baseledger.open_wallet(text, text, integer, bigint, jsonb);
drop function baseledger.charge(text, bigint, text, text, jsonb);

-- More events have details.
comment on column baseledger.events.details is
  'What the event says beyond its columns: opened {unit, scale, overdraft_limit}, restricted {…, '
  'restricted: true}; reserved with p_at_least {requested, at_least}; extended with p_amount {hold}; '
  'settled in part {final: false}, after the deadline {late: true}; charged with p_already_spent '
  '{already_spent: true}; reserved, charged {labels} where they differ from the metadata; frozen, '
  'unfrozen, closed, reopened {reason}; transferred_out {to}, transferred_in {from, from_seq}; '
  'allowed {role, labels, free_labels}, disallowed {role}; key_created {key_id, labels, '
  'free_labels, expires_at, secret_sha256}, key_revoked {key_id}; overdraft_limit_set '
  '{overdraft_limit}, low_balance_set {amounts}; limit_set {limit_id, amount, per, by, of, '
  'time_zone, hard, alert_at}, limit_set_for {limit_id, values, amount}, limit_removed {limit_id}. '
  'Any event: {backlog: true} when more reservations were '
  'past their deadline than were expired with it; {ahead_us} when it is dated so many microseconds '
  'ahead of the server''s clock.';
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
--! Included schema/types/added_webhook.sql
-- What add_webhook returns.
create type baseledger.added_webhook as (
  webhook_id text,
  secret text,
  replayed boolean
);
comment on type baseledger.added_webhook is 'A webhook that was added.';
comment on column baseledger.added_webhook.webhook_id is 'Its id, for remove_webhook. @notNull';
comment on column baseledger.added_webhook.secret is
  'The secret that its requests are signed with, which is shown only now; null for a replay.';
comment on column baseledger.added_webhook.replayed is
  'Whether the key was used before, and this is the webhook of then. @notNull';
--! EndIncluded schema/types/added_webhook.sql
--! Included schema/types/alert_count.sql
-- A row of alert_counts.
create type baseledger.alert_count as (
  kind text,
  state text,
  alerts bigint
);
comment on type baseledger.alert_count is 'How many alerts are in a state.';
comment on column baseledger.alert_count.kind is 'limit or low_balance. @notNull';
comment on column baseledger.alert_count.state is
  'none (no webhook), pending, sent, failed, or suppressed. @notNull';
comment on column baseledger.alert_count.alerts is 'How many. @notNull';
--! EndIncluded schema/types/alert_count.sql
--! Included schema/types/created_key.sql
-- What create_key returns.
create type baseledger.created_key as (
  key_id text,
  secret text,
  expires_at timestamptz,
  replayed boolean
);
comment on type baseledger.created_key is 'A new key to a wallet.';
comment on column baseledger.created_key.key_id is 'Its name, which is no secret. @notNull';
comment on column baseledger.created_key.secret is
  'Its secret, for the setting baseledger.key. It is shown this once: a retry gets null.';
comment on column baseledger.created_key.expires_at is
  'Until when it can be used; null = until it is revoked.';
comment on column baseledger.created_key.replayed is
  'True when the key had been made before, and nothing was done now. @notNull';
--! EndIncluded schema/types/created_key.sql
--! Included schema/types/delivery.sql
-- What start_delivery returns.
create type baseledger.delivery as (
  url text,
  secret text,
  allow_private boolean,
  message_id text,
  body text
);
comment on type baseledger.delivery is 'What to send to a webhook.';
comment on column baseledger.delivery.url is 'Where. @notNull';
comment on column baseledger.delivery.secret is 'What to sign it with. @notNull';
comment on column baseledger.delivery.allow_private is
  'Whether it may be at an address that is not public. @notNull';
comment on column baseledger.delivery.message_id is
  'The same for each attempt, and for each webhook. @notNull';
comment on column baseledger.delivery.body is 'The alert as JSON. @notNull';
--! EndIncluded schema/types/delivery.sql
--! Included schema/types/delivery_id.sql
-- What names a delivery.
create type baseledger.delivery_id as (
  wallet_id text,
  seq bigint,
  number integer,
  webhook_id text
);
comment on type baseledger.delivery_id is 'An alert, and a webhook that it is sent to.';
comment on column baseledger.delivery_id.wallet_id is 'The wallet. @notNull';
comment on column baseledger.delivery_id.seq is 'The event that raised the alert. @notNull';
comment on column baseledger.delivery_id.number is 'Which of its alerts. @notNull';
comment on column baseledger.delivery_id.webhook_id is 'The webhook. @notNull';
--! EndIncluded schema/types/delivery_id.sql
--! Included schema/types/limit_metric.sql
-- A row of limit_metrics.
create type baseledger.limit_metric as (
  wallet_id text,
  limit_id text,
  per text,
  of text,
  unit text,
  scale integer,
  amount text,
  used text
);
comment on type baseledger.limit_metric is 'The use of a limit, for monitoring.';
comment on column baseledger.limit_metric.wallet_id is 'The wallet. @notNull';
comment on column baseledger.limit_metric.limit_id is 'The limit. @notNull';
comment on column baseledger.limit_metric.per is 'Its window. @notNull';
comment on column baseledger.limit_metric.of is 'What it counts: amount, calls or open. @notNull';
comment on column baseledger.limit_metric.unit is
  'What amounts are of; null if it does not count amounts.';
comment on column baseledger.limit_metric.scale is
  'Decimal digits of the smallest step; null if it does not count amounts.';
comment on column baseledger.limit_metric.amount is 'The most that may be used; null: no limit.';
comment on column baseledger.limit_metric.used is
  'What was spent in the present window, and what is held now. @notNull';
--! EndIncluded schema/types/limit_metric.sql
--! Included schema/types/limit_use.sql
-- A row of limits.
create type baseledger.limit_use as (
  limit_id text,
  label_values text[],
  per text,
  by text[],
  of text,
  time_zone text,
  hard boolean,
  amount bigint,
  own_amount bigint,
  used bigint,
  held bigint,
  remaining bigint,
  starts_at timestamptz,
  ends_at timestamptz,
  alert_at integer[]
);
comment on type baseledger.limit_use is
  'What a combination of values of a limit''s labels has used now. Amounts are in the wallet''s '
  'smallest step, or numbers of calls or open reservations.';
comment on column baseledger.limit_use.limit_id is 'Name of the limit in its wallet. @notNull';
comment on column baseledger.limit_use.label_values is
  'The combination: a value for each label of by, empty for what has no such label; null when none '
  'has used the limit yet.';
comment on column baseledger.limit_use.per is
  'The window: minute, hour, day, week, month, year or ever. @notNull';
comment on column baseledger.limit_use.by is
  'The labels whose combinations of values are limited; none: the wallet as a whole. @notNull';
comment on column baseledger.limit_use.of is
  'What is counted: amount, calls (opened in the window) or open (reservations). @notNull';
comment on column baseledger.limit_use.time_zone is 'Where its windows begin. @notNull';
comment on column baseledger.limit_use.hard is
  'Whether it refuses what would go above it; else it only alerts. @notNull';
comment on column baseledger.limit_use.amount is
  'The limit''s amount; null: only combinations with an amount of their own are limited.';
comment on column baseledger.limit_use.own_amount is
  'The combination''s own amount, in place of the limit''s; null: it has none.';
comment on column baseledger.limit_use.used is
  'Spent in the window, or calls opened in it, and what is held. @notNull';
comment on column baseledger.limit_use.held is
  'Held by open reservations now, or how many are open. @notNull';
comment on column baseledger.limit_use.remaining is
  'What is left of the amount, not below 0; null without an amount.';
comment on column baseledger.limit_use.starts_at is
  'When the window began; null for ever.';
comment on column baseledger.limit_use.ends_at is
  'When the window ends, and the next begins; null for ever.';
comment on column baseledger.limit_use.alert_at is
  'Percentages of the amount at which it alerts when they are spent. @notNull';
--! EndIncluded schema/types/limit_use.sql
--! Included schema/types/listed_wallet.sql
-- A row of list_wallets: that of the view wallet_balances.
create type baseledger.listed_wallet as (
  wallet_id text,
  unit text,
  scale smallint,
  available bigint,
  reserved bigint,
  spent bigint,
  overdraft_limit bigint,
  frozen boolean,
  seq bigint,
  last_event_at timestamptz,
  ahead_by interval,
  restricted boolean,
  closed boolean,
  limited boolean
);
comment on type baseledger.listed_wallet is
  'A wallet with its balances now, in its smallest step; reservations past their deadline count as '
  'returned.';
comment on column baseledger.listed_wallet.wallet_id is 'The wallet. @notNull';
comment on column baseledger.listed_wallet.unit is 'What is counted, e.g. USD. @notNull';
comment on column baseledger.listed_wallet.scale is
  'Decimal digits of the smallest step: 9 for USD means nano-dollars. @notNull';
comment on column baseledger.listed_wallet.available is
  'What can be reserved; below zero after an overdraft. @notNull';
comment on column baseledger.listed_wallet.reserved is 'Held by open reservations. @notNull';
comment on column baseledger.listed_wallet.spent is 'Settled and charged, less refunds. @notNull';
comment on column baseledger.listed_wallet.overdraft_limit is
  'How far settlements may take available below zero; null = without limit.';
comment on column baseledger.listed_wallet.frozen is
  'True while nothing new may be reserved, charged, withdrawn or transferred out. @notNull';
comment on column baseledger.listed_wallet.seq is 'Its last event. @notNull';
comment on column baseledger.listed_wallet.last_event_at is 'When that happened. @notNull';
comment on column baseledger.listed_wallet.ahead_by is
  'By how much that is ahead of the server''s clock, if by more than a second; else null.';
comment on column baseledger.listed_wallet.restricted is
  'True if only those may use it who have a grant or a key. @notNull';
comment on column baseledger.listed_wallet.closed is
  'True while nothing new may be reserved, charged or credited. @notNull';
comment on column baseledger.listed_wallet.limited is 'True while it has limits. @notNull';
--! EndIncluded schema/types/listed_wallet.sql
--! Included schema/types/reservation_state.sql
-- What reservation returns.
create type baseledger.reservation_state as (
  wallet_id text,
  reservation_id text,
  status text,
  amount bigint,
  held bigint,
  settled bigint,
  refunded bigint,
  expires_at timestamptz,
  opened_at timestamptz,
  ended_at timestamptz,
  ended_by baseledger.event_type,
  late boolean,
  metadata jsonb,
  labels jsonb
);
comment on type baseledger.reservation_state is
  'A reservation as it stands now, with amounts in the wallet''s smallest step.';
comment on column baseledger.reservation_state.wallet_id is 'The wallet. @notNull';
comment on column baseledger.reservation_state.reservation_id is
  'The reservation''s name in its wallet. @notNull';
comment on column baseledger.reservation_state.status is
  'open, expired (past its deadline, whether or not a worker has swept it; what was spent can '
  'still be settled), settled or cancelled. @notNull';
comment on column baseledger.reservation_state.amount is
  'Granted in all, extensions included; of a charge what was charged. @notNull';
comment on column baseledger.reservation_state.held is
  'What it holds of the wallet''s funds; 0 unless it is open. @notNull';
comment on column baseledger.reservation_state.settled is
  'Settled in all, late and over its amount included; of a charge what was charged. @notNull';
comment on column baseledger.reservation_state.refunded is 'Refunded of that. @notNull';
comment on column baseledger.reservation_state.expires_at is
  'The deadline of one that is open, or the one that has passed if it is expired; else null.';
comment on column baseledger.reservation_state.opened_at is
  'When it was reserved or charged. @notNull';
comment on column baseledger.reservation_state.ended_at is
  'When it was settled, cancelled or charged; of an expired one its deadline; null while open.';
comment on column baseledger.reservation_state.ended_by is
  'The event that ended it: settled, cancelled, charged or expired; null while it is open.';
comment on column baseledger.reservation_state.late is
  'Whether something was settled after its deadline. @notNull';
comment on column baseledger.reservation_state.metadata is
  'What the caller gave with the reservation or charge. @notNull';
comment on column baseledger.reservation_state.labels is
  'What limits count it by: the metadata, or in a restricted wallet what the caller could choose '
  'of it and what was fixed for the caller. @notNull';
--! EndIncluded schema/types/reservation_state.sql
--! Included schema/types/wallet_grant.sql
-- A row of list_grants.
create type baseledger.wallet_grant as (
  role_name text,
  labels jsonb,
  free_labels text[],
  granted_at timestamptz
);
comment on type baseledger.wallet_grant is 'A role that may use a restricted wallet.';
comment on column baseledger.wallet_grant.role_name is
  'The role: of the session, or the one in effect, by its exact name. @notNull';
comment on column baseledger.wallet_grant.labels is 'Labels that are fixed for it. @notNull';
comment on column baseledger.wallet_grant.free_labels is
  'Labels that it chooses itself, as metadata; {*} for all. @notNull';
comment on column baseledger.wallet_grant.granted_at is 'When it was last allowed. @notNull';
--! EndIncluded schema/types/wallet_grant.sql
--! Included schema/types/wallet_key.sql
-- A row of list_keys.
create type baseledger.wallet_key as (
  key_id text,
  labels jsonb,
  free_labels text[],
  created_at timestamptz,
  expires_at timestamptz,
  revoked_at timestamptz
);
comment on type baseledger.wallet_key is 'A key to a restricted wallet.';
comment on column baseledger.wallet_key.key_id is 'Its name, which is no secret. @notNull';
comment on column baseledger.wallet_key.labels is 'Labels that are fixed for its holder. @notNull';
comment on column baseledger.wallet_key.free_labels is
  'Labels that its holder chooses, as metadata; {*} for all. @notNull';
comment on column baseledger.wallet_key.created_at is 'When it was made. @notNull';
comment on column baseledger.wallet_key.expires_at is
  'Until when it can be used; null = until it is revoked.';
comment on column baseledger.wallet_key.revoked_at is
  'When it was revoked; null = it was not.';
--! EndIncluded schema/types/wallet_key.sql
--! Included schema/types/wallet_metric.sql
-- A row of wallet_metrics.
create type baseledger.wallet_metric as (
  wallet_id text,
  unit text,
  scale integer,
  available bigint,
  reserved bigint,
  spent bigint
);
comment on type baseledger.wallet_metric is 'The balances of a wallet, for monitoring.';
comment on column baseledger.wallet_metric.wallet_id is 'The wallet. @notNull';
comment on column baseledger.wallet_metric.unit is 'What amounts are of. @notNull';
comment on column baseledger.wallet_metric.scale is 'Decimal digits of the smallest step. @notNull';
comment on column baseledger.wallet_metric.available is 'What can be reserved. @notNull';
comment on column baseledger.wallet_metric.reserved is 'What is held. @notNull';
comment on column baseledger.wallet_metric.spent is 'What was spent. @notNull';
--! EndIncluded schema/types/wallet_metric.sql
--! Included schema/types/webhook.sql
-- A row of list_webhooks.
create type baseledger.webhook as (
  webhook_id text,
  wallet_id text,
  url text,
  events text[],
  allow_private boolean,
  added_at timestamptz
);
comment on type baseledger.webhook is 'Where alerts are sent.';
comment on column baseledger.webhook.webhook_id is 'Its id. @notNull';
comment on column baseledger.webhook.wallet_id is 'Whose alerts; null: those of all wallets.';
comment on column baseledger.webhook.url is 'The address. @notNull';
comment on column baseledger.webhook.events is 'Which alerts: limit, low_balance. @notNull';
comment on column baseledger.webhook.allow_private is
  'Whether it may be at an address that is not public. @notNull';
comment on column baseledger.webhook.added_at is 'Since when. @notNull';
--! EndIncluded schema/types/webhook.sql
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

-- For clearing those of past windows. Neither column changes with what is counted, so that updates
-- stay heap-only.
create index counters_ends_at_idx on baseledger.counters (ends_at)
  where ends_at < 'infinity' and own_amount is null;
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
-- Alerts: spending has reached a percentage of a limit, or funds have fallen below an amount.
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
--! Included functions/access/_admit.sql
-- Gives the commands of an agent what his access makes of them (_apply_access). Refuses the whole
-- call as if there were no wallet, where he has no access and no command concerns what he has
-- opened.
create or replace function baseledger._admit(
  p_wallet_id text,
  p_commands baseledger._command[]
)
returns baseledger._command[]
language plpgsql
volatile
as $$
declare
  v_access constant baseledger._access := baseledger._find_access(p_wallet_id);
  v_commands baseledger._command[];
begin
  v_commands := baseledger._apply_access(p_wallet_id, v_access, p_commands);
  if not v_access.allowed and not exists (
    select from unnest(v_commands) as c where c.refused is null
  ) then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  return v_commands;
end
$$;

revoke all on function baseledger._admit from public;
--! EndIncluded functions/access/_admit.sql
--! Included functions/access/_apply_access.sql
-- What a caller's access to a restricted wallet makes of his commands: refuses those to which he
-- has no right, with what they would get if the other's reservation did not exist, and gives labels
-- to the reservations that he opens. Real spending still lands: who has opened a reservation may
-- settle, cancel, extend and repeat it, whatever was taken back since.
--
-- Commands of operators, which move funds in and out, are not an agent's: who may call them is
-- decided by the right to their function.
create or replace function baseledger._apply_access(
  p_wallet_id text,
  p_access baseledger._access,
  p_commands baseledger._command[]
)
returns baseledger._command[]
language plpgsql
stable
as $$
declare
  -- Sees every reservation and every key.
  c_sees_all constant boolean := p_access.allowed and p_access.labels = '{}';
  v_command baseledger._command;
  v_labels jsonb;
begin
  for v_i in 1 .. cardinality(p_commands) loop
    v_command := p_commands[v_i];
    continue when v_command.refused is not null
      or v_command.op not in ('reserve', 'settle', 'cancel', 'extend', 'charge');
    if not c_sees_all then
      case baseledger._owns_key(p_wallet_id, p_access, v_command.idempotency_key)
        when true then
          continue;
        when false then
          v_command.refused := 'LGIDK';
          v_command.detail := '{"field": "idempotency_key", "stored": null, "given": null}';
        else
          if v_command.op in ('settle', 'cancel', 'extend')
            -- One that is not in the journal may be opened by a command before it.
            and not baseledger._is_own(p_wallet_id, p_access, v_command.reservation_id)
          then
            v_command.refused := 'LGRNF';
          end if;
      end case;
      if not p_access.allowed and (
        v_command.refused is not null
        or v_command.op in ('reserve', 'charge')
        or baseledger._is_own(p_wallet_id, p_access, v_command.reservation_id) is null
      ) then
        v_command.refused := 'LGWNF';
        v_command.detail := jsonb_build_object('wallet_id', p_wallet_id);
      end if;
    end if;
    if v_command.refused is null and v_command.op in ('reserve', 'charge') then
      v_labels := case
        when p_access.free_labels = '{*}' then v_command.metadata
        else (
          select coalesce(jsonb_object_agg(m.key, m.value), '{}')
            from jsonb_each(v_command.metadata) as m
            where m.key = any (p_access.free_labels)
        )
      end || p_access.labels;
      if v_labels <> v_command.metadata then
        v_command.details := coalesce(v_command.details, '{}')
          || jsonb_build_object('labels', v_labels);
      end if;
    end if;
    p_commands[v_i] := v_command;
  end loop;
  return p_commands;
end
$$;

revoke all on function baseledger._apply_access from public;
--! EndIncluded functions/access/_apply_access.sql
--! Included functions/access/_describe_actor.sql
-- Who calls, as events record it: the session's role, and where they differ from it the role in
-- effect and the key. Names are quoted where they could be taken for two. Not inlined: _execute
-- seldom needs it.
create or replace function baseledger._describe_actor(p_key_id text)
returns text
language plpgsql
stable
as $$
declare
  c_role constant text := nullif(nullif(current_setting('role'), 'none'), session_user::text);
begin
  if c_role is null and p_key_id is null and strpos(session_user, ' ') = 0 then
    return session_user;
  end if;
  return quote_ident(session_user)
    || coalesce(' as ' || quote_ident(c_role), '')
    || coalesce(' with key ' || p_key_id, '');
end
$$;

revoke all on function baseledger._describe_actor from public;
--! EndIncluded functions/access/_describe_actor.sql
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
          '{balance,cancel,charge,extend,limits,post,post_many,receipt,reservation,reserve,
            settle}'),
        ('function', 'EXECUTE', 'baseledger_operator',
          '{balance,cancel,charge,extend,limits,post,post_many,receipt,reservation,reserve,settle,
            allow,balance_at,close_wallet,create_key,credit,disallow,freeze_wallet,list_grants,
            list_keys,list_wallets,open_wallet,post_funds,refund,remove_limit,reopen_wallet,
            revoke_key,set_limit,set_limit_for,set_low_balance,set_overdraft_limit,statement,
            transfer,unfreeze_wallet,withdraw,doctor,sweep_status,wallets_ahead,
            add_webhook,alert_counts,list_webhooks,remove_webhook}'),
        ('function', 'EXECUTE', 'baseledger_auditor',
          '{balance,balance_at,limits,list_grants,list_keys,list_wallets,receipt,reservation,
            statement,verify,verify_rights,doctor,sweep_status,wallets_ahead,alert_counts,
            list_webhooks}'),
        ('function', 'EXECUTE', 'baseledger_worker',
          '{clear_counters,expire_due,next_due,sweep_status,wallets_ahead,
            alert_counts,finish_delivery,limit_metrics,queue_deliveries,start_delivery,
            wallet_metrics}'),
        ('view', 'SELECT', 'baseledger_auditor',
          '{alerts,journal,open_reservations,postings,reservation_history,wallet_access,
            wallet_balances}')
    ) as r (kind, privilege, grantee, names)
    cross join lateral pg_catalog.unnest(r.names) as n (name)
$$;

revoke all on function baseledger._expected_rights from public;
--! EndIncluded functions/access/_expected_rights.sql
--! Included functions/access/_find_access.sql
-- What the caller may do in a wallet, restricted or not. Who calls: where the setting
-- baseledger.key holds a secret, its key, and nobody else; else the role of the session, or else
-- the role in effect. Names match exactly: a member of a role has not what the role has. Operators
-- may use every wallet.
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
--! Included functions/access/_find_reader.sql
-- What the caller may see of a wallet, restricted or not: auditors see all, but as whoever has set
-- baseledger.key they have what the key has.
create or replace function baseledger._find_reader(p_wallet_id text)
returns baseledger._access
language plpgsql
volatile
as $$
begin
  if nullif(current_setting('baseledger.key', true), '') is null
    and baseledger._has_role('baseledger_auditor')
  then
    return row(true, '{}', '{*}', baseledger._describe_actor(null))::baseledger._access;
  end if;
  return baseledger._find_access(p_wallet_id);
end
$$;

revoke all on function baseledger._find_reader from public;
--! EndIncluded functions/access/_find_reader.sql
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
--! Included functions/access/_is_own.sql
-- Whether a reservation is the caller's to act on: he has opened it, or he has a grant whose fixed
-- labels it has. Null, if the journal has no such reservation.
create or replace function baseledger._is_own(
  p_wallet_id text,
  p_access baseledger._access,
  p_reservation_id text
)
returns boolean
language plpgsql
stable
as $$
begin
  return (
    select o.actor = p_access.actor or p_access.allowed and o.labels @> p_access.labels
      from baseledger._find_opening(p_wallet_id, p_reservation_id) as o
  );
end
$$;

revoke all on function baseledger._is_own from public;
--! EndIncluded functions/access/_is_own.sql
--! Included functions/access/_lock_guarded.sql
-- Locks a wallet that is restricted or closed. If it is restricted, the caller must have access,
-- and his commands get what his access makes of them. Access is looked at before, so that nobody
-- else ever waits for the lock or holds it, and again under it, as it may have been taken back
-- meanwhile. Refuses who may not use the wallet as if there were none.
create or replace function baseledger._lock_guarded(
  p_wallet_id text,
  p_commands baseledger._command[],
  out locked baseledger._locked_wallet[],
  out commands baseledger._command[],
  out actor text
)
returns record
language plpgsql
volatile
as $$
declare
  v_restricted boolean;
  v_asks constant boolean := exists (
    select from unnest(p_commands) as c
      where c.op in ('reserve', 'settle', 'cancel', 'extend', 'charge')
        -- What no batch knows is no operator's command.
        or c.op is null
        or c.refused = 'LGUNK'
  );
begin
  commands := p_commands;
  -- Of a wallet that there is not, as of one that is not open to the caller.
  select w.restricted into v_restricted
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id;
  if v_asks and v_restricted is distinct from false then
    perform baseledger._admit(p_wallet_id, p_commands);
  end if;
  select array[row(
      w.wallet_id, w.frozen, w.overdraft_limit, w.available, w.reserved, w.spent, w.seq, w.hash,
      w.last_event_at, w.next_deadline, false, 1, cardinality(p_commands), null, null, null,
      w.restricted, w.closed, w.limited, w.low_balances, w.below
    )::baseledger._locked_wallet] into locked
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id
    for no key update;
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  if locked[1].restricted then
    actor := (baseledger._find_access(p_wallet_id)).actor;
    if v_asks then
      commands := baseledger._admit(p_wallet_id, p_commands);
    end if;
  else
    actor := baseledger._describe_actor(null);
  end if;
end
$$;

revoke all on function baseledger._lock_guarded from public;
--! EndIncluded functions/access/_lock_guarded.sql
--! Included functions/access/_may_read.sql
-- Whether the caller may look at a restricted wallet.
create or replace function baseledger._may_read(p_wallet_id text)
returns boolean
language plpgsql
volatile
as $$
begin
  return (baseledger._find_reader(p_wallet_id)).allowed;
end
$$;

revoke all on function baseledger._may_read from public;
--! EndIncluded functions/access/_may_read.sql
--! Included functions/access/_may_send.sql
-- Whether the caller may send a command to a restricted wallet: he has access to it, or the command
-- concerns what he has opened.
create or replace function baseledger._may_send(
  p_wallet_id text,
  p_idempotency_key text,
  p_reservation_id text
)
returns boolean
language plpgsql
volatile
as $$
declare
  v_access constant baseledger._access := baseledger._find_access(p_wallet_id);
begin
  return v_access.allowed
    or coalesce(baseledger._owns_key(p_wallet_id, v_access, p_idempotency_key), false)
    or coalesce(baseledger._is_own(p_wallet_id, v_access, p_reservation_id), false);
end
$$;

revoke all on function baseledger._may_send from public;
--! EndIncluded functions/access/_may_send.sql
--! Included functions/access/_owns_key.sql
-- Whether a key that was used before is the caller's: it stands for an event of a reservation that
-- is his. Null, if it was not used.
create or replace function baseledger._owns_key(
  p_wallet_id text,
  p_access baseledger._access,
  p_idempotency_key text
)
returns boolean
language plpgsql
stable
as $$
declare
  v_used boolean;
  v_reservation_id text;
begin
  select true, e.reservation_id into v_used, v_reservation_id
    from baseledger.events e
    where e.wallet_id = p_wallet_id
      and e.idempotency_key between p_idempotency_key and p_idempotency_key
    order by e.idempotency_key
    limit 1;
  if v_used then
    return coalesce(
      baseledger._is_own(p_wallet_id, p_access, v_reservation_id),
      -- Of an event without a reservation, such as a credit.
      p_access.allowed and p_access.labels = '{}'
    );
  end if;
  return null;
end
$$;

revoke all on function baseledger._owns_key from public;
--! EndIncluded functions/access/_owns_key.sql
--! Included functions/access/_require_labels.sql
-- Refuses labels that no grant and no key may have.
create or replace function baseledger._require_labels(p_labels jsonb, p_free_labels text[])
returns void
language plpgsql
volatile
as $$
begin
  if p_labels is null
    or jsonb_typeof(p_labels) <> 'object'
    or (
      select count(*) > 16
          or bool_or(
            jsonb_typeof(l.value) <> 'string'
            or octet_length(l.key) not between 1 and 255
            or octet_length(l.value #>> '{}') not between 1 and 255
          )
        from jsonb_each(
          case when jsonb_typeof(p_labels) = 'object' then p_labels else '{}' end
        ) as l
    )
  then
    perform baseledger._raise('LGARG', baseledger._describe_argument('labels'));
  end if;
  if p_free_labels is null
    or array_ndims(p_free_labels) > 1
    or cardinality(p_free_labels) > 16
    or exists (
      select from unnest(p_free_labels) as f(name)
        where f.name is null or octet_length(f.name) not between 1 and 255
    )
  then
    perform baseledger._raise('LGARG', baseledger._describe_argument('free_labels'));
  end if;
end
$$;

revoke all on function baseledger._require_labels from public;
--! EndIncluded functions/access/_require_labels.sql
--! Included functions/access/_restrict.sql
-- Restricts a wallet, whose lock the caller has, to its grants and keys. A closed one gets no more
-- of them.
create or replace function baseledger._restrict(p_wallet_id text)
returns void
language plpgsql
volatile
as $$
declare
  v_wallet baseledger.wallets;
begin
  select * into v_wallet from baseledger.wallets w where w.wallet_id = p_wallet_id;
  if v_wallet.closed then
    perform baseledger._raise('LGCLO', jsonb_build_object('wallet_id', p_wallet_id));
  end if;
  if not v_wallet.restricted then
    update baseledger.wallets w set restricted = true where w.wallet_id = p_wallet_id;
  end if;
end
$$;

revoke all on function baseledger._restrict from public;
--! EndIncluded functions/access/_restrict.sql
--! Included functions/access/allow.sql
-- Lets a role use a wallet. Locks the wallet's row. Role and wallet are looked at after the event
-- was written, so that a retry gets its receipt whatever has changed since.
create or replace function baseledger.allow(
  p_wallet_id text,
  p_role text,
  p_labels jsonb default '{}',
  p_free_labels text[] default '{}',
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
declare
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only('baseledger.allow(text,text,jsonb,text[],text,jsonb)');
  perform baseledger._require_labels(p_labels, p_free_labels);
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'allowed', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object(
      'role', p_role, 'labels', p_labels, 'free_labels', p_free_labels
    )
  ));
  if v_receipt.replayed then
    return v_receipt;
  end if;

  if not exists (select from pg_roles r where r.rolname = p_role) then
    perform baseledger._raise('LGARG', baseledger._describe_argument('role'));
  end if;
  perform baseledger._restrict(p_wallet_id);
  insert into baseledger.grants (wallet_id, role_name, labels, free_labels, granted_at)
    values (p_wallet_id, p_role, p_labels, p_free_labels, v_receipt.occurred_at)
    on conflict (wallet_id, role_name) do update
      set labels = excluded.labels,
        free_labels = excluded.free_labels,
        granted_at = excluded.granted_at;
  return v_receipt;
end
$$;

comment on function baseledger.allow is
  e'Lets a role use a wallet, which is restricted from then on: nobody else but operators and '
  'holders of its keys may use it, or look at it. The role is that of the session or the one in '
  'effect (set role), by its exact name: membership does not count. Allowed again, it gets these '
  'labels in place of those it had. The key is optional: a retry with the same key gets the first '
  'receipt; each call without one is an event. Refused with LGARG, LGWNF, LGIDK, LGCLO.'
  '\np_role: Name of the role.'
  '\np_labels: Fixed labels, such as {"team": "search"}: all that the role reserves or charges has '
  'them, whatever its metadata says, and it sees no reservation without them. At most 16.'
  '\np_free_labels: Labels that the role chooses itself, as metadata; {*} for all. At most 16.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.allow from public;
grant execute on function baseledger.allow to baseledger_operator;
--! EndIncluded functions/access/allow.sql
--! Included functions/access/create_key.sql
-- Makes a key to a wallet. Locks the wallet's row. The secret is made of two random UUIDs of 122
-- bits, and is kept nowhere, only its hash.
--
-- In UTC, so that the event has the same text for a time whatever the session's time zone.
create or replace function baseledger.create_key(
  p_wallet_id text,
  p_labels jsonb default '{}',
  p_free_labels text[] default '{}',
  p_expires_at timestamptz default null,
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.created_key
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set jit = off
as $$
declare
  v_secret constant text := 'bl_' || left(encode(
    sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex'
  ), 40);
  v_key_id text := 'key_' || left(replace(gen_random_uuid()::text, '-', ''), 12);
  v_expires_at constant timestamptz := nullif(p_expires_at, 'infinity');
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only(
    'baseledger.create_key(text,jsonb,text[],timestamptz,text,jsonb)'
  );
  perform baseledger._require_labels(p_labels, p_free_labels);
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'key_created', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object(
      'key_id', v_key_id, 'labels', p_labels, 'free_labels', p_free_labels,
      'expires_at', v_expires_at,
      'secret_sha256', encode(sha256(convert_to(v_secret, 'UTF8')), 'hex')
    )
  ));
  if v_receipt.replayed then
    select e.details ->> 'key_id' into v_key_id
      from baseledger.events e
      where e.wallet_id = p_wallet_id and e.seq = v_receipt.seq;
    return row(v_key_id, null, v_expires_at, true)::baseledger.created_key;
  end if;

  if v_expires_at <= clock_timestamp() then
    perform baseledger._raise('LGARG', baseledger._describe_argument('expires_at'));
  end if;
  perform baseledger._restrict(p_wallet_id);
  insert into baseledger.keys
    (wallet_id, key_id, secret_sha256, labels, free_labels, created_at, expires_at)
    values (
      p_wallet_id, v_key_id, sha256(convert_to(v_secret, 'UTF8')), p_labels, p_free_labels,
      v_receipt.occurred_at, v_expires_at
    );
  return row(v_key_id, v_secret, v_expires_at, false)::baseledger.created_key;
end
$$;

comment on function baseledger.create_key is
  e'Makes a key to a wallet, which is restricted from then on: see allow. Whoever has set '
  'baseledger.key to its secret (set local baseledger.key = ''bl_…'') may use the wallet as the '
  'key says, and only so, whatever the role. The secret is returned once and kept nowhere: a retry '
  'with the same idempotency key gets the same key_id, and null for the secret. Refused with '
  'LGARG, LGWNF, LGIDK, LGCLO.'
  '\np_labels: Fixed labels, such as {"user": "ann"}: all that is reserved or charged with the key '
  'has them, whatever metadata says, and no reservation without them is seen. At most 16.'
  '\np_free_labels: Labels that the holder chooses, as metadata; {*} for all. At most 16.'
  '\np_expires_at: Until when it can be used. Default: until it is revoked.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.create_key from public;
grant execute on function baseledger.create_key to baseledger_operator;
--! EndIncluded functions/access/create_key.sql
--! Included functions/access/disallow.sql
-- Takes a grant back. Locks the wallet's row.
create or replace function baseledger.disallow(
  p_wallet_id text,
  p_role text,
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
declare
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only('baseledger.disallow(text,text,text,jsonb)');
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'disallowed', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('role', p_role)
  ));
  if not v_receipt.replayed then
    delete from baseledger.grants g where g.wallet_id = p_wallet_id and g.role_name = p_role;
    if not found then
      perform baseledger._raise('LGARG', baseledger._describe_argument('role'));
    end if;
  end if;
  return v_receipt;
end
$$;

comment on function baseledger.disallow is
  e'Takes back what allow gave to a role. What it has reserved, it can still settle, cancel and '
  'extend. The wallet stays restricted, if to nobody. The key is optional: a retry with the same '
  'key gets the first receipt. Refused with LGARG (also if the role has no grant), LGWNF, LGIDK.'
  '\np_role: Name of the role.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.disallow from public;
grant execute on function baseledger.disallow to baseledger_operator;
--! EndIncluded functions/access/disallow.sql
--! Included functions/access/list_grants.sql
-- The roles that may use a wallet.
create or replace function baseledger.list_grants(p_wallet_id text)
returns setof baseledger.wallet_grant
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  return query
    select g.role_name, g.labels, g.free_labels, g.granted_at
      from baseledger.grants g
      where g.wallet_id = p_wallet_id
      order by g.role_name;
end
$$;

comment on function baseledger.list_grants is
  'The roles that may use a restricted wallet, in the order of their names; those without a grant '
  'are not listed (operators, holders of keys). Refused with LGARG, LGWNF.';
revoke all on function baseledger.list_grants from public;
grant execute on function baseledger.list_grants to baseledger_operator, baseledger_auditor;
--! EndIncluded functions/access/list_grants.sql
--! Included functions/access/list_keys.sql
-- The keys of a wallet, also those that can no longer be used.
create or replace function baseledger.list_keys(p_wallet_id text)
returns setof baseledger.wallet_key
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  return query
    select k.key_id, k.labels, k.free_labels, k.created_at, k.expires_at, k.revoked_at
      from baseledger.keys k
      where k.wallet_id = p_wallet_id
      order by k.created_at, k.key_id;
end
$$;

comment on function baseledger.list_keys is
  'The keys of a wallet in the order of their making, revoked and expired ones included; never '
  'their secrets. Refused with LGARG, LGWNF.';
revoke all on function baseledger.list_keys from public;
grant execute on function baseledger.list_keys to baseledger_operator, baseledger_auditor;
--! EndIncluded functions/access/list_keys.sql
--! Included functions/access/revoke_key.sql
-- Ends a key. Locks the wallet's row.
create or replace function baseledger.revoke_key(
  p_wallet_id text,
  p_key_id text,
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
declare
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only('baseledger.revoke_key(text,text,text,jsonb)');
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'key_revoked', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('key_id', p_key_id)
  ));
  if not v_receipt.replayed then
    update baseledger.keys k
      set revoked_at = v_receipt.occurred_at
      where k.wallet_id = p_wallet_id and k.key_id = p_key_id and k.revoked_at is null;
    if not found then
      perform baseledger._raise('LGARG', baseledger._describe_argument('key_id'));
    end if;
  end if;
  return v_receipt;
end
$$;

comment on function baseledger.revoke_key is
  e'Ends a key at once. What was reserved with it can still be settled, cancelled and extended '
  'with it. The idempotency key is optional: a retry with the same one gets the first receipt. '
  'Refused with LGARG (also if the wallet has no such key, or it is revoked already), LGWNF, LGIDK.'
  '\np_key_id: The key''s name, not its secret.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.revoke_key from public;
grant execute on function baseledger.revoke_key to baseledger_operator;
--! EndIncluded functions/access/revoke_key.sql
--! Included functions/alerts/_count_delivery.sql
-- Counts a delivery that is about to be queued: how many of its limit and webhook were suppressed
-- before it, or null if it is to be suppressed as well, because there were enough in the last hour.
create or replace function baseledger._count_delivery(
  p_id baseledger.delivery_id,
  p_now timestamptz
)
returns bigint
language plpgsql
volatile
as $$
declare
  c_an_hour constant integer := 20;
  v_limit_id text;
  v_queued_at timestamptz[];
  v_suppressed bigint;
begin
  select coalesce(a.limit_id, '') into v_limit_id
    from baseledger.raised_alerts a
    where a.wallet_id = p_id.wallet_id and a.seq = p_id.seq and a.number = p_id.number;
  insert into baseledger.delivery_rates (wallet_id, webhook_id, limit_id, queued_at, suppressed)
    values (p_id.wallet_id, p_id.webhook_id, v_limit_id, '{}', 0)
    on conflict (wallet_id, webhook_id, limit_id) do nothing;
  -- Times after now were written while the clock was ahead.
  select array(
        select q from unnest(r.queued_at) as q
          where q > p_now - interval '1 hour' and q <= p_now
      ),
      r.suppressed
    into v_queued_at, v_suppressed
    from baseledger.delivery_rates r
    where r.wallet_id = p_id.wallet_id and r.webhook_id = p_id.webhook_id
      and r.limit_id = v_limit_id
    for update;
  if cardinality(v_queued_at) >= c_an_hour then
    update baseledger.delivery_rates r set suppressed = v_suppressed + 1
      where r.wallet_id = p_id.wallet_id and r.webhook_id = p_id.webhook_id
        and r.limit_id = v_limit_id;
    return null;
  end if;
  update baseledger.delivery_rates r set queued_at = v_queued_at || p_now, suppressed = 0
    where r.wallet_id = p_id.wallet_id and r.webhook_id = p_id.webhook_id
      and r.limit_id = v_limit_id;
  return v_suppressed;
end
$$;

revoke all on function baseledger._count_delivery from public;
--! EndIncluded functions/alerts/_count_delivery.sql
--! Included functions/alerts/_cross_thresholds.sql
-- The alerts of a counter that has spent what its next alert waits for: one for each percentage.
create or replace function baseledger._cross_thresholds(
  p_counter baseledger._counter,
  p_at timestamptz
)
returns baseledger._alert[]
language plpgsql
immutable
as $$
begin
  return array(
    select row(
        'limit', t, p_counter.limit_id, p_counter.label_values, p_counter.amount, p_counter.spent,
        p_counter.starts_at, p_counter.ends_at, p_at
      )::baseledger._alert
      from unnest(p_counter.alert_at) as t
      where t > p_counter.alerted and p_counter.spent >= p_counter.amount * t / 100
      order by t
  );
end
$$;

revoke all on function baseledger._cross_thresholds from public;
--! EndIncluded functions/alerts/_cross_thresholds.sql
--! Included functions/alerts/_encode_alert.sql
-- What a webhook gets: the alert as JSON. Amounts are text, as a number of JSON may lose digits.
create or replace function baseledger._encode_alert(
  p_wallet_id text,
  p_seq bigint,
  p_number integer,
  p_suppressed bigint
)
returns text
language plpgsql
stable
set timezone = 'UTC'
as $$
declare
  v_wallet baseledger.wallets;
  v_limit baseledger.limits;
  v_alert baseledger.raised_alerts;
begin
  select * into v_wallet from baseledger.wallets w where w.wallet_id = p_wallet_id;
  select * into v_alert from baseledger.raised_alerts a
    where a.wallet_id = p_wallet_id and a.seq = p_seq and a.number = p_number;
  select * into v_limit from baseledger.limits l
    where l.wallet_id = p_wallet_id and l.limit_id = v_alert.limit_id;
  return json_build_object(
    'type', 'baseledger.' || v_alert.kind,
    'timestamp', v_alert.occurred_at,
    'data', json_build_object(
      'wallet_id', p_wallet_id,
      'seq', p_seq,
      'number', p_number,
      'kind', v_alert.kind,
      'threshold', case
        when v_alert.kind = 'limit' then to_json(v_alert.threshold)
        else to_json(v_alert.threshold::text)
      end,
      'limit_id', v_alert.limit_id,
      'values', v_alert.label_values,
      'per', v_limit.per,
      'of', v_limit.of,
      'amount', trim_scale(v_alert.amount)::text,
      'value', trim_scale(v_alert.value)::text,
      'unit', v_wallet.unit,
      'scale', v_wallet.scale,
      'starts_at', nullif(v_alert.starts_at, '-infinity'),
      'ends_at', nullif(v_alert.ends_at, 'infinity'),
      'suppressed', p_suppressed
    )
  )::text;
end
$$;

revoke all on function baseledger._encode_alert from public;
--! EndIncluded functions/alerts/_encode_alert.sql
--! Included functions/alerts/_is_webhook_url.sql
-- Whether a text is an address that alerts can be sent to: http or https, with a host, without
-- credentials, and only of visible ASCII characters. The worker reads it as browsers do, for which
-- a backslash is a slash: none is allowed, so that both see the same host.
create or replace function baseledger._is_webhook_url(p_url text)
returns boolean
language sql
immutable
as $$
  select coalesce(
    pg_catalog.length(p_url) <= 2048
      and p_url !~ '[^!-~]'
      and pg_catalog.strpos(p_url, E'\\') = 0
      and p_url ~* '^https?://([^]:/?#@[]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?([/?#].*)?$',
    false
  )
$$;

revoke all on function baseledger._is_webhook_url from public;
--! EndIncluded functions/alerts/_is_webhook_url.sql
--! Included functions/alerts/_list_below.sql
-- The amounts that available + reserved is below, in order; null if there are none.
create or replace function baseledger._list_below(
  p_amounts bigint[],
  p_available bigint,
  p_reserved bigint
)
returns bigint[]
language sql
immutable
as $$
  select pg_catalog.array_agg(a.amount order by a.amount)
    from pg_catalog.unnest(p_amounts) as a (amount)
    where p_available::numeric + p_reserved < a.amount
$$;

revoke all on function baseledger._list_below from public;
--! EndIncluded functions/alerts/_list_below.sql
--! Included functions/alerts/_make_webhook_secret.sql
-- A secret of 32 random bytes, as Standard Webhooks writes it. Of the functions that are always
-- there, gen_random_uuid alone draws from the system's strong source: 122 random bits a call.
create or replace function baseledger._make_webhook_secret()
returns text
language plpgsql
volatile
as $$
begin
  return 'whsec_' || encode(
    sha256(
      uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    ),
    'base64'
  );
end
$$;

revoke all on function baseledger._make_webhook_secret from public;
--! EndIncluded functions/alerts/_make_webhook_secret.sql
--! Included functions/alerts/_watch_balance.sql
-- What events do to funds that are watched: an alert each time they fall below an amount, and those
-- amounts that they are below in the end.
create or replace function baseledger._watch_balance(
  p_low_balances bigint[],
  inout below bigint[],
  p_funds numeric[],
  p_times timestamptz[],
  out alerts baseledger._alert[]
)
returns record
language plpgsql
stable
as $$
declare
  v_low bigint;
begin
  below := coalesce(below, '{}');
  alerts := '{}';
  for v_i in 1 .. cardinality(p_funds) loop
    foreach v_low in array p_low_balances loop
      if p_funds[v_i] >= v_low then
        below := array_remove(below, v_low);
      elsif v_low <> all (below) then
        below := below || v_low;
        alerts := alerts || row(
          'low_balance', v_low, null, null, v_low, p_funds[v_i], null, null, p_times[v_i]
        )::baseledger._alert;
      end if;
    end loop;
  end loop;
end
$$;

revoke all on function baseledger._watch_balance from public;
--! EndIncluded functions/alerts/_watch_balance.sql
--! Included functions/alerts/_write_alerts.sql
-- Writes the alerts that a call has raised in a wallet, and their deliveries to the webhooks that
-- there are now. p_seq is the wallet's last event, which the call has written. The caller has
-- locked the wallet; when alerts are sent is the worker's business.
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
--! Included functions/alerts/add_webhook.sql
-- Adds a webhook. Locks the table of webhooks against other changes, not against commands, which
-- read it when they raise an alert. It is in no wallet's journal: it may concern all wallets.
create or replace function baseledger.add_webhook(
  p_wallet_id text,
  p_url text,
  p_events text[] default '{limit,low_balance}',
  p_allow_private boolean default false,
  p_idempotency_key text default null
)
returns baseledger.added_webhook
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  c_at_most constant integer := 16;
  v_invalid text;
  v_webhook baseledger.webhooks;
  v_first baseledger.webhooks;
  v_difference jsonb;
begin
  perform baseledger._require_operators_only(
    'baseledger.add_webhook(text,text,text[],boolean,text)'
  );
  v_invalid := case
    when not baseledger._is_webhook_url(p_url) then 'url'
    when p_events is null or p_events = '{}' or array_ndims(p_events) <> 1
      or array_position(p_events, null) is not null
      or not p_events <@ '{limit,low_balance}' then 'events'
    when p_allow_private is null then 'allow_private'
    when p_idempotency_key is not null and baseledger._is_impossible_id(p_idempotency_key)
      then 'idempotency_key'
  end;
  if v_invalid is not null then
    perform baseledger._raise('LGARG', baseledger._describe_argument(v_invalid));
  end if;
  if p_wallet_id is not null then
    perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
    if not found then
      perform baseledger._raise_wallet_not_found(p_wallet_id);
    end if;
  end if;

  lock table baseledger.webhooks in share row exclusive mode;
  v_webhook.wallet_id := coalesce(p_wallet_id, '');
  v_webhook.webhook_id := 'wh_' || replace(gen_random_uuid()::text, '-', '');
  v_webhook.url := p_url;
  v_webhook.events := array(select distinct e from unnest(p_events) as e order by e);
  v_webhook.secret := baseledger._make_webhook_secret();
  v_webhook.allow_private := p_allow_private;
  v_webhook.idempotency_key := p_idempotency_key;
  v_webhook.added_at := clock_timestamp();
  if p_idempotency_key is not null then
    select * into v_first from baseledger.webhooks h
      where h.wallet_id = v_webhook.wallet_id and h.idempotency_key = p_idempotency_key;
    if found then
      v_difference := baseledger._compare_requests(
        jsonb_build_object(
          'url', v_first.url, 'events', v_first.events, 'allow_private', v_first.allow_private
        ),
        jsonb_build_object(
          'url', p_url, 'events', v_webhook.events, 'allow_private', p_allow_private
        )
      );
      if v_difference is not null then
        perform baseledger._raise('LGIDK', v_difference);
      end if;
      return row(v_first.webhook_id, null, true)::baseledger.added_webhook;
    end if;
  end if;

  if c_at_most <= (
    select count(*) from baseledger.webhooks h
      where h.wallet_id = v_webhook.wallet_id and h.removed_at is null
  ) then
    perform baseledger._raise('LGARG', baseledger._describe_argument('webhooks'));
  end if;
  insert into baseledger.webhooks (
      wallet_id, webhook_id, url, events, secret, allow_private, idempotency_key, added_at
    )
    values (
      v_webhook.wallet_id, v_webhook.webhook_id, v_webhook.url, v_webhook.events,
      v_webhook.secret, v_webhook.allow_private, v_webhook.idempotency_key, v_webhook.added_at
    );
  return row(v_webhook.webhook_id, v_webhook.secret, false)::baseledger.added_webhook;
end
$$;

comment on function baseledger.add_webhook is
  e'Sends alerts to an address from now on: the worker posts each as JSON, signed after the '
  'convention of Standard Webhooks, until the receiver answers with a code from 200 to 299, for '
  'about a day. The secret to check signatures with is made here and shown only once. The key is '
  'optional: a retry with the same key gets the same webhook, without the secret. At most 16 for '
  'a wallet, and 16 for all. Refused with LGARG, LGWNF, LGIDK. @notNull'
  '\np_wallet_id: Id of the wallet whose alerts are sent; null for those of all wallets. @nullable'
  '\np_url: An http or https address without credentials, of at most 2048 characters.'
  '\np_events: Which alerts: limit, low_balance.'
  '\np_allow_private: Whether it may be at an address that is not public, such as 10.0.0.1.'
  '\np_idempotency_key: The caller''s name for the call, unique in its wallet. Default: none.';
revoke all on function baseledger.add_webhook from public;
grant execute on function baseledger.add_webhook to baseledger_operator;
--! EndIncluded functions/alerts/add_webhook.sql
--! Included functions/alerts/alert_counts.sql
-- For monitoring: how many alerts there are, by what has become of them. Reads all of them.
create or replace function baseledger.alert_counts()
returns setof baseledger.alert_count
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  return query
    select a.kind, a.state, count(*) from baseledger.alerts a group by 1, 2 order by 1, 2;
end
$$;

comment on function baseledger.alert_counts is
  'How many alerts there are, by kind and by the state of their delivery, as in the view alerts: '
  'one for several webhooks counts once for each. Reads all of them.';
revoke all on function baseledger.alert_counts from public;
grant execute on function baseledger.alert_counts
  to baseledger_worker, baseledger_operator, baseledger_auditor;
--! EndIncluded functions/alerts/alert_counts.sql
--! Included functions/alerts/finish_delivery.sql
-- How an attempt has ended: it was received, or not. After so many attempts that a day is over,
-- with the pauses of graphile-worker between them (e, e^2, e^3 … e^10 = 22,026 seconds, and then
-- always as long), it is given up. Until then the job retries; should it be lost, the delivery is
-- due again somewhat later than the job would have run.
create or replace function baseledger.finish_delivery(
  p_wallet_id text,
  p_seq bigint,
  p_number integer,
  p_webhook_id text,
  p_error text default null
)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  c_attempts constant integer := 14;
  v_now constant timestamptz := clock_timestamp();
  v_state text;
begin
  perform baseledger._require_id('wallet_id', p_wallet_id);
  update baseledger.deliveries d
    set state = case
        when p_error is null then 'sent'
        when d.attempts >= c_attempts then 'failed'
        else d.state
      end,
      last_error = coalesce(left(p_error, 500), d.last_error),
      due_at = v_now
        + make_interval(secs => exp(least(d.attempts, 10)), mins => 10),
      ended_at = case when p_error is null or d.attempts >= c_attempts then v_now end
    where d.wallet_id = p_wallet_id and d.seq = p_seq and d.number = p_number
      and d.webhook_id = p_webhook_id
      -- Received after all, by an attempt that took longer than the one that gave up.
      and (d.state = 'pending' or d.state = 'failed' and p_error is null)
    returning d.state into v_state;
  return v_state;
end
$$;

comment on function baseledger.finish_delivery is
  e'For the worker: records how an attempt to send an alert has ended, and returns what the '
  'delivery is now: sent, pending (to be tried again), or failed (given up); null if it had ended '
  'before. Refused with LGARG.'
  '\np_seq: The event that raised the alert.'
  '\np_number: Which of its alerts.'
  '\np_webhook_id: The webhook.'
  '\np_error: Why it was not received. Default: it was.';
revoke all on function baseledger.finish_delivery from public;
grant execute on function baseledger.finish_delivery to baseledger_worker;
--! EndIncluded functions/alerts/finish_delivery.sql
--! Included functions/alerts/limit_metrics.sql
-- For monitoring: the use of the first limits by id, of those that count a wallet as a whole. Holds
-- past their deadline count until they are swept.
create or replace function baseledger.limit_metrics(p_limit integer default 1000)
returns setof baseledger.limit_metric
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  end if;
  return query
    select l.wallet_id, l.limit_id, l.per, l.of,
        case l.of when 'amount' then w.unit::text end,
        case l.of when 'amount' then w.scale::integer end,
        coalesce(c.own_amount, l.amount)::text,
        trim_scale(
          case when c.ends_at > v_now then c.spent else 0 end + coalesce(c.held, 0)
        )::text
      from (
        select s.wallet_id, s.limit_id, s.per, s.of, s.amount
          from baseledger.limits s
          where s.by = '{}'
          order by s.wallet_id, s.limit_id
          limit p_limit
      ) as l
      join baseledger.wallets w on w.wallet_id = l.wallet_id
      left join baseledger.counters c
        on c.wallet_id = l.wallet_id and c.limit_id = l.limit_id and c.label_values = '{}';
end
$$;

comment on function baseledger.limit_metrics is
  'The use of the first p_limit limits (1 to 100,000) in the order of their wallets and ids, of '
  'those that count a wallet as a whole, for monitoring. Refused with LGARG.';
revoke all on function baseledger.limit_metrics from public;
grant execute on function baseledger.limit_metrics to baseledger_worker;
--! EndIncluded functions/alerts/limit_metrics.sql
--! Included functions/alerts/list_webhooks.sql
-- The webhooks, without their secrets.
create or replace function baseledger.list_webhooks(p_wallet_id text default null)
returns setof baseledger.webhook
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  if p_wallet_id is not null then
    perform from baseledger.wallets w where w.wallet_id = p_wallet_id;
    if not found then
      perform baseledger._raise_wallet_not_found(p_wallet_id);
    end if;
  end if;
  return query
    select h.webhook_id, nullif(h.wallet_id, ''), h.url, h.events, h.allow_private, h.added_at
      from baseledger.webhooks h
      where h.removed_at is null
        and (p_wallet_id is null or h.wallet_id in (p_wallet_id, ''))
      order by h.wallet_id, h.added_at, h.webhook_id;
end
$$;

comment on function baseledger.list_webhooks is
  e'The webhooks that get the alerts of a wallet, or all webhooks; without their secrets. Refused '
  'with LGARG, LGWNF.'
  '\np_wallet_id: Id of the wallet. Default: all of them.';
revoke all on function baseledger.list_webhooks from public;
grant execute on function baseledger.list_webhooks to baseledger_operator, baseledger_auditor;
--! EndIncluded functions/alerts/list_webhooks.sql
--! Included functions/alerts/queue_deliveries.sql
-- Takes deliveries for which a job is to be queued: new ones, and those whose job was lost. Of one
-- limit and webhook at most so many an hour: the others are suppressed. Each is due again a minute
-- later, in case the worker that takes it dies before it has queued the job; a job that is queued
-- twice has the same key.
create or replace function baseledger.queue_deliveries(p_limit integer default 100)
returns setof baseledger.delivery_id
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_again constant timestamptz := v_now + interval '1 minute';
  v_id baseledger.delivery_id;
  v_suppressed bigint;
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  end if;
  for v_id in
    select d.wallet_id, d.seq, d.number, d.webhook_id
      from baseledger.deliveries d
      where d.state = 'pending' and d.due_at <= v_now
      order by d.due_at, d.wallet_id, d.seq
      limit p_limit
  loop
    select d.suppressed into v_suppressed
      from baseledger.deliveries d
      where d.wallet_id = v_id.wallet_id and d.seq = v_id.seq and d.number = v_id.number
        and d.webhook_id = v_id.webhook_id
        and d.state = 'pending' and d.due_at <= v_now
      for update skip locked;
    continue when not found;
    if v_suppressed is null then
      v_suppressed := baseledger._count_delivery(v_id, v_now);
    end if;
    update baseledger.deliveries d
      set suppressed = v_suppressed,
        state = case when v_suppressed is null then 'suppressed' else 'pending' end,
        due_at = v_again,
        ended_at = case when v_suppressed is null then v_now end
      where d.wallet_id = v_id.wallet_id and d.seq = v_id.seq and d.number = v_id.number
        and d.webhook_id = v_id.webhook_id;
    if v_suppressed is not null then
      return next v_id;
    end if;
  end loop;
end
$$;

comment on function baseledger.queue_deliveries is
  'For the worker: the next deliveries of alerts to webhooks, at most p_limit (1 to 100,000), for '
  'each of which it queues a job. Refused with LGARG.';
revoke all on function baseledger.queue_deliveries from public;
grant execute on function baseledger.queue_deliveries to baseledger_worker;
--! EndIncluded functions/alerts/queue_deliveries.sql
--! Included functions/alerts/remove_webhook.sql
-- Ends a webhook. Its row stays, without the secret, and so do its deliveries: those under way
-- fail.
create or replace function baseledger.remove_webhook(p_webhook_id text)
returns baseledger.webhook
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_webhook baseledger.webhooks;
begin
  perform baseledger._require_operators_only('baseledger.remove_webhook(text)');
  update baseledger.webhooks h
    set removed_at = v_now, secret = null
    where h.webhook_id = p_webhook_id and h.removed_at is null
    returning * into v_webhook;
  if not found then
    perform baseledger._raise('LGARG', baseledger._describe_argument('webhook_id'));
  end if;
  update baseledger.deliveries d
    set state = 'failed', last_error = 'the webhook was removed', ended_at = v_now
    where d.webhook_id = p_webhook_id and d.state = 'pending';
  return row(
    v_webhook.webhook_id, nullif(v_webhook.wallet_id, ''), v_webhook.url, v_webhook.events,
    v_webhook.allow_private, v_webhook.added_at
  )::baseledger.webhook;
end
$$;

comment on function baseledger.remove_webhook is
  e'Sends no more alerts to a webhook, and returns it. What was not delivered yet is given up. '
  'Refused with LGARG, also when it was removed already. @notNull'
  '\np_webhook_id: Id of the webhook, from add_webhook or list_webhooks.';
revoke all on function baseledger.remove_webhook from public;
grant execute on function baseledger.remove_webhook to baseledger_operator;
--! EndIncluded functions/alerts/remove_webhook.sql
--! Included functions/alerts/set_low_balance.sql
-- Sets the amounts below which funds alert. Locks the wallet's row. Those that funds are below
-- already alert when they have been above.
create or replace function baseledger.set_low_balance(
  p_wallet_id text,
  p_amounts bigint[],
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
declare
  v_amounts bigint[];
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only(
    'baseledger.set_low_balance(text,bigint[],text,jsonb)'
  );
  perform baseledger._require_id('wallet_id', p_wallet_id);
  if array_ndims(p_amounts) > 1
    or cardinality(p_amounts) > 10
    or (
      select count(distinct a.amount) filter (where a.amount >= 1)
        from unnest(p_amounts) as a (amount)
    ) <> cardinality(p_amounts)
  then
    perform baseledger._raise('LGARG', baseledger._describe_argument('amounts'));
  end if;
  v_amounts := array(select a.amount from unnest(p_amounts) as a (amount) order by 1);
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'low_balance_set', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('amounts', v_amounts)
  ));
  if v_receipt.replayed then
    return v_receipt;
  end if;

  perform baseledger._refuse_closed(p_wallet_id);
  update baseledger.wallets w
    set low_balances = nullif(v_amounts, '{}'),
      below = baseledger._list_below(v_amounts, w.available, w.reserved)
    where w.wallet_id = p_wallet_id;
  return v_receipt;
end
$$;

comment on function baseledger.set_low_balance is
  e'Sets the amounts that alert when available + reserved falls below them: once each time, and '
  'again only after funds were back. Replaces those that were set before. Setting alerts nothing. '
  'The key is optional: a retry with the same key gets the first receipt; each call without one is '
  'an event. Refused with LGARG, LGWNF, LGIDK, LGCLO.'
  '\np_amounts: In the wallet''s smallest step, each at least 1, at most 10; null or '
  'empty = none. @nullable'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.set_low_balance from public;
grant execute on function baseledger.set_low_balance to baseledger_operator;
--! EndIncluded functions/alerts/set_low_balance.sql
--! Included functions/alerts/start_delivery.sql
-- What a job needs to send an alert; no row if there is nothing to send any more. The attempt
-- counts from here on. If the worker dies during it, the delivery is due again a minute later.
create or replace function baseledger.start_delivery(
  p_wallet_id text,
  p_seq bigint,
  p_number integer,
  p_webhook_id text
)
returns setof baseledger.delivery
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_due_at constant timestamptz := v_now + interval '1 minute';
  v_suppressed bigint;
  v_delivery baseledger.delivery;
begin
  perform baseledger._require_id('wallet_id', p_wallet_id);
  update baseledger.deliveries d
    set attempts = d.attempts + 1, due_at = v_due_at
    where d.wallet_id = p_wallet_id and d.seq = p_seq and d.number = p_number
      and d.webhook_id = p_webhook_id and d.state = 'pending'
    returning d.suppressed into v_suppressed;
  if not found then
    return;
  end if;
  select h.url, h.secret, h.allow_private
    into v_delivery.url, v_delivery.secret, v_delivery.allow_private
    from baseledger.webhooks h
    where h.wallet_id in (p_wallet_id, '') and h.webhook_id = p_webhook_id
      and h.removed_at is null;
  if not found then
    -- Removed while a command that had still seen it was writing the alert.
    update baseledger.deliveries d
      set state = 'failed', last_error = 'the webhook was removed', ended_at = v_now
      where d.wallet_id = p_wallet_id and d.seq = p_seq and d.number = p_number
        and d.webhook_id = p_webhook_id;
    return;
  end if;
  v_delivery.message_id := 'alert_' || left(encode(sha256(convert_to(
    concat_ws(' ', p_seq, p_number, p_wallet_id), 'UTF8'
  )), 'hex'), 32);
  v_delivery.body := baseledger._encode_alert(p_wallet_id, p_seq, p_number, v_suppressed);
  return next v_delivery;
end
$$;

comment on function baseledger.start_delivery is
  e'For the worker: what to send to a webhook, and with which secret to sign it; no row if it was '
  'sent, given up or suppressed. Each call counts as an attempt. Refused with LGARG.'
  '\np_seq: The event that raised the alert.'
  '\np_number: Which of its alerts.'
  '\np_webhook_id: The webhook.';
revoke all on function baseledger.start_delivery from public;
grant execute on function baseledger.start_delivery to baseledger_worker;
--! EndIncluded functions/alerts/start_delivery.sql
--! Included functions/alerts/wallet_metrics.sql
-- For monitoring: the balances of the first wallets by id, closed ones left out.
create or replace function baseledger.wallet_metrics(p_limit integer default 1000)
returns setof baseledger.wallet_metric
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  end if;
  return query
    select w.wallet_id, w.unit::text, w.scale::integer, w.available + d.due, w.reserved - d.due,
        w.spent
      from (
        select o.wallet_id, o.unit, o.scale, o.available, o.reserved, o.spent, o.next_deadline,
            baseledger._deadline_clock(baseledger._read_clock(), o.last_event_at) as instant
          from baseledger.wallets o
          where not o.closed
          order by o.wallet_id
          limit p_limit
      ) as w
      cross join lateral (
        select coalesce(sum(r.held), 0)::bigint
          from baseledger.reservations r
          where r.wallet_id = w.wallet_id
            and w.next_deadline <= w.instant
            and r.expires_at <= w.instant
            and r.expires_at < 'infinity'
      ) as d(due);
end
$$;

comment on function baseledger.wallet_metrics is
  'The balances of the first p_limit wallets (1 to 100,000) in the order of their ids, closed ones '
  'left out, for monitoring. Refused with LGARG.';
revoke all on function baseledger.wallet_metrics from public;
grant execute on function baseledger.wallet_metrics to baseledger_worker;
--! EndIncluded functions/alerts/wallet_metrics.sql
--! Included functions/audit/_verify_counters.sql
-- Recomputes the counters of wallets and compares: what the events of its window have spent
-- since the limit was set, by the clock and by the labels of the reservation's opening, and what
-- its open reservations hold. There is no counter of what has spent and holds nothing; one of an
-- earlier window has spent nothing in the limit's present one.
--
-- No nested loops: the planner cannot know how many events have a label.
create or replace function baseledger._verify_counters(p_wallets text[])
returns setof baseledger.discrepancy
language sql
stable
set timezone = 'UTC'
set enable_nestloop = off
as $$
  with l as materialized (
    select * from baseledger.limits s where s.wallet_id = any (p_wallets)
  ),
  c as materialized (
    select * from baseledger.counters s where s.wallet_id = any (p_wallets)
  ),
  limited as materialized (
    select distinct l.wallet_id from l
  ),
  opened as materialized (
    select e.wallet_id, e.reservation_id, e.seq,
        coalesce(e.details -> 'labels', e.metadata) as labels,
        baseledger._event_clock(e.occurred_at, e.details) as instant
      from baseledger.events e
      join limited on limited.wallet_id = e.wallet_id
      where e.event in ('reserved', 'charged')
  ),
  -- By combination, what counts: amounts with the opening, which decides whether a refund does.
  counted as (
    select l.wallet_id, l.limit_id, baseledger._label_values(o.labels, l.by) as label_values,
        s.instant, s.amount, case when s.event = 'refunded' then o.instant end as refund_of
      from l
      join (
        select e.wallet_id, e.seq, e.reservation_id, e.event,
            case when e.event = 'refunded' then -e.amount else e.amount end as amount,
            baseledger._event_clock(e.occurred_at, e.details) as instant
          from baseledger.events e
          join limited on limited.wallet_id = e.wallet_id
          where e.event in ('settled', 'charged', 'refunded')
      ) as s on s.wallet_id = l.wallet_id and s.seq > l.set_seq
      join opened o on o.wallet_id = s.wallet_id and o.reservation_id = s.reservation_id
      where l.of = 'amount'
    union all
    select l.wallet_id, l.limit_id, baseledger._label_values(o.labels, l.by), o.instant, 1, null
      from l
      join opened o on o.wallet_id = l.wallet_id and o.seq > l.set_seq
      where l.of = 'calls'
  ),
  spent as (
    select s.wallet_id, s.limit_id, s.label_values,
        pg_catalog.sum(s.amount) filter (
          where s.instant >= c.starts_at and s.instant < c.ends_at
            and (s.refund_of is null or s.refund_of >= greatest(c.starts_at, l.set_at))
        ) as in_its_window,
        pg_catalog.sum(s.amount) filter (
          where s.instant >= l.starts_at and s.instant < l.ends_at
            and (s.refund_of is null or s.refund_of >= greatest(l.starts_at, l.set_at))
        ) as in_present_window
      from counted s
      join l on l.wallet_id = s.wallet_id and l.limit_id = s.limit_id
      left join c
        on c.wallet_id = s.wallet_id
        and c.limit_id = s.limit_id
        and c.label_values = s.label_values
      group by s.wallet_id, s.limit_id, s.label_values
  ),
  held as (
    select l.wallet_id, l.limit_id, baseledger._label_values(o.labels, l.by) as label_values,
        pg_catalog.sum(case l.of when 'open' then 1 else r.held end) as held
      from l
      join baseledger.reservations r on r.wallet_id = l.wallet_id
      join opened o on o.wallet_id = r.wallet_id and o.reservation_id = r.reservation_id
      where l.of <> 'calls'
      group by l.wallet_id, l.limit_id, baseledger._label_values(o.labels, l.by)
  ),
  expected as (
    select k.wallet_id, k.limit_id, k.label_values, c.limit_id is not null as has_counter,
        coalesce(s.in_its_window, 0) as spent, coalesce(s.in_present_window, 0) as now_spent,
        coalesce(h.held, 0) as held, coalesce(c.spent, 0) as found_spent,
        coalesce(c.held, 0) as found_held, c.starts_at, c.ends_at
      from (
        select c.wallet_id, c.limit_id, c.label_values from c
        union
        select s.wallet_id, s.limit_id, s.label_values from spent s
        union
        select h.wallet_id, h.limit_id, h.label_values from held h
      ) as k
      left join c using (wallet_id, limit_id, label_values)
      left join spent s using (wallet_id, limit_id, label_values)
      left join held h using (wallet_id, limit_id, label_values)
  )
  select x.wallet_id, null::bigint, 'counter',
      case when l.limit_id is not null then pg_catalog.format('%s %s: %sheld %s',
        x.limit_id, x.label_values,
        case
          when x.has_counter then pg_catalog.format('spent %s from %s to %s, ',
            x.spent, x.starts_at, x.ends_at)
          else pg_catalog.format('spent %s from %s to %s, ', x.now_spent, l.starts_at, l.ends_at)
        end, x.held) end,
      case when x.has_counter then pg_catalog.format('%s %s: spent %s from %s to %s, held %s',
        x.limit_id, x.label_values, x.found_spent, x.starts_at, x.ends_at, x.found_held) end
    from expected x
    left join l on l.wallet_id = x.wallet_id and l.limit_id = x.limit_id
    where l.limit_id is null
      or x.held <> x.found_held
      or x.has_counter and (
        x.spent <> x.found_spent
        or not baseledger._may_be_window(l.per, x.starts_at, x.ends_at)
          -- Made for an own amount, it has not been in any window.
          and not (x.starts_at = '-infinity' and x.ends_at = '-infinity')
      )
      -- A window that came back is counted again when it is looked at.
      or l.ends_at = l.counted_until
        and x.starts_at is distinct from l.starts_at
        and x.now_spent <> 0
  union all
  select c.wallet_id, null, 'alerted', 'a percentage of the limit, or 0', c.alerted::text
    from c
    where c.alerted < 0 or c.alerted > 1000
$$;

revoke all on function baseledger._verify_counters from public;
--! EndIncluded functions/audit/_verify_counters.sql
--! Included functions/audit/_verify_definitions.sql
-- Checks the limits of wallets, the own amounts of combinations, and the low balances, against the
-- events that set them. In UTC, so that a time has the same text on both sides.
create or replace function baseledger._verify_definitions(p_wallets text[])
returns setof baseledger.discrepancy
language sql
stable
set timezone = 'UTC'
as $$
  with changes as materialized (
    select e.wallet_id, e.seq, e.event, e.details - '{ahead_us,backlog}'::text[] as details,
        e.details ->> 'limit_id' as limit_id,
        baseledger._event_clock(e.occurred_at, e.details) as instant,
        -- Whatever was set before a removal has gone with it.
        pg_catalog.max(e.seq) filter (where e.event = 'limit_removed')
          over (partition by e.wallet_id, e.details ->> 'limit_id') as removed_seq
      from baseledger.events e
      where e.wallet_id = any (p_wallets)
        and e.event in ('limit_set', 'limit_set_for', 'limit_removed', 'low_balance_set')
  ),
  defined as (
    select c.wallet_id, c.limit_id, pg_catalog.min(c.seq) as set_seq,
        (pg_catalog.array_agg(c.instant order by c.seq))[1] as set_at,
        (pg_catalog.array_agg(c.details order by c.seq desc))[1] as terms
      from changes c
      where c.event = 'limit_set' and c.seq > coalesce(c.removed_seq, 0)
      group by c.wallet_id, c.limit_id
  ),
  found as (
    select l.wallet_id, l.limit_id, l.set_seq, l.set_at,
        pg_catalog.jsonb_build_object(
          'limit_id', l.limit_id, 'amount', l.amount, 'per', l.per, 'by', l.by, 'of', l.of,
          'time_zone', l.time_zone, 'hard', l.hard, 'alert_at', l.alert_at
        ) as terms,
        l.per, l.starts_at, l.ends_at, l.counted_until
      from baseledger.limits l
      where l.wallet_id = any (p_wallets)
  ),
  own as (
    select *
      from (
        select distinct on (c.wallet_id, c.limit_id, c.details -> 'values')
            c.wallet_id, c.limit_id, c.seq,
            array(select pg_catalog.jsonb_array_elements_text(c.details -> 'values'))
              as label_values,
            (c.details ->> 'amount')::bigint as amount
          from changes c
          where c.event = 'limit_set_for' and c.seq > coalesce(c.removed_seq, 0)
          order by c.wallet_id, c.limit_id, c.details -> 'values', c.seq desc
      ) as l
      where l.amount is not null
  ),
  watched as (
    select w.wallet_id, w.seq, coalesce(w.low_balances, '{}') as found_amounts,
        array(select b.amount from pg_catalog.unnest(w.below) as b (amount) order by 1)
          as found_below,
        l.seq as set_seq,
        array(
          select a.amount::bigint
            from pg_catalog.jsonb_array_elements_text(l.details -> 'amounts') as a (amount)
            order by 1
        ) as amounts,
        coalesce(baseledger._list_below(w.low_balances, w.available, w.reserved), '{}') as below
      from baseledger.wallets w
      left join lateral (
        select c.seq, c.details from changes c
          where c.wallet_id = w.wallet_id and c.event = 'low_balance_set'
          order by c.seq desc
          limit 1
      ) as l on true
      where w.wallet_id = any (p_wallets)
  )
  select coalesce(d.wallet_id, f.wallet_id), d.set_seq, 'limit',
      case when d.wallet_id is not null
        then pg_catalog.format('%s, set by event %s at %s', d.terms, d.set_seq, d.set_at) end,
      case when f.wallet_id is not null
        then pg_catalog.format('%s, set by event %s at %s', f.terms, f.set_seq, f.set_at) end
    from defined d
    full join found f on f.wallet_id = d.wallet_id and f.limit_id = d.limit_id
    where (d.wallet_id, d.terms, d.set_seq, d.set_at)
      is distinct from (f.wallet_id, f.terms, f.set_seq, f.set_at)
  union all
  -- Rules of zones change, so that a window is checked for its length only.
  select f.wallet_id, null, 'window', f.limit_id || ': one of per ' || f.per,
      pg_catalog.format('from %s to %s, counted until %s', f.starts_at, f.ends_at, f.counted_until)
    from found f
    where case
        when not baseledger._may_be_window(f.per, f.starts_at, f.ends_at) then true
        else f.counted_until < f.ends_at
      end
  union all
  select coalesce(o.wallet_id, c.wallet_id), o.seq, 'own amount',
      case when o.wallet_id is not null
        then pg_catalog.format('%s %s: %s', o.limit_id, o.label_values, o.amount) end,
      case when c.wallet_id is not null
        then pg_catalog.format('%s %s: %s', c.limit_id, c.label_values, c.own_amount) end
    from own o
    full join (
      select * from baseledger.counters k
        where k.wallet_id = any (p_wallets) and k.own_amount is not null
    ) as c
      on c.wallet_id = o.wallet_id
      and c.limit_id = o.limit_id
      and c.label_values = o.label_values
    where o.amount is distinct from c.own_amount
  union all
  select w.wallet_id, null, 'limited', x.limited::text, w.limited::text
    from baseledger.wallets w
    cross join lateral (
      select exists (select from defined d where d.wallet_id = w.wallet_id)
    ) as x(limited)
    where w.wallet_id = any (p_wallets) and w.limited <> x.limited
  union all
  select w.wallet_id, coalesce(w.set_seq, w.seq), 'low balances',
      pg_catalog.format('%s, below %s', w.amounts, w.below),
      pg_catalog.format('%s, below %s', w.found_amounts, w.found_below)
    from watched w
    where w.amounts <> w.found_amounts or w.below <> w.found_below
$$;

revoke all on function baseledger._verify_definitions from public;
--! EndIncluded functions/audit/_verify_definitions.sql
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
        -- Only what was really spent takes available below zero.
        j.available >= 0 or j.available_by >= 0 or j.event = 'settled'
          or j.event = 'charged' and coalesce(j.details @> '{"already_spent": true}', false)
          as funds_hold,
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
--! Included functions/audit/_verify_limits.sql
-- Checks the limits of wallets p_first to p_last (null: to the end), what is counted of them, and
-- the balances that are watched: definitions against the events that set them, counters against
-- what the journal says that each combination has spent and holds. A pass over the events finds the
-- wallets that have any of this; the others cost nothing more.
create or replace function baseledger._verify_limits(p_first text, p_last text)
returns setof baseledger.discrepancy
language plpgsql
stable
as $$
declare
  v_wallets text[];
begin
  v_wallets := array(
    select e.wallet_id from baseledger.events e
      where e.wallet_id >= p_first and e.wallet_id <= coalesce(p_last, e.wallet_id)
        and e.event in ('limit_set', 'limit_set_for', 'limit_removed', 'low_balance_set')
    union
    select l.wallet_id from baseledger.limits l
      where l.wallet_id >= p_first and l.wallet_id <= coalesce(p_last, l.wallet_id)
    union
    select c.wallet_id from baseledger.counters c
      where c.wallet_id >= p_first and c.wallet_id <= coalesce(p_last, c.wallet_id)
    union
    select w.wallet_id from baseledger.wallets w
      where w.wallet_id >= p_first and w.wallet_id <= coalesce(p_last, w.wallet_id)
        and (w.limited or w.low_balances is not null or w.below <> '{}')
  );
  if v_wallets <> '{}' then
    return query select * from baseledger._verify_definitions(v_wallets);
    return query select * from baseledger._verify_counters(v_wallets);
  end if;
end
$$;

revoke all on function baseledger._verify_limits from public;
--! EndIncluded functions/audit/_verify_limits.sql
--! Included functions/audit/_verify_terms.sql
-- Checks the terms of wallets p_first to p_last (null: to the end) and who may use them against the
-- events: what the first one says, and what was changed since. One pass over the journal, as few of
-- its events are such.
--
-- In UTC, so that a time has the same text on both sides.
create or replace function baseledger._verify_terms(p_first text, p_last text)
returns setof baseledger.discrepancy
language sql
stable
set timezone = 'UTC'
as $$
  with w as materialized (
    select * from baseledger.wallets l
      where l.wallet_id >= p_first and l.wallet_id <= coalesce(p_last, l.wallet_id)
  ),
  changes as materialized (
    select e.wallet_id, e.seq, e.event, e.occurred_at, e.details
      from baseledger.events e
      where e.wallet_id >= p_first and e.wallet_id <= coalesce(p_last, e.wallet_id)
        and e.event in (
          'overdraft_limit_set', 'closed', 'reopened', 'allowed', 'disallowed', 'key_created',
          'key_revoked'
        )
  ),
  -- What was changed of the wallet itself.
  changed as (
    select c.wallet_id,
        (pg_catalog.array_agg(
          pg_catalog.jsonb_build_object('overdraft_limit', c.details -> 'overdraft_limit')
          order by c.seq desc
        ) filter (where c.event = 'overdraft_limit_set'))[1] as terms,
        (pg_catalog.array_agg(c.event = 'closed' order by c.seq desc)
          filter (where c.event in ('closed', 'reopened')))[1] as closed,
        pg_catalog.bool_or(c.event in ('allowed', 'key_created')) as restricted,
        coalesce(
          pg_catalog.max(c.seq) filter (where c.event = 'overdraft_limit_set'), 1
        ) as terms_seq,
        pg_catalog.max(c.seq) filter (where c.event in ('closed', 'reopened')) as closed_seq,
        pg_catalog.min(c.seq) filter (where c.event in ('allowed', 'key_created'))
          as restricted_seq
      from changes c
      group by c.wallet_id
  ),
  expected as (
    select w.wallet_id, coalesce(c.terms_seq, 1) as terms_seq, c.closed_seq,
        coalesce(c.restricted_seq, 1) as restricted_seq,
        (o.details - 'restricted') || coalesce(c.terms, '{}') as terms,
        coalesce(c.closed, false) as closed,
        coalesce(c.restricted or o.details @> '{"restricted": true}', false) as restricted
      from w
      left join changed c on c.wallet_id = w.wallet_id
      left join lateral (
        select l.details from baseledger.events l
          where l.wallet_id = w.wallet_id and l.seq = 1 and l.event = 'opened'
          limit 1
      ) as o on true
  ),
  roles as (
    select *
      from (
        select distinct on (c.wallet_id, c.details ->> 'role')
            c.wallet_id, c.seq, c.event, c.details ->> 'role' as role_name,
            c.details -> 'labels' as labels, c.details -> 'free_labels' as free_labels,
            c.occurred_at
          from changes c
          where c.event in ('allowed', 'disallowed')
          order by c.wallet_id, c.details ->> 'role', c.seq desc
      ) as l
      where l.event = 'allowed'
  ),
  made as (
    select c.wallet_id, c.seq, c.details ->> 'key_id' as key_id,
        c.details -> 'labels' as labels, c.details -> 'free_labels' as free_labels,
        c.occurred_at, c.details -> 'expires_at' as expires_at,
        c.details ->> 'secret_sha256' as secret_sha256,
        (
          select pg_catalog.min(r.occurred_at) from changes r
            where r.wallet_id = c.wallet_id
              and r.event = 'key_revoked'
              and r.details ->> 'key_id' = c.details ->> 'key_id'
        ) as revoked_at
      from changes c
      where c.event = 'key_created'
  )
  select w.wallet_id, x.terms_seq, 'terms', x.terms::text, f.terms::text
    from w
    join expected x on x.wallet_id = w.wallet_id
    cross join lateral (
      select pg_catalog.jsonb_build_object(
        'unit', w.unit, 'scale', w.scale, 'overdraft_limit', w.overdraft_limit
      )
    ) as f(terms)
    where x.terms is distinct from f.terms
  union all
  select w.wallet_id, x.closed_seq, 'closed', x.closed::text, w.closed::text
    from w
    join expected x on x.wallet_id = w.wallet_id
    where w.closed is distinct from x.closed
  union all
  select w.wallet_id, x.restricted_seq, 'restricted', x.restricted::text, w.restricted::text
    from w
    join expected x on x.wallet_id = w.wallet_id
    where w.restricted is distinct from x.restricted
  union all
  select coalesce(r.wallet_id, g.wallet_id), r.seq, 'grant',
      case when r.wallet_id is not null then pg_catalog.format(
        '%s: labels %s, free %s, at %s', r.role_name, r.labels, r.free_labels, r.occurred_at
      ) end,
      case when g.wallet_id is not null then pg_catalog.format(
        '%s: labels %s, free %s, at %s', g.role_name, g.labels,
        pg_catalog.to_jsonb(g.free_labels), g.granted_at
      ) end
    from roles r
    full join (
      select * from baseledger.grants l
        where l.wallet_id >= p_first and l.wallet_id <= coalesce(p_last, l.wallet_id)
    ) as g on g.wallet_id = r.wallet_id and g.role_name = r.role_name
    where (r.wallet_id, r.labels, r.free_labels, r.occurred_at)
      is distinct from (g.wallet_id, g.labels, pg_catalog.to_jsonb(g.free_labels), g.granted_at)
  union all
  select coalesce(m.wallet_id, k.wallet_id), m.seq, 'key',
      case when m.wallet_id is not null then pg_catalog.format(
        '%s: labels %s, free %s, made %s, until %s, revoked %s, sha256 %s', m.key_id, m.labels,
        m.free_labels, m.occurred_at, m.expires_at #>> '{}', m.revoked_at, m.secret_sha256
      ) end,
      case when k.wallet_id is not null then pg_catalog.format(
        '%s: labels %s, free %s, made %s, until %s, revoked %s, sha256 %s', k.key_id, k.labels,
        pg_catalog.to_jsonb(k.free_labels), k.created_at,
        pg_catalog.to_jsonb(k.expires_at) #>> '{}', k.revoked_at,
        pg_catalog.encode(k.secret_sha256, 'hex')
      ) end
    from made m
    full join (
      select * from baseledger.keys l
        where l.wallet_id >= p_first and l.wallet_id <= coalesce(p_last, l.wallet_id)
    ) as k on k.wallet_id = m.wallet_id and k.key_id = m.key_id
    where (
        m.wallet_id, m.labels, m.free_labels, m.occurred_at, m.expires_at #>> '{}', m.revoked_at,
        m.secret_sha256
      ) is distinct from (
        k.wallet_id, k.labels, pg_catalog.to_jsonb(k.free_labels), k.created_at,
        pg_catalog.to_jsonb(k.expires_at) #>> '{}', k.revoked_at,
        pg_catalog.encode(k.secret_sha256, 'hex')
      )
$$;

revoke all on function baseledger._verify_terms from public;
--! EndIncluded functions/audit/_verify_terms.sql
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
    return query select * from baseledger._verify_terms(p_wallet_id, p_wallet_id);
    return query select * from baseledger._verify_limits(p_wallet_id, p_wallet_id);
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
    return query select * from baseledger._verify_terms(v_first, v_last);
    return query select * from baseledger._verify_limits(v_first, v_last);
    exit when v_last is null;
    v_first := v_last || chr(1);          -- the first text after it
  end loop;
end
$$;

comment on function baseledger.verify is
  e'Checks a wallet, or without one the whole ledger, and returns the discrepancies: no row = '
  'sound. Finds gaps, edits, insertions, deletions, reordering and a cut tail by the hash chain; '
  'replays the events and compares each balance, the wallet''s row, its terms, the open '
  'reservations, who may use the wallet, its limits and what is counted of them, and the other side '
  'of each transfer. For the whole ledger it also checks that nobody may do more than the role '
  'allows. Reads only. Refused with LGARG, LGWNF.'
  '\np_wallet_id: Id of the wallet. Default: all wallets.';
revoke all on function baseledger.verify from public;
grant execute on function baseledger.verify to baseledger_auditor;
--! EndIncluded functions/audit/verify.sql
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
    ('charge', false, '{op,idempotency_key,amount,reservation_id,metadata,already_spent}'),
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
  perform from baseledger.wallets w
    where w.wallet_id = p_wallet_id
      and (not w.restricted or (baseledger._find_access(p_wallet_id)).allowed);
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
-- those that its operation may have; null if this batch has no such operation. With p_several, each
-- names its wallet.
create or replace function baseledger._explain_parse_error(
  p_command jsonb,
  p_op text,
  p_fields text[],
  p_several boolean
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
      when p_several and jsonb_typeof(p_command -> 'wallet_id') is distinct from 'string'
        then 'wallet_id'
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
      when jsonb_typeof(p_command -> 'final') not in ('boolean', 'null') then 'final'
      else 'already_spent'
    end);
  end if;
  return jsonb_build_object('code', 'LGARG', 'detail', baseledger._describe_argument(v_field));
end
$$;

revoke all on function baseledger._explain_parse_error from public;
--! EndIncluded functions/batch/_explain_parse_error.sql
--! Included functions/batch/_read_commands.sql
-- Reads the commands of a batch from JSON, strictly: an unknown operation, an unknown field, a
-- value of the wrong type or one that is not allowed refuses that command alone. A field that is
-- null counts as absent. With p_several, each names its wallet.
--
-- The usual forms of amounts and times are parsed right here; only others go through _parse_bigint
-- and _parse_ttl, which cost more. A SQL function without settings, so that it is inlined.
create or replace function baseledger._read_commands(
  p_commands jsonb,
  p_for_operators boolean,
  p_several boolean
)
returns table (
  place bigint,
  wallet_id text,
  idempotency_key text,
  reservation_id text,
  command baseledger._command
)
language sql
stable
as $$
  select r.place, r.wallet_id, r.idempotency_key, r.reservation_id, row(
      r.op, r.idempotency_key, r.reservation_id, r.amount, r.at_least, r.ttl, r.final, r.metadata,
      case when r.already_spent = 'true' then '{"already_spent": true}'::jsonb end, null,
      case
        when r.problem is not null then r.problem ->> 'code'
        when baseledger._find_invalid_field(
          r.op, r.idempotency_key, r.reservation_id, r.amount, r.at_least, r.ttl, r.metadata, null
        ) is not null then 'LGARG'
      end,
      r.problem -> 'detail', null, null
    )::baseledger._command
    from (
      select v.place, v.op, v.wallet_id, v.idempotency_key, v.amount, v.at_least, v.already_spent,
          coalesce(
            v.reservation_id,
            case when v.op in ('reserve', 'charge') then v.idempotency_key end
          ) as reservation_id,
          case when v.op = 'reserve' then baseledger._default_ttl(v.ttl) else v.ttl end as ttl,
          v.final is distinct from 'false' as final,
          coalesce(v.metadata, '{}') as metadata,
          case when v.fields is null
            or v.command - v.fields <> '{}'
            or p_several and jsonb_typeof(v.command -> 'wallet_id') is distinct from 'string'
            or jsonb_typeof(v.command -> 'idempotency_key') not in ('string', 'null')
            or jsonb_typeof(v.command -> 'reservation_id') not in ('string', 'null')
            or v.amount is null and v.given_amount is not null
            or v.at_least is null and v.given_at_least is not null
            or v.ttl is null and v.given_ttl is not null
            or v.final is not null and jsonb_typeof(v.command -> 'final') <> 'boolean'
            or v.already_spent is not null
              and jsonb_typeof(v.command -> 'already_spent') <> 'boolean'
          then baseledger._explain_parse_error(v.command, v.op, v.fields, p_several)
          end as problem
        from (
          select e.command, e.place, e.op, o.fields, e.idempotency_key, e.reservation_id,
              e.final, e.metadata, e.wallet_id, e.already_spent,
              e.amount as given_amount,
              case when ltrim(e.amount, '0123456789') = '' and length(e.amount) between 1 and 18
                  then e.amount::bigint
                when e.amount is not null
                  then baseledger._parse_bigint(e.command -> 'amount')
              end as amount,
              e.at_least as given_at_least,
              case when e.at_least is not null
                then baseledger._parse_bigint(e.command -> 'at_least')
              end as at_least,
              e.ttl as given_ttl,
              case when ltrim(e.ttl, '0123456789') = '' and length(e.ttl) between 1 and 8
                  then make_interval(secs => e.ttl::integer)
                when e.ttl is not null then baseledger._parse_ttl(e.command -> 'ttl')
              end as ttl
            from rows from (
              jsonb_array_elements(p_commands),
              jsonb_to_recordset(p_commands) as (
                op text, wallet_id text, idempotency_key text, reservation_id text, amount text,
                at_least text, ttl text, final text, metadata jsonb, already_spent text
              )
            ) with ordinality as e(
              command, op, wallet_id, idempotency_key, reservation_id, amount, at_least, ttl,
              final, metadata, already_spent, place
            )
            left join (
              select b.operation,
                  case when p_several then b.fields || 'wallet_id'::text else b.fields end as fields
                from baseledger._batch_operations() as b
                where p_for_operators or not b.for_operators
                offset 0
            ) as o on o.operation = e.op
            -- each value is computed once, however often it is named
            offset 0
        ) as v
        offset 0
    ) as r
$$;

revoke all on function baseledger._read_commands from public;
--! EndIncluded functions/batch/_read_commands.sql
--! Included functions/batch/_refuse_unlocked.sql
-- Fills in the answers to commands whose wallets were not locked: refusals, as the command itself
-- is refused already, there is no such wallet, or somebody else has it.
create or replace function baseledger._refuse_unlocked(
  p_receipts baseledger.receipt[],
  p_commands baseledger._command[],
  p_wallet_of text[]
)
returns baseledger.receipt[]
language plpgsql
stable
as $$
begin
  return (
    select array_agg(
        case
          when p_receipts[c.ordinality].wallet_id is not null then p_receipts[c.ordinality]
          else row(
            coalesce(c.wallet_id, ''), null, null, c.reservation_id, null, null, null, null, null,
            null, c.idempotency_key, false, r.code,
            case
              when c.refused is not null and c.detail is not null then c.detail
              when c.refused is not null then baseledger._describe_argument(
                baseledger._find_invalid_field(
                  c.op, c.idempotency_key, c.reservation_id, c.amount, c.at_least, c.ttl,
                  c.metadata, c.details
                )
              )
              when r.code = 'LGARG' then baseledger._describe_argument('wallet_id')
              else jsonb_build_object('wallet_id', c.wallet_id)
            end
          )::baseledger.receipt
        end
        order by c.ordinality
      )
      from (
        select u.*, p_wallet_of[u.ordinality] as wallet_id
          from unnest(p_commands) with ordinality as u
      ) as c
      cross join lateral (
        select case
          when c.refused is not null then c.refused
          when baseledger._is_impossible_id(c.wallet_id) then 'LGARG'
          when exists (
            select from baseledger.wallets w
              where w.wallet_id = c.wallet_id
                -- What he has opened can be settled by post by one who has lost his access.
                and (
                  not w.restricted
                  or baseledger._may_send(
                    w.wallet_id, c.idempotency_key, c.reservation_id
                  )
                )
          )
            then 'LGBSY'
          else 'LGWNF'
        end as code
      ) as r
  );
end
$$;

revoke all on function baseledger._refuse_unlocked from public;
--! EndIncluded functions/batch/_refuse_unlocked.sql
--! Included functions/doctor/_doctor_limits.sql
-- The doctor's check of limits: a zone that a later server does not know counts as UTC.
create or replace function baseledger._doctor_limits()
returns setof baseledger.diagnosis
language plpgsql
stable
as $$
declare
  v_unknown text;
begin
  select string_agg(format('%s of limit %s of %s', u.time_zone, u.limit_id, u.wallet_id)
      || case when u.limits > 1 then format(' and %s more', u.limits - 1) else '' end, '; '
      order by u.time_zone)
    into v_unknown
    from (
      select l.time_zone, min(l.wallet_id) as wallet_id, count(*) as limits,
          (array_agg(l.limit_id order by l.wallet_id, l.limit_id))[1] as limit_id
        from baseledger.limits l
        where l.time_zone <> 'UTC'
        group by l.time_zone
    ) as u
    where not exists (select from pg_timezone_names z where z.name = u.time_zone);
  return next baseledger._make_diagnosis(
    'time zones', case when v_unknown is not null then 'warning' end,
    coalesce(v_unknown, 'all known'), 'this server knows the zones of limits',
    'Its windows count as UTC. Update the server''s time zones, or remove the limit and set it '
      'again in another zone.'
  );
end
$$;

revoke all on function baseledger._doctor_limits from public;
--! EndIncluded functions/doctor/_doctor_limits.sql
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
  return query select * from baseledger._doctor_limits();
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
  v_actor text := case current_setting('role')
    when 'none' then session_user else baseledger._describe_actor(null) end;
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

  -- In a limited wallet: see _counter.
  v_loaded record;
  v_counters baseledger._counter[];
  v_slots baseledger._slot[];
  v_window_end timestamptz;           -- when the first of their windows ends
  v_careful boolean := false;         -- some command may be refused, or alert, because of them
  v_tight boolean := false;           -- its counters are loaded
  v_place integer;
  v_slot baseledger._slot;
  v_k integer;
  v_spent numeric[];                  -- what changes in the counters: see _spread_counters
  v_held numeric[];
  v_max numeric[];
  v_next_alert numeric[];
  v_kinds text[];
  v_touched boolean[];
  v_counter baseledger._counter;
  v_alerts baseledger._alert[];

  v_events baseledger.events[];
  v_receipts baseledger.receipt[];
  v_opened timestamptz;               -- first deadline of what was opened or extended
  v_stale tid[];                      -- rows of reservations that are out of date
begin
  -- 1. Lock.
  select array[row(
      w.wallet_id, w.frozen, w.overdraft_limit, w.available, w.reserved, w.spent, w.seq, w.hash,
      w.last_event_at, w.next_deadline, false, 1, v_asked, null, null, null, false, false,
      w.limited, w.low_balances, w.below
    )::baseledger._locked_wallet] into v_locked
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id and not w.restricted and not w.closed
    for no key update;
  if not found and p_wallet_ids is null then
    select l.locked, l.commands, l.actor into v_locked, p_commands, v_actor
      from baseledger._lock_guarded(p_wallet_id, p_commands) as l;
    v_careful := v_locked[1].closed;
  elsif not found then
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
        v_careful := v_wallet.closed;
        v_actor := case when v_wallet.restricted then (baseledger._find_access(p_wallet_id)).actor
          else baseledger._describe_actor(null) end;
        if v_wallet.restricted and v_asked > 0 then
          -- A grant may have been taken back while the wallets were locked.
          continue when not (baseledger._find_access(p_wallet_id)).allowed;
          p_commands[v_wallet.first:v_wallet.until] := baseledger._apply_access(
            p_wallet_id, baseledger._find_access(p_wallet_id),
            p_commands[v_wallet.first:v_wallet.until]
          );
        end if;
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

    if v_wallet.limited then
      v_loaded := case
        when v_total = 1 and p_wallet_ids is null then baseledger._load_single(
          p_wallet_id, coalesce(v_at - v_ahead, v_at), p_commands[1]
        )
        when p_wallet_ids is null then baseledger._load_batch(
          p_wallet_id, v_at - v_ahead, p_commands
        )
        else baseledger._load_batch(
          p_wallet_id, v_at - v_ahead, p_commands[v_wallet.first:v_wallet.until]
            || case when v_look_due then p_commands[v_first_due:v_until_due] end
        )
      end;
      v_tight := coalesce(v_loaded.tight, false);
      if v_tight then
        v_careful := true;
        v_counters := v_loaded.counters;
        v_slots := v_loaded.slots;
        select c.spent, c.held, c.max, c.next_alert, c.kinds, c.changed, c.window_end
          into v_spent, v_held, v_max, v_next_alert, v_kinds, v_touched, v_window_end
          from baseledger._spread_counters(v_counters) as c;
      end if;
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
            v_slots[v_first_due] := v_slots[v_i];
            v_i := v_first_due;
            v_seq := null;
          elsif v_seq is null
            and v_command.refused is null
            and (
              v_last.available
                < baseledger._required_funds(v_command, v_hold, v_wallet.overdraft_limit)
              or v_wallet.limited and baseledger._exceeds_limits(
                baseledger._gather_counters(v_counters, v_spent, v_held, v_touched),
                v_slots[v_i].counters, v_command, v_hold
              )
            )
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
              if v_wallet.limited then
                v_loaded := baseledger._load_batch(p_wallet_id, v_at - v_ahead, v_due.commands);
                v_loaded := baseledger._merge_counters(
                  baseledger._gather_counters(v_counters, v_spent, v_held, v_touched),
                  v_loaded.counters, v_loaded.slots
                );
                v_counters := v_loaded.counters;
                v_slots := v_slots || v_loaded.slots;
                select c.spent, c.held, c.max, c.next_alert, c.kinds, c.changed, c.window_end
                  into v_spent, v_held, v_max, v_next_alert, v_kinds, v_touched, v_window_end
                  from baseledger._spread_counters(v_counters) as c;
              end if;
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
        -- LGRNF comes from access: a key that this batch has used is looked at first.
        if (v_command.refused is null or v_command.refused = 'LGRNF') and v_seq is not null then
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
              case
                when v_command.at_least is null then v_command.details
                else coalesce(v_command.details, '{}') || jsonb_build_object(
                  'requested', v_command.amount, 'at_least', v_command.at_least
                )
              end
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
              -- What was spent already lands like a settlement.
              when v_command.details -> 'already_spent' is not null then case
                when v_last.available + coalesce(v_rest, 0)
                  < -v_wallet.overdraft_limit + v_command.amount
                  then 'LGOVD'
                when v_last.available < -9223372036854775807 + v_command.amount
                  or v_last.spent > 9223372036854775807 - v_command.amount
                  then 'LGOVF'
              end
              when v_wallet.frozen then 'LGFRZ'
              when v_last.available < v_command.amount then 'LGNSF'
              when v_last.spent > 9223372036854775807 - v_command.amount then 'LGOVF'
            end;
            v_available := -v_command.amount;
            v_move := row(
              'charged', v_command.amount, -v_command.amount, 0, v_command.amount, null,
              v_command.details
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

        if v_careful then
          if v_wallet.closed
            and (v_command.refused is null or v_command.refused in ('LGFRZ', 'LGNSF', 'LGOVF'))
            and (
              v_command.op in ('reserve', 'credit', 'transfer_in')
              or v_command.op = 'charge' and v_command.details -> 'already_spent' is null
              or v_command.op = 'extend' and v_reserved > 0
            )
          then
            v_command.refused := 'LGCLO';
          end if;
          if v_wallet.limited
            and v_tight
            and v_command.reservation_id is not null
            and (v_command.refused is null or v_command.refused in ('LGNSF', 'LGOVF'))
          then
            -- The counters are those of the command's reservation, or of the command before it that
            -- has opened that.
            if coalesce(v_at - v_ahead, v_at) >= v_window_end then
              v_counters := baseledger._roll_counters(
                p_wallet_id, baseledger._gather_counters(v_counters, v_spent, v_held, v_touched),
                coalesce(v_at - v_ahead, v_at)
              );
              select c.spent, c.held, c.max, c.next_alert, c.kinds, c.changed, c.window_end
                into v_spent, v_held, v_max, v_next_alert, v_kinds, v_touched, v_window_end
                from baseledger._spread_counters(v_counters) as c;
            end if;
            v_place := case
              when p_wallet_ids is null then v_i
              when v_i > v_asked then v_i - v_first_due + v_wallet.until - v_wallet.first + 2
              else v_i - v_wallet.first + 1
            end;
            v_slot := v_slots[v_place];
            if v_slot.counters is null then
              v_slot := v_slots[v_command.hold_at - v_i + v_place];
            end if;
            if v_command.op = 'reserve' and v_command.at_least is not null then
              v_amount := least(v_amount, greatest(
                v_command.at_least,
                coalesce(
                  baseledger._find_room(v_max, v_spent, v_held, v_kinds, v_slot.counters), v_amount
                )
              ));
              v_hold.amount := v_amount;
              v_hold.held := v_amount;
              v_move.amount := v_amount;
              v_move.available := -v_amount;
              v_move.reserved := v_amount;
            end if;
            if v_command.op in ('reserve', 'extend')
              or v_command.op = 'charge' and v_command.details -> 'already_spent' is null
            then
              v_amount := case v_command.op
                when 'reserve' then v_amount
                when 'extend' then v_reserved
                else v_command.amount
              end;
              foreach v_k in array v_slot.counters loop
                if v_spent[v_k] + v_held[v_k]
                  + baseledger._what_it_adds(v_command.op, v_kinds[v_k], v_amount)
                  > v_max[v_k]
                then
                  v_command.refused := 'LGLIM';
                  exit;
                end if;
              end loop;
              if v_command.refused in ('LGNSF', 'LGLIM') then
                v_command.detail := baseledger._choose_obstacle(
                  p_wallet_id, coalesce(v_at - v_ahead, v_at), v_command.op, v_amount,
                  v_last.available + coalesce(v_rest, 0), v_last.reserved - coalesce(v_rest, 0),
                  baseledger._gather_counters(v_counters, v_spent, v_held, v_touched),
                  v_slot.counters,
                  case when p_wallet_ids is null then v_holds
                    else v_holds[v_wallet.first:v_wallet.until]
                      || case when v_look_due then v_holds[v_first_due:v_until_due] end
                  end
                );
                v_command.refused := case
                  when v_command.detail is null then 'LGNSF'
                  else 'LGLIM'
                end;
              end if;
            end if;
            if v_command.refused is null then
              foreach v_k in array v_slot.counters loop
                v_spent[v_k] := v_spent[v_k] + case
                  when v_command.op <> 'refund'
                    or v_slot.opened_at >= v_counters[v_k].starts_at
                      and v_slot.opened_at >= v_counters[v_k].set_at
                    then baseledger._what_it_spends(v_kinds[v_k], v_command.op, v_move.spent)
                  else 0
                end;
                v_held[v_k] := v_held[v_k] + baseledger._what_it_holds(
                  v_kinds[v_k], v_command.op, v_move.reserved, v_move.details
                );
                if v_spent[v_k] >= v_next_alert[v_k] then
                  v_counter := v_counters[v_k];
                  v_counter.spent := v_spent[v_k];
                  v_alerts := v_alerts || baseledger._cross_thresholds(v_counter, v_at);
                  v_counter.alerted := v_alerts[cardinality(v_alerts)].threshold;
                  v_counter.next_alert := baseledger._next_alert(
                    v_counter.amount, v_counter.alert_at, v_counter.alerted
                  );
                  v_counters[v_k] := v_counter;
                  v_next_alert[v_k] := v_counter.next_alert;
                end if;
                -- A charge is never open.
                v_touched[v_k] := v_touched[v_k]
                  or v_command.op <> 'charge' or v_kinds[v_k] <> 'open';
              end loop;
              if v_command.op in ('reserve', 'charge') then
                v_slot.opened_at := coalesce(v_at - v_ahead, v_at);
                v_slots[coalesce(v_command.hold_at, v_i) - v_i + v_place] := v_slot;
              end if;
            end if;
          end if;
        end if;
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
        if v_wallet.limited and not v_tight then
          if v_last.reservation_id is not null then
            perform baseledger._save_counters(
              p_wallet_id, v_loaded.counters, v_command.op, v_move.spent, v_move.reserved,
              v_move.details
            );
          end if;
        end if;
        if v_careful or v_wallet.low_balances is not null then
          perform baseledger._save_watched(
            p_wallet_id, v_last.seq,
            baseledger._gather_counters(v_counters, v_spent, v_held, v_touched), v_alerts,
            v_wallet.low_balances, v_wallet.below,
            array[v_last.available::numeric + v_last.reserved],
            array[v_last.occurred_at]
          );
        end if;
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
        least(v_wallet.next_deadline, v_opened), v_look_due, null, null, null, null, null, null,
        null, null, null, null
      )::baseledger._locked_wallet;
    end if;
    if v_wallet.limited or v_wallet.low_balances is not null then
      if v_last.seq > v_wallet.seq
        and v_changed[cardinality(v_changed)].wallet_id = p_wallet_id
      then
        perform baseledger._save_watched(
          p_wallet_id, v_last.seq,
          baseledger._gather_counters(v_counters, v_spent, v_held, v_touched), v_alerts,
          v_wallet.low_balances, v_wallet.below, array(
            select e.available::numeric + e.reserved
              from unnest(v_events[cardinality(v_events) - (v_last.seq - v_wallet.seq) + 1:]) as e
          ), array(
            select e.occurred_at
              from unnest(v_events[cardinality(v_events) - (v_last.seq - v_wallet.seq) + 1:]) as e
          )
        );
      end if;
      v_counters := null;
      v_alerts := null;
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
  if v_wallet.limited or v_wallet.low_balances is not null then
    perform baseledger._save_watched(
      p_wallet_id, v_last.seq,
      baseledger._gather_counters(v_counters, v_spent, v_held, v_touched), v_alerts,
      v_wallet.low_balances, v_wallet.below,
      array(select e.available::numeric + e.reserved from unnest(v_events) as e),
      array(select e.occurred_at from unnest(v_events) as e)
    );
  end if;

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
-- Whether a command changes who may use a wallet, or how, and moves nothing: it is named as its
-- event, and what it asks for are the event's details. Not in SQL: the planner calls it to find
-- constants, and a statement of its own would be compiled where JIT is on.
create or replace function baseledger._is_change(p_op text)
returns boolean
language plpgsql
immutable
parallel safe
as $$
begin
  return p_op in (
    'allowed', 'disallowed', 'key_created', 'key_revoked', 'limit_set', 'limit_set_for',
    'limit_removed', 'overdraft_limit_set', 'low_balance_set', 'closed', 'reopened'
  );
end
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
          -- Nobody who may not use a wallet holds its lock.
          and (
            not w.restricted
            or not p_asks
            or (baseledger._find_access(w.wallet_id)).allowed
          )
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
      then p_details - (case
        when p_event = 'key_created' then '{key_id,secret_sha256,backlog,ahead_us}'
        else '{backlog,ahead_us}'
      end)::text[]
    else '{}'
  end
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
    when p_command.details -> 'already_spent' is not null
      then p_command.amount - p_overdraft_limit
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
--! Included functions/limits/_choose_obstacle.sql
-- Of all that is in the way of a command, the obstacle that clears last: the detail of LGLIM, or
-- null for a lack of funds (LGNSF). What open reservations hold is back at the next deadline, a
-- window is over at its end; a credit may never come.
create or replace function baseledger._choose_obstacle(
  p_wallet_id text,
  p_now timestamptz,
  p_op text,
  p_amount bigint,
  p_available bigint,
  p_reserved bigint,
  p_counters baseledger._counter[],
  p_counted integer[],
  p_holds baseledger._hold[]
)
returns jsonb
language plpgsql
stable
as $$
declare
  v_return timestamptz;     -- when the next hold is back
  v_clears timestamptz;     -- when the chosen obstacle is out of the way
  v_at timestamptz;
  v_k integer;
  v_counter baseledger._counter;
  v_adds bigint;
  v_held boolean;
  v_detail jsonb;
begin
  v_return := coalesce(baseledger._find_next_return(p_wallet_id, p_now, p_holds), p_now);
  if p_available < p_amount then
    if p_available::numeric + p_reserved < p_amount then
      return null;
    end if;
    v_clears := v_return;
  end if;
  foreach v_k in array p_counted loop
    v_counter := p_counters[v_k];
    v_adds := baseledger._what_it_adds(p_op, v_counter.of, p_amount);
    continue when not v_counter.hard
      or v_counter.spent + v_counter.held + v_adds <= v_counter.amount
      or v_counter.amount is null
      or v_adds is null;
    v_held := v_counter.spent + v_adds <= v_counter.amount;
    v_at := case
      when v_held then v_return
      when v_adds > v_counter.amount then 'infinity'
      else v_counter.ends_at
    end;
    continue when v_at <= v_clears;
    v_clears := v_at;
    v_detail := jsonb_build_object(
      'limit_id', v_counter.limit_id,
      'values', to_jsonb(v_counter.label_values),
      'per', v_counter.per,
      'of', v_counter.of,
      'amount', v_counter.amount,
      'used', v_counter.spent + v_counter.held,
      'held', v_counter.held,
      'requested', v_adds,
      'shortfall', v_counter.spent + v_counter.held + v_adds - v_counter.amount,
      'reason', case when v_held then 'held' else 'exhausted' end,
      'retry_at', case when v_held then v_return end,
      'resets_at', case when not v_held then nullif(v_at, 'infinity') end
    );
  end loop;
  return v_detail;
end
$$;

revoke all on function baseledger._choose_obstacle from public;
--! EndIncluded functions/limits/_choose_obstacle.sql
--! Included functions/limits/_count_held.sql
-- Makes the counters of a new limit for what is held when it is set: by the labels of the opening
-- of each open reservation, looked up by index.
create or replace function baseledger._count_held(p_wallet_id text, p_limit_id text)
returns void
language plpgsql
volatile
as $$
begin
  insert into baseledger.counters (
      wallet_id, limit_id, label_values, spent, held, starts_at, ends_at
    )
    select p_wallet_id, p_limit_id, h.label_values, 0, h.held, h.starts_at, h.ends_at
      from (
        select v.label_values, l.starts_at, l.ends_at,
            sum(case l.of when 'open' then 1 else r.held end) as held
          from baseledger.limits l
          join baseledger.reservations r on r.wallet_id = p_wallet_id
          left join lateral baseledger._find_opening(
            p_wallet_id, case when l.by <> '{}' then r.reservation_id end
          ) as o on true
          cross join lateral (
            select baseledger._label_values(o.labels, l.by) offset 0
          ) as v (label_values)
          where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id and l.of <> 'calls'
          group by v.label_values, l.starts_at, l.ends_at
      ) as h
      where h.held > 0;
end
$$;

revoke all on function baseledger._count_held from public;
--! EndIncluded functions/limits/_count_held.sql
--! Included functions/limits/_count_spent.sql
-- What the journal says that a combination of labels has spent in a window of a limit, or how many
-- calls it has opened: from the setting of the limit on, by the clock of the events. For a window
-- that comes back after a clock that was ahead; else counters know it.
--
-- No event is dated before its clock, so none of the window is dated before its start.
create or replace function baseledger._count_spent(
  p_wallet_id text,
  p_limit_id text,
  p_label_values text[],
  p_starts_at timestamptz,
  p_ends_at timestamptz
)
returns numeric
language plpgsql
stable
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_limit baseledger.limits;
  v_after bigint;
  v_spent numeric;
begin
  select * into v_limit from baseledger.limits l
    where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id;
  v_after := greatest(v_limit.set_seq, baseledger._find_seq_before(p_wallet_id, p_starts_at));
  case v_limit.of
    when 'calls' then
      select count(*) into v_spent
        from baseledger.events e
        where e.wallet_id = p_wallet_id
          and e.seq > v_after
          and e.event in ('reserved', 'charged')
          and baseledger._event_clock(e.occurred_at, e.details) >= p_starts_at
          and baseledger._event_clock(e.occurred_at, e.details) < p_ends_at
          and baseledger._label_values(coalesce(e.details -> 'labels', e.metadata), v_limit."by")
            = p_label_values;
    when 'amount' then
      select
          sum(s.spent - case
            when baseledger._event_clock(o.occurred_at, o.details)
                >= greatest(p_starts_at, v_limit.set_at)
              then s.refunded
            else 0
          end)
        into v_spent
        from (
          select e.reservation_id,
              coalesce(sum(e.amount) filter (where e.event <> 'refunded'), 0) as spent,
              coalesce(sum(e.amount) filter (where e.event = 'refunded'), 0) as refunded
            from baseledger.events e
            where e.wallet_id = p_wallet_id
              and e.seq > v_after
              and e.event in ('settled', 'charged', 'refunded')
              and baseledger._event_clock(e.occurred_at, e.details) >= p_starts_at
              and baseledger._event_clock(e.occurred_at, e.details) < p_ends_at
            group by e.reservation_id
        ) as s
        -- By the opening, which is one event, its labels and its time.
        join baseledger.events o
          on o.wallet_id = p_wallet_id
          and o.reservation_id = s.reservation_id
          and o.event in ('reserved', 'charged')
        where baseledger._label_values(coalesce(o.details -> 'labels', o.metadata), v_limit."by")
          = p_label_values;
    else
      null;
  end case;
  return coalesce(v_spent, 0);
end
$$;

revoke all on function baseledger._count_spent from public;
--! EndIncluded functions/limits/_count_spent.sql
--! Included functions/limits/_delete_counters.sql
-- Deletes those of a wallet's counters, where they are, whose windows have ended by then, that hold
-- nothing, and have no own amount. One that a command is writing stays.
--
-- All but the way by the rows' places is off: see _delete_reservations.
create or replace function baseledger._delete_counters(
  p_wallet_id text,
  p_rows tid[],
  p_ended_by timestamptz
)
returns integer
language plpgsql
volatile
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_bitmapscan = off
as $$
declare
  v_rows tid[];
  v_count integer;
begin
  v_rows := array(
    select c.ctid from baseledger.counters c
      where c.wallet_id = p_wallet_id
        and c.ctid = any (p_rows)
        and c.ends_at <= p_ended_by
        and c.own_amount is null
        and c.held = 0
      for update skip locked
  );
  delete from baseledger.counters c where c.wallet_id = p_wallet_id and c.ctid = any (v_rows);
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

revoke all on function baseledger._delete_counters from public;
--! EndIncluded functions/limits/_delete_counters.sql
--! Included functions/limits/_exceeds_limits.sql
-- Whether a command exceeds a hard limit that has holds to come back: asked while more is due than
-- was expired (see Backlog in _execute).
create or replace function baseledger._exceeds_limits(
  p_counters baseledger._counter[],
  p_counted integer[],
  p_command baseledger._command,
  p_hold baseledger._hold
)
returns boolean
language plpgsql
stable
as $$
declare
  c_amount constant bigint := case
    when p_command.op in ('reserve', 'charge') then coalesce(p_command.at_least, p_command.amount)
    when p_command.op = 'extend' then p_command.amount - p_hold.held
  end;
begin
  return exists (
    select from unnest(p_counters) with ordinality as c
      where c.ordinality = any(p_counted)
        and c.hard
        and c.held > 0
        and c.spent + c.held + baseledger._what_it_adds(p_command.op, c.of, c_amount) > c.amount
  );
end
$$;

revoke all on function baseledger._exceeds_limits from public;
--! EndIncluded functions/limits/_exceeds_limits.sql
--! Included functions/limits/_find_changed_term.sql
-- The first term of an existing limit that is not as asked for but cannot change; null if there is
-- none.
create or replace function baseledger._find_changed_term(p_stored jsonb, p_given jsonb)
returns text
language sql
immutable
as $$
  select case
    when p_stored -> 'per' <> p_given -> 'per' then 'per'
    when p_stored -> 'by' <> p_given -> 'by' then 'by'
    when p_stored -> 'of' <> p_given -> 'of' then 'of'
    when p_stored -> 'time_zone' <> p_given -> 'time_zone' then 'time_zone'
  end
$$;

revoke all on function baseledger._find_changed_term from public;
--! EndIncluded functions/limits/_find_changed_term.sql
--! Included functions/limits/_find_clock_change.sql
-- When the clocks of a zone change, between an instant before the change and one that may be the
-- change itself. By bisection to the second, as PostgreSQL does not tell; called by _window, with
-- its settings.
create or replace function baseledger._find_clock_change(
  p_time_zone text,
  p_before timestamptz,
  p_until timestamptz
)
returns timestamptz
language plpgsql
stable
as $$
declare
  v_offset constant interval :=
    p_before at time zone p_time_zone - p_before at time zone 'UTC';
  v_low bigint := floor(extract(epoch from p_before));    -- is before
  v_high bigint := floor(extract(epoch from p_until));    -- is not
  v_middle bigint;
  v_at timestamptz;
begin
  while v_low + 1 < v_high loop
    v_middle := (v_low + v_high) / 2;
    v_at := to_timestamp(v_middle);
    if v_at at time zone p_time_zone - v_at at time zone 'UTC' = v_offset then
      v_low := v_middle;
    else
      v_high := v_middle;
    end if;
  end loop;
  return to_timestamp(v_high);
end
$$;

revoke all on function baseledger._find_clock_change from public;
--! EndIncluded functions/limits/_find_clock_change.sql
--! Included functions/limits/_find_counters.sql
-- Counters as they are on record: of a reservation with these labels one for each limit of the
-- wallet, or the one of a limit and a combination. fresh: its window is the present one, so that
-- this is what it is (see _refresh_counter). A SQL function without settings, so that it is inlined
-- into _load_single and _load_batch, without what is not asked for.
create or replace function baseledger._find_counters(
  p_wallet_id text,
  p_labels jsonb,
  p_limit_id text,                    -- null: all
  p_label_values text[],              -- null: those of p_labels
  p_at timestamptz
)
returns table (limit_id text, label_values text[], counter baseledger._counter, fresh boolean)
language sql
stable
as $$
  select l.limit_id, l.label_values, row(
      l.limit_id, l.label_values, l.per, l.of, l.time_zone, l.hard,
      coalesce(k.own_amount, l.amount), l.alert_at, coalesce(k.spent, 0), coalesce(k.held, 0),
      l.starts_at, l.ends_at, l.set_at, k.starts_at, l.counted_until, null,
      coalesce(k.alerted, 0), false, false
    )::baseledger._counter,
    p_at >= l.starts_at
      and p_at < l.ends_at
      and l.ends_at = l.counted_until
      and coalesce(k.starts_at, l.starts_at) = l.starts_at
      and l.alert_at = '{}'
    from (
      select s.*,
          coalesce(p_label_values, baseledger._label_values(p_labels, s.by)) as label_values
        from baseledger.limits s
        where s.wallet_id = p_wallet_id and (p_limit_id is null or s.limit_id = p_limit_id)
        order by s.limit_id
        offset 0
    ) as l
    left join lateral (
      select c.own_amount, c.spent, c.held, c.starts_at, c.alerted from baseledger.counters c
        where c.wallet_id = p_wallet_id
          and c.limit_id = l.limit_id
          and c.label_values = l.label_values
        limit 1
    ) as k on true
$$;

revoke all on function baseledger._find_counters from public;
--! EndIncluded functions/limits/_find_counters.sql
--! Included functions/limits/_find_invalid_term.sql
-- The first argument of set_limit that is no term of a limit; null if all are. A zone is UTC or an
-- Area/City: the other names that PostgreSQL takes mean what a session's settings say, or one
-- offset for ever.
create or replace function baseledger._find_invalid_term(
  p_limit_id text,
  p_amount bigint,
  p_per text,
  p_by text[],
  p_of text,
  p_time_zone text,
  p_hard boolean,
  p_alert_at integer[]
)
returns text
language plpgsql
stable
as $$
begin
  return case
    when baseledger._is_impossible_id(p_limit_id) or baseledger._is_ambiguous_name(p_limit_id)
      then 'limit_id'
    when p_by is null
      or array_ndims(p_by) > 1
      or cardinality(p_by) > 4
      or (
        select count(distinct b.name) filter (where octet_length(b.name) between 1 and 255)
          from unnest(p_by) as b (name)
      ) <> cardinality(p_by)
      then 'by'
    when p_amount < 0 or p_amount is null and p_by = '{}'
      then 'amount'
    when p_of is null or p_of not in ('amount', 'calls', 'open')
      then 'of'
    when p_per is null
      or p_per not in ('minute', 'hour', 'day', 'week', 'month', 'year', 'ever')
      or p_of = 'open' and p_per <> 'ever'
      then 'per'
    when p_hard is null
      then 'hard'
    when p_alert_at is null
      or array_ndims(p_alert_at) > 1
      or cardinality(p_alert_at) > case p_of when 'open' then 0 else 10 end
      or (
        select count(distinct a.percentage) filter (where a.percentage between 1 and 1000)
          from unnest(p_alert_at) as a (percentage)
      ) <> cardinality(p_alert_at)
      then 'alert_at'
    when p_time_zone is null
      or p_time_zone <> 'UTC' and (
        p_time_zone not like '%/%'
        or p_time_zone ~ '^(posix|right)/'
        or not exists (select from pg_timezone_names z where z.name = p_time_zone)
      )
      then 'time_zone'
  end;
end
$$;

revoke all on function baseledger._find_invalid_term from public;
--! EndIncluded functions/limits/_find_invalid_term.sql
--! Included functions/limits/_find_opening.sql
-- How a reservation was opened: its labels, and when, by the clock. No row, if it is not in the
-- journal. A range of one value in the order of its index, as in _look_up; the opening is nearly
-- always the first entry. A SQL function without settings, so that it is inlined.
create or replace function baseledger._find_opening(p_wallet_id text, p_reservation_id text)
returns table (labels jsonb, opened_at timestamptz, actor text)
language sql
stable
as $$
  select coalesce(e.details -> 'labels', e.metadata),
      baseledger._event_clock(e.occurred_at, e.details), e.actor
    from baseledger.events e
    where e.wallet_id = p_wallet_id
      and e.reservation_id between p_reservation_id and p_reservation_id
      and e.event in ('reserved', 'charged')
    order by e.reservation_id
    limit 1
$$;

revoke all on function baseledger._find_opening from public;
--! EndIncluded functions/limits/_find_opening.sql
--! Included functions/limits/_find_room.sql
-- What the hard limits of amounts leave for a reservation that may get less than it asks for; null:
-- no limit.
create or replace function baseledger._find_room(
  p_max numeric[],
  p_spent numeric[],
  p_held numeric[],
  p_kinds text[],
  p_counted integer[]
)
returns numeric
language plpgsql
immutable
as $$
begin
  return (
    select min(p_max[k] - p_spent[k] - p_held[k]) from unnest(p_counted) as k
      where p_kinds[k] = 'amount'
  );
end
$$;

revoke all on function baseledger._find_room from public;
--! EndIncluded functions/limits/_find_room.sql
--! Included functions/limits/_first_instant.sql
-- The first instant at which clocks of a zone show a local time, or, where they leave it out, a
-- later one. Called by _window, with its settings.
create or replace function baseledger._first_instant(p_time_zone text, p_local timestamp)
returns timestamptz
language plpgsql
stable
as $$
declare
  v_at constant timestamptz := p_local at time zone p_time_zone;
  v_before constant timestamptz := v_at - interval '24 hours';
  v_earlier timestamptz;
begin
  if v_at at time zone p_time_zone = p_local then
    -- Of two instants, `at time zone` takes the later: try the offset of before.
    v_earlier := v_before + (p_local - v_before at time zone p_time_zone);
    return case
      when v_earlier < v_at and v_earlier at time zone p_time_zone = p_local then v_earlier
      else v_at
    end;
  end if;
  -- Clocks leave it out.
  return baseledger._find_clock_change(p_time_zone, v_before, v_at);
end
$$;

revoke all on function baseledger._first_instant from public;
--! EndIncluded functions/limits/_first_instant.sql
--! Included functions/limits/_gather_counters.sql
-- Counters with what has changed in them since they were spread: see _spread_counters.
create or replace function baseledger._gather_counters(
  p_counters baseledger._counter[],
  p_spent numeric[],
  p_held numeric[],
  p_changed boolean[]
)
returns baseledger._counter[]
language plpgsql
immutable
as $$
begin
  return array(
    select row(
        c.limit_id, c.label_values, c.per, c.of, c.time_zone, c.hard, c.amount, c.alert_at,
        p_spent[c.ordinality], p_held[c.ordinality], c.starts_at, c.ends_at, c.set_at,
        c.counted_at, c.counted_until, c.next_alert, c.alerted, c.rolled, p_changed[c.ordinality]
      )::baseledger._counter
      from unnest(p_counters) with ordinality as c
      order by c.ordinality
  );
end
$$;

revoke all on function baseledger._gather_counters from public;
--! EndIncluded functions/limits/_gather_counters.sql
--! Included functions/limits/_known_values.sql
-- What a caller with fixed labels sees of a limit: the values of its labels, null for those that
-- the caller may choose. Null if the caller sees all.
create or replace function baseledger._known_values(p_access baseledger._access, p_by text[])
returns text[]
language sql
immutable
as $$
  select pg_catalog.array_agg(
      case
        when p_access.labels -> b.name is not null then p_access.labels ->> b.name
        when not p_access.free_labels && array['*', b.name] then ''
      end
      order by b.n
    )
    from pg_catalog.unnest(p_by) with ordinality as b (name, n)
    where p_access.labels <> '{}'
$$;

revoke all on function baseledger._known_values from public;
--! EndIncluded functions/limits/_known_values.sql
--! Included functions/limits/_label_values.sql
-- The combination of a limit that labels belong to: their values, in the order of its `by`. Only a
-- string of 1 to 255 bytes is a value; anything else is the empty one. Not inlined: it has more
-- expressions than the statements that need it.
create or replace function baseledger._label_values(p_labels jsonb, p_by text[])
returns text[]
language plpgsql
immutable
parallel safe
as $$
declare
  v_values text[] := '{}';
  v_name text;
begin
  foreach v_name in array p_by loop
    v_values := v_values || case
      when jsonb_typeof(p_labels -> v_name) = 'string'
        and octet_length(p_labels ->> v_name) <= 255
        then p_labels ->> v_name
      else ''
    end;
  end loop;
  return v_values;
end
$$;

revoke all on function baseledger._label_values from public;
--! EndIncluded functions/limits/_label_values.sql
--! Included functions/limits/_list_counters.sql
-- The counters of a limit, as of an instant and in the order of their values: after p_after, and of
-- p_known only, as _known_values has it.
create or replace function baseledger._list_counters(
  p_wallet_id text,
  p_limit_id text,
  p_at timestamptz,
  p_window tstzrange,                 -- the one of the instant
  p_known text[],
  p_after text[],
  p_limit integer
)
returns table (label_values text[], own_amount bigint, spent numeric, held numeric)
language plpgsql
stable
as $$
declare
  c_starts_at constant timestamptz := lower(p_window);
  v_limit baseledger.limits;
  v_came_back boolean;
  v_due jsonb;                        -- what is held past its deadline, by values
  v_from text[] collate "C" := '{}';
  v_until text[] collate "C" := array[null::text];    -- null comes last
begin
  select * into v_limit from baseledger.limits l
    where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id;
  v_came_back := upper(p_window) < v_limit.counted_until;
  select jsonb_object_agg(d.label_values::text, d.held) into v_due
    from (
      select v.label_values, sum(case v_limit.of when 'open' then 1 else r.held end) as held
        from (
          -- In the order of the index, for the planner's sake: see _execute.
          select o.reservation_id, o.held from baseledger.reservations o
            where o.wallet_id = p_wallet_id
              and v_limit.of <> 'calls'
              and o.expires_at <= p_at
              and o.expires_at < 'infinity'
            order by o.expires_at
            offset 0
        ) as r
        cross join lateral baseledger._find_opening(p_wallet_id, r.reservation_id) as f
        cross join lateral (
          select baseledger._label_values(f.labels, v_limit."by") offset 0
        ) as v (label_values)
        group by v.label_values
    ) as d;

  -- Those with the values that are known of the first labels stand together.
  for v_n in 1 .. coalesce(cardinality(p_known), 0) loop
    exit when p_known[v_n] is null;
    v_until := v_from || (p_known[v_n] || chr(1));
    v_from := v_from || p_known[v_n];
  end loop;
  return query
    select c.label_values, c.own_amount,
        case
          when c.starts_at = c_starts_at then c.spent
          when v_came_back then baseledger._count_spent(
            p_wallet_id, p_limit_id, c.label_values, c_starts_at, upper(p_window)
          )
          else 0
        end,
        c.held - coalesce((v_due ->> c.label_values::text)::numeric, 0)
      from baseledger.counters c
      where c.wallet_id = p_wallet_id
        and c.limit_id = p_limit_id
        and c.label_values >= greatest(v_from, p_after)
        and c.label_values < v_until
        and (p_after is null or c.label_values <> p_after)
        and (p_known[1] is null or c.label_values[1] = p_known[1])
        and (p_known[2] is null or c.label_values[2] = p_known[2])
        and (p_known[3] is null or c.label_values[3] = p_known[3])
        and (p_known[4] is null or c.label_values[4] = p_known[4])
      order by c.label_values
      limit p_limit;
end
$$;

revoke all on function baseledger._list_counters from public;
--! EndIncluded functions/limits/_list_counters.sql
--! Included functions/limits/_load_batch.sql
-- Loads the counters of commands, as of an instant: those of the reservations that they open or
-- name. slots say which belong to each command, in the order of their limits.
create or replace function baseledger._load_batch(
  p_wallet_id text,
  p_at timestamptz,
  p_commands baseledger._command[],
  out counters baseledger._counter[],
  out slots baseledger._slot[],
  out tight boolean                   -- see _load_single; a batch always looks
)
returns record
language plpgsql
stable
as $$
declare
  v_stale integer[];
  v_i integer;
begin
  with asked as materialized (
    select c.ordinality as place, o.opened_at,
        case when c.op in ('reserve', 'charge')
          then coalesce(c.details -> 'labels', c.metadata) else o.labels
        end as labels
      from unnest(p_commands) with ordinality as c
      left join lateral baseledger._find_opening(
        p_wallet_id, case when c.op not in ('reserve', 'charge') then c.reservation_id end
      ) as o on true
  ),
  -- Each combination has one counter, whichever commands share it.
  combinations as materialized (
    select v.place, v.opened_at, v.limit_id, v.label_values,
        dense_rank() over (order by v.limit_id, v.label_values)::integer as n,
        row_number() over (partition by v.limit_id, v.label_values) = 1 as is_first
      from (
        select a.place, a.opened_at, l.limit_id,
            baseledger._label_values(a.labels, l.by) collate "C" as label_values
          from asked a
          cross join baseledger.limits l
          where l.wallet_id = p_wallet_id and a.labels is not null
      ) as v
  )
  select
      (
        select array_agg(row(s.counters, s.opened_at)::baseledger._slot order by s.place)
          from (
            select u.place, array_agg(u.n order by u.n) filter (where u.n is not null) as counters,
                min(u.opened_at) as opened_at
              from (
                select c.place, c.n, c.opened_at from combinations c
                union all
                select a.place, null, null from asked a where a.labels is null
              ) as u
              group by u.place
          ) as s
      ),
      d.counters, d.stale
    into slots, counters, v_stale
    from (
      select array_agg(f.counter order by c.n) as counters,
          array_agg(c.n) filter (where not f.fresh) as stale
        from combinations c
        cross join lateral baseledger._find_counters(
          p_wallet_id, null, c.limit_id, c.label_values, p_at
        ) as f
        where c.is_first
    ) as d;
  if v_stale is not null then
    foreach v_i in array v_stale loop
      counters[v_i] := baseledger._refresh_counter(p_wallet_id, counters[v_i], p_at);
    end loop;
  end if;
  tight := true;
end
$$;

revoke all on function baseledger._load_batch from public;
--! EndIncluded functions/limits/_load_batch.sql
--! Included functions/limits/_load_single.sql
-- Loads the counters of a single command, as _load_batch does those of several.
--
-- tight: a limit or an alert may be near enough for it to reach, so that _execute must look. For
-- most commands it need not: each expression counts, see Cost in _execute.
create or replace function baseledger._load_single(
  p_wallet_id text,
  p_at timestamptz,
  p_command baseledger._command,
  out counters baseledger._counter[],
  out slots baseledger._slot[],
  out tight boolean
)
returns record
language plpgsql
stable
as $$
declare
  v_fresh boolean;
  v_opened_at timestamptz;
begin
  if p_command.op in ('reserve', 'charge') then
    select array_agg(f.counter), bool_and(f.fresh), bool_or(
        (f.counter).hard and (f.counter).spent + (f.counter).held + case (f.counter).of
            when 'amount' then p_command.amount
            else 1
          end
          > (f.counter).amount
      )
      into counters, v_fresh, tight
      from baseledger._find_counters(
        p_wallet_id, coalesce(p_command.details -> 'labels', p_command.metadata), null, null, p_at
      ) as f;
  else
    select array_agg(f.counter), bool_and(f.fresh), min(o.opened_at)
      into counters, v_fresh, v_opened_at
      from baseledger._find_opening(p_wallet_id, p_command.reservation_id) as o
      cross join lateral baseledger._find_counters(
        p_wallet_id, o.labels, null, null, p_at
      ) as f;
    tight := p_command.op = 'refund' or p_command.op = 'extend' and p_command.amount is not null;
  end if;
  -- No such reservation.
  if counters is null then
    tight := false;
  elsif tight or not v_fresh then
    tight := true;
    for v_i in 1 .. cardinality(counters) loop
      counters[v_i] := baseledger._refresh_counter(p_wallet_id, counters[v_i], p_at);
    end loop;
    slots := array[
      row(array(select generate_subscripts(counters, 1)), v_opened_at)::baseledger._slot
    ];
  end if;
end
$$;

revoke all on function baseledger._load_single from public;
--! EndIncluded functions/limits/_load_single.sql
--! Included functions/limits/_may_be_window.sql
-- Whether a window on record may be one: for ever without bounds, any other as long as its name
-- says, but for what the clocks of a zone may do.
create or replace function baseledger._may_be_window(
  p_per text,
  p_starts_at timestamptz,
  p_ends_at timestamptz
)
returns boolean
language sql
immutable
as $$
  select case
    when p_per = 'ever' then p_starts_at = '-infinity' and p_ends_at = 'infinity'
    when not pg_catalog.isfinite(p_starts_at) or not pg_catalog.isfinite(p_ends_at) then false
    else p_starts_at < p_ends_at
      and pg_catalog.extract('epoch', p_ends_at) - pg_catalog.extract('epoch', p_starts_at)
        <= 1.5 * pg_catalog.extract('epoch', ('1 ' || p_per)::interval)
  end
$$;

revoke all on function baseledger._may_be_window from public;
--! EndIncluded functions/limits/_may_be_window.sql
--! Included functions/limits/_merge_counters.sql
-- Adds counters to those that are loaded already, which may have changed since, and gives slots the
-- positions that theirs have then.
--
-- No nested loops: the planner takes every array for a short one.
create or replace function baseledger._merge_counters(
  p_known baseledger._counter[],
  inout counters baseledger._counter[],
  inout slots baseledger._slot[]
)
returns record
language plpgsql
stable
set enable_nestloop = off
as $$
declare
  v_places integer[];                 -- of each one to add
  v_missing integer[];
begin
  -- Those that are not there yet get the next places.
  select array_agg(coalesce(m.known, cardinality(p_known) + m.rank) order by m.place),
      array_agg(m.place order by m.place) filter (where m.known is null)
    into v_places, v_missing
    from (
      select c.ordinality::integer as place, k.place as known,
          count(*) filter (where k.place is null) over (order by c.ordinality)::integer as rank
        from unnest(counters) with ordinality as c
        left join (
          select u.limit_id, u.label_values, u.ordinality::integer as place
            from unnest(p_known) with ordinality as u
        ) as k on k.limit_id = c.limit_id and k.label_values = c.label_values
    ) as m;
  counters := p_known || array(
    select counters[m.place] from unnest(v_missing) with ordinality as m(place, n) order by m.n
  );
  slots := array(
    select row(
        array(
          select v_places[c.place] from unnest(s.counters) with ordinality as c(place, n)
            order by c.n
        ),
        s.opened_at
      )::baseledger._slot
      from unnest(slots) with ordinality as s
      order by s.ordinality
  );
end
$$;

revoke all on function baseledger._merge_counters from public;
--! EndIncluded functions/limits/_merge_counters.sql
--! Included functions/limits/_move_limit.sql
-- Moves a limit whose window has passed on to that of an instant, and returns when its window
-- begins; null if somebody else has locked it.
create or replace function baseledger._move_limit(
  p_wallet_id text,
  p_limit_id text,
  p_at timestamptz
)
returns timestamptz
language plpgsql
volatile
as $$
declare
  v_limit baseledger.limits;
  v_window tstzrange;
begin
  select * into v_limit from baseledger.limits l
    where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id
    for no key update skip locked;
  if v_limit.ends_at <= p_at then
    v_window := baseledger._window(v_limit.per, v_limit.time_zone, p_at);
    v_limit.starts_at := lower(v_window);
    update baseledger.limits l
      set starts_at = lower(v_window),
        ends_at = upper(v_window),
        counted_until = greatest(l.counted_until, upper(v_window))
      where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id;
  end if;
  return v_limit.starts_at;
end
$$;

revoke all on function baseledger._move_limit from public;
--! EndIncluded functions/limits/_move_limit.sql
--! Included functions/limits/_next_alert.sql
-- What is spent when the next alert of a counter is due; null: none. A SQL function without
-- settings, so that it is inlined.
create or replace function baseledger._next_alert(
  p_amount numeric,
  p_alert_at integer[],
  p_alerted integer
)
returns numeric
language sql
immutable
parallel safe
as $$
  select case when p_amount > 0 and p_alert_at <> '{}' then (
    select p_amount * pg_catalog.min(t) / 100 from pg_catalog.unnest(p_alert_at) as t
      where t > p_alerted
  ) end
$$;

revoke all on function baseledger._next_alert from public;
--! EndIncluded functions/limits/_next_alert.sql
--! Included functions/limits/_refresh_counter.sql
-- A counter as of an instant, from what is on record. Nothing is written when a window ends: in the
-- new one it has spent nothing. A window that comes back, as after a clock that was ahead, is
-- counted again from the journal.
create or replace function baseledger._refresh_counter(
  p_wallet_id text,
  p_counter baseledger._counter,
  p_at timestamptz
)
returns baseledger._counter
language plpgsql
stable
as $$
declare
  v_window tstzrange;
begin
  if p_at < p_counter.starts_at or p_at >= p_counter.ends_at then
    v_window := baseledger._window(p_counter.per, p_counter.time_zone, p_at);
    p_counter.starts_at := lower(v_window);
    p_counter.ends_at := upper(v_window);
    p_counter.rolled := true;
  end if;
  if p_counter.counted_at is distinct from p_counter.starts_at then
    p_counter.spent := 0;
    p_counter.alerted := 0;
    if p_counter.ends_at < p_counter.counted_until
      or p_counter.rolled and p_counter.starts_at < p_counter.counted_until
    then
      p_counter.spent := baseledger._count_spent(
        p_wallet_id, p_counter.limit_id, p_counter.label_values, p_counter.starts_at,
        p_counter.ends_at
      );
      p_counter.alerted := coalesce((
        select max(a.threshold) from baseledger.raised_alerts a
          where a.wallet_id = p_wallet_id
            and a.limit_id = p_counter.limit_id
            and a.label_values = p_counter.label_values
            and a.starts_at = p_counter.starts_at
      ), 0);
    end if;
  end if;
  p_counter.next_alert := baseledger._next_alert(
    p_counter.amount, p_counter.alert_at, p_counter.alerted
  );
  return p_counter;
end
$$;

revoke all on function baseledger._refresh_counter from public;
--! EndIncluded functions/limits/_refresh_counter.sql
--! Included functions/limits/_roll_counters.sql
-- Moves counters to the windows of a later instant, for a batch during which a window ends.
create or replace function baseledger._roll_counters(
  p_wallet_id text,
  p_counters baseledger._counter[],
  p_at timestamptz
)
returns baseledger._counter[]
language plpgsql
stable
as $$
begin
  for v_i in 1 .. cardinality(p_counters) loop
    continue when p_counters[v_i].ends_at > p_at;
    p_counters[v_i] := baseledger._refresh_counter(p_wallet_id, p_counters[v_i], p_at);
  end loop;
  return p_counters;
end
$$;

revoke all on function baseledger._roll_counters from public;
--! EndIncluded functions/limits/_roll_counters.sql
--! Included functions/limits/_save_counters.sql
-- Writes the counters that commands have changed, and the windows that have begun. Of a single
-- command that was not near any limit, p_op and so on say what it has done to all of them; else
-- they are null and 0.
create or replace function baseledger._save_counters(
  p_wallet_id text,
  p_counters baseledger._counter[],
  p_op text,
  p_spent bigint,
  p_reserved bigint,
  p_details jsonb
)
returns void
language plpgsql
volatile
as $$
begin
  insert into baseledger.counters (
      wallet_id, limit_id, label_values, spent, held, starts_at, ends_at, alerted
    )
    select p_wallet_id, c.limit_id, c.label_values,
        c.spent + baseledger._what_it_spends(c.of, p_op, p_spent),
        c.held + baseledger._what_it_holds(c.of, p_op, p_reserved, p_details),
        c.starts_at, c.ends_at, c.alerted
      from unnest(p_counters) as c
      where c.changed or p_op is not null and (p_op <> 'charge' or c.of <> 'open')
    on conflict (wallet_id, limit_id, label_values) do update
      set spent = excluded.spent,
        held = excluded.held,
        starts_at = excluded.starts_at,
        ends_at = excluded.ends_at,
        alerted = excluded.alerted;
  if p_op is null then
    update baseledger.limits l
      set starts_at = c.starts_at,
        ends_at = c.ends_at,
        counted_until = greatest(l.counted_until, c.ends_at)
      from (
        select distinct on (u.limit_id) u.limit_id, u.starts_at, u.ends_at
          from unnest(p_counters) as u
          where u.rolled and u.changed
          order by u.limit_id
      ) as c
      where l.wallet_id = p_wallet_id and l.limit_id = c.limit_id;
  end if;
end
$$;

revoke all on function baseledger._save_counters from public;
--! EndIncluded functions/limits/_save_counters.sql
--! Included functions/limits/_save_watched.sql
-- Writes what commands have done to the counters of a limited wallet and to funds that are watched,
-- and the alerts.
create or replace function baseledger._save_watched(
  p_wallet_id text,
  p_seq bigint,                       -- the last event
  p_counters baseledger._counter[],
  p_alerts baseledger._alert[],
  p_low_balances bigint[],
  p_below bigint[],
  p_funds numeric[],                  -- available + reserved after each event
  p_times timestamptz[]               -- when it happened
)
returns void
language plpgsql
volatile
as $$
declare
  v_watched record;
begin
  if p_counters is not null then
    perform baseledger._save_counters(p_wallet_id, p_counters, null, 0, 0, null);
  end if;
  if p_low_balances is not null then
    v_watched := baseledger._watch_balance(p_low_balances, p_below, p_funds, p_times);
    p_alerts := p_alerts || v_watched.alerts;
    if v_watched.below is distinct from p_below then
      update baseledger.wallets w set below = v_watched.below where w.wallet_id = p_wallet_id;
    end if;
  end if;
  if p_alerts <> '{}' then
    perform baseledger._write_alerts(p_wallet_id, p_seq, p_alerts);
  end if;
end
$$;

revoke all on function baseledger._save_watched from public;
--! EndIncluded functions/limits/_save_watched.sql
--! Included functions/limits/_spread_counters.sql
-- What changes in counters, and what decides on commands, as arrays: _execute works on those, as a
-- number in an array is changed for a fraction of what a composite costs. max is null where nothing
-- is refused.
create or replace function baseledger._spread_counters(
  p_counters baseledger._counter[],
  out spent numeric[],
  out held numeric[],
  out max numeric[],
  out next_alert numeric[],
  out kinds text[],
  out changed boolean[],
  out window_end timestamptz
)
returns record
language plpgsql
immutable
as $$
begin
  select array_agg(c.spent order by c.n), array_agg(c.held order by c.n),
      array_agg(case when c.hard then c.amount end order by c.n),
      array_agg(c.next_alert order by c.n), array_agg(c.of order by c.n),
      array_agg(c.changed order by c.n), min(c.ends_at)
    into spent, held, max, next_alert, kinds, changed, window_end
    from unnest(p_counters) with ordinality as c(
      limit_id, label_values, per, of, time_zone, hard, amount, alert_at, spent, held, starts_at,
      ends_at, set_at, counted_at, counted_until, next_alert, alerted, rolled, changed, n
    );
end
$$;

revoke all on function baseledger._spread_counters from public;
--! EndIncluded functions/limits/_spread_counters.sql
--! Included functions/limits/_what_it_adds.sql
-- What a command adds to a counter before it is granted, of which p_amount would be held or
-- charged; null: nothing. A SQL function without settings, so that it is inlined.
create or replace function baseledger._what_it_adds(p_op text, p_of text, p_amount bigint)
returns bigint
language sql
immutable
parallel safe
as $$
  select case p_of
    when 'amount' then case when p_amount > 0 then p_amount end
    when 'calls' then case when p_op in ('reserve', 'charge') then 1 end
    when 'open' then case when p_op = 'reserve' then 1 end
  end
$$;

revoke all on function baseledger._what_it_adds from public;
--! EndIncluded functions/limits/_what_it_adds.sql
--! Included functions/limits/_what_it_holds.sql
-- By how much an event changes what a counter holds; p_details are those of the event. A SQL
-- function without settings, so that it is inlined.
create or replace function baseledger._what_it_holds(
  p_of text,
  p_op text,
  p_reserved bigint,
  p_details jsonb
)
returns bigint
language sql
immutable
parallel safe
as $$
  select case p_of
    when 'amount' then p_reserved
    when 'open' then case
      when p_op = 'reserve' then 1
      -- A settlement that is late or of a part says so.
      when p_op in ('cancel', 'expire') or p_op = 'settle' and p_details is null then -1
      else 0
    end
    else 0
  end
$$;

revoke all on function baseledger._what_it_holds from public;
--! EndIncluded functions/limits/_what_it_holds.sql
--! Included functions/limits/_what_it_spends.sql
-- By how much an event changes what a counter has spent. (Whether a refund counts is decided
-- before.) A SQL function without settings, so that it is inlined.
create or replace function baseledger._what_it_spends(p_of text, p_op text, p_spent bigint)
returns bigint
language sql
immutable
parallel safe
as $$
  select case p_of
    when 'amount' then p_spent
    when 'calls' then case when p_op in ('reserve', 'charge') then 1 else 0 end
    else 0
  end
$$;

revoke all on function baseledger._what_it_spends from public;
--! EndIncluded functions/limits/_what_it_spends.sql
--! Included functions/limits/_window.sql
-- The window [start, end) of a limit that an instant lies in, by the limit's zone. Days, weeks
-- (from Monday), months and years begin at the first instant of their first date, whatever the
-- clocks of the zone do around midnight; hours follow the zone's offset at the instant. An instant
-- after which clocks go back over midnight stays in the new day. For `ever` the bounds are
-- infinity, not null. A zone that the server does not know counts as UTC; doctor() reports it.
--
-- The session must not decide what a name of a zone means, or how long a day is.
create or replace function baseledger._window(p_per text, p_time_zone text, p_at timestamptz)
returns tstzrange
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set "TimeZone" = 'UTC'
set timezone_abbreviations = 'Default'
as $$
declare
  v_local timestamp;
  v_next timestamp;
  v_starts_at timestamptz;
  v_ends_at timestamptz;
begin
  if p_per = 'ever' then
    return tstzrange('-infinity', 'infinity');
  elsif p_per = 'minute' then
    return tstzrange(date_trunc('minute', p_at), date_trunc('minute', p_at) + interval '1 minute');
  end if;
  begin
    v_local := p_at at time zone p_time_zone;
  exception
    when invalid_parameter_value then
      return baseledger._window(p_per, 'UTC', p_at);
  end;

  if p_per = 'hour' then
    v_starts_at := p_at - (v_local - date_trunc('hour', v_local));
    v_ends_at := v_starts_at + interval '1 hour';
    -- Where clocks change by half an hour, hours before and after do not meet: cut at the change.
    v_local := v_starts_at at time zone p_time_zone;
    if v_local <> date_trunc('hour', v_local) then
      v_starts_at := baseledger._find_clock_change(p_time_zone, v_starts_at, p_at);
    end if;
    v_local := (v_ends_at - interval '1 microsecond') at time zone p_time_zone
      + interval '1 microsecond';
    if v_local <> date_trunc('hour', v_local) then
      v_ends_at := baseledger._find_clock_change(p_time_zone, p_at, v_ends_at);
    end if;
    return tstzrange(v_starts_at, v_ends_at);
  end if;

  v_next := date_trunc(p_per, v_local);
  loop
    v_local := v_next;
    v_next := v_local + ('1 ' || p_per)::interval;
    v_ends_at := baseledger._first_instant(p_time_zone, v_next);
    exit when p_at < v_ends_at;
  end loop;
  return tstzrange(baseledger._first_instant(p_time_zone, v_local), v_ends_at);
end
$$;

revoke all on function baseledger._window from public;
--! EndIncluded functions/limits/_window.sql
--! Included functions/limits/clear_counters.sql
-- Deletes counters of past windows, oldest first: finds them without a lock, and then deletes them
-- limit by limit. Locks those rows only, no wallet, and waits for no lock.
--
-- Before, a limit moves on to the present window: should the clock have been ahead and the window
-- come back, it is counted again from the journal.
create or replace function baseledger.clear_counters(p_limit integer default 1000)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_past record;
  v_starts_at timestamptz;
  v_cleared integer := 0;
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  end if;
  for v_past in
    select c.wallet_id, c.limit_id, array_agg(c.stored) as stored
      from (
        select k.wallet_id, k.limit_id, k.ctid as stored from baseledger.counters k
          where k.ends_at <= v_now
            and k.ends_at < 'infinity'
            and k.own_amount is null
            and k.held = 0
          order by k.ends_at
          limit p_limit
      ) as c
      group by c.wallet_id, c.limit_id
  loop
    v_starts_at := baseledger._move_limit(v_past.wallet_id, v_past.limit_id, v_now);
    v_cleared := v_cleared
      + baseledger._delete_counters(v_past.wallet_id, v_past.stored, v_starts_at);
  end loop;
  return v_cleared;
end
$$;

comment on function baseledger.clear_counters is
  'Deletes counters of limits whose window has passed, at most p_limit (1 to 100,000), and returns '
  'how many: those that hold nothing and have no amount of their own. Those of limits for ever '
  'stay. Waits for no lock. While it is not called, limits are right all the same. Refused with '
  'LGARG. @notNull';
revoke all on function baseledger.clear_counters from public;
grant execute on function baseledger.clear_counters to baseledger_worker;
--! EndIncluded functions/limits/clear_counters.sql
--! Included functions/limits/limits.sql
-- The limits of a wallet and what is used of them, now. Takes no lock; a stable function reads all
-- in the snapshot of its query, so that counters and reservations agree.
create or replace function baseledger.limits(
  p_wallet_id text,
  p_limit_id text default null,
  p_after text[] default null,
  p_limit integer default 1000
)
returns setof baseledger.limit_use
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
  v_wallet record;
  v_access baseledger._access;
  v_limit baseledger.limits;
  v_window tstzrange;
  v_counter record;
  v_use baseledger.limit_use;
  v_left integer := p_limit;
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  elsif p_limit_id is null and p_after is not null then
    perform baseledger._raise('LGARG', baseledger._describe_argument('after'));
  end if;
  select w.restricted, w.next_deadline, baseledger._deadline_clock(v_clock, w.last_event_at) as at
    into v_wallet
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id
      and (not w.restricted or baseledger._may_read(p_wallet_id));
  -- Raised in one place: an error's context tells its line.
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  if v_wallet.restricted then
    v_access := baseledger._find_reader(p_wallet_id);
  end if;

  for v_limit in
    select * from baseledger.limits l
      where l.wallet_id = p_wallet_id
        and (p_limit_id is null or l.limit_id = p_limit_id)
      order by l.limit_id
  loop
    exit when v_left = 0;
    v_window := case
      when v_wallet.at >= v_limit.starts_at and v_wallet.at < v_limit.ends_at
        then tstzrange(v_limit.starts_at, v_limit.ends_at)
      else baseledger._window(v_limit.per, v_limit.time_zone, v_wallet.at)
    end;
    v_use := row(
      v_limit.limit_id, case v_limit."by" when '{}' then v_limit."by" end, v_limit.per,
      v_limit."by", v_limit.of, v_limit.time_zone, v_limit.hard, v_limit.amount, null, 0, 0,
      v_limit.amount,
      case when v_limit.per <> 'ever' then lower(v_window) end,
      case when v_limit.per <> 'ever' then upper(v_window) end, v_limit.alert_at
    )::baseledger.limit_use;
    for v_counter in
      select * from baseledger._list_counters(
        p_wallet_id, v_limit.limit_id, v_wallet.at, v_window,
        baseledger._known_values(v_access, v_limit."by"), p_after, v_left
      )
    loop
      v_use.label_values := v_counter.label_values;
      v_use.own_amount := v_counter.own_amount;
      v_use.used := least(v_counter.spent + v_counter.held, 9223372036854775807);
      v_use.held := least(v_counter.held, 9223372036854775807);
      v_use.remaining := case when coalesce(v_use.own_amount, v_use.amount) is not null
        then greatest(
          coalesce(v_use.own_amount, v_use.amount) - v_counter.spent - v_counter.held, 0
        )
      end;
      v_left := v_left - 1;
      return next v_use;
    end loop;
    if not found and p_after is null then
      v_left := v_left - 1;
      return next v_use;
    end if;
  end loop;
end
$$;

comment on function baseledger.limits is
  e'The limits of a wallet, and what is used of them now: a row for each combination of values '
  'that has a counter, in order; for a limit without counters one row, in which nothing is used. '
  'Holds past their deadline do not count, whether or not a worker has swept them. Who has fixed '
  'labels sees the combinations that have them. Refused with LGARG, LGWNF.'
  '\np_limit_id: Only this limit. Default: all.'
  '\np_after: label_values of the last row seen, to go on from there; with p_limit_id. Default: '
  'from the first.'
  '\np_limit: How many rows at most, 1 to 100,000.';
revoke all on function baseledger.limits from public;
grant execute on function baseledger.limits
  to baseledger_agent, baseledger_operator, baseledger_auditor;
--! EndIncluded functions/limits/limits.sql
--! Included functions/limits/remove_limit.sql
-- Removes a limit and its counters. Locks the wallet's row. Whether there is such a limit is looked
-- at after the event was written, so that a retry gets its receipt.
create or replace function baseledger.remove_limit(
  p_wallet_id text,
  p_limit_id text,
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only('baseledger.remove_limit(text,text,text,jsonb)');
  perform baseledger._require_id('wallet_id', p_wallet_id);
  perform baseledger._require_id('limit_id', p_limit_id);
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'limit_removed', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('limit_id', p_limit_id)
  ));
  if v_receipt.replayed then
    return v_receipt;
  end if;

  delete from baseledger.limits l where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id;
  if not found then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit_id'));
  end if;
  delete from baseledger.counters c where c.wallet_id = p_wallet_id and c.limit_id = p_limit_id;
  if not exists (select from baseledger.limits l where l.wallet_id = p_wallet_id) then
    update baseledger.wallets w set limited = false where w.wallet_id = p_wallet_id;
  end if;
  return v_receipt;
end
$$;

comment on function baseledger.remove_limit is
  e'Removes a limit, with what it has counted and the amounts of its combinations. Set again under '
  'the same name, it counts from then on. The key is optional: a retry with the same key gets the '
  'first receipt; each call without one is an event. Refused with LGARG, LGWNF, LGIDK.'
  '\np_limit_id: Name of the limit in its wallet.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.remove_limit from public;
grant execute on function baseledger.remove_limit to baseledger_operator;
--! EndIncluded functions/limits/remove_limit.sql
--! Included functions/limits/set_limit.sql
-- Sets a limit, or changes one. Locks the wallet's row. What the event may still be refused for is
-- looked at after it was written, so that a retry gets its receipt whatever has changed since.
--
-- A new limit counts from its event on, and what is held then: it reads the open reservations and
-- their openings, by index, and nothing else of the wallet's history.
create or replace function baseledger.set_limit(
  p_wallet_id text,
  p_limit_id text,
  p_amount bigint,
  p_per text,
  p_by text[] default '{}',
  p_of text default 'amount',
  p_time_zone text default 'UTC',
  p_hard boolean default true,
  p_alert_at integer[] default '{}',
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_field text;
  v_by text[];
  v_alert_at integer[];
  v_terms jsonb;
  v_limit baseledger.limits;
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only(
    'baseledger.set_limit(text,text,bigint,text,text[],text,text,boolean,integer[],text,jsonb)'
  );
  perform baseledger._require_id('wallet_id', p_wallet_id);
  v_field := baseledger._find_invalid_term(
    p_limit_id, p_amount, p_per, p_by, p_of, p_time_zone, p_hard, p_alert_at
  );
  if v_field is not null then
    perform baseledger._raise('LGARG', baseledger._describe_argument(v_field));
  end if;
  -- As lists that begin at 1, and percentages in order.
  v_by := array(select b.name from unnest(p_by) with ordinality as b (name, n) order by b.n);
  v_alert_at := array(select a.percentage from unnest(p_alert_at) as a (percentage) order by 1);
  v_terms := jsonb_build_object(
    'limit_id', p_limit_id, 'amount', p_amount, 'per', p_per, 'by', v_by, 'of', p_of,
    'time_zone', p_time_zone, 'hard', p_hard, 'alert_at', v_alert_at
  );
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'limit_set', p_idempotency_key, p_metadata => p_metadata, p_details => v_terms
  ));
  if v_receipt.replayed then
    return v_receipt;
  end if;

  perform baseledger._refuse_closed(p_wallet_id);
  select * into v_limit from baseledger.limits l
    where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id;
  if found then
    v_field := baseledger._find_changed_term(to_jsonb(v_limit), v_terms);
    if v_field is not null then
      perform baseledger._raise('LGARG', baseledger._describe_argument(v_field));
    end if;
    update baseledger.limits l
      set amount = p_amount,
        hard = p_hard,
        alert_at = v_alert_at
      where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id;
    return v_receipt;
  end if;

  if (select count(*) from baseledger.limits l where l.wallet_id = p_wallet_id) >= 32 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit_id'));
  end if;
  insert into baseledger.limits (
      wallet_id, limit_id, amount, per, by, of, time_zone, hard, alert_at, set_at, set_seq,
      starts_at, ends_at, counted_until
    )
    select p_wallet_id, p_limit_id, p_amount, p_per, v_by, p_of, p_time_zone, p_hard, v_alert_at,
        e.set_at, e.seq, lower(e.period), upper(e.period), upper(e.period)
      from (
        select l.seq, i.set_at, baseledger._window(p_per, p_time_zone, i.set_at) as period
          from baseledger.events l
          cross join lateral (
            select baseledger._event_clock(l.occurred_at, l.details) offset 0
          ) as i (set_at)
          where l.wallet_id = p_wallet_id and l.seq = v_receipt.seq
          offset 0
      ) as e;
  perform baseledger._count_held(p_wallet_id, p_limit_id);
  update baseledger.wallets w set limited = true where w.wallet_id = p_wallet_id;
  return v_receipt;
end
$$;

comment on function baseledger.set_limit is
  e'Sets how much a wallet may use in a window, as a whole or for each combination of values of '
  'some labels: a reservation, a larger hold or a charge that would go above it is refused with '
  'LGLIM. Used is what the events of the window have spent, and what is held now, whenever it was '
  'opened. Counts from now on. Set again, the amount, p_hard and p_alert_at change, and counters '
  'go on; the rest cannot change. At most 32 limits a wallet. The key is optional: a retry with '
  'the same key gets the first receipt; each call without one is an event. Refused with LGARG, '
  'LGWNF, LGIDK, LGCLO.'
  '\np_limit_id: Name of the limit in its wallet.'
  '\np_amount: In the wallet''s smallest step, or how many calls or open reservations; 0 = '
  'nothing. Null, for a limit by labels: only combinations with an amount of their own '
  '(set_limit_for) are limited. @nullable'
  '\np_per: The window: minute, hour, day, week (from Monday), month, year or ever.'
  '\np_by: Names of labels, at most 4: each combination of their values has the amount. Labels are '
  'strings of 1 to 255 bytes in the metadata of a reservation or charge; others count as empty. '
  'Default: none, the wallet as a whole.'
  '\np_of: amount; calls: reservations and charges opened in the window; open: reservations open '
  'now (per ever only).'
  '\np_time_zone: Where days, weeks, months and years begin: UTC or an Area/City of '
  'pg_timezone_names.'
  '\np_hard: False: nothing is refused, it only alerts.'
  '\np_alert_at: Percentages of the amount, 1 to 1000, at most 10: an alert when that much is '
  'spent in the window. Default: none.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.set_limit from public;
grant execute on function baseledger.set_limit to baseledger_operator;
--! EndIncluded functions/limits/set_limit.sql
--! Included functions/limits/set_limit_for.sql
-- Sets or takes back one combination's own amount. Locks the wallet's row. What the event may still
-- be refused for is looked at after it was written, so that a retry gets its receipt whatever has
-- changed since.
create or replace function baseledger.set_limit_for(
  p_wallet_id text,
  p_limit_id text,
  p_values text[],
  p_amount bigint,
  p_idempotency_key text default null,
  p_metadata jsonb default '{}'
)
returns baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_values text[];
  v_limit baseledger.limits;
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only(
    'baseledger.set_limit_for(text,text,text[],bigint,text,jsonb)'
  );
  perform baseledger._require_id('wallet_id', p_wallet_id);
  perform baseledger._require_id('limit_id', p_limit_id);
  if p_values is null
    or array_ndims(p_values) > 1
    or cardinality(p_values) not between 1 and 4
    or exists (
      select from unnest(p_values) as v (value)
        where v.value is null or octet_length(v.value) > 255
    )
  then
    perform baseledger._raise('LGARG', baseledger._describe_argument('values'));
  end if;
  if p_amount < 0 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('amount'));
  end if;
  -- As a list that begins at 1.
  v_values := array(
    select v.value from unnest(p_values) with ordinality as v (value, n) order by v.n
  );
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'limit_set_for', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('limit_id', p_limit_id, 'values', v_values, 'amount', p_amount)
  ));
  if v_receipt.replayed then
    return v_receipt;
  end if;

  perform baseledger._refuse_closed(p_wallet_id);
  select * into v_limit from baseledger.limits l
    where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id;
  if not found then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit_id'));
  elsif cardinality(v_values) <> cardinality(v_limit."by") then
    perform baseledger._raise('LGARG', baseledger._describe_argument('values'));
  end if;
  update baseledger.counters c
    set own_amount = p_amount
    where c.wallet_id = p_wallet_id
      and c.limit_id = p_limit_id
      and c.label_values = v_values;
  if not found and p_amount is not null then
    -- What there is no counter of has spent nothing. Without a window, as the one on record may
    -- have come back: its next command looks.
    insert into baseledger.counters (
        wallet_id, limit_id, label_values, own_amount, spent, held, starts_at, ends_at
      )
      values (
        p_wallet_id, p_limit_id, v_values, p_amount, 0, 0, '-infinity',
        case v_limit.per when 'ever' then timestamptz 'infinity' else '-infinity' end
      );
  end if;
  return v_receipt;
end
$$;

comment on function baseledger.set_limit_for is
  e'Gives one combination of values of a limit''s labels an amount of its own, in place of the '
  'limit''s; null takes it back. What it has used counts on. The key is optional: a retry with the '
  'same key gets the first receipt; each call without one is an event. Refused with LGARG, LGWNF, '
  'LGIDK, LGCLO.'
  '\np_limit_id: Name of the limit in its wallet.'
  '\np_values: A value for each label of the limit, in its order; the empty text is the value of '
  'whatever has no such label.'
  '\np_amount: As in set_limit; null = that of the limit. @nullable'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.set_limit_for from public;
grant execute on function baseledger.set_limit_for to baseledger_operator;
--! EndIncluded functions/limits/set_limit_for.sql
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
    when p_field = 'amount' then 'must be a whole number above 0 (for settle and limits, 0 is '
      'allowed; a limit by labels may have none), in the wallet''s smallest step, up to '
      '9223372036854775807'
    when p_field = 'limit_id' then 'must be a limit of this wallet; or, to set one of at most 32, '
      '1 to 255 characters, the first and the last of them visible'
    when p_field = 'at_least' then 'must be a whole number from 1 up to the amount'
    when p_field = 'ttl' then 'must be an interval from 1 second to 30 days'
    when p_field = 'metadata' then 'must be a JSON object of at most 16 KiB'
    when p_field = 'reason' then 'must be 1 to 1000 characters and not blank'
    when p_field = 'scale' then 'must be from 0 to 18'
    when p_field = 'overdraft_limit' then 'must be null or a whole number of at least 0'
    when p_field in ('final', 'already_spent', 'restricted', 'hard', 'frozen', 'closed')
      then 'must be true or false'
    when p_field = 'role' then 'must be a role of this server, or to disallow it, one with a grant'
    when p_field = 'labels'
      then 'must be a JSON object of at most 16 strings, names and values of 1 to 255 bytes'
    when p_field = 'free_labels'
      then 'must be at most 16 names of labels, of 1 to 255 bytes each; {*} for all'
    when p_field = 'key_id' then 'must be a key of this wallet that is not revoked'
    when p_field = 'expires_at' then 'must be a time after now, or null'
    when p_field = 'per' then 'must be minute, hour, day, week, month, year or ever; it cannot '
      'change while the limit exists'
    when p_field = 'by' then 'must be at most 4 different names of labels, of 1 to 255 bytes each; '
      'it cannot change while the limit exists'
    when p_field = 'of' then 'must be amount, calls, or (per ever, without alerts) open; it cannot '
      'change while the limit exists'
    when p_field = 'time_zone' then 'must be UTC or an Area/City of pg_timezone_names; it cannot '
      'change while the limit exists'
    when p_field = 'alert_at' then 'must be at most 10 different percentages from 1 to 1000, and '
      'none where open reservations are limited'
    when p_field = 'values'
      then 'must be a text of at most 255 bytes for each label of the limit, which has labels'
    when p_field = 'amounts' then 'must be at most 10 different whole numbers of at least 1'
    when p_field in ('prefix', 'after') then 'must be a text'
    when p_field = 'op' then 'must be a string'
    when p_field = 'commands' then 'must be a JSON array of at most 10,000 objects'
    when p_field = 'at' then 'must be a time'
    when p_field = 'limit' then 'must be from 1 to 100,000'
    when p_field = 'url' then 'must be an http or https address without credentials, of at most '
      '2048 characters'
    when p_field = 'events' then 'must name some of limit and low_balance'
    when p_field = 'allow_private' then 'must be true or false'
    when p_field = 'webhook_id' then 'must name a webhook that was not removed'
    when p_field = 'webhooks' then 'must not be more than 16 for a wallet, or 16 for all wallets'
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
    when 'LGFRZ', 'LGCLO' then
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
    when p_idempotency_key is null and p_op in (
        'reserve', 'settle', 'cancel', 'extend', 'charge', 'credit', 'withdraw', 'refund',
        'transfer_out'
      )
      or baseledger._is_ambiguous_name(p_idempotency_key)
      or pg_catalog.octet_length(p_idempotency_key) > 255
        and pg_catalog.length(p_idempotency_key) > 255
      then 'idempotency_key'
    when p_reservation_id is null
        and p_op in ('reserve', 'settle', 'cancel', 'extend', 'charge', 'refund')
      or case when p_op in ('reserve', 'charge')
        then baseledger._is_ambiguous_name(p_reservation_id)
        else pg_catalog.btrim(p_reservation_id, E' \t\r\n') = ''
      end
      or pg_catalog.octet_length(p_reservation_id) > 255
        and pg_catalog.length(p_reservation_id) > 255
      then 'reservation_id'
    when p_amount < 1 and (p_amount < 0 or p_op <> 'settle')
      or p_amount is null and p_op in (
        'reserve', 'settle', 'charge', 'credit', 'withdraw', 'refund', 'transfer_out', 'transfer_in'
      )
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
      -- The same, whether or not there is such a wallet.
      v_message := format(
        'wallet not found, or not open to %s: %s',
        coalesce(nullif(current_setting('role'), 'none'), session_user), p_detail ->> 'wallet_id'
      );
      v_hint := 'Check the id, and baseledger.key if you use one. An operator opens a wallet with '
        'baseledger.open_wallet, and a restricted one to others with baseledger.allow.';
    when 'LGBSY' then
      v_message := format('wallet is busy: %s', p_detail ->> 'wallet_id');
      v_hint := 'Another session has locked it: send the command again, or with post, which waits.';
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
    when 'LGLIM' then
      v_message := format(
        'limit %s reached: %s asked for, %s of %s used',
        p_detail ->> 'limit_id', p_detail ->> 'requested', p_detail ->> 'used',
        p_detail ->> 'amount'
      );
      v_hint := case
        when p_detail ->> 'reason' = 'held'
          then 'Open reservations hold what is missing: retry when one has ended.'
        when p_detail ->> 'resets_at' is not null
          then 'Retry in the next window, or ask for less.'
        else 'Ask for less; an operator changes the limit with baseledger.set_limit.'
      end;
    when 'LGIDK' then
      v_message := case p_detail ->> 'field'
        -- The key belongs to another caller: the message has no details of the event.
        when 'idempotency_key' then 'idempotency key already in use'
        else format(
          'idempotency key reused with another %s: stored %s, given %s',
          p_detail ->> 'field', coalesce(p_detail ->> 'stored', 'none'),
          coalesce(p_detail ->> 'given', 'none')
        )
      end;
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
      v_hint := 'Credit the wallet, then send the command again.';
    when 'LGOVF' then
      v_message := 'balance out of range';
      v_hint := 'Balances are 64-bit counts of the smallest step: use a smaller scale or amount.';
    when 'LGFRZ' then
      v_message := format('wallet is frozen: %s', p_detail ->> 'wallet_id');
      v_hint := 'Settling, cancelling and crediting go on; unfreeze_wallet ends it.';
    when 'LGCLO' then
      v_message := format('wallet is closed: %s', p_detail ->> 'wallet_id');
      v_hint := 'What is open can be ended, and funds withdrawn; reopen_wallet opens it again.';
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
--! Included functions/refusals/_raise_wallet_not_found.sql
-- Refuses a wallet id that no wallet has, or none that the caller may use; as an invalid argument
-- if no wallet can have it.
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
--! Included functions/refusals/_refuse_closed.sql
-- Refuses what a closed wallet gets no more. The caller has its lock.
create or replace function baseledger._refuse_closed(p_wallet_id text)
returns void
language plpgsql
volatile
as $$
begin
  if (select w.closed from baseledger.wallets w where w.wallet_id = p_wallet_id) then
    perform baseledger._raise('LGCLO', jsonb_build_object('wallet_id', p_wallet_id));
  end if;
end
$$;

revoke all on function baseledger._refuse_closed from public;
--! EndIncluded functions/refusals/_refuse_closed.sql
--! Included functions/reservations/charge.sql
-- Spends at once. Locks the wallet's row.
create or replace function baseledger.charge(
  p_wallet_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_reservation_id text default null,
  p_metadata jsonb default '{}',
  p_already_spent boolean default false
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
    p_metadata => p_metadata,
    p_details => case when p_already_spent then '{"already_spent": true}'::jsonb end
  ));
end
$$;

comment on function baseledger.charge is
  e'Spends p_amount (above 0) at once, when the cost is known already. Leaves a reservation that '
  'is settled from the start, named p_reservation_id or else the idempotency key, so that it can '
  'be looked up and refunded. A retry with the same key gets the first receipt. Refused with '
  'LGARG, LGWNF, LGIDK, LGRID, LGCLO, LGFRZ, LGNSF, LGLIM, LGOVF; with p_already_spent with LGOVD '
  'in place of LGCLO, LGFRZ, LGNSF and LGLIM.'
  '\np_reservation_id: Name of the reservation that it leaves. Default: the idempotency key.'
  '\np_already_spent: Whether the cost has arisen already, without a hold, so that it must be '
  'booked: past limits, a freeze and a closing, down to the overdraft limit. Default: false.';
revoke all on function baseledger.charge from public;
grant execute on function baseledger.charge to baseledger_agent, baseledger_operator;
--! EndIncluded functions/reservations/charge.sql
--! Included functions/reservations/reservation.sql
-- Looks up a reservation. Takes no lock; a stable function has one snapshot.
create or replace function baseledger.reservation(p_wallet_id text, p_reservation_id text)
returns baseledger.reservation_state
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
  v_restricted boolean;
  v_instant timestamptz;
  v_life record;
  v_end record;
begin
  select w.restricted, baseledger._deadline_clock(v_clock, w.last_event_at)
    into v_restricted, v_instant
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id
      and (not w.restricted or baseledger._may_read(p_wallet_id));
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  perform baseledger._require_id('reservation_id', p_reservation_id);

  select
      min(l.seq) as opened_seq,
      max(l.seq) filter (where l.event <> 'refunded') as last_seq,
      sum(l.amount) filter (where l.event in ('reserved', 'extended', 'charged')) as amount,
      coalesce(sum(l.amount) filter (where l.event in ('settled', 'charged')), 0) as settled,
      coalesce(sum(l.amount) filter (where l.event = 'refunded'), 0) as refunded,
      max(l.expires_at) filter (where l.event = 'expired') as expired_at,
      coalesce(bool_or(l.details @> '{"late": true}'), false) as late
    into v_life
    from (
      -- A range of one value in the order of its index, for the planner's sake: see _execute.
      select * from baseledger.events e
        where e.wallet_id = p_wallet_id
          and e.reservation_id between p_reservation_id and p_reservation_id
        order by e.reservation_id
        offset 0
    ) as l;
  if v_life.opened_seq is null
    or v_restricted and not baseledger._is_own(
      p_wallet_id, baseledger._find_reader(p_wallet_id), p_reservation_id
    )
  then
    perform baseledger._raise('LGRNF', jsonb_build_object('reservation_id', p_reservation_id));
  end if;

  -- As it stands on record, and by deadline.
  select e.event, e.occurred_at, r.held, r.expires_at,
      case
        when r.expires_at > v_instant then 'open'
        when r.expires_at is not null
          or e.event = 'expired'
          or e.event = 'settled' and e.details @> '{"late": true, "final": false}'
          then 'expired'
        when e.event = 'cancelled' then 'cancelled'
        else 'settled'
      end as status
    into v_end
    from baseledger.events e
    left join baseledger.reservations r
      on r.wallet_id = p_wallet_id and r.reservation_id = p_reservation_id
    where e.wallet_id = p_wallet_id and e.seq = v_life.last_seq;
  return (
    select row(
        p_wallet_id, p_reservation_id, v_end.status, v_life.amount,
        case when v_end.status = 'open' then v_end.held else 0 end,
        v_life.settled, v_life.refunded,
        case v_end.status
          when 'open' then v_end.expires_at
          when 'expired' then coalesce(v_life.expired_at, v_end.expires_at)
        end,
        o.occurred_at,
        case v_end.status
          when 'open' then null
          when 'expired' then coalesce(v_life.expired_at, v_end.expires_at)
          else v_end.occurred_at
        end,
        case v_end.status when 'open' then null when 'expired' then 'expired' else v_end.event end,
        v_life.late, o.metadata, coalesce(o.details -> 'labels', o.metadata)
      )::baseledger.reservation_state
      from baseledger.events o
      where o.wallet_id = p_wallet_id and o.seq = v_life.opened_seq
  );
end
$$;

comment on function baseledger.reservation is
  'How a reservation stands now: open, expired (its deadline has passed, whether or not a worker '
  'has swept it), settled (also late) or cancelled; what it was granted, holds, has settled and had '
  'refunded, in the wallet''s smallest step; how and when it ended, and what it was opened with. A '
  'charge left one that is settled. Refused with LGARG, LGWNF, LGRNF.';
revoke all on function baseledger.reservation from public;
grant execute on function baseledger.reservation
  to baseledger_agent, baseledger_operator, baseledger_auditor;
--! EndIncluded functions/reservations/reservation.sql
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
    where w.wallet_id = p_wallet_id
      and (not w.restricted or baseledger._may_read(p_wallet_id));
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
--! Included functions/wallets/close_wallet.sql
-- Closes a wallet for all that is new. Locks the wallet's row.
create or replace function baseledger.close_wallet(
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
declare
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only('baseledger.close_wallet(text,text,text,jsonb)');
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'closed', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('reason', p_reason)
  ));
  if not v_receipt.replayed then
    update baseledger.wallets w set closed = true where w.wallet_id = p_wallet_id;
  end if;
  return v_receipt;
end
$$;

comment on function baseledger.close_wallet is
  e'Closes a wallet: from now on no new reservations, larger holds, charges, credits or transfers '
  'into it. Reservations can be settled, late ones too, cancelled and extended, charges refunded, '
  'and funds withdrawn or transferred out; list_wallets leaves it out unless asked. p_reason (1 to '
  '1000 characters) goes on record. The key is optional: a retry with the same key gets the first '
  'receipt; each call without one is an event, the wallet just stays closed. Refused with LGARG, '
  'LGWNF, LGIDK.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.close_wallet from public;
grant execute on function baseledger.close_wallet to baseledger_operator;
--! EndIncluded functions/wallets/close_wallet.sql
--! Included functions/wallets/list_wallets.sql
-- The wallets, a page at a time.
--
-- Planned for the prefix that is asked for, so that the index finds where it begins and ends.
create or replace function baseledger.list_wallets(
  p_prefix text default '',
  p_unit text default null,
  p_frozen boolean default null,
  p_closed boolean default false,
  p_after text default null,
  p_limit integer default 100
)
returns setof baseledger.listed_wallet
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  end if;
  return query
    select b.wallet_id, b.unit::text, b.scale::smallint, b.available, b.reserved, b.spent,
        b.overdraft_limit::bigint, b.frozen, b.seq, b.last_event_at, b.ahead_by, b.restricted,
        b.closed, b.limited
      from baseledger.wallet_balances b
      where b.wallet_id ^@ coalesce(p_prefix, '')
        and (p_after is null or b.wallet_id > p_after)
        and (p_unit is null or b.unit = p_unit)
        and (p_frozen is null or b.frozen = p_frozen)
        and (p_closed is null or b.closed = p_closed)
      order by b.wallet_id
      limit p_limit;
end
$$;

comment on function baseledger.list_wallets is
  e'The wallets with their balances now, in the order of their ids (byte by byte), a page at a '
  'time: the id of the last one is p_after of the next page. Refused with LGARG.'
  '\np_prefix: Only those whose id begins so. Default: all.'
  '\np_unit: Only those of this unit. Default: all.'
  '\np_frozen: Only frozen ones, or only others. Default: both.'
  '\np_closed: Only closed ones, or only others; null = both. Default: only others.'
  '\np_after: Only ids after this one. Default: from the first.'
  '\np_limit: How many at most, 1 to 100,000. Default: 100.';
revoke all on function baseledger.list_wallets from public;
grant execute on function baseledger.list_wallets to baseledger_operator, baseledger_auditor;
--! EndIncluded functions/wallets/list_wallets.sql
--! Included functions/wallets/open_wallet.sql
-- Opens a wallet. A second opening finds the first and compares the terms.
create or replace function baseledger.open_wallet(
  p_wallet_id text,
  p_unit text default 'USD',
  p_scale integer default 9,
  p_overdraft_limit bigint default null,
  p_metadata jsonb default '{}',
  p_restricted boolean default false
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
  ) || case when p_restricted then '{"restricted": true}' else '{}' end::jsonb;
  v_event baseledger.events;
  v_difference jsonb;
begin
  perform baseledger._require_operators_only(
    'baseledger.open_wallet(text,text,integer,bigint,jsonb,boolean)'
  );
  perform baseledger._require_id('wallet_id', p_wallet_id);
  perform baseledger._require_id('unit', p_unit);
  if p_scale is null or p_scale not between 0 and 18 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('scale'));
  end if;
  if p_overdraft_limit < 0 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('overdraft_limit'));
  end if;
  if p_restricted is null then
    perform baseledger._raise('LGARG', baseledger._describe_argument('restricted'));
  end if;

  if baseledger._find_invalid_field(
    'open', null, null, null, null, null, coalesce(p_metadata, '{}'), null
  ) is not null then
    perform baseledger._raise('LGARG', baseledger._describe_argument('metadata'));
  end if;

  insert into baseledger.wallets
    (wallet_id, unit, scale, overdraft_limit, restricted, hash, last_event_at)
    values (
      p_wallet_id, p_unit, p_scale, p_overdraft_limit, p_restricted,
      decode(repeat('00', 32), 'hex'), '-infinity'
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
  v_difference := baseledger._compare_requests(
    '{"restricted": false}'::jsonb || v_event.details, '{"restricted": false}'::jsonb || v_terms
  );
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
  e'Opens a wallet for amounts counted in the smallest step of p_unit: p_scale (0 to 18) decimal '
  'digits, so 9 for USD means nano-dollars. Settlements may take available down to '
  '-p_overdraft_limit; null = without limit, 0 = never below zero. Any agent may use a wallet that '
  'is not restricted. Idempotent by id: opened again on the terms that it was first opened on, it '
  'returns the first receipt with replayed = true (metadata stays as it was). Refused with LGARG, '
  'and LGIDK when unit, scale, overdraft limit or p_restricted differ.'
  '\np_restricted: Whether only operators may use it, and those whom allow and create_key let.';
revoke all on function baseledger.open_wallet from public;
grant execute on function baseledger.open_wallet to baseledger_operator;
--! EndIncluded functions/wallets/open_wallet.sql
--! Included functions/wallets/receipt.sql
-- Looks up what has become of a command. Takes no lock; a stable function has one snapshot.
create or replace function baseledger.receipt(p_wallet_id text, p_idempotency_key text)
returns setof baseledger.receipt
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
  v_restricted boolean;
  v_event baseledger.events;
begin
  select w.restricted into v_restricted
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id
      and (not w.restricted or baseledger._may_read(p_wallet_id));
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  perform baseledger._require_id('idempotency_key', p_idempotency_key);
  select * into v_event
    from baseledger.events e
    where e.wallet_id = p_wallet_id
      and e.idempotency_key between p_idempotency_key and p_idempotency_key
    order by e.idempotency_key
    limit 1;
  if found and (
    not v_restricted
    or baseledger._owns_key(
      p_wallet_id, baseledger._find_reader(p_wallet_id), p_idempotency_key
    )
  ) then
    return next row(
      v_event.wallet_id, v_event.seq, v_event.event, v_event.reservation_id, v_event.amount,
      v_event.available, v_event.reserved, v_event.spent, v_event.expires_at,
      v_event.occurred_at, v_event.idempotency_key, true, null, null
    )::baseledger.receipt;
  end if;
end
$$;

comment on function baseledger.receipt is
  e'What has become of a command: its receipt, as a retry would get it, or no row if none was '
  'carried out under this key (yet: an attempt whose answer was lost may still be under way), or '
  'none that the caller may see. Refused with LGARG, LGWNF.'
  '\np_idempotency_key: The caller''s name for the command.';
revoke all on function baseledger.receipt from public;
grant execute on function baseledger.receipt
  to baseledger_agent, baseledger_operator, baseledger_auditor;
--! EndIncluded functions/wallets/receipt.sql
--! Included functions/wallets/reopen_wallet.sql
-- Ends a closing. Locks the wallet's row.
create or replace function baseledger.reopen_wallet(
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
declare
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only('baseledger.reopen_wallet(text,text,text,jsonb)');
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'reopened', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('reason', p_reason)
  ));
  if not v_receipt.replayed then
    update baseledger.wallets w set closed = false where w.wallet_id = p_wallet_id;
  end if;
  return v_receipt;
end
$$;

comment on function baseledger.reopen_wallet is
  e'Opens a closed wallet again. p_reason (1 to 1000 characters) goes on record. The key is '
  'optional: a retry with the same key gets the first receipt; each call without one is an event, '
  'the wallet just stays open. Refused with LGARG, LGWNF, LGIDK.'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.reopen_wallet from public;
grant execute on function baseledger.reopen_wallet to baseledger_operator;
--! EndIncluded functions/wallets/reopen_wallet.sql
--! Included functions/wallets/set_overdraft_limit.sql
-- Changes a wallet's overdraft limit. Locks the wallet's row. The debt is looked at after the
-- event: what was due has then expired, but for a backlog.
create or replace function baseledger.set_overdraft_limit(
  p_wallet_id text,
  p_overdraft_limit bigint,
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
declare
  v_receipt baseledger.receipt;
  v_available bigint;
begin
  perform baseledger._require_operators_only(
    'baseledger.set_overdraft_limit(text,bigint,text,jsonb)'
  );
  if p_overdraft_limit < 0 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('overdraft_limit'));
  end if;
  v_receipt := baseledger._execute_single(p_wallet_id, baseledger._make_command(
    'overdraft_limit_set', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('overdraft_limit', p_overdraft_limit)
  ));
  if v_receipt.replayed then
    return v_receipt;
  end if;

  if v_receipt.available < -p_overdraft_limit then
    v_available := v_receipt.available + baseledger._sum_backlog(
      p_wallet_id, baseledger._deadline_clock(clock_timestamp(), v_receipt.occurred_at)
    );
    if v_available < -p_overdraft_limit then
      perform baseledger._raise('LGOVD', jsonb_build_object(
        'requested', null, 'available', v_available, 'would_be', v_available,
        'overdraft_limit', p_overdraft_limit
      ));
    end if;
  end if;
  update baseledger.wallets w
    set overdraft_limit = p_overdraft_limit
    where w.wallet_id = p_wallet_id;
  return v_receipt;
end
$$;

comment on function baseledger.set_overdraft_limit is
  e'Sets how far below zero settlements may take available: not above the debt that there is. The '
  'key is optional: a retry with the same key gets the first receipt; each call without one is an '
  'event. Refused with LGARG, LGWNF, LGIDK, LGOVD (available is below the new limit).'
  '\np_overdraft_limit: How far below zero; 0 = not at all, null = without limit. @nullable'
  '\np_idempotency_key: The caller''s name for the command. Default: none.';
revoke all on function baseledger.set_overdraft_limit from public;
grant execute on function baseledger.set_overdraft_limit to baseledger_operator;
--! EndIncluded functions/wallets/set_overdraft_limit.sql
--! Included views/alerts.sql
-- What was raised, and what has become of it at each webhook.
create or replace view baseledger.alerts as
select
  a.wallet_id,
  a.seq,
  a.number,
  a.occurred_at,
  a.kind,
  a.threshold,
  a.limit_id,
  a.label_values,
  a.amount,
  a.value,
  a.starts_at,
  a.ends_at,
  d.webhook_id,
  coalesce(d.state, 'none') as state,
  coalesce(d.attempts, 0) as attempts,
  d.last_error,
  d.ended_at
from baseledger.raised_alerts a
left join baseledger.deliveries d
  on d.wallet_id = a.wallet_id and d.seq = a.seq and d.number = a.number;

comment on view baseledger.alerts is
  'Each alert, once for each webhook that there was when it was raised: a limit was used up to a '
  'percentage (threshold) of its amount, or available + reserved (value) fell below an amount. '
  'state says what has become of it: none (no webhook), pending, sent, failed (given up after a '
  'day, see last_error), or suppressed (there were too many; the next one that is sent says how '
  'many).';
revoke all on baseledger.alerts from public;
grant select on baseledger.alerts to baseledger_auditor;
--! EndIncluded views/alerts.sql
--! Included views/wallet_access.sql
-- Who may use restricted wallets: grants and keys, of all wallets.
create view baseledger.wallet_access as
select
  g.wallet_id,
  g.role_name,
  null::text collate "C" as key_id,
  g.labels,
  g.free_labels,
  g.granted_at as since,
  null::timestamptz as expires_at,
  null::timestamptz as revoked_at
from baseledger.grants g
union all
select
  k.wallet_id,
  null,
  k.key_id,
  k.labels,
  k.free_labels,
  k.created_at,
  k.expires_at,
  k.revoked_at
from baseledger.keys k;

comment on view baseledger.wallet_access is
  'Who may use restricted wallets: one row for each role that was allowed to, and for each key, '
  'revoked and expired ones included, with the labels that are fixed for it and those that it '
  'chooses itself. Operators may use all of them.';
revoke all on baseledger.wallet_access from public;
grant select on baseledger.wallet_access to baseledger_auditor;
--! EndIncluded views/wallet_access.sql
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
  end as ahead_by,
  w.restricted,
  w.closed,
  w.limited,
  w.low_balances
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
comment on column baseledger.wallet_balances.restricted is
  'Only those may use it who have a grant or a key.';
comment on column baseledger.wallet_balances.closed is
  'Nothing new may be reserved, charged or credited.';
comment on column baseledger.wallet_balances.limited is 'It has limits.';
comment on column baseledger.wallet_balances.low_balances is
  'Amounts that alert when available + reserved falls below them.';
revoke all on baseledger.wallet_balances from public;
grant select on baseledger.wallet_balances to baseledger_auditor;
--! EndIncluded views/wallet_balances.sql
