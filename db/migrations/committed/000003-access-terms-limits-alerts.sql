--! Previous: sha1:ab14cc40c0fe1b460131b8f059b2a22e9544fa8b
--! Hash: sha1:8b5d55938f5f6f77c4cddf78a26c79e9035f26cb
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
          '{balance,cancel,charge,extend,post,post_many,reserve,settle}'),
        ('function', 'EXECUTE', 'baseledger_operator',
          '{balance,cancel,charge,extend,post,post_many,reserve,settle,
            balance_at,credit,freeze_wallet,open_wallet,post_funds,refund,statement,transfer,
            unfreeze_wallet,withdraw,doctor,sweep_status,wallets_ahead,
            add_webhook,alert_counts,list_webhooks,remove_webhook}'),
        ('function', 'EXECUTE', 'baseledger_auditor',
          '{balance,balance_at,statement,verify,verify_rights,doctor,sweep_status,wallets_ahead,
            alert_counts,list_webhooks}'),
        ('function', 'EXECUTE', 'baseledger_worker',
          '{expire_due,next_due,sweep_status,wallets_ahead,
            alert_counts,finish_delivery,limit_metrics,queue_deliveries,start_delivery,
            wallet_metrics}'),
        ('view', 'SELECT', 'baseledger_auditor',
          '{alerts,journal,open_reservations,postings,reservation_history,wallet_balances}')
    ) as r (kind, privilege, grantee, names)
    cross join lateral pg_catalog.unnest(r.names) as n (name)
$$;

revoke all on function baseledger._expected_rights from public;
--! EndIncluded functions/access/_expected_rights.sql
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
