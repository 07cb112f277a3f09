--! Previous: sha1:756871d90ace4cec55d7cb58bb2e619831a747aa
--! Hash: sha1:7d12f0ea96bedf6570cd0b3775777328bffa071c
--! Message: Prices and usage

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
  'p_usage: What the call uses, or has used: {"model": "openai/gpt-5", "input": 1200, "output": 512}. '
  'The ledger prices it by its catalogue. @type(Usage)\n'
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
-- Functions are created in the order of their files, some before those that they call.
set local check_function_bodies = off;
-- New arguments; new columns of what private functions return.
drop function baseledger.reserve(text, bigint, text, interval, text, bigint, jsonb);
drop function baseledger.settle(text, text, bigint, text, boolean, jsonb);
drop function baseledger.charge(text, bigint, text, text, jsonb, boolean);
drop function baseledger._execute(text, baseledger._command[], integer, boolean, text[]);
drop function baseledger._execute_single(text, baseledger._command);
drop function baseledger._execute_batch(text, baseledger._command[]);
drop function baseledger._lock_guarded(text, baseledger._command[]);
drop function baseledger._parse_commands(jsonb, boolean);
drop function baseledger._parse_several(jsonb);
drop function baseledger._find_opening(text, text);
drop function baseledger._what_it_adds(text, text, bigint);
drop function baseledger._what_it_spends(text, text, bigint);
drop function baseledger._what_it_holds(text, text, bigint, jsonb);
drop function baseledger._choose_obstacle(
  text, timestamptz, text, bigint, bigint, bigint, baseledger._counter[], integer[],
  baseledger._hold[]
);
drop function baseledger._spread_counters(baseledger._counter[]);
-- Calls under way fail with 42846 or 42804, which clients retry.
alter type baseledger._command add attribute usage jsonb;
drop function baseledger._make_command(
  text, text, text, bigint, bigint, interval, boolean, jsonb, jsonb
);
drop function baseledger._find_invalid_field(
  text, text, text, bigint, bigint, interval, jsonb, jsonb
);
drop function baseledger._read_commands(jsonb, boolean, boolean);
-- More events have details.
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
-- Limits count tokens, too.
comment on column baseledger.limits.amount is
  'In the wallet''s smallest step, or a number of tokens, calls or open reservations; null: only '
  'combinations with an amount of their own are limited.';
comment on type baseledger.limit_use is
  'What a combination of values of a limit''s labels has used now. Amounts are in the wallet''s '
  'smallest step, or numbers of tokens, calls or open reservations.';
comment on column baseledger.limit_metric.of is
  'What it counts: amount, tokens, calls or open. @notNull';
comment on column baseledger.limit_use.of is
  'What is counted: amount, tokens, calls (opened in the window) or open (reservations). @notNull';
--! Included schema/types/_price.sql
-- The row of the catalogue that counts for usage of a model, and for what else it counts.
--   since, until        instants
--   above, until_above  tokens of input: more than the one, at most the other; null: any number
--   kinds, rates        of each kind, 10^-15 of the currency for one
--   details             of an event, but for the usage
create type baseledger._price as (
  price_id bigint,
  model text,
  variant text,
  since timestamptz,
  until timestamptz,
  above bigint,
  until_above bigint,
  currency text,
  kinds text[],
  rates numeric[],
  details jsonb
);
--! EndIncluded schema/types/_price.sql
--! Included schema/types/_priced_usage.sql
-- What usage costs in a wallet, or why it has no price.
--   model            provider/model, an alias resolved
--   refused, detail  LGARG or LGPRC
create type baseledger._priced_usage as (
  price_id bigint,
  model text,
  cost bigint,
  refused text,
  detail jsonb
);
--! EndIncluded schema/types/_priced_usage.sql
--! Included schema/types/price.sql
-- A row of the catalogue of prices: those of the view prices.
create type baseledger.price as (
  price_id bigint,
  model text,
  variant text,
  above bigint,
  valid_from timestamptz,
  rates jsonb,
  currency text,
  context_window bigint,
  max_output bigint,
  alias_of text,
  source text,
  added_at timestamptz,
  added_by text
);
comment on type baseledger.price is 'What a model costs from an instant on; or an alias of a model.';
comment on column baseledger.price.price_id is 'Its number; later ones were added later. @notNull';
comment on column baseledger.price.model is 'The model, as provider/model; or the alias. @notNull';
comment on column baseledger.price.variant is
  'standard, flex, batch, priority …; null for an alias, which stands for all of them.';
comment on column baseledger.price.above is
  'The row holds for the whole request when its kinds of input together exceed so many tokens; 0 = '
  'for every request. @notNull';
comment on column baseledger.price.valid_from is
  'From when on it holds; -infinity = from ever. @notNull @fromEver';
comment on column baseledger.price.rates is
  'Kind of usage → whole nano-units (10^-9) of the currency per million; null for an alias.';
comment on column baseledger.price.currency is
  'What the rates are in, which a wallet that pays by them has as its unit; null for an alias.';
comment on column baseledger.price.context_window is
  'How many tokens the model takes in one request, input and output together, where known.';
comment on column baseledger.price.max_output is
  'How many tokens it gives in one request at most, where known.';
comment on column baseledger.price.alias_of is 'The model that the alias stands for; else null.';
comment on column baseledger.price.source is 'Where the row comes from, if that was said.';
comment on column baseledger.price.added_at is 'When it was added. @notNull';
comment on column baseledger.price.added_by is 'The role that added it. @notNull';
--! EndIncluded schema/types/price.sql
--! Included schema/types/quote.sql
-- What usage costs.
create type baseledger.quote as (
  amount bigint,
  currency text,
  scale integer,
  model text,
  variant text,
  price_id bigint,
  context_window bigint,
  max_output bigint
);
comment on type baseledger.quote is 'What usage costs, and by which price.';
comment on column baseledger.quote.amount is
  'The cost, rounded up to the smallest step of a wallet of this scale. @notNull';
comment on column baseledger.quote.currency is 'What the amount is in, such as USD. @notNull';
comment on column baseledger.quote.scale is 'Decimal digits of the smallest step. @notNull';
comment on column baseledger.quote.model is 'The model, as provider/model; no alias. @notNull';
comment on column baseledger.quote.variant is 'Its variant. @notNull';
comment on column baseledger.quote.price_id is 'The price that counted. @notNull';
comment on column baseledger.quote.context_window is
  'How many tokens the model takes in one request, input and output together, where known.';
comment on column baseledger.quote.max_output is
  'How many tokens it gives in one request at most, where known.';
--! EndIncluded schema/types/quote.sql
--! Included schema/types/spending_line.sql
-- A row of spending.
create type baseledger.spending_line as (
  starts_at timestamptz,
  label_values text[],
  calls bigint,
  tokens jsonb,
  amount numeric
);
comment on type baseledger.spending_line is
  'What a combination of values of labels has spent, in all or from one instant on.';
comment on column baseledger.spending_line.starts_at is
  'When the hour, day, week or month begins; null without p_per.';
comment on column baseledger.spending_line.label_values is
  'The combination: a value for each label of p_by, empty for what has no such label. @notNull';
comment on column baseledger.spending_line.calls is
  'Reservations and charges that were opened. @notNull';
comment on column baseledger.spending_line.tokens is
  'What usage was reported, by kind: input, output, requests … Empty without any. @notNull';
comment on column baseledger.spending_line.amount is
  'Settled and charged, less refunded, in the wallet''s smallest step. @notNull';
--! EndIncluded schema/types/spending_line.sql
--! Included schema/tables/price_rows.sql
-- What models cost: the catalogue of prices, one for all wallets. Append-only: what a call has cost
-- can be computed again from the row that its event names. Rows are added one transaction after the
-- other, so that price_id is also their order.
--
-- The row that counts for a request is that of _find_price. A row either has rates, or is an alias:
-- a name has the one kind or the other, for ever.
create table baseledger.price_rows (
  price_id bigint not null,
  provider text collate "C" not null,
  model text collate "C" not null,
  variant text collate "C" not null,
  above bigint not null,
  valid_from timestamptz not null,
  rates jsonb,
  currency text,
  context_window bigint,
  max_output bigint,
  alias_of text collate "C",
  source text,
  added_at timestamptz not null,
  added_by text not null,
  constraint price_rows_pkey primary key (price_id)
);

comment on table baseledger.price_rows is
  'What models cost, and aliases of models: append-only. The latest row that is valid counts.';
comment on column baseledger.price_rows.variant is
  'standard, flex, batch, priority …; of an alias the empty text, as it stands for all of them.';
comment on column baseledger.price_rows.above is
  'The row holds for the whole request when its kinds of input together exceed so many tokens.';
comment on column baseledger.price_rows.rates is
  'Kind of usage → whole nano-units (10^-9) of the currency per million.';
comment on column baseledger.price_rows.alias_of is 'provider/model that the name stands for.';
comment on column baseledger.price_rows.source is
  'Where the row comes from, such as the seed of a date; null: an operator has set it.';

create index price_rows_model_idx on baseledger.price_rows
  (provider, model, variant, above, valid_from, price_id);

create trigger price_rows_append_only before update or delete on baseledger.price_rows
  for each row execute function baseledger.tg_events__append_only();
create trigger price_rows_no_truncate before truncate on baseledger.price_rows
  for each statement execute function baseledger.tg_events__append_only();
alter table baseledger.price_rows enable always trigger price_rows_append_only;
alter table baseledger.price_rows enable always trigger price_rows_no_truncate;
--! EndIncluded schema/tables/price_rows.sql
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
            settle,affordable,list_prices,quote,quotes}'),
        ('function', 'EXECUTE', 'baseledger_operator',
          '{balance,cancel,charge,extend,limits,post,post_many,receipt,reservation,reserve,settle,
            allow,balance_at,close_wallet,create_key,credit,disallow,freeze_wallet,list_grants,
            list_keys,list_wallets,open_wallet,post_funds,refund,remove_limit,reopen_wallet,
            revoke_key,set_limit,set_limit_for,set_low_balance,set_overdraft_limit,statement,
            transfer,unfreeze_wallet,withdraw,doctor,sweep_status,wallets_ahead,
            add_webhook,alert_counts,list_webhooks,remove_webhook,
            affordable,list_prices,quote,quotes,set_price,set_prices,spending}'),
        ('function', 'EXECUTE', 'baseledger_auditor',
          '{balance,balance_at,limits,list_grants,list_keys,list_wallets,receipt,reservation,
            statement,verify,verify_rights,doctor,sweep_status,wallets_ahead,alert_counts,
            list_webhooks,affordable,list_prices,quote,quotes,spending}'),
        ('function', 'EXECUTE', 'baseledger_worker',
          '{clear_counters,expire_due,next_due,sweep_status,wallets_ahead,
            alert_counts,finish_delivery,limit_metrics,queue_deliveries,start_delivery,
            wallet_metrics}'),
        ('view', 'SELECT', 'baseledger_agent', '{prices}'),
        ('view', 'SELECT', 'baseledger_operator', '{prices}'),
        ('view', 'SELECT', 'baseledger_auditor',
          '{alerts,costs,journal,open_reservations,postings,prices,reservation_history,
            wallet_access,wallet_balances}'),
        ('view', 'SELECT', 'baseledger_worker', '{prices}')
    ) as r (kind, privilege, grantee, names)
    cross join lateral pg_catalog.unnest(r.names) as n (name)
$$;

revoke all on function baseledger._expected_rights from public;
--! EndIncluded functions/access/_expected_rights.sql
--! Included functions/access/_lock_guarded.sql
-- Locks a wallet that is restricted or closed, or whose commands have usage, which is priced under
-- the lock. If it is restricted, the caller must have access, and his commands get what his access
-- makes of them. Access is looked at before, so that nobody else ever waits for the lock or holds
-- it, and again under it, as it may have been taken back meanwhile. Refuses who may not use the
-- wallet as if there were none.
create or replace function baseledger._lock_guarded(
  p_wallet_id text,
  p_commands baseledger._command[],
  p_priced boolean,
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
  if p_priced then
    commands := baseledger._price_commands(
      p_wallet_id, null, commands, 1, cardinality(commands)
    );
  end if;
end
$$;

revoke all on function baseledger._lock_guarded from public;
--! EndIncluded functions/access/_lock_guarded.sql
--! Included functions/alerts/_encode_alert.sql
-- What a webhook gets: the alert as JSON. Amounts are text, as a number of JSON may lose digits.
-- Numbers of tokens or calls have neither a unit nor decimals.
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
      'unit', case when v_limit.of <> 'amount' then null else v_wallet.unit end,
      'scale', case when v_limit.of <> 'amount' then null else v_wallet.scale end,
      'starts_at', nullif(v_alert.starts_at, '-infinity'),
      'ends_at', nullif(v_alert.ends_at, 'infinity'),
      'suppressed', p_suppressed
    )
  )::text;
end
$$;

revoke all on function baseledger._encode_alert from public;
--! EndIncluded functions/alerts/_encode_alert.sql
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
        baseledger._labels(e.details, e.metadata) as labels,
        baseledger._event_clock(e.occurred_at, e.details) as instant
      from baseledger.events e
      join limited on limited.wallet_id = e.wallet_id
      where e.event in ('reserved', 'charged')
  ),
  -- By combination, what counts: amounts with the opening, which decides whether a refund does.
  counted as (
    select l.wallet_id, l.limit_id, baseledger._label_values(o.labels, l.by) as label_values,
        s.instant,
        case l.of when 'tokens' then baseledger._count_tokens(s.usage) else s.amount end as amount,
        case when s.event = 'refunded' then o.instant end as refund_of
      from l
      join (
        select e.wallet_id, e.seq, e.reservation_id, e.event,
            case when e.event = 'refunded' then -e.amount else e.amount end as amount,
            e.details -> 'usage' as usage,
            baseledger._event_clock(e.occurred_at, e.details) as instant
          from baseledger.events e
          join limited on limited.wallet_id = e.wallet_id
          where e.event in ('settled', 'charged', 'refunded')
      ) as s on s.wallet_id = l.wallet_id and s.seq > l.set_seq
      join opened o on o.wallet_id = s.wallet_id and o.reservation_id = s.reservation_id
      where l.of = 'amount' or l.of = 'tokens' and s.event <> 'refunded'
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
        pg_catalog.sum(case l.of
          when 'open' then 1
          when 'tokens' then baseledger._held_tokens(r.wallet_id, r.reservation_id)
          else r.held
        end) as held
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
--! Included functions/audit/_verify_prices.sql
-- Checks what usage cost in wallets p_first to p_last (null: to the end): returns what does not
-- agree by the view costs. For an event that takes as long as all other checks together, so that
-- most are cleared first in a shorter way, which needs a price row of at most eight kinds.
create or replace function baseledger._verify_prices(p_first text, p_last text)
returns setof baseledger.discrepancy
language plpgsql
stable
set enable_nestloop = off
as $$
declare
  v_event record;
begin
  for v_event in
    select e.wallet_id, e.seq
      from (
        select l.wallet_id, l.seq, l.event, l.amount, l.details, l.details -> 'usage' as usage,
            case when l.details -> 'price' between '1' and '9223372036854775807'
              then (l.details -> 'price')::bigint
            end as price_id
          from baseledger.events l
          where l.wallet_id >= p_first
            and l.wallet_id <= coalesce(p_last, l.wallet_id)
            and l.details ?| '{usage,price}'
          offset 0
      ) as e
      left join (
        select l.wallet_id, l.unit, ('1e' || (l.scale - 15))::numeric as step
          from baseledger.wallets l
          where l.wallet_id >= p_first and l.wallet_id <= coalesce(p_last, l.wallet_id)
          offset 0
      ) as w on w.wallet_id = e.wallet_id
      left join (
        select l.price_id, l.currency, l.model, l.variant, l.kinds || '{model,variant}' as names,
            l.kinds[1] as k1, (l.rates -> l.kinds[1])::numeric as r1,
            l.kinds[2] as k2, (l.rates -> l.kinds[2])::numeric as r2,
            l.kinds[3] as k3, (l.rates -> l.kinds[3])::numeric as r3,
            l.kinds[4] as k4, (l.rates -> l.kinds[4])::numeric as r4,
            l.kinds[5] as k5, (l.rates -> l.kinds[5])::numeric as r5,
            l.kinds[6] as k6, (l.rates -> l.kinds[6])::numeric as r6,
            l.kinds[7] as k7, (l.rates -> l.kinds[7])::numeric as r7,
            l.kinds[8] as k8, (l.rates -> l.kinds[8])::numeric as r8
          from (
            select r.price_id, r.currency, r.provider || '/' || r.model as model, r.variant,
                r.rates, array(select jsonb_object_keys(r.rates)) as kinds
              from baseledger.price_rows r
              offset 0
          ) as l
          where cardinality(l.kinds) <= 8
          offset 0
      ) as p on p.price_id = e.price_id
      where (
        ceil((
          baseledger._apply_rate(e.usage -> p.k1, p.r1)
          + baseledger._apply_rate(e.usage -> p.k2, p.r2)
          + baseledger._apply_rate(e.usage -> p.k3, p.r3)
          + baseledger._apply_rate(e.usage -> p.k4, p.r4)
          + baseledger._apply_rate(e.usage -> p.k5, p.r5)
          + baseledger._apply_rate(e.usage -> p.k6, p.r6)
          + baseledger._apply_rate(e.usage -> p.k7, p.r7)
          + baseledger._apply_rate(e.usage -> p.k8, p.r8)
        ) * w.step) = e.amount
        and p.currency = w.unit
        and e.details -> 'requested' is null
        and jsonb_typeof(e.usage) = 'object'
        and e.usage - p.names = '{}'
        and (
          e.event = 'settled'
          or e.event in ('reserved', 'charged')
            and p.variant = coalesce(e.usage ->> 'variant', 'standard')
            and p.model = coalesce(e.details ->> 'model', e.usage ->> 'model')
        )
      ) is not true
  loop
    return query
      select c.wallet_id, c.seq, 'price',
          format('an amount of %s, what its usage costs by a row of its model',
            coalesce(c.cost::text, '…')),
          format('%s for usage %s by price row %s of %s',
            coalesce(c.amount::text, 'nothing'), c.usage, c.price_id, c.model)
        from baseledger.costs c
        where c.wallet_id = v_event.wallet_id and c.seq = v_event.seq and not c.agrees;
  end loop;
end
$$;

revoke all on function baseledger._verify_prices from public;
--! EndIncluded functions/audit/_verify_prices.sql
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
    return query select * from baseledger._verify_prices(p_wallet_id, p_wallet_id);
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
    return query select * from baseledger._verify_prices(v_first, v_last);
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
  'reservations, who may use the wallet, its limits and what is counted of them, the other side of '
  'each transfer, and what usage cost by its price row. For the whole ledger it also checks that '
  'nobody may do more than the role allows. Reads only. Refused with LGARG, LGWNF.'
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
      '{op,idempotency_key,amount,reservation_id,ttl,at_least,metadata,usage}'::text[]),
    ('settle', false, '{op,idempotency_key,amount,reservation_id,final,metadata,usage}'),
    ('cancel', false, '{op,idempotency_key,reservation_id,metadata}'),
    ('extend', false, '{op,idempotency_key,reservation_id,ttl,amount,metadata}'),
    ('charge', false,
      '{op,idempotency_key,amount,reservation_id,metadata,already_spent,usage}'),
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
  p_commands baseledger._command[],
  p_priced boolean                    -- some have usage
)
returns baseledger.receipt[]
language plpgsql
volatile
as $$
begin
  if cardinality(p_commands) > 0 then
    return baseledger._execute(p_wallet_id, p_commands, p_priced => p_priced);
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
--! Included functions/batch/_parse_commands.sql
-- Parses the commands of a batch for one wallet: see _read_commands.
create or replace function baseledger._parse_commands(
  p_commands jsonb,
  p_for_operators boolean,
  out commands baseledger._command[],
  out priced boolean                  -- some have usage
)
returns record
language plpgsql
stable
as $$
declare
  v_shared boolean;
begin
  perform baseledger._check_commands(p_commands);
  select array_agg(r.command order by r.place),
      count(distinct r.idempotency_key collate "C") < count(r.idempotency_key)
        or count(distinct r.reservation_id collate "C") < count(r.reservation_id),
      bool_or(r.usage is not null)
    into commands, v_shared, priced
    from baseledger._read_commands(p_commands, p_for_operators, false) as r;
  if v_shared then
    commands := baseledger._link_commands(commands, null);
  end if;
  commands := coalesce(commands, '{}');
  priced := coalesce(priced, false);
end
$$;

revoke all on function baseledger._parse_commands from public;
--! EndIncluded functions/batch/_parse_commands.sql
--! Included functions/batch/_parse_several.sql
-- Parses the commands of a batch for several wallets: see _read_commands. Those of a wallet follow
-- each other, in their order; wallet_of has the wallet of each, and position where it stood.
create or replace function baseledger._parse_several(
  p_commands jsonb,
  out commands baseledger._command[],
  out wallet_of text[],
  out positions integer[],
  out priced boolean                  -- some have usage
)
language plpgsql
stable
as $$
declare
  v_shared boolean;
begin
  perform baseledger._check_commands(p_commands);
  select array_agg(r.command order by r.wallet_id collate "C", r.place),
      array_agg(r.wallet_id order by r.wallet_id collate "C", r.place),
      array_agg(r.place::integer order by r.wallet_id collate "C", r.place),
      -- Whatever the wallets: keys are seldom the same in two of them.
      count(distinct r.idempotency_key collate "C") < count(r.idempotency_key)
        or count(distinct r.reservation_id collate "C") < count(r.reservation_id),
      bool_or(r.usage is not null)
    into commands, wallet_of, positions, v_shared, priced
    from baseledger._read_commands(p_commands, false, true) as r;
  if v_shared then
    commands := baseledger._link_commands(commands, wallet_of);
  end if;
  commands := coalesce(commands, '{}');
  priced := coalesce(priced, false);
end
$$;

revoke all on function baseledger._parse_several from public;
--! EndIncluded functions/batch/_parse_several.sql
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
  usage jsonb,
  command baseledger._command
)
language sql
stable
as $$
  select r.place, r.wallet_id, r.idempotency_key, r.reservation_id, r.usage, row(
      r.op, r.idempotency_key, r.reservation_id, r.amount, r.at_least, r.ttl, r.final, r.metadata,
      case when r.already_spent = 'true' then '{"already_spent": true}'::jsonb end, null,
      case
        when r.problem is not null then r.problem ->> 'code'
        when baseledger._find_invalid_field(
          r.op, r.idempotency_key, r.reservation_id, r.amount, r.at_least, r.ttl, r.metadata,
          null, r.usage
        ) is not null then 'LGARG'
      end,
      r.problem -> 'detail', null, null, r.usage
    )::baseledger._command
    from (
      select v.place, v.op, v.wallet_id, v.idempotency_key, v.amount, v.at_least,
          v.already_spent, v.usage,
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
              e.final, e.metadata, e.wallet_id, e.already_spent, e.usage,
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
                at_least text, ttl text, final text, metadata jsonb, already_spent text, usage jsonb
              )
            ) with ordinality as e(
              command, op, wallet_id, idempotency_key, reservation_id, amount, at_least, ttl,
              final, metadata, already_spent, usage, place
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
                  c.metadata, c.details, c.usage
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
  v_parsed record;
  v_receipt baseledger.receipt;
begin
  v_parsed := baseledger._parse_commands(p_commands, false);
  foreach v_receipt in array baseledger._execute_batch(
    p_wallet_id, v_parsed.commands, v_parsed.priced
  ) loop
    return next v_receipt;
  end loop;
end
$$;

comment on function baseledger.post is
  e'Carries out a batch of commands in one wallet, in order. p_commands is a JSON array of at most '
  '10,000 objects, each with op (reserve, settle, cancel, extend or charge) and the parameters of '
  'that function without p_; amounts are numbers or strings, ttl is seconds or an interval; usage '
  'may stand in place of amount, and what has no price is refused with LGPRC. '
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
  v_parsed record;
  v_receipt baseledger.receipt;
begin
  perform baseledger._require_operators_only('baseledger.post_funds(text,jsonb)');
  v_parsed := baseledger._parse_commands(p_commands, true);
  foreach v_receipt in array baseledger._execute_batch(
    p_wallet_id, v_parsed.commands, v_parsed.priced
  ) loop
    return next v_receipt;
  end loop;
end
$$;

comment on function baseledger.post_funds is
  e'Carries out a batch of commands in one wallet, in order, also of those that move funds in and '
  'out. p_commands is a JSON array of at most 10,000 objects, each with op (those of post, and '
  'credit, withdraw, refund) and the parameters of that function without p_; amounts are numbers '
  'or strings, ttl is seconds or an interval; usage may stand in place of amount, as for post. '
  'Returns one row a command, in order: its receipt, '
  'or its refusal (the code in refused, the reason in detail); a refused command does not stop '
  'the others. A retry of a command with the same key gets its first receipt. Raises LGARG if '
  'p_commands is no such array, and LGWNF.'
  '\np_commands: At most 10,000. @commands(post, credit, withdraw, refund)';
revoke all on function baseledger.post_funds from public;
grant execute on function baseledger.post_funds to baseledger_operator;
--! EndIncluded functions/batch/post_funds.sql
--! Included functions/batch/post_many.sql
-- A batch for several wallets. Locks those that nobody else has locked, and writes each row once.
create or replace function baseledger.post_many(p_commands jsonb)
returns setof baseledger.receipt
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_parsed record;
  v_receipts baseledger.receipt[];
begin
  v_parsed := baseledger._parse_several(p_commands);
  if v_parsed.commands = '{}' then
    return;
  end if;
  v_receipts := baseledger._execute(
    null, v_parsed.commands, p_wallet_ids => v_parsed.wallet_of,
    p_priced => v_parsed.priced
  );
  if array_position(v_receipts, null) is not null then
    v_receipts := baseledger._refuse_unlocked(
      v_receipts, v_parsed.commands, v_parsed.wallet_of
    );
  end if;
  return query
    select r.wallet_id, r.seq, r.event, r.reservation_id, r.amount, r.available, r.reserved,
        r.spent, r.expires_at, r.occurred_at, r.idempotency_key, r.replayed, r.refused, r.detail
      from unnest(v_receipts) with ordinality as r
      order by v_parsed.positions[r.ordinality];
end
$$;

comment on function baseledger.post_many is
  e'Carries out a batch of commands in several wallets. p_commands is a JSON array of at most '
  '10,000 objects, each with wallet_id, and else as for post. Those of one wallet are carried out '
  'in order; all that are granted commit together. Returns one row a command, in order: its '
  'receipt, or its refusal (the code in refused, the reason in detail), which stops no other. Waits '
  'for nobody: commands of a wallet that another session has locked, or in which more is due than '
  'one command expires, are refused with LGBSY, and nothing is done; send them again, here or with '
  'post, which waits. Those of a wallet that does not exist are refused with LGWNF, those of an '
  'unsound one with XX001. A retry of a command with the same key gets its first receipt. Raises '
  'LGARG if p_commands is no such array. Not for Citus: send a post to each wallet''s node there.'
  '\np_commands: At most 10,000. @commands(post)';
revoke all on function baseledger.post_many from public;
grant execute on function baseledger.post_many to baseledger_agent, baseledger_operator;
--! EndIncluded functions/batch/post_many.sql
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
    'op', 'reservation_id', 'amount', 'usage', 'at_least', 'ttl', 'final', 'to', 'reason',
    'metadata', 'unit', 'scale', 'overdraft_limit'
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
  p_wallet_ids text[] default null,   -- of each command, equal ones together; or those to sweep
  p_priced boolean default false      -- some commands have usage
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
  v_has_tokens boolean;               -- some count tokens
  v_tokens bigint[];                  -- what each reservation holds, by position as v_holds
  v_used_tokens bigint;               -- of the command's usage
  v_more_tokens bigint;               -- by how many it holds more
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
    where w.wallet_id = p_wallet_id and (w.restricted or w.closed or p_priced) is false
    for no key update;
  if not found and p_wallet_ids is null then
    select l.locked, l.commands, l.actor into v_locked, p_commands, v_actor
      from baseledger._lock_guarded(p_wallet_id, p_commands, p_priced) as l;
    v_careful := v_locked[1].closed;
  elsif not found then
    v_locked := baseledger._lock_several(p_wallet_ids, v_asked > 0);
    if p_priced then
      p_commands := baseledger._price_several(v_locked, p_commands, p_wallet_ids);
    end if;
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
          if p_priced then
            p_commands := baseledger._price_commands(
              p_wallet_id, null, p_commands, v_wallet.first, v_wallet.until
            );
          end if;
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
        select c.spent, c.held, c.max, c.next_alert, c.kinds, c.changed, c.tokens,
            c.window_end
          into v_spent, v_held, v_max, v_next_alert, v_kinds, v_touched, v_has_tokens,
            v_window_end
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
              v_hold.expires_at, null, null, null, coalesce(v_command.hold_at, v_i), null
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
                select c.spent, c.held, c.max, c.next_alert, c.kinds, c.changed, c.tokens,
                    c.window_end
                  into v_spent, v_held, v_max, v_next_alert, v_kinds, v_touched, v_has_tokens,
                    v_window_end
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
        -- LGRNF comes from access: a key that this batch has used is looked at first. What has a
        -- price row was refused because of prices, which may have changed since.
        if (
            v_command.refused is null
            or v_command.refused in ('LGRNF', 'LGPRC')
            or v_command.details -> 'price' <> 'null'
          )
          and v_seq is not null
        then
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
                  when v_hold.status = 'open' and v_command.final then v_command.details
                  else coalesce(v_command.details, '{}') || case
                    when v_hold.status = 'open' then '{"final": false}'
                    when v_command.final then '{"late": true}'
                    else '{"late": true, "final": false}'
                  end::jsonb
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
              select c.spent, c.held, c.max, c.next_alert, c.kinds, c.changed, c.tokens,
                  c.window_end
                into v_spent, v_held, v_max, v_next_alert, v_kinds, v_touched, v_has_tokens,
                  v_window_end
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
            if v_has_tokens then
              v_used_tokens := baseledger._count_tokens(v_command.usage);
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
                  + baseledger._what_it_adds(v_command.op, v_kinds[v_k], v_amount, v_used_tokens)
                  > v_max[v_k]
                then
                  v_command.refused := 'LGLIM';
                  exit;
                end if;
              end loop;
              if v_command.refused in ('LGNSF', 'LGLIM') then
                v_command.detail := baseledger._choose_obstacle(
                  p_wallet_id, coalesce(v_at - v_ahead, v_at), v_command.op, v_amount,
                  v_used_tokens,
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
              if v_has_tokens then
                v_k := coalesce(v_command.hold_at, v_i);
                v_tokens[v_k] := case when v_command.op not in ('reserve', 'charge')
                  then coalesce(
                    v_tokens[v_k], baseledger._held_tokens(p_wallet_id, v_command.reservation_id)
                  ) else 0
                end;
                v_more_tokens := case
                  when v_command.op = 'reserve' then v_used_tokens
                  when v_hold.status <> 'open' then -v_tokens[v_k]
                  when v_command.op = 'settle' then -least(v_used_tokens, v_tokens[v_k])
                  else 0
                end;
                v_tokens[v_k] := v_tokens[v_k] + v_more_tokens;
              end if;
              foreach v_k in array v_slot.counters loop
                v_spent[v_k] := v_spent[v_k] + case
                  when v_command.op <> 'refund'
                    or v_slot.opened_at >= v_counters[v_k].starts_at
                      and v_slot.opened_at >= v_counters[v_k].set_at
                    then baseledger._what_it_spends(
                      v_kinds[v_k], v_command.op, v_move.spent, v_used_tokens
                    )
                  else 0
                end;
                v_held[v_k] := v_held[v_k] + baseledger._what_it_holds(
                  v_kinds[v_k], v_command.op, v_move.reserved, v_move.details, v_more_tokens
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
--! Included functions/execute/_execute_single.sql
-- Executes a single command, and raises its refusal. A SQL function without settings, so that it is
-- inlined.
create or replace function baseledger._execute_single(
  p_wallet_id text,
  p_command baseledger._command,
  p_priced boolean default false      -- it has usage
)
returns baseledger.receipt
language sql
volatile
as $$
  select (baseledger._execute(p_wallet_id, array[p_command], null, true, null, p_priced))[1]
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
        null, null, null, a.hold_at, null
      )::baseledger._command order by d.n) filter (where d.n <= c_limit),
      -- A reservation that an asked command names is at that command's position already: here its
      -- status is null.
      array_agg(row(
        d.reservation_id, case when a.hold_at is null then 'open' end, d.amount, d.settled, d.held,
        d.expires_at, d.stored, 0, null, null, false
      )::baseledger._hold order by d.n) filter (where d.n <= c_limit),
      count(*) > c_limit
    into commands, holds, more
    from (
      select r.*, r.ctid as stored,
          row_number() over (order by r.expires_at, r.reservation_id)::integer as n
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
      select c.reservation_id, min(c.ordinality)::integer as hold_at
        from unnest(v_asked) with ordinality as c
        where c.reservation_id is not null
        group by c.reservation_id
    ) as a on a.reservation_id = d.reservation_id;
  commands := coalesce(commands, '{}');
end
$$;

revoke all on function baseledger._find_due from public;
--! EndIncluded functions/execute/_find_due.sql
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
        null, null, v_linked[h.ordinality], null
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
  p_details jsonb default null,
  p_usage jsonb default null
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
      p_metadata, p_details, p_usage
    ) is not null then 'LGARG' end,
    null, null, null, p_usage
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
    'amount', case
      when p_command.op <> 'cancel' and p_command.usage is null then p_command.amount
    end,
    'usage', p_command.usage,
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
    'amount', case
      when p_event = 'cancelled' or p_details -> 'usage' is not null then null
      when p_event = 'extended' then (p_details ->> 'hold')::bigint
      else coalesce((p_details ->> 'requested')::bigint, p_amount)
    end,
    'usage', p_details -> 'usage',
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
--! Included functions/limits/_choose_obstacle.sql
-- Of all that is in the way of a command, the obstacle that clears last: the detail of LGLIM, or
-- null for a lack of funds (LGNSF). What open reservations hold is back at the next deadline, a
-- window is over at its end; a credit may never come.
create or replace function baseledger._choose_obstacle(
  p_wallet_id text,
  p_now timestamptz,
  p_op text,
  p_amount bigint,
  p_tokens bigint,                    -- of its usage
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
    v_adds := baseledger._what_it_adds(p_op, v_counter.of, p_amount, p_tokens);
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
            sum(case l.of
              when 'open' then 1
              when 'tokens' then baseledger._held_tokens(p_wallet_id, r.reservation_id)
              else r.held
            end) as held
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
-- What the journal says that a combination of labels has spent in a window of a limit, in money or
-- in tokens, or how many calls it has opened: from the setting of the limit on, by the clock of the
-- events. For a window that comes back after a clock that was ahead; else counters know it.
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
          and baseledger._label_values(baseledger._labels(e.details, e.metadata), v_limit."by")
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
        where baseledger._label_values(baseledger._labels(o.details, o.metadata), v_limit."by")
          = p_label_values;
    when 'tokens' then
      select sum(baseledger._count_tokens(e.details -> 'usage')) into v_spent
        from baseledger.events e
        join baseledger.events o
          on o.wallet_id = p_wallet_id
          and o.reservation_id = e.reservation_id
          and o.event in ('reserved', 'charged')
        where e.wallet_id = p_wallet_id
          and e.seq > v_after
          and e.event in ('settled', 'charged')
          and e.details -> 'usage' is not null
          and baseledger._event_clock(e.occurred_at, e.details) >= p_starts_at
          and baseledger._event_clock(e.occurred_at, e.details) < p_ends_at
          and baseledger._label_values(
            baseledger._labels(o.details, o.metadata), v_limit."by"
          ) = p_label_values;
    else
      null;
  end case;
  return coalesce(v_spent, 0);
end
$$;

revoke all on function baseledger._count_spent from public;
--! EndIncluded functions/limits/_count_spent.sql
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
        and c.spent + c.held + baseledger._what_it_adds(
          p_command.op, c.of, c_amount, case when c.of = 'tokens'
            then baseledger._count_tokens(p_command.usage)
          end
        ) > c.amount
  );
end
$$;

revoke all on function baseledger._exceeds_limits from public;
--! EndIncluded functions/limits/_exceeds_limits.sql
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
    when p_of is null or p_of not in ('amount', 'calls', 'open', 'tokens')
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
-- How a reservation was opened: its labels, when, by the clock, and by
-- whom. No row, if it is not in the
-- journal. A range of one value in the order of its index, as in _look_up; the opening is nearly
-- always the first entry. A SQL function without settings, so that it is inlined.
create or replace function baseledger._find_opening(p_wallet_id text, p_reservation_id text)
returns table (labels jsonb, opened_at timestamptz, actor text, details jsonb)
language sql
stable
as $$
  select baseledger._labels(e.details, e.metadata),
      baseledger._event_clock(e.occurred_at, e.details), e.actor, e.details
    from baseledger.events e
    where e.wallet_id = p_wallet_id
      and e.reservation_id between p_reservation_id and p_reservation_id
      and e.event in ('reserved', 'charged')
    order by e.reservation_id
    limit 1
$$;

revoke all on function baseledger._find_opening from public;
--! EndIncluded functions/limits/_find_opening.sql
--! Included functions/limits/_held_tokens.sql
-- How many tokens a reservation holds, by the journal: those of its opening, less those that have
-- been settled in part; 0 if it is not open.
create or replace function baseledger._held_tokens(p_wallet_id text, p_reservation_id text)
returns bigint
language plpgsql
stable
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
begin
  perform from baseledger.reservations r
    where r.wallet_id = p_wallet_id and r.reservation_id = p_reservation_id;
  if not found then
    return 0;
  end if;
  return (
    select greatest(sum(
        case e.event when 'reserved' then 1 when 'settled' then -1 else 0 end
          * baseledger._count_tokens(e.details -> 'usage')
      ), 0)
      from baseledger.events e
      where e.wallet_id = p_wallet_id
        and e.reservation_id = p_reservation_id
  );
end
$$;

revoke all on function baseledger._held_tokens from public;
--! EndIncluded functions/limits/_held_tokens.sql
--! Included functions/limits/_labels.sql
-- The labels of a command that opens a reservation: what its details say, else its metadata; with
-- usage, the label model is that of the usage, an alias resolved. A SQL function without settings,
-- so that it is inlined.
create or replace function baseledger._labels(p_details jsonb, p_metadata jsonb)
returns jsonb
language sql
immutable
parallel safe
as $$
  select case
    when p_details -> 'usage' is null then coalesce(p_details -> 'labels', p_metadata)
    else coalesce(p_details -> 'labels', p_metadata) || pg_catalog.jsonb_object(array[
      'model', coalesce(p_details ->> 'model', p_details -> 'usage' ->> 'model')
    ])
  end
$$;

revoke all on function baseledger._labels from public;
--! EndIncluded functions/limits/_labels.sql
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
      select v.label_values, sum(case v_limit.of
          when 'open' then 1
          when 'tokens' then baseledger._held_tokens(p_wallet_id, r.reservation_id)
          else r.held
        end) as held
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
          then baseledger._labels(c.details, c.metadata) else o.labels
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
-- tight: a limit or an alert may be near enough for it to reach, or tokens are limited, so that
-- _execute must look. For most commands it need not: each expression counts, see Cost in _execute.
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
        (f.counter).of = 'tokens'
        or (f.counter).hard and (f.counter).spent + (f.counter).held + case (f.counter).of
            when 'amount' then p_command.amount
            else 1
          end
          > (f.counter).amount
      )
      into counters, v_fresh, tight
      from baseledger._find_counters(
        p_wallet_id, baseledger._labels(p_command.details, p_command.metadata), null, null, p_at
      ) as f;
  else
    select array_agg(f.counter), bool_and(f.fresh), min(o.opened_at),
        bool_or((f.counter).of = 'tokens')
      into counters, v_fresh, v_opened_at, tight
      from baseledger._find_opening(p_wallet_id, p_command.reservation_id) as o
      cross join lateral baseledger._find_counters(
        p_wallet_id, o.labels, null, null, p_at
      ) as f;
    tight := tight
      or p_command.op = 'refund'
      or p_command.op = 'extend' and p_command.amount is not null;
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
        c.spent + baseledger._what_it_spends(c.of, p_op, p_spent, 0),
        c.held + baseledger._what_it_holds(c.of, p_op, p_reserved, p_details, 0),
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
  out tokens boolean,                 -- some count tokens
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
      array_agg(c.changed order by c.n), bool_or(c.of = 'tokens'), min(c.ends_at)
    into spent, held, max, next_alert, kinds, changed, tokens, window_end
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
-- charged, and whose usage has p_tokens; null: nothing. A SQL function without settings, so that it
-- is inlined.
create or replace function baseledger._what_it_adds(
  p_op text,
  p_of text,
  p_amount bigint,
  p_tokens bigint
)
returns bigint
language sql
immutable
parallel safe
as $$
  select case p_of
    when 'amount' then case when p_amount > 0 then p_amount end
    when 'calls' then case when p_op in ('reserve', 'charge') then 1 end
    when 'tokens' then case when p_op in ('reserve', 'charge') and p_tokens > 0 then p_tokens end
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
  p_details jsonb,
  p_tokens bigint                     -- by how much the tokens that it holds change
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
      when p_op in ('cancel', 'expire')
        or p_op = 'settle' and p_details -> 'late' is null and p_details -> 'final' is null
        then -1
      else 0
    end
    when 'tokens' then p_tokens
    else 0
  end
$$;

revoke all on function baseledger._what_it_holds from public;
--! EndIncluded functions/limits/_what_it_holds.sql
--! Included functions/limits/_what_it_spends.sql
-- By how much an event changes what a counter has spent. (Whether a refund counts is decided
-- before.) A SQL function without settings, so that it is inlined.
create or replace function baseledger._what_it_spends(
  p_of text,
  p_op text,
  p_spent bigint,
  p_tokens bigint                     -- of its usage
)
returns bigint
language sql
immutable
parallel safe
as $$
  select case p_of
    when 'amount' then p_spent
    when 'calls' then case when p_op in ('reserve', 'charge') then 1 else 0 end
    when 'tokens' then case when p_op in ('settle', 'charge') then p_tokens else 0 end
    else 0
  end
$$;

revoke all on function baseledger._what_it_spends from public;
--! EndIncluded functions/limits/_what_it_spends.sql
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
  '\np_amount: In the wallet''s smallest step, or how many tokens, calls or open reservations; 0 = '
  'nothing. Null, for a limit by labels: only combinations with an amount of their own '
  '(set_limit_for) are limited. @nullable'
  '\np_per: The window: minute, hour, day, week (from Monday), month, year or ever.'
  '\np_by: Names of labels, at most 4: each combination of their values has the amount. Labels are '
  'strings of 1 to 255 bytes in the metadata of a reservation or charge; others count as empty. '
  'Default: none, the wallet as a whole.'
  '\np_of: amount; tokens: those of usage (see reserve), of all kinds of input and output together; '
  'calls: reservations and charges opened in the window; open: reservations open '
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
--! Included functions/prices/_add_price.sql
-- Adds a price to the catalogue, which the caller has locked; or returns the row that says the same
-- already: what would count then would not change. Whatever a call may have been priced by stays:
-- only a model that had no price until this call gets one for the past.
create or replace function baseledger._add_price(
  p_price baseledger.price,
  p_now timestamptz,
  p_known bigint,                     -- the last row from before this call
  p_place bigint
)
returns baseledger.price
language plpgsql
volatile
as $$
declare
  c_provider constant text := split_part(p_price.model, '/', 1);
  c_model constant text := substr(p_price.model, strpos(p_price.model, '/') + 1);
  c_variant constant text := coalesce(p_price.variant, '');
  v_field text := coalesce(
    baseledger._find_invalid_price(p_price), baseledger._find_wrong_name(p_price)
  );
  v_last baseledger.price;
begin
  if v_field is not null then
    perform baseledger._refuse_price(v_field, p_place);
  end if;

  select r.price_id, p_price.model, p_price.variant, r.above, r.valid_from, r.rates, r.currency,
      r.context_window, r.max_output, r.alias_of, r.source, r.added_at, r.added_by
    into v_last
    from baseledger.price_rows r
    where r.provider = c_provider
      and r.model = c_model
      and r.variant = c_variant
      and r.above = p_price.above
      and (p_price.valid_from is null or r.valid_from = p_price.valid_from)
    order by r.provider desc, r.model desc, r.variant desc, r.above desc, r.valid_from desc,
      r.price_id desc
    limit 1;
  if found
    and (p_price.valid_from is not null or v_last.valid_from <= p_now)
    and row(v_last.rates, v_last.currency, v_last.context_window, v_last.max_output,
        v_last.alias_of)
      is not distinct from row(p_price.rates, p_price.currency, p_price.context_window,
        p_price.max_output, p_price.alias_of)
  then
    return v_last;
  end if;

  if p_price.valid_from < p_now and exists (
    select from baseledger.price_rows r
      where r.provider = c_provider
        and r.model = c_model
        and r.variant = c_variant
        and r.price_id <= p_known
  ) then
    perform baseledger._refuse_price('valid_from', p_place);
  end if;
  p_price.price_id := coalesce((select max(r.price_id) from baseledger.price_rows r), 0) + 1;
  p_price.valid_from := coalesce(p_price.valid_from, p_now);
  p_price.added_at := p_now;
  p_price.added_by := baseledger._describe_actor(null);
  insert into baseledger.price_rows (
      price_id, provider, model, variant, above, valid_from, rates, currency, context_window,
      max_output, alias_of, source, added_at, added_by
    )
    values (
      p_price.price_id, c_provider, c_model, c_variant, p_price.above, p_price.valid_from,
      p_price.rates, p_price.currency, p_price.context_window, p_price.max_output,
      p_price.alias_of, p_price.source, p_price.added_at, p_price.added_by
    );
  return p_price;
end
$$;

revoke all on function baseledger._add_price from public;
--! EndIncluded functions/prices/_add_price.sql
--! Included functions/prices/_apply_rate.sql
-- What a count of usage costs: 0 without it, null if it is no number. A SQL function without
-- settings, so that it is inlined.
create or replace function baseledger._apply_rate(p_count jsonb, p_rate numeric)
returns numeric
language sql
immutable
parallel safe
as $$
  select case
    when p_count is null then 0
    when pg_catalog.jsonb_typeof(p_count) = 'number' then p_count::numeric * p_rate
  end
$$;

revoke all on function baseledger._apply_rate from public;
--! EndIncluded functions/prices/_apply_rate.sql
--! Included functions/prices/_are_rates.sql
-- Whether a JSON value has the rates of a price: 1 to 64 kinds of usage, each with a whole number
-- from 0 to 10^18.
create or replace function baseledger._are_rates(p_rates jsonb)
returns boolean
language plpgsql
immutable
as $$
begin
  return jsonb_typeof(p_rates) is not distinct from 'object' and (
    select count(*) between 1 and 64
        and bool_and(
          k.key collate "C" ~ '^[a-z][a-z0-9_]{0,62}$'
            and k.key not in ('model', 'variant')
            and k.rate between 0 and 1000000000000000000
            and scale(k.rate) = 0
        )
      from (
        select r.key,
            case when jsonb_typeof(r.value) = 'number' then r.value::numeric else -1 end as rate
          from jsonb_each(case when jsonb_typeof(p_rates) = 'object' then p_rates else '{}' end)
            as r
      ) as k
  );
end
$$;

revoke all on function baseledger._are_rates from public;
--! EndIncluded functions/prices/_are_rates.sql
--! Included functions/prices/_cost.sql
-- What usage costs by the rates of its kinds, in steps of a wallet: the sum over the kinds, divided
-- once and rounded up. Null, if it has a kind without a rate, or a count that is no whole number
-- from 0 to 10^12, or none at all. The one place where tokens become money.
create or replace function baseledger._cost(
  p_usage jsonb,
  p_kinds text[],
  p_rates numeric[],                  -- 10^-15 of the currency for one
  p_step numeric                      -- in 10^-18 of the wallet's unit
)
returns numeric
language plpgsql
immutable
as $$
declare
  v_value jsonb;
  v_sum numeric;
begin
  for v_k in 1 .. cardinality(p_kinds) loop
    v_value := p_usage -> p_kinds[v_k];
    continue when v_value is null;
    v_sum := coalesce(v_sum, 0) + case
      when jsonb_typeof(v_value) <> 'number' or scale(v_value::numeric) > 0 then null
      when v_value::numeric between 0 and 1000000000000 then p_rates[v_k] * v_value::numeric
    end;
    exit when v_sum is null;
  end loop;
  return case
    -- Perhaps it is no object.
    when v_sum is null then null
    when p_usage - p_kinds - '{model,variant}'::text[] = '{}'
      then div(v_sum * 1000 + p_step - 1, p_step)
  end;
end
$$;

revoke all on function baseledger._cost from public;
--! EndIncluded functions/prices/_cost.sql
--! Included functions/prices/_count_input.sql
-- How many tokens of all kinds of input usage says, which decide on the tier; 0 for what is no
-- number.
create or replace function baseledger._count_input(p_usage jsonb)
returns numeric
language plpgsql
immutable
as $$
begin
  return (
    select coalesce(
        sum(u.value::numeric) filter (where u.key like 'input%' or u.key like 'cache\_%'), 0
      )
      from jsonb_each(p_usage) as u
      where jsonb_typeof(u.value) = 'number'
  );
end
$$;

revoke all on function baseledger._count_input from public;
--! EndIncluded functions/prices/_count_input.sql
--! Included functions/prices/_count_tokens.sql
-- How many tokens usage says, of all kinds of input and output together; 0 without usage.
create or replace function baseledger._count_tokens(p_usage jsonb)
returns bigint
language plpgsql
immutable
as $$
begin
  return baseledger._count_input(p_usage) + (
    select coalesce(sum(u.value::numeric), 0)
      from jsonb_each(p_usage) as u
      where u.key like 'output%'
  );
end
$$;

revoke all on function baseledger._count_tokens from public;
--! EndIncluded functions/prices/_count_tokens.sql
--! Included functions/prices/_find_alias.sql
-- The model that a name stands for at an instant; null, if it is no alias.
create or replace function baseledger._find_alias(p_model text, p_at timestamptz)
returns text
language plpgsql
stable
as $$
begin
  return (
    select r.alias_of
      from baseledger.price_rows r
      where r.provider = split_part(p_model, '/', 1)
        and r.model = substr(p_model, strpos(p_model, '/') + 1)
        and r.variant = ''
        and r.valid_from <= p_at
      order by r.provider desc, r.model desc, r.variant desc, r.above desc, r.valid_from desc,
        r.price_id desc
      limit 1
  );
end
$$;

revoke all on function baseledger._find_alias from public;
--! EndIncluded functions/prices/_find_alias.sql
--! Included functions/prices/_find_invalid_price.sql
-- The first field of a price that is not allowed, whatever the catalogue has; null if all are. An
-- alias has a name, the model that it stands for, and when: all else must be as it is by default,
-- which _make_price has left out.
create or replace function baseledger._find_invalid_price(p_price baseledger.price)
returns text
language plpgsql
immutable
as $$
begin
  return case
    when not baseledger._is_model_name(p_price.model)
      then 'model'
    when p_price.alias_of is not null and not baseledger._is_model_name(p_price.alias_of)
      then 'alias_of'
    when case when p_price.alias_of is null
        then not baseledger._are_rates(p_price.rates)
        else p_price.rates is not null
      end
      then 'rates'
    when case when p_price.alias_of is null
        then p_price.variant = ''
          or length(p_price.variant) > 255
          or baseledger._is_ambiguous_name(p_price.variant)
        else p_price.variant is not null
      end
      then 'variant'
    when p_price.above < 0 or p_price.above > 0 and p_price.alias_of is not null
      then 'above'
    when p_price.valid_from = 'infinity'
      then 'valid_from'
    when case when p_price.alias_of is null
        then p_price.currency = ''
          or length(p_price.currency) > 16
          or baseledger._is_ambiguous_name(p_price.currency)
        else p_price.currency is not null
      end
      then 'currency'
    when p_price.context_window < 1
      or p_price.context_window is not null and p_price.alias_of is not null
      then 'context_window'
    when p_price.max_output < 1
      or p_price.max_output is not null and p_price.alias_of is not null
      then 'max_output'
    when p_price.source = ''
      or length(p_price.source) > 255
      or baseledger._is_ambiguous_name(p_price.source)
      then 'source'
  end;
end
$$;

revoke all on function baseledger._find_invalid_price from public;
--! EndIncluded functions/prices/_find_invalid_price.sql
--! Included functions/prices/_find_named_price.sql
-- The price of a model or an alias at an instant, for whatever input is below its first tier, if it
-- has one.
create or replace function baseledger._find_named_price(
  p_name text,
  p_variant text,
  p_at timestamptz
)
returns baseledger._price
language plpgsql
stable
as $$
declare
  v_price baseledger._price;
  v_model text;
begin
  v_price := baseledger._find_price(p_name, p_variant, 0, p_at);
  if v_price.price_id is null then
    v_model := baseledger._find_alias(p_name, p_at);
    if v_model is not null then
      v_price := baseledger._find_price(v_model, p_variant, 0, p_at);
      -- The alias may stand for something else at another instant.
      v_price.since := p_at;
      v_price.until := p_at + interval '1 microsecond';
      v_price.details := v_price.details || jsonb_build_object('model', v_model);
    end if;
  end if;
  return v_price;
end
$$;

revoke all on function baseledger._find_named_price from public;
--! EndIncluded functions/prices/_find_named_price.sql
--! Included functions/prices/_find_price.sql
-- The row of the catalogue that counts for a model (provider/model, no alias) and a variant at an
-- instant, with so many tokens of input: of those that are valid and whose `above` the input
-- exceeds, the ones with the highest `above`; of these the latest valid_from, then the latest
-- added. Null, if there is none.
create or replace function baseledger._find_price(
  p_model text,
  p_variant text,
  p_input numeric,
  p_at timestamptz
)
returns baseledger._price
language plpgsql
stable
as $$
declare
  v_price baseledger._price;
  v_price_id bigint;
  v_since timestamptz;
  v_until timestamptz;
  v_until_above bigint;
begin
  select
      (array_agg(r.price_id order by r.above desc, r.valid_from desc, r.price_id desc)
        filter (where r.above < greatest(p_input, 1) and r.valid_from <= p_at))[1],
      max(r.valid_from) filter (where r.valid_from <= p_at),
      coalesce(min(r.valid_from) filter (where r.valid_from > p_at), 'infinity'),
      min(r.above) filter (where r.above >= greatest(p_input, 1) and r.valid_from <= p_at)
    into v_price_id, v_since, v_until, v_until_above
    from baseledger.price_rows r
    where r.provider = split_part(p_model, '/', 1)
      and r.model = substr(p_model, strpos(p_model, '/') + 1)
      and r.variant = p_variant;
  if v_price_id is null then
    return null;
  end if;
  v_price := baseledger._read_price(v_price_id);
  v_price.since := v_since;
  v_price.until := v_until;
  v_price.until_above := v_until_above;
  return v_price;
end
$$;

revoke all on function baseledger._find_price from public;
--! EndIncluded functions/prices/_find_price.sql
--! Included functions/prices/_find_unreadable_field.sql
-- The first field of a price in JSON that is unknown, or has a value of the wrong type; null if
-- there is none. A field that is null counts as absent.
create or replace function baseledger._find_unreadable_field(p_price jsonb)
returns text
language plpgsql
stable
as $$
begin
  return coalesce(
    (
      select min(f.name collate "C")
        from jsonb_object_keys(p_price) as f (name)
        where f.name not in ('model', 'rates', 'variant', 'above', 'valid_from', 'currency',
          'context_window', 'max_output', 'alias_of')
    ),
    (
      select min(f.key collate "C")
        from jsonb_each(p_price) as f
        where f.value <> 'null'
          and case
            when f.key in ('model', 'variant', 'currency', 'alias_of')
              then jsonb_typeof(f.value) <> 'string'
            when f.key in ('above', 'context_window', 'max_output')
              then baseledger._parse_bigint(f.value) is null
            when f.key = 'valid_from'
              then baseledger._read_valid_from(f.value) is null
            else false
          end
    )
  );
end
$$;

revoke all on function baseledger._find_unreadable_field from public;
--! EndIncluded functions/prices/_find_unreadable_field.sql
--! Included functions/prices/_find_usage.sql
-- The model and the variant of the usage by which a batch opens the reservation of one of its
-- commands, before it: {model, variant}; {} where that cannot be said, as it opens it without
-- usage, or tries to with more than one model; null if it does not open it.
create or replace function baseledger._find_usage(
  p_commands baseledger._command[],
  p_place integer
)
returns jsonb
language plpgsql
immutable
as $$
begin
  return (
    select case when count(distinct o.names) = 1 and count(*) = count(o.names)
        then min(o.names::text)::jsonb
        else '{}'
      end
      from (
        select case when c.usage is not null then jsonb_build_object(
            'model', c.usage -> 'model', 'variant', c.usage -> 'variant'
          ) end as names
          from unnest(p_commands[p_commands[p_place].hold_at : p_place - 1]) as c
          where c.op in ('reserve', 'charge')
            and c.reservation_id = p_commands[p_place].reservation_id
            and c.refused is null
      ) as o
      having count(*) > 0
  );
end
$$;

revoke all on function baseledger._find_usage from public;
--! EndIncluded functions/prices/_find_usage.sql
--! Included functions/prices/_find_wrong_name.sql
-- The field of a price that names what the catalogue has as something else; null if none does. A
-- name is a model or an alias, for ever, and an alias stands for a model: so one look-up finds what
-- a name means, and no call changes its model but by a change of its alias.
create or replace function baseledger._find_wrong_name(p_price baseledger.price)
returns text
language plpgsql
stable
as $$
begin
  return case
    when exists (
      select from baseledger.price_rows r
        where r.provider = split_part(p_price.model, '/', 1)
          and r.model = substr(p_price.model, strpos(p_price.model, '/') + 1)
          and (p_price.alias_of is null) = (r.variant = '')
    )
      then 'model'
    when p_price.alias_of is not null and not exists (
      select from baseledger.price_rows r
        where r.provider = split_part(p_price.alias_of, '/', 1)
          and r.model = substr(p_price.alias_of, strpos(p_price.alias_of, '/') + 1)
          and r.variant <> ''
    )
      then 'alias_of'
  end;
end
$$;

revoke all on function baseledger._find_wrong_name from public;
--! EndIncluded functions/prices/_find_wrong_name.sql
--! Included functions/prices/_is_model_name.sql
-- Whether a name is provider/model: the provider is what stands before the first slash. A SQL
-- function without settings, so that it is inlined.
create or replace function baseledger._is_model_name(p_name text)
returns boolean
language sql
immutable
parallel safe
as $$
  select coalesce(
    pg_catalog.strpos(p_name, '/') between 2 and pg_catalog.length(p_name) - 1
      and pg_catalog.length(p_name) <= 255
      and not baseledger._is_ambiguous_name(p_name),
    false
  )
$$;

revoke all on function baseledger._is_model_name from public;
--! EndIncluded functions/prices/_is_model_name.sql
--! Included functions/prices/_label_value.sql
-- The value of one label, as in _label_values. A SQL function without settings, so that it is
-- inlined.
create or replace function baseledger._label_value(p_labels jsonb, p_name text)
returns text
language sql
immutable
parallel safe
as $$
  select case
    when pg_catalog.jsonb_typeof(p_labels -> p_name) = 'string'
      and pg_catalog.octet_length(p_labels ->> p_name) <= 255
      then p_labels ->> p_name
    else ''
  end
$$;

revoke all on function baseledger._label_value from public;
--! EndIncluded functions/prices/_label_value.sql
--! Included functions/prices/_list_windows.sql
-- The windows in which a wallet has events, of those from p_first to p_last: when each begins, and
-- its first event. As times increase with seq, a window is a range of seq. Its end is looked for in
-- growing steps, so that neither a long window nor many empty ones cost much.
create or replace function baseledger._list_windows(
  p_wallet_id text,
  p_per text,
  p_time_zone text,
  p_first bigint,
  p_last bigint
)
returns table (starts_at timestamptz[], first_seq bigint[])
language plpgsql
stable
as $$
declare
  v_seq bigint := p_first;
  v_step bigint := 1;
  v_low bigint;                       -- is in the window
  v_high bigint;                      -- the first that may not be
  v_middle bigint;
  v_at timestamptz;
  v_window tstzrange;
begin
  starts_at := '{}';
  first_seq := '{}';
  loop
    -- The next one, not that number: a journal that was tampered with may have a gap.
    select e.seq, e.occurred_at into v_seq, v_at
      from baseledger.events e
      where e.wallet_id = p_wallet_id and e.seq between v_seq and p_last
      order by e.seq
      limit 1;
    exit when not found;
    v_window := baseledger._window(p_per, p_time_zone, v_at);
    starts_at := starts_at || lower(v_window);
    first_seq := first_seq || v_seq;
    v_low := v_seq;
    v_high := p_last + 1;
    v_step := 1;
    while v_low + 1 < v_high loop
      v_middle := least(v_low + v_step, (v_low + v_high) / 2);
      select e.occurred_at into v_at
        from baseledger.events e
        where e.wallet_id = p_wallet_id and e.seq = v_middle;
      if v_at < upper(v_window) then
        v_low := v_middle;
        v_step := v_step * 2;
      else
        v_high := v_middle;
      end if;
    end loop;
    v_seq := v_high;
  end loop;
  return next;
end
$$;

revoke all on function baseledger._list_windows from public;
--! EndIncluded functions/prices/_list_windows.sql
--! Included functions/prices/_make_price.sql
-- A price that is to be set, from arguments of which null means the default. An alias has neither a
-- variant nor a currency: it stands for all of them.
create or replace function baseledger._make_price(
  p_model text,
  p_rates jsonb,
  p_variant text,
  p_above bigint,
  p_valid_from timestamptz,
  p_currency text,
  p_context_window bigint,
  p_max_output bigint,
  p_alias_of text,
  p_source text
)
returns baseledger.price
language sql
immutable
as $$
  select row(
    null, p_model,
    case when p_alias_of is null
      then coalesce(p_variant, 'standard')
      else nullif(p_variant, 'standard')
    end,
    coalesce(p_above, 0), p_valid_from, p_rates,
    case when p_alias_of is null then coalesce(p_currency, 'USD') else nullif(p_currency, 'USD')
    end,
    p_context_window, p_max_output, p_alias_of, p_source, null, null
  )::baseledger.price
$$;

revoke all on function baseledger._make_price from public;
--! EndIncluded functions/prices/_make_price.sql
--! Included functions/prices/_name_model.sql
-- The model and the variant that usage names, or else those of p_opening, the details of the event
-- that has opened its reservation. Null for what is no text: it has no price, and _price_usage says
-- why. A SQL function without settings, so that it is inlined.
create or replace function baseledger._name_model(p_usage jsonb, p_opening jsonb)
returns table (model text, variant text)
language sql
immutable
parallel safe
as $$
  select
      case
        when p_usage ? 'model' then p_usage ->> 'model'
        else coalesce(p_opening ->> 'model', p_opening -> 'usage' ->> 'model')
      end,
      case
        when p_usage ? 'variant'
          then case when pg_catalog.jsonb_typeof(p_usage -> 'variant') = 'string'
            then p_usage ->> 'variant'
          end
        else coalesce(p_opening -> 'usage' ->> 'variant', 'standard')
      end
$$;

revoke all on function baseledger._name_model from public;
--! EndIncluded functions/prices/_name_model.sql
--! Included functions/prices/_price_commands.sql
-- Prices the commands of wallets that have usage, under the wallets' locks: sets their amounts, and
-- the price row in their details; or refuses them, with LGPRC where there is no price.
--
-- A call has one price: that of the instant at which its reservation was opened. A settlement takes
-- the model and the variant of its reservation, where its usage names no others.
--
-- A settlement without a model whose reservation is not found stays without an amount: it gets
-- LGRNF from _execute, or the receipt of its key.
create or replace function baseledger._price_commands(
  p_wallet_id text,
  p_wallet_of text[],                 -- of several: of each command that is to be priced
  p_commands baseledger._command[],
  p_first integer,
  p_until integer
)
returns baseledger._command[]
language plpgsql
stable
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_call record;
  v_name text;                        -- of a model, or an alias
  v_price baseledger._price;          -- its price: most commands of a batch have the same
  v_cost numeric;
  v_wallet_id text;                   -- whose unit these are
  v_unit text;
  v_scale integer;
  v_step numeric;
  v_priced baseledger._priced_usage;
  v_command baseledger._command;
begin
  for v_call in
    select c.place, c.wallet_id, c.usage, m.model, m.variant,
        coalesce(o.opened_at, v_now) as opened_at, (b.details ->> 'price')::bigint as known
      from (
        select u.ordinality::integer + p_first - 1 as place, u.op, u.reservation_id, u.hold_at,
            u.usage,
            coalesce(p_wallet_id, p_wallet_of[u.ordinality]) as wallet_id
          from unnest(p_commands[p_first:p_until]) with ordinality as u
          where u.usage is not null and u.refused is null
          offset 0
      ) as c
      left join lateral baseledger._find_opening(
        c.wallet_id, case when c.op = 'settle' then c.reservation_id end
      ) as o on true
      cross join lateral (
        select coalesce(
            o.details,
            case when o.opened_at is null and c.op = 'settle' and c.hold_at is not null
              then jsonb_build_object('usage', baseledger._find_usage(p_commands, c.place))
            end
          ) as details
          offset 0
      ) as b
      cross join lateral baseledger._name_model(c.usage, b.details) as m
      where c.wallet_id is not null
        and (
          c.op <> 'settle'
          or o.opened_at is not null
          or c.usage ? 'model'
          or b.details -> 'usage' <> 'null'
        )
  loop
    if v_call.wallet_id is distinct from v_wallet_id then
      select w.wallet_id, w.unit, w.scale, 10::numeric ^ (18 - w.scale)
        into v_wallet_id, v_unit, v_scale, v_step
        from baseledger.wallets w
        where w.wallet_id = v_call.wallet_id;
    end if;
    if v_call.model is distinct from v_name
      or v_call.variant is distinct from v_price.variant
      or v_call.opened_at < v_price.since
      or v_call.opened_at >= v_price.until
    then
      v_name := v_call.model;
      v_price := baseledger._find_named_price(v_name, v_call.variant, v_call.opened_at);
    end if;
    v_cost := case
      when v_price.until_above is null
        and v_price.currency = v_unit
        and v_scale >= 6
        and coalesce(v_call.known = v_price.price_id, true)
        then baseledger._cost(v_call.usage, v_price.kinds, v_price.rates, v_step)
    end;
    v_command := p_commands[v_call.place];
    if v_cost <= 9223372036854775807 then
      v_command.amount := v_cost;
      v_command.details := case
        when v_command.details is null then jsonb_set(v_price.details, '{usage}', v_call.usage)
        else v_command.details || jsonb_set(v_price.details, '{usage}', v_call.usage)
      end;
    else
      v_priced := baseledger._price_usage(
        v_call.usage, v_call.model, v_call.variant, v_call.opened_at, v_call.known, v_unit, v_scale
      );
      v_command.amount := v_priced.cost;
      v_command.refused := v_priced.refused;
      v_command.detail := v_priced.detail;
      v_command.details := coalesce(v_command.details, '{}')
        || jsonb_build_object('price', v_priced.price_id, 'usage', v_call.usage)
        || case when v_priced.model <> v_call.model
          then jsonb_build_object('model', v_priced.model)
          else '{}'
        end;
    end if;
    if v_command.at_least > v_command.amount then
      v_command.refused := 'LGARG';
      v_command.detail := baseledger._describe_argument('at_least');
    end if;
    p_commands[v_call.place] := v_command;
  end loop;
  return p_commands;
end
$$;

revoke all on function baseledger._price_commands from public;
--! EndIncluded functions/prices/_price_commands.sql
--! Included functions/prices/_price_several.sql
-- Prices the commands of wallets that are locked together. Those of a restricted wallet come later,
-- when access has decided on them.
create or replace function baseledger._price_several(
  p_locked baseledger._locked_wallet[],
  p_commands baseledger._command[],
  p_wallet_of text[]
)
returns baseledger._command[]
language plpgsql
stable
as $$
declare
  v_wallet_of text[] := array_fill(null::text, array[cardinality(p_commands)]);
  v_wallet baseledger._locked_wallet;
begin
  foreach v_wallet in array p_locked loop
    continue when v_wallet.restricted;
    v_wallet_of[v_wallet.first:v_wallet.until] := p_wallet_of[v_wallet.first:v_wallet.until];
  end loop;
  return baseledger._price_commands(null, v_wallet_of, p_commands, 1, cardinality(p_commands));
end
$$;

revoke all on function baseledger._price_several from public;
--! EndIncluded functions/prices/_price_several.sql
--! Included functions/prices/_price_usage.sql
-- Prices usage, or says why it has no price: the whole rule. _price_commands has a shorter way for
-- what is plain.
create or replace function baseledger._price_usage(
  p_usage jsonb,
  p_model text,                       -- where the usage names none
  p_variant text,
  p_at timestamptz,                   -- when the call was opened
  p_known bigint,                     -- the price row of its reservation
  p_unit text,                        -- of the wallet; null: any
  p_scale integer
)
returns baseledger._priced_usage
language plpgsql
stable
as $$
declare
  c_names constant jsonb := jsonb_build_object('model', p_model, 'variant', p_variant);
  c_step constant numeric := 10::numeric ^ (18 - p_scale);
  c_counts constant jsonb := case when jsonb_typeof(p_usage) = 'object'
    then p_usage - '{model,variant}'::text[] else '{}' end;
  v_price baseledger._price;
  v_known baseledger._price;
  v_reason jsonb;
  v_cost numeric;
begin
  if c_counts = '{}'
    or c_counts @? 'strict $.* ? (@.type() != "number" || @ < 0 || @ > 1000000000000)'
    or exists (select from jsonb_each(c_counts) as c where scale(c.value::numeric) > 0)
    or p_model is null
    or p_model not like '_%/_%'
    or p_model like '/%'
    or jsonb_typeof(p_usage -> 'model') <> 'string'
    or jsonb_typeof(p_usage -> 'variant') <> 'string'
  then
    return row(null, null, null, 'LGARG', baseledger._describe_argument('usage'))
      ::baseledger._priced_usage;
  end if;

  p_model := coalesce(baseledger._find_alias(p_model, p_at), p_model);
  v_price := baseledger._find_price(p_model, p_variant, baseledger._count_input(p_usage), p_at);
  if p_known <> v_price.price_id then
    -- A row of the same tier that was added while the call was being opened does not count.
    v_known := baseledger._read_price(p_known);
    if (v_known.model, v_known.variant, v_known.above) = (p_model, p_variant, v_price.above) then
      v_price := v_known;
    end if;
  end if;
  v_reason := case
    when v_price.price_id is null then jsonb_build_object('reason', case
      when exists (
        select from baseledger.price_rows r
          where r.provider || '/' || r.model = p_model and r.valid_from <= p_at
      ) then 'variant'
      else 'model'
    end)
    when c_counts - v_price.kinds <> '{}' then jsonb_build_object('reason', 'kind', 'kind', (
      select min(k) from jsonb_object_keys(c_counts - v_price.kinds) as k
    ))
    when v_price.currency <> p_unit then jsonb_build_object(
      'reason', 'currency', 'currency', v_price.currency, 'unit', p_unit
    )
    when p_scale < 6 then jsonb_build_object('reason', 'scale', 'scale', p_scale)
  end;
  if v_reason is not null then
    return row(null, null, null, 'LGPRC', v_reason || c_names)::baseledger._priced_usage;
  end if;
  v_cost := baseledger._cost(p_usage, v_price.kinds, v_price.rates, c_step);
  if v_cost > 9223372036854775807 then
    return row(
      v_price.price_id, null, null, 'LGARG', baseledger._describe_argument('usage')
    )::baseledger._priced_usage;
  end if;
  return row(v_price.price_id, p_model, v_cost, null, null)::baseledger._priced_usage;
end
$$;

revoke all on function baseledger._price_usage from public;
--! EndIncluded functions/prices/_price_usage.sql
--! Included functions/prices/_quote.sql
-- Quotes usage by the whole rule, or raises why it has no price.
create or replace function baseledger._quote(
  p_usage jsonb,
  p_at timestamptz,
  p_scale integer,
  p_place bigint
)
returns baseledger.quote
language plpgsql
stable
as $$
declare
  v_priced baseledger._priced_usage;
  v_quote baseledger.quote;
begin
  perform baseledger._require_scale(p_scale);
  v_priced := baseledger._require_price(p_usage, p_at, p_scale, p_place);
  select v_priced.cost, r.currency, p_scale, v_priced.model, r.variant, r.price_id,
      r.context_window, r.max_output
    into strict v_quote
    from baseledger.price_rows r
    where r.price_id = v_priced.price_id;
  return v_quote;
end
$$;

revoke all on function baseledger._quote from public;
--! EndIncluded functions/prices/_quote.sql
--! Included functions/prices/_read_price.sql
-- A row of the catalogue; null, if there is none or it is an alias.
create or replace function baseledger._read_price(p_price_id bigint)
returns baseledger._price
language plpgsql
stable
as $$
declare
  v_price baseledger._price;
begin
  select r.price_id, r.provider || '/' || r.model, r.variant, null, null, r.above, null, r.currency,
      k.kinds, k.rates,
      jsonb_build_object('price', r.price_id, 'usage', null)
    into v_price
    from baseledger.price_rows r
    cross join lateral (
      select array_agg(e.key order by e.key) as kinds,
          array_agg(e.value::numeric order by e.key) as rates
        from jsonb_each(r.rates) as e
    ) as k
    where r.price_id = p_price_id and r.alias_of is null;
  return v_price;
end
$$;

revoke all on function baseledger._read_price from public;
--! EndIncluded functions/prices/_read_price.sql
--! Included functions/prices/_read_valid_from.sql
-- Parses a time in JSON: a date or a time of ISO 8601, in UTC where it has no offset, or -infinity;
-- null if it is neither. The session's settings do not count.
create or replace function baseledger._read_valid_from(p_value jsonb)
returns timestamptz
language plpgsql
stable
set "TimeZone" = 'UTC'
set "DateStyle" = 'ISO, YMD'
as $$
begin
  return case
    when jsonb_typeof(p_value) = 'string' and p_value #>> '{}' ~ (
      '^(-infinity|[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?'
        '(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?)$'
    )
      then (p_value #>> '{}')::timestamptz
  end;
exception
  when data_exception then
    return null;
end
$$;

revoke all on function baseledger._read_valid_from from public;
--! EndIncluded functions/prices/_read_valid_from.sql
--! Included functions/prices/_refuse_price.sql
-- Refuses a price because of one of its fields; p_place is its place among several.
create or replace function baseledger._refuse_price(p_field text, p_place bigint)
returns void
language plpgsql
volatile
as $$
begin
  perform baseledger._raise(
    'LGARG',
    baseledger._describe_argument(p_field)
      || jsonb_strip_nulls(jsonb_build_object('place', p_place))
  );
end
$$;

revoke all on function baseledger._refuse_price from public;
--! EndIncluded functions/prices/_refuse_price.sql
--! Included functions/prices/_require_price.sql
-- Prices usage by the whole rule, or raises why it has no price; p_place is its place among
-- several.
create or replace function baseledger._require_price(
  p_usage jsonb,
  p_at timestamptz,
  p_scale integer,
  p_place bigint
)
returns baseledger._priced_usage
language plpgsql
stable
as $$
declare
  c_priced constant baseledger._priced_usage := baseledger._price_usage(
    p_usage, p_usage ->> 'model', coalesce(p_usage ->> 'variant', 'standard'), p_at, null, null,
    p_scale
  );
begin
  if c_priced.refused is not null then
    perform baseledger._raise(
      c_priced.refused, c_priced.detail || jsonb_strip_nulls(jsonb_build_object('place', p_place))
    );
  end if;
  return c_priced;
end
$$;

revoke all on function baseledger._require_price from public;
--! EndIncluded functions/prices/_require_price.sql
--! Included functions/prices/_require_scale.sql
-- Refuses a scale that no wallet has.
create or replace function baseledger._require_scale(p_scale integer)
returns void
language plpgsql
stable
as $$
begin
  if p_scale is null or p_scale not between 0 and 18 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('scale'));
  end if;
end
$$;

revoke all on function baseledger._require_scale from public;
--! EndIncluded functions/prices/_require_scale.sql
--! Included functions/prices/_sum_spending.sql
-- What the events p_first to p_last of a wallet have spent, by the labels of their openings, by
-- price row if p_by names the model, and by the windows whose first events are p_windows (null:
-- none).
--
-- One pass over the events. Tokens are summed in a column for each of p_kinds, at most 16: a row
-- for each kind of each event would take several times as long. Openings are hashed, and the few
-- before p_first looked up; without p_by they are not read, nor those with usage where only the
-- model is asked for.
--
-- Custom plans, so that arguments are constants. Hashes only, as the planner cannot know how many
-- events a wallet has: what does not fit into work_mem goes to disk.
create or replace function baseledger._sum_spending(
  p_wallet_id text,
  p_first bigint,
  p_last bigint,
  p_by text[],
  p_windows bigint[],
  p_kinds text[]
)
returns table (
  place integer,
  label_values text[],
  price_id bigint,
  calls bigint,
  amount numeric,
  tokens numeric[]
)
language plpgsql
stable
set plan_cache_mode = 'force_custom_plan'
set enable_nestloop = off
set enable_mergejoin = off
set enable_sort = off
set work_mem = '64MB'
set jit = off
as $$
begin
  return query
    select width_bucket(s.seq, p_windows), case
          when p_by = '{}' or p_by = '{model}' and s.price_id is not null then p_by
          when o.reservation_id is not null then o.label_values
          else (
            select baseledger._label_values(baseledger._labels(e.details, e.metadata), p_by)
              from baseledger.events e
              where e.wallet_id = p_wallet_id
                and e.reservation_id between s.reservation_id and s.reservation_id
                and e.event in ('reserved', 'charged')
              order by e.reservation_id
              limit 1
          )
        end,
        s.price_id,
        count(*) filter (where s.event in ('reserved', 'charged')), sum(s.amount), array[
          sum((s.usage -> p_kinds[1])::bigint), sum((s.usage -> p_kinds[2])::bigint),
          sum((s.usage -> p_kinds[3])::bigint), sum((s.usage -> p_kinds[4])::bigint),
          sum((s.usage -> p_kinds[5])::bigint), sum((s.usage -> p_kinds[6])::bigint),
          sum((s.usage -> p_kinds[7])::bigint), sum((s.usage -> p_kinds[8])::bigint),
          sum((s.usage -> p_kinds[9])::bigint), sum((s.usage -> p_kinds[10])::bigint),
          sum((s.usage -> p_kinds[11])::bigint), sum((s.usage -> p_kinds[12])::bigint),
          sum((s.usage -> p_kinds[13])::bigint), sum((s.usage -> p_kinds[14])::bigint),
          sum((s.usage -> p_kinds[15])::bigint), sum((s.usage -> p_kinds[16])::bigint)
        ]
      from (
        select e.seq, e.event, e.reservation_id,
            case e.event when 'reserved' then 0 when 'refunded' then -e.amount else e.amount end
              as amount,
            case when e.event <> 'reserved' then e.details -> 'usage' end as usage,
            case when 'model' = any (p_by) then (e.details -> 'price')::bigint end as price_id
          from baseledger.events e
          where e.wallet_id = p_wallet_id
            and e.seq between p_first and p_last
            and e.event in ('reserved', 'settled', 'charged', 'refunded')
          offset 0
      ) as s
      left join (
        select l.reservation_id, (array[
              baseledger._label_value(l.labels, p_by[1]),
              baseledger._label_value(l.labels, p_by[2]),
              baseledger._label_value(l.labels, p_by[3]),
              baseledger._label_value(l.labels, p_by[4])
            ])[1 : cardinality(p_by)] as label_values
          from (
            select e.reservation_id, baseledger._labels(e.details, e.metadata) as labels
              from baseledger.events e
              where p_by <> '{}'
                and e.wallet_id = p_wallet_id
                and e.seq between p_first and p_last
                and e.event in ('reserved', 'charged')
                and (p_by <> '{model}' or e.details -> 'price' is null)
              offset 0
          ) as l
          offset 0
      ) as o on o.reservation_id = s.reservation_id
      group by 1, 2, 3;
end
$$;

revoke all on function baseledger._sum_spending from public;
--! EndIncluded functions/prices/_sum_spending.sql
--! Included functions/prices/affordable.sql
-- How many tokens of output an amount pays. With the rest at R and the output at r, in 10^-15 of
-- the currency, n tokens cost ceil((R + n r) × 1000 / step): at most the amount exactly if
-- (R + n r) × 1000 <= amount × step, as the amount is whole.
create or replace function baseledger.affordable(
  p_usage jsonb,
  p_amount bigint,
  p_at timestamptz default null,
  p_scale integer default 9
)
returns bigint
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
  -- Its own output decides nothing, not even the tier.
  c_rest constant jsonb := case when jsonb_typeof(p_usage) = 'object'
    then p_usage || '{"output": 0}'
    else p_usage
  end;
  v_priced baseledger._priced_usage;
  v_price baseledger._price;
  v_most bigint;
  v_left numeric;
begin
  if p_amount is null then
    perform baseledger._raise('LGARG', baseledger._describe_argument('amount'));
  end if;
  perform baseledger._require_scale(p_scale);
  v_priced := baseledger._require_price(c_rest, coalesce(p_at, clock_timestamp()), p_scale, null);
  v_price := baseledger._read_price(v_priced.price_id);
  select coalesce(r.max_output, 1000000000000) into v_most
    from baseledger.price_rows r
    where r.price_id = v_priced.price_id;
  v_left := p_amount * 10::numeric ^ (18 - p_scale)
    - baseledger._cost(c_rest, v_price.kinds, v_price.rates, 1000) * 1000;
  return case
    when v_left < 0 then 0
    when v_price.rates[array_position(v_price.kinds, 'output')] = 0 then v_most
    else least(
      div(v_left, v_price.rates[array_position(v_price.kinds, 'output')] * 1000), v_most
    )
  end;
end
$$;

comment on function baseledger.affordable is
  e'How many tokens of output an amount pays beside the other kinds of the usage: the largest '
  'number whose cost is not above it, and at most what the model gives (max_output). 0 if not even '
  'the rest is paid. Where the output is free, max_output, or 10^12 if that is unknown. Refused '
  'with LGARG, LGPRC. @notNull'
  '\np_usage: As for quote; its own output is left out. @type(Usage)'
  '\np_amount: In the smallest step of p_scale; 0 or less pays only what is free.'
  '\np_at: By the prices of which instant; it may be a time to come. Default: now.'
  '\np_scale: Decimal digits of the smallest step, 6 to 18.';
revoke all on function baseledger.affordable from public;
grant execute on function baseledger.affordable
  to baseledger_agent, baseledger_operator, baseledger_auditor;
--! EndIncluded functions/prices/affordable.sql
--! Included functions/prices/list_prices.sql
-- The prices that count at an instant, or all that ever were.
create or replace function baseledger.list_prices(
  p_prefix text default '',
  p_at timestamptz default null,
  p_history boolean default false
)
returns setof baseledger.price
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  c_at constant timestamptz := coalesce(p_at, clock_timestamp());
begin
  return query
    select p.price_id, p.model, p.variant, p.above, p.valid_from, p.rates, p.currency,
        p.context_window, p.max_output, p.alias_of, p.source, p.added_at, p.added_by
      from (
        select l.*,
            l.valid_from <= c_at
              and row_number() over (
                partition by l.model, l.variant, l.above, l.valid_from <= c_at
                order by l.valid_from desc, l.price_id desc
              ) = 1 as counts
          from baseledger.prices l
          where l.model ^@ coalesce(p_prefix, '')
      ) as p
      where p_history or p.counts
      order by p.model, p.variant, p.above, p.valid_from, p.price_id;
end
$$;

comment on function baseledger.list_prices is
  e'What models cost, and aliases of models: one row for each model, variant and tier (above), in '
  'the order of their names (byte by byte).'
  '\np_prefix: Only models (provider/model) and aliases whose name begins so. Default: all.'
  '\np_at: As of when; it may be a time to come. Default: now.'
  '\np_history: True: every price that was ever set, with those that hold later on.';
revoke all on function baseledger.list_prices from public;
grant execute on function baseledger.list_prices
  to baseledger_agent, baseledger_operator, baseledger_auditor;
--! EndIncluded functions/prices/list_prices.sql
--! Included functions/prices/quote.sql
-- What usage costs at an instant, in a wallet of this scale and the price's currency.
create or replace function baseledger.quote(
  p_usage jsonb,
  p_at timestamptz default null,
  p_scale integer default 9
)
returns baseledger.quote
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
begin
  return baseledger._quote(p_usage, coalesce(p_at, clock_timestamp()), p_scale, null);
end
$$;

comment on function baseledger.quote is
  e'What usage costs, without spending anything: what reserve, settle or charge would take for it '
  'in a wallet of this scale whose unit is the price''s currency. Refused with LGARG, LGPRC.'
  '\np_usage: {"model": "openai/gpt-5", "variant": "standard", "input": 1200, "output": 512}: the '
  'model or an alias, a variant that is not standard, and whole numbers of what was used. '
  '@type(Usage)'
  '\np_at: By the prices of which instant; it may be a time to come. Default: now.'
  '\np_scale: Decimal digits of the smallest step, 6 to 18.';
revoke all on function baseledger.quote from public;
grant execute on function baseledger.quote
  to baseledger_agent, baseledger_operator, baseledger_auditor;
--! EndIncluded functions/prices/quote.sql
--! Included functions/prices/quotes.sql
-- Quotes many usages at once. What is plain is priced with the rates of the last price; whatever is
-- not goes through the whole rule, which says why it has no price.
create or replace function baseledger.quotes(
  p_usages jsonb,
  p_at timestamptz default null,
  p_scale integer default 9
)
returns setof baseledger.quote
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
  c_at constant timestamptz := coalesce(p_at, clock_timestamp());
  v_step numeric;
  v_usage record;
  v_name text;                        -- of a model, or an alias
  v_price baseledger._price;          -- its price
  v_row baseledger.price_rows;
  v_cost numeric;
begin
  if jsonb_typeof(p_usages) is distinct from 'array' or jsonb_array_length(p_usages) > 10000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('usages'));
  end if;
  perform baseledger._require_scale(p_scale);
  v_step := 10::numeric ^ (18 - p_scale);
  for v_usage in
    select e.place, e.usage, m.model, m.variant
      from jsonb_array_elements(p_usages) with ordinality as e (usage, place)
      cross join lateral baseledger._name_model(e.usage, null) as m
      order by e.place
  loop
    if (v_usage.model, v_usage.variant) is distinct from (v_name, v_price.variant) then
      v_name := v_usage.model;
      v_price := baseledger._find_named_price(v_name, v_usage.variant, c_at);
      select * into v_row from baseledger.price_rows r where r.price_id = v_price.price_id;
    end if;
    v_cost := case
      when v_price.price_id is not null and v_price.until_above is null and p_scale >= 6
        then baseledger._cost(v_usage.usage, v_price.kinds, v_price.rates, v_step)
    end;
    return next case when v_cost <= 9223372036854775807
      then row(
        v_cost, v_price.currency, p_scale, v_price.model, v_price.variant, v_price.price_id,
        v_row.context_window, v_row.max_output
      )::baseledger.quote
      else baseledger._quote(v_usage.usage, c_at, p_scale, v_usage.place)
    end;
  end loop;
end
$$;

comment on function baseledger.quotes is
  e'What each of many usages costs, in their order: what quote says of each. Refused with LGARG, '
  'LGPRC for the first that has no price; the detail has its place (from 1).'
  '\np_usages: A JSON array of at most 10,000 usages, as for quote. @type(Usage[])'
  '\np_at: By the prices of which instant; it may be a time to come. Default: now.'
  '\np_scale: Decimal digits of the smallest step, 6 to 18.';
revoke all on function baseledger.quotes from public;
grant execute on function baseledger.quotes
  to baseledger_agent, baseledger_operator, baseledger_auditor;
--! EndIncluded functions/prices/quotes.sql
--! Included functions/prices/set_price.sql
-- Sets a price. Locks the catalogue against other writers until the transaction ends, not against
-- readers. Idempotent without a key: what holds already is not added again.
create or replace function baseledger.set_price(
  p_model text,
  p_rates jsonb,
  p_variant text default 'standard',
  p_above bigint default 0,
  p_valid_from timestamptz default null,
  p_currency text default 'USD',
  p_context_window bigint default null,
  p_max_output bigint default null,
  p_alias_of text default null,
  p_source text default null
)
returns baseledger.price
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
begin
  perform baseledger._require_operators_only(
    'baseledger.set_price(text,jsonb,text,bigint,timestamptz,text,bigint,bigint,text,text)'
  );
  -- Numbers and times are read under the lock: they are in the order of commits.
  lock table baseledger.price_rows in share row exclusive mode;
  return baseledger._add_price(
    baseledger._make_price(
      p_model, p_rates, p_variant, p_above, p_valid_from, p_currency, p_context_window,
      p_max_output, p_alias_of, p_source
    ),
    clock_timestamp(),
    (select max(r.price_id) from baseledger.price_rows r),
    null
  );
end
$$;

comment on function baseledger.set_price is
  e'Sets what a model costs, from now or a later time on, or what a name stands for. Returns the '
  'row that was added; nothing is added if the same holds already, and then its row is returned. '
  'Rows never change: what a call has cost can be computed again. A call has the price of the '
  'instant at which its reservation was opened. Refused with LGARG.'
  '\np_model: provider/model, such as openai/gpt-5; matched exactly. A name that has rates never '
  'becomes an alias, nor an alias a model.'
  '\np_rates: Kind of usage → whole nano-units (10^-9) of the currency per million, 0 to 10^18: '
  '$1.25 a million tokens are 1250000000, $10 per 1,000 searches are 10000000000000. A kind that '
  'is not named has no price; 0 = free. Null for an alias. @nullable'
  '\np_variant: standard, flex, batch, priority …'
  '\np_above: These rates hold for the whole request when its kinds of input (input…, cache_…) '
  'together exceed so many tokens.'
  '\np_valid_from: From when on they hold. A time before now, -infinity too, only for a variant of '
  'a model that has no price yet. Default: now.'
  '\np_currency: What the rates are in: the unit of the wallets that pay by them.'
  '\np_context_window: How many tokens the model takes in one request, input and output together. '
  'Default: unknown.'
  '\np_max_output: How many tokens it gives in one request at most. Default: unknown.'
  '\np_alias_of: The model that p_model stands for, in all variants; without rates and what '
  'belongs to them. Default: p_model is a model.'
  '\np_source: Where the price comes from, which goes on record. Default: not said.';
revoke all on function baseledger.set_price from public;
grant execute on function baseledger.set_price to baseledger_operator;
--! EndIncluded functions/prices/set_price.sql
--! Included functions/prices/set_prices.sql
-- Sets prices, all or none of them. Locks the catalogue like set_price.
create or replace function baseledger.set_prices(p_prices jsonb, p_source text default null)
returns setof baseledger.price
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
  v_now timestamptz;
  v_known bigint;
  v_last bigint;
  v_given record;
  v_field text;
  v_price baseledger.price;
begin
  perform baseledger._require_operators_only('baseledger.set_prices(jsonb,text)');
  if jsonb_typeof(p_prices) is distinct from 'array'
    or jsonb_array_length(p_prices) > 10000
    or p_prices @? 'strict $[*] ? (@.type() != "object")'
  then
    perform baseledger._raise('LGARG', baseledger._describe_argument('prices'));
  end if;
  lock table baseledger.price_rows in share row exclusive mode;
  v_now := clock_timestamp();
  v_known := (select max(r.price_id) from baseledger.price_rows r);
  v_last := coalesce(v_known, 0);
  for v_given in
    select e.place, e.price from jsonb_array_elements(p_prices) with ordinality as e (price, place)
  loop
    v_field := baseledger._find_unreadable_field(v_given.price);
    if v_field is not null then
      perform baseledger._refuse_price(v_field, v_given.place);
    end if;
    v_price := baseledger._add_price(
      baseledger._make_price(
        v_given.price ->> 'model',
        nullif(v_given.price -> 'rates', 'null'),
        v_given.price ->> 'variant',
        baseledger._parse_bigint(v_given.price -> 'above'),
        baseledger._read_valid_from(v_given.price -> 'valid_from'),
        v_given.price ->> 'currency',
        baseledger._parse_bigint(v_given.price -> 'context_window'),
        baseledger._parse_bigint(v_given.price -> 'max_output'),
        v_given.price ->> 'alias_of',
        p_source
      ),
      v_now, v_known, v_given.place
    );
    if v_price.price_id > v_last then
      v_last := v_price.price_id;
      return next v_price;
    end if;
  end loop;
end
$$;

comment on function baseledger.set_prices is
  e'Sets prices, all or none of them, in their order: an alias may stand for a model that comes '
  'before it. Returns the rows that were added, without those that held already. Refused with '
  'LGARG, whose detail has the place (from 1) of the price.'
  '\np_prices: A JSON array of at most 10,000 objects with the arguments of set_price without p_ '
  '(but for p_source): {"model": "openai/gpt-5", "rates": {"input": 1250000000}}. A time is ISO '
  '8601, in UTC where it has no offset, or -infinity.'
  '\np_source: Where the prices come from, which goes on record with each. Default: not said.';
revoke all on function baseledger.set_prices from public;
grant execute on function baseledger.set_prices to baseledger_operator;
--! EndIncluded functions/prices/set_prices.sql
--! Included functions/prices/spending.sql
-- What a wallet has spent, from the journal: the events from p_from up to, not including, p_to.
-- Without bounds the amounts add up to what the wallet has spent. Takes no lock.
create or replace function baseledger.spending(
  p_wallet_id text,
  p_from timestamptz default null,
  p_to timestamptz default null,
  p_by text[] default '{}',
  p_per text default null,
  p_time_zone text default 'UTC'
)
returns setof baseledger.spending_line
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set jit = off
as $$
declare
  v_field text;
  v_by text[];
  v_model integer;
  v_first bigint;
  v_last bigint;
  v_windows record;
  v_kinds text[];
begin
  -- The terms of a limit; `ever` stands for none.
  v_field := case
    when p_per in ('minute', 'year', 'ever') then 'per'
    else baseledger._find_invalid_term(
      'x', 0, coalesce(p_per, 'ever'), p_by, 'amount', p_time_zone, true, '{}'
    )
  end;
  if v_field is not null then
    perform baseledger._raise('LGARG', baseledger._describe_argument(v_field));
  end if;
  v_by := array(select b.name from unnest(p_by) with ordinality as b (name, n) order by b.n);
  v_model := array_position(v_by, 'model');
  v_first := baseledger._find_seq_before(p_wallet_id, coalesce(p_from, '-infinity')) + 1;
  v_last := baseledger._find_seq_before(p_wallet_id, coalesce(p_to, 'infinity'));
  select null::timestamptz[] as starts_at, null::bigint[] as first_seq into v_windows;
  if p_per is not null then
    v_windows := baseledger._list_windows(p_wallet_id, p_per, p_time_zone, v_first, v_last);
  end if;
  v_kinds := array(
    select distinct k.kind
      from baseledger.price_rows r
      cross join lateral jsonb_object_keys(r.rates) as k (kind)
  );
  return query
    with summed as (
      -- 16 kinds at a time, nearly always one pass: calls and amounts are those of the first.
      select v_windows.starts_at[s.place] as starts_at, s.tokens,
          v_kinds[p.pass * 16 + 1 : p.pass * 16 + 16] as kinds,
          case when p.pass = 0 then s.calls end as calls,
          case when p.pass = 0 then s.amount end as amount,
          case
            when r.price_id is null then s.label_values
            else s.label_values[: v_model - 1] || (r.provider || '/' || r.model)
              || s.label_values[v_model + 1 :]
          end as label_values
        from generate_series(0, greatest(cardinality(v_kinds) - 1, 0) / 16) as p (pass)
        cross join lateral baseledger._sum_spending(
          p_wallet_id, v_first, v_last, v_by, v_windows.first_seq,
          v_kinds[p.pass * 16 + 1 : p.pass * 16 + 16]
        ) as s
        left join baseledger.price_rows r on r.price_id = s.price_id
    ),
    -- A row for each kind, and one without a kind for calls and amount.
    by_kind as (
      select k.starts_at, k.label_values, k.kind, sum(k.tokens) as tokens, sum(k.calls) as calls,
          sum(k.amount) as amount
        from (
          select s.starts_at, s.label_values, unnest(null::text || s.kinds) as kind,
              unnest(null::numeric || s.tokens) as tokens, unnest(array[s.calls]) as calls,
              unnest(array[s.amount]) as amount
            from summed s
        ) as k
        where k.kind is null or k.tokens is not null
        group by k.starts_at, k.label_values, k.kind
    )
    select k.starts_at, k.label_values, sum(k.calls)::bigint,
        coalesce(jsonb_object_agg(k.kind, k.tokens) filter (where k.tokens is not null), '{}'),
        sum(k.amount)
      from by_kind k
      group by k.starts_at, k.label_values
      order by k.starts_at, k.label_values collate "C";
end
$$;

comment on function baseledger.spending is
  e'What a wallet has spent from p_from up to, not including, p_to: calls, tokens by kind, and '
  'amount, for each combination of values of the labels in p_by that has any, and for each window '
  'of p_per. An event counts when it happened, with the labels of the opening of its reservation; '
  'refunds are subtracted. Without bounds the amounts add up to the wallet''s spent. From the '
  'journal, so that it takes time with the number of events: some seconds for a million. Refused '
  'with LGARG, LGWNF.'
  '\np_from: The first instant. Default: the beginning.'
  '\np_to: The instant after the last. Default: the end.'
  '\np_by: At most 4 names of labels. model is that of the event''s own usage, if it has one. '
  'Default: none.'
  '\np_per: A line for each hour, day, week (from Monday) or month in which something happened. '
  'Default: one for all.'
  '\np_time_zone: Where these begin: UTC, or an Area/City of pg_timezone_names.';
revoke all on function baseledger.spending from public;
grant execute on function baseledger.spending to baseledger_operator, baseledger_auditor;
--! EndIncluded functions/prices/spending.sql
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
    when p_field = 'usage' then 'must be a JSON object without p_amount beside it: model as '
      'provider/model (for settle, the default is that of the reservation), variant if it is not '
      'standard, and for at least one kind of usage a whole number from 0 to 10^12; its cost must '
      'fit 64 bits'
    when p_field = 'model' then 'must be provider/model of at most 255 characters, the first and '
      'the last of them visible: a model never becomes an alias, nor an alias a model'
    when p_field = 'rates' then 'must be a JSON object of 1 to 64 kinds of usage (lower-case '
      'letters, digits and _), each with a whole number from 0 to 10^18; an alias has none'
    when p_field = 'variant' then 'must be 1 to 255 characters, the first and the last of them '
      'visible; an alias has none'
    when p_field = 'above' then 'must be a whole number of at least 0; an alias has none'
    when p_field = 'valid_from' then 'must be a time; before now, only for a variant of a model '
      'that has no price yet, or for a new alias'
    when p_field = 'currency' then 'must be 1 to 16 characters, the first and the last of them '
      'visible; an alias has none'
    when p_field in ('context_window', 'max_output')
      then 'must be a whole number of at least 1, or null; an alias has none'
    when p_field = 'alias_of' then 'must be a model that has a price, and no alias'
    when p_field = 'source'
      then 'must be 1 to 255 characters, the first and the last of them visible, or null'
    when p_field in ('prices', 'usages')
      then 'must be a JSON array of at most 10,000 objects'
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
    when p_field = 'of' then 'must be amount, tokens, calls, or (per ever, without alerts) open; it '
      'cannot change while the limit exists'
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
        p_command.at_least, p_command.ttl, p_command.metadata, p_command.details,
        p_command.usage
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
  p_details jsonb,
  p_usage jsonb
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
      or p_amount is null
        and p_op in (
          'reserve', 'settle', 'charge', 'credit', 'withdraw', 'refund', 'transfer_out',
          'transfer_in'
        )
        and p_usage is null
      then 'amount'
    when p_amount is not null and p_usage is not null
      then 'usage'
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
      v_message := format(
        'invalid argument: %s%s %s', p_detail ->> 'place' || ': ', p_detail ->> 'field',
        p_detail ->> 'reason'
      );
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
    when 'LGPRC' then
      v_message := format(
        'no price: %s%s, %s: %s', p_detail ->> 'place' || ': ', p_detail ->> 'model',
        p_detail ->> 'variant',
        case p_detail ->> 'reason'
          when 'model' then 'unknown model'
          when 'variant' then 'unknown variant'
          when 'kind' then format('unknown kind of usage %s', p_detail ->> 'kind')
          when 'currency' then format(
            'it is in %s, and the wallet in %s', p_detail ->> 'currency', p_detail ->> 'unit'
          )
          when 'scale' then format(
            'the wallet has %s decimals, and needs at least 6', p_detail ->> 'scale'
          )
        end
      );
      v_hint := 'An operator sets prices with baseledger.set_price; see the view baseledger.prices.';
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
      v_message := format(
        'the journal and the prices are append-only: %s refused', p_detail ->> 'operation'
      );
      v_hint := 'Correct a mistake with a new command: credit, withdraw, charge or refund; or with '
        'a new price.';
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
--! Included functions/reservations/charge.sql
-- Spends at once. Locks the wallet's row.
create or replace function baseledger.charge(
  p_wallet_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_reservation_id text default null,
  p_metadata jsonb default '{}',
  p_already_spent boolean default false,
  p_usage jsonb default null
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
    p_details => case when p_already_spent then '{"already_spent": true}'::jsonb end,
    p_usage => p_usage
  ), p_usage is not null);
end
$$;

comment on function baseledger.charge is
  e'Spends p_amount (above 0) at once, when the cost is known already. Leaves a reservation that '
  'is settled from the start, named p_reservation_id or else the idempotency key, so that it can '
  'be looked up and refunded. '
  'With p_usage in place of p_amount, spends what that costs by the catalogue of prices, as of now: '
  '{"model": "openai/gpt-5", "input": 1200, "output": 512}; the rules are those of reserve. '
  'A retry with the same key gets the first receipt; of usage, it compares the usage. Refused with '
  'LGARG, LGWNF, LGIDK, LGRID, LGPRC (no price), LGCLO, LGFRZ, LGNSF, LGLIM, LGOVF; with '
  'p_already_spent with LGOVD in place of LGCLO, LGFRZ, LGNSF and LGLIM.'
  '\np_amount: What it costs, above 0, in the wallet''s smallest step; or null, with p_usage. '
  '@or(p_usage)'
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
        v_life.late, o.metadata, baseledger._labels(o.details, o.metadata)
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
--! Included functions/reservations/reserve.sql
-- Holds funds before a call. Locks the wallet's row.
create or replace function baseledger.reserve(
  p_wallet_id text,
  p_amount bigint,
  p_idempotency_key text,
  p_ttl interval default null,
  p_reservation_id text default null,
  p_at_least bigint default null,
  p_metadata jsonb default '{}',
  p_usage jsonb default null
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
    p_at_least, p_ttl, p_metadata => p_metadata,
    p_usage => p_usage
  ), p_usage is not null);
end
$$;

comment on function baseledger.reserve is
  e'Holds p_amount (the wallet''s smallest step, above 0) for a call, until it is settled or '
  'cancelled, or p_ttl (1 second to 30 days, default 10 minutes) has passed. p_reservation_id '
  'defaults to the idempotency key. With p_at_least, grants what is there between p_at_least and '
  'p_amount; the receipt''s amount says how much. A retry with the same key gets the first '
  'receipt. '
  'With p_usage in place of p_amount, holds what that costs by the catalogue of prices: the most '
  'that the call may use, {"model": "openai/gpt-5", "input": 1200, "output": 4000}. Counts are JSON '
  'numbers, whole, 0 to 10^12: tokens, requests and the like, each counted once (input is what no '
  'cache had). variant is standard unless it is named. The cost is rounded up to the wallet''s '
  'smallest step, in wallets of scale 6 or more; 0 is granted if the price is 0. The price is that '
  'of now, also for the settlements of the reservation. The receipt''s amount says what it costs. '
  'A retry compares the usage, so it gets the first receipt whatever prices are now. '
  'Refused with LGARG, LGWNF, LGIDK, LGRID (reservation id taken), LGPRC (no price), LGCLO, LGFRZ '
  '(wallet frozen), LGNSF (insufficient funds), LGLIM.'
  '\np_amount: The most that it may cost, above 0, in the wallet''s smallest step; or null, with '
  'p_usage. @or(p_usage)'
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
  p_metadata jsonb default '{}',
  p_usage jsonb default null
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
    p_final => coalesce(p_final, true), p_metadata => p_metadata,
    p_usage => p_usage
  ), p_usage is not null);
end
$$;

comment on function baseledger.settle is
  e'Books p_amount (0 or more) as spent and gives the rest of the reservation back. With '
  'p_final => false it books a part and keeps the rest reserved. An amount above '
  'the reservation is booked in full; what exceeds it comes from available. A settlement after '
  'the deadline is booked from available, as a late one. Either may take available below zero, '
  'down to the wallet''s overdraft limit. '
  'With p_usage in place of p_amount, books what that costs by the prices of the instant at which '
  'the reservation was opened: {"input": 1200, "output": 512}. model and variant are those of its '
  'usage, unless they are named; a reservation that was opened by an amount has none, so name the '
  'model. Each settlement is priced for itself, as one request: its input decides which row of the '
  'price counts, and its cost is rounded up. The receipt''s amount says what it costs. '
  'A retry with the same key gets the first receipt; of usage, it compares the usage. Refused with '
  'LGARG, LGWNF, LGIDK, LGRNF, LGPRC (no price: book the amount instead), '
  'LGEND (ended otherwise), LGOVD (over the overdraft limit), LGOVF.'
  '\np_amount: What was spent, 0 or more, in the wallet''s smallest step; or null, with p_usage. '
  '@or(p_usage)'
  '\np_usage: What was used, {"input": 1200, "output": 512}; the ledger prices it. @type(Usage)';
revoke all on function baseledger.settle from public;
grant execute on function baseledger.settle to baseledger_agent, baseledger_operator;
--! EndIncluded functions/reservations/settle.sql
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
    'open', null, null, null, null, null, coalesce(p_metadata, '{}'), null, null
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
--! Included views/costs.sql
-- What each event with usage has cost, as recorded, and computed again from its usage and its price
-- row. On purpose not by _cost, as verify() compares the two.
--
-- Values that only a journal that was tampered with has must not end the query.
create view baseledger.costs as
select
  e.wallet_id,
  e.seq,
  e.occurred_at,
  e.event,
  e.reservation_id,
  p.provider || '/' || p.model as model,
  p.variant,
  e.details -> 'usage' as usage,
  r.price_id,
  r.amount,
  c.cost,
  coalesce(
    c.cost = r.amount
      and p.currency = w.unit
      and e.event in ('reserved', 'settled', 'charged')
      and (
        e.event = 'settled'
        or p.variant = coalesce(e.details -> 'usage' ->> 'variant', 'standard')
          and p.provider || '/' || p.model
            = coalesce(e.details ->> 'model', e.details -> 'usage' ->> 'model')
      ),
    false
  ) as agrees
from baseledger.events e
join baseledger.wallets w on w.wallet_id = e.wallet_id
cross join lateral (
  select
    case when e.details -> 'price' between '1' and '9223372036854775807'
      then (e.details -> 'price')::bigint
    end,
    case when jsonb_typeof(e.details -> 'requested') = 'number'
      then (e.details -> 'requested')::numeric
      else e.amount
    end
) as r(price_id, amount)
left join baseledger.price_rows p on p.price_id = r.price_id
cross join lateral (
  select case
    -- Each kind has a count and a rate.
    when count(u.count * u.rate) = count(*)
      then ceil(sum(u.count * u.rate) * ('1e' || (w.scale - 15))::numeric)
  end
  from (
    select
      case when jsonb_typeof(k.value) = 'number' then k.value::numeric end,
      (p.rates -> k.key)::numeric
    from jsonb_each(
      case when jsonb_typeof(e.details -> 'usage') = 'object' then e.details -> 'usage' end
    ) as k
    where k.key not in ('model', 'variant')
  ) as u(count, rate)
) as c(cost)
where e.details ?| '{usage,price}';

comment on view baseledger.costs is
  'What each event with usage has cost: the amount on record (of a reservation with p_at_least, '
  'what was asked for), and the cost, computed again from the recorded usage and its price row, '
  'both in the wallet''s smallest step. agrees says whether these are equal, and the price row is '
  'one of the model and the variant, in the wallet''s unit; verify() reports each event where they '
  'are not.';
comment on column baseledger.costs.model is 'provider/model of the price row, an alias resolved.';
comment on column baseledger.costs.amount is 'On record, or asked for with p_at_least.';
comment on column baseledger.costs.cost is
  'Computed again; null if the price row is missing, or has no rate for some kind.';
revoke all on baseledger.costs from public;
grant select on baseledger.costs to baseledger_auditor;
--! EndIncluded views/costs.sql
--! Included views/prices.sql
-- The catalogue of prices, with its history. Prices are no secret: every role reads them.
create or replace view baseledger.prices as
select
  r.price_id,
  r.provider || '/' || r.model as model,
  nullif(r.variant, '') as variant,
  r.above,
  r.valid_from,
  r.rates,
  r.currency,
  r.context_window,
  r.max_output,
  r.alias_of,
  r.source,
  r.added_at,
  r.added_by
from baseledger.price_rows r;

comment on view baseledger.prices is
  'What models cost: every price that was ever set, and aliases of models. Of the rows of a model '
  'and a variant that are valid, those count whose `above` is the highest that a request''s input '
  'exceeds; of these the one with the latest valid_from, then the one added last. rates are whole '
  'nano-units (10^-9) of the currency per million: $1.25 a million tokens are 1250000000.';
revoke all on baseledger.prices from public;
grant select on baseledger.prices
  to baseledger_agent, baseledger_operator, baseledger_auditor, baseledger_worker;
--! EndIncluded views/prices.sql
