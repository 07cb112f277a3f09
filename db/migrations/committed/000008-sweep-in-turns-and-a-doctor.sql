--! Previous: sha1:13c56da2223036fb637346cee46b5f53815b5316
--! Hash: sha1:cea92ca9c299b8d10accd68b0ad2b3cc38154afe
--! Message: Sweep in turns, and a doctor

-- The sweep: it looks at the clock before it acts, and has its turn at wallets that are always busy.

create table baseledger.sweeps (
  looked_at timestamptz not null,
  constraint sweeps_pkey primary key (looked_at)
);
comment on table baseledger.sweeps is
  'When a sweep, of any worker, has looked at the clock: the last few times, 5 seconds apart or more.';

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

-- Internal: a setting of the server, or of a login (whose) that uses the ledger.
create type baseledger._setting as (
  name text,
  value text,
  boot_value text,
  whose text,
  is_worker boolean
);

drop function baseledger._sweep_singly(text[], integer);
drop function baseledger._sweep(text[], integer);
--! Included functions/_clock_leapt.sql
-- Whether the clock has leapt ahead since the sweep looked at it last, and has not gone on from there
-- for a while yet. An expiry is for good, so the sweep waits for a clock that may be wrong for a
-- moment; due reservations count as returned all the same.
--
-- Each look is a row, at most one in c_apart: nothing waits for a sweep in an open transaction, and
-- one that fails leaves no look. Looked at is the gap after the last look before c_settled: a leap
-- that is younger than that is not believed. Whoever sweeps rarely has long gaps, so a gap may also
-- be twice as long as the one before it. Looks that lie ahead belong to a clock that has stepped
-- back, and mean nothing.
create or replace function baseledger._clock_leapt(p_now timestamptz)
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

revoke all on function baseledger._clock_leapt from public;
--! EndIncluded functions/_clock_leapt.sql
--! Included functions/_sweep.sql
-- Sweeps wallets, each under its lock, until p_limit reservations have expired; tells how many, and
-- which wallets another session had locked.
create or replace function baseledger._sweep(
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
        + cardinality(baseledger._fold(v_id, '{}', p_limit - p_expired));
    else
      p_locked := p_locked || v_id;
    end if;
  end loop;
end
$$;

revoke all on function baseledger._sweep from public;
--! EndIncluded functions/_sweep.sql
--! Included functions/_sweep_singly.sql
-- Sweeps wallets one by one, leaving out with a warning those that cannot be swept. What is no fault
-- of a wallet goes to the caller: a transaction that may not write (class 25) or has to be tried
-- again (40), a server that lacks room (53), is told to stop (57) or cannot read (58).
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
        from baseledger._sweep(array[v_id], p_limit - v_expired) as s;
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
--! EndIncluded functions/_sweep_singly.sql
--! Included functions/_sweep_in_turn.sql
-- Sweeps one of these wallets, that were locked when the sweep came by: one that is overdue, drawn by
-- lot. Waits for its lock in the same queue as the commands of its callers, so that it has its turn
-- among hundreds of them; not for long, as others may be due, or the role's statement_timeout be
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
--! EndIncluded functions/_sweep_in_turn.sql
--! Included functions/expire_due.sql
-- The sweep. Finds wallets with something due without locking, earliest first, and hands each to
-- the fold. A wallet that another session has locked is left out: the others come first. Only when
-- there is nothing else to do, and so no lock held, does it wait for one of those.
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
    perform baseledger._raise('LGARG', baseledger._argument_detail('limit'));
  end if;
  if baseledger._clock_leapt(v_now) then
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

    -- A wallet whose rows do not let themselves be swept must not stop the others: the page is
    -- undone, and its wallets are swept one by one.
    begin
      select v_expired + s.p_expired, v_locked || s.p_locked into v_expired, v_locked
        from baseledger._sweep(v_ids, p_limit - v_expired) as s;
    exception
      when others then
        select v_expired + s.p_expired, v_locked || s.p_locked into v_expired, v_locked
          from baseledger._sweep_singly(v_ids, p_limit - v_expired) as s;
    end;
  end loop;
  if v_expired = 0 and v_locked <> '{}' then
    v_expired := baseledger._sweep_in_turn(v_locked, v_now, p_limit);
  end if;

  -- The fold asks the clock by itself: what it has expired after a leap is undone.
  if clock_timestamp() > v_now + c_longest then
    raise exception using
      errcode = 'serialization_failure',
      message = 'the sweep took too long, or the clock has leapt ahead',
      detail = format('It began at %s and ended at %s.', v_now, clock_timestamp()),
      hint = 'Call it again; with a lower limit if this comes back.';
  end if;
  return v_expired;
end
$$;

comment on function baseledger.expire_due is
  'Expires reservations whose deadline has passed, earliest first, at most p_limit (1 to 100,000), '
  'and returns how many. Skips wallets that are locked; if there are no others, waits for one of '
  'them that is overdue, two seconds at most. Does nothing for 10 seconds after a leap of the clock, '
  'also if only nobody has called it for minutes, in case the clock is wrong. Call it often: '
  'nothing is wrong while it is not called, as due reservations count as returned by their '
  'deadline. Refused with LGARG. @notNull';
revoke all on function baseledger.expire_due from public;
grant execute on function baseledger.expire_due to baseledger_worker;
--! EndIncluded functions/expire_due.sql
--! Included functions/sweep_status.sql
-- How the sweep is doing, for those who look after it.
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
--! EndIncluded functions/sweep_status.sql
--! Included functions/wallets_ahead.sql
-- Wallets whose last event lies ahead of the clock: the clock was ahead for a while. Reads every
-- wallet's row: an index would cost each command.
create or replace function baseledger.wallets_ahead()
returns baseledger.wallets_ahead
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  -- A large batch runs ahead by itself, as each event takes a microsecond.
  c_tolerance constant interval := '1 second';
  v_ahead baseledger.wallets_ahead;
begin
  v_ahead.as_of := clock_timestamp();
  select count(*) into v_ahead.wallets
    from baseledger.wallets w
    where w.last_event_at > v_ahead.as_of + c_tolerance;
  if v_ahead.wallets > 0 then
    select w.wallet_id, w.last_event_at into v_ahead.wallet_id, v_ahead.last_event_at
      from baseledger.wallets w
      where w.last_event_at > v_ahead.as_of + c_tolerance
      order by w.last_event_at desc, w.wallet_id
      limit 1;
  end if;
  return v_ahead;
end
$$;

comment on function baseledger.wallets_ahead is
  'How many wallets have a last event that lies ahead of the server''s clock by more than a second, '
  'and which of them is the furthest. Reads the row of every wallet. @notNull';
revoke all on function baseledger.wallets_ahead from public;
grant execute on function baseledger.wallets_ahead
  to baseledger_worker, baseledger_operator, baseledger_auditor;
--! EndIncluded functions/wallets_ahead.sql
--! Included functions/_ago.sql
-- A span of time for a person: whole seconds, or days and hours.
create or replace function baseledger._ago(p_span interval)
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

revoke all on function baseledger._ago from public;
--! EndIncluded functions/_ago.sql
--! Included functions/_jit_available.sql
-- Whether the server can compile plans: it says so only where it may.
create or replace function baseledger._jit_available()
returns boolean
language plpgsql
stable
set jit = on
as $$
begin
  return pg_jit_available();
end
$$;

revoke all on function baseledger._jit_available from public;
--! EndIncluded functions/_jit_available.sql
--! Included functions/_settings.sql
-- Settings by name (like patterns) as they are for those who use the ledger: of this server, as they
-- are reset to (not as a function sets them for itself), and those that one of its logins, or all,
-- have of their own. Of its logins: is_worker for those that may sweep.
create or replace function baseledger._settings(p_names text[])
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

revoke all on function baseledger._settings from public;
--! EndIncluded functions/_settings.sql
--! Included functions/_switched_off.sql
-- Which of these settings are off, and for whom, in a line; null if none is.
create or replace function baseledger._switched_off(p_names text[])
returns text
language sql
stable
as $$
  select pg_catalog.string_agg(
      pg_catalog.format('%s = off%s', s.name, ' for ' || s.whose), ', ' order by s.name, s.whose
    )
    from baseledger._settings(p_names) as s
    where pg_catalog.lower(s.value) in ('off', 'false', 'no', '0')
      and pg_catalog.lower(s.boot_value) <> 'off'
$$;

revoke all on function baseledger._switched_off from public;
--! EndIncluded functions/_switched_off.sql
--! Included functions/_diagnosis.sql
-- A row of the doctor: fine without a problem (warning or wrong), and only then without advice.
create or replace function baseledger._diagnosis(
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

revoke all on function baseledger._diagnosis from public;
--! EndIncluded functions/_diagnosis.sql
--! Included functions/_doctor_rights.sql
-- What the doctor says of owners and rights.
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
  -- Until the functions that compare rights are there.
  if to_regprocedure('baseledger._rights_differences()') is null then
    return next baseledger._diagnosis(
      'rights', 'warning', 'not compared', 'owners and grants as BaseLedger makes them', null
    );
    return;
  end if;
  select count(*), bool_or(d.open), (array_agg(
      format('%s: %s instead of %s', d.object, d.found, d.expected) order by d.open desc, d.object
    ))[1]
    into v_count, v_open, v_first
    from baseledger._rights_differences() as d;
  return next baseledger._diagnosis(
    'rights', case when v_open then 'wrong' when v_count > 0 then 'warning' end,
    case when v_count = 0 then 'as they must be'
      else format('%s that differ, the first: %s', v_count, v_first) end,
    'owners and grants as BaseLedger makes them',
    'Run `baseledger migrate`, which mends them. baseledger.verify_rights() names those that are open.'
  );
end
$$;

revoke all on function baseledger._doctor_rights from public;
--! EndIncluded functions/_doctor_rights.sql
--! Included functions/_doctor_settings.sql
-- What the doctor says of the server and its settings.
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
  return next baseledger._diagnosis(
    'server', case when split_part(v_text, '.', 1) not in ('15', '16', '17', '18') then 'warning' end,
    'PostgreSQL ' || v_text, '15 to 18', 'Run a version that BaseLedger is tested with.'
  );

  -- To compile a plan takes 100 ms, a command less than one.
  select s.reset_val::float8 into v_cost
    from pg_settings s
    where s.name = 'jit_above_cost'
      and baseledger._jit_available()
      and exists (select from baseledger._settings('{jit}') as j where j.value = 'on');
  select 'jit=off' = any(p.proconfig) into v_spared
    from pg_proc p
    where p.oid = 'baseledger._fold'::regproc;
  return next baseledger._diagnosis(
    'jit',
    case when v_cost is not null and v_spared is not true then 'wrong'
      when v_cost between 0 and 99999 then 'warning' end,
    case when v_cost is null then 'off'
      when v_spared then format('on above a cost of %s; off in commands', v_cost)
      else 'on, in commands as well' end,
    'off, or on above a cost of 100000 and off in commands',
    'Run `baseledger migrate`. For queries on the views set jit = off, or raise jit_above_cost.'
  );

  v_text := baseledger._switched_off('{enable\_%}');
  return next baseledger._diagnosis(
    'planner', case when v_text is not null then 'warning' end, coalesce(v_text, 'as it comes'),
    'no enable_* switched off', 'Reset them: queries on the views may become slow.'
  );

  v_text := baseledger._switched_off('{fsync,full\_page\_writes,synchronous\_commit}');
  return next baseledger._diagnosis(
    'durability', case when v_text is not null then 'wrong' end, coalesce(v_text, 'on'),
    'fsync, full_page_writes and synchronous_commit on',
    'Switch them on: a crash may lose commands that were acknowledged, or the database.'
  );

  select string_agg(c.relname, ', ' order by c.relname) into v_text
    from pg_class c
    where c.relnamespace = 'baseledger'::regnamespace
      and array_to_string(c.reloptions, ',') ~ 'autovacuum_enabled=(off|false|no|0)';
  v_text := concat_ws('; ',
    baseledger._switched_off('{autovacuum,track\_counts}'), 'autovacuum_enabled = off of ' || v_text
  );
  return next baseledger._diagnosis(
    'autovacuum', case when v_text <> '' then 'warning' end, coalesce(nullif(v_text, ''), 'on'),
    'on, for every table', 'Switch it on: tables and indexes grow, and commands become slow.'
  );

  select string_agg(format('statement_timeout = %s%s', s.value, ' for ' || s.whose), ', ')
    into v_text
    from baseledger._settings('{statement\_timeout}') as s
    where s.is_worker
      and case
        when s.value ~ '^[0-9]+$' then make_interval(secs => s.value::float8 / 1000)
        when s.value ~ '^[0-9.]+ *(us|ms|s|min|h|d)$' then s.value::interval
      end between interval '1 microsecond' and c_short;
  return next baseledger._diagnosis(
    'time-outs', case when v_text is not null then 'warning' end, coalesce(v_text, 'none too short'),
    'no statement_timeout below 5 s for the worker',
    'Set it to 0 for the worker''s login: sweeps are cut off before they have done their part.'
  );
end
$$;

revoke all on function baseledger._doctor_settings from public;
--! EndIncluded functions/_doctor_settings.sql
--! Included functions/_doctor_sweep.sql
-- What the doctor says of the sweep and of the clock.
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
  return next baseledger._diagnosis(
    'worker', case when v_idle > c_late or v_idle is null then 'warning' end,
    format('%s; %s connections of workers',
      coalesce('last sweep ' || baseledger._ago(v_idle) || ' ago', 'no sweep ever'), v_workers),
    'a sweep in the last 30 s',
    'Run `baseledger worker`, and look at its log. Without it, due reservations count as returned '
      'all the same, and the next commands of their wallets book that.'
  );
  return next baseledger._diagnosis(
    'sweep lag', case when v_lag > c_late then 'warning' end,
    baseledger._ago(v_lag), '30 s at most',
    'Look at the worker and at open transactions; verify() says if a wallet is not sound.'
  );
  return next baseledger._diagnosis(
    'wallets ahead', case when v_ahead.wallets > 0 then 'warning' end,
    case when v_ahead.wallets = 0 then 'none'
      else format('%s; %s by %s', v_ahead.wallets, v_ahead.wallet_id,
        baseledger._ago(v_ahead.last_event_at - v_ahead.as_of)) end,
    'no last event ahead of the clock',
    'The clock was ahead for a while, or is behind now: mend the server''s time. Events keep their '
      'order all the same.'
  );
end
$$;

revoke all on function baseledger._doctor_sweep from public;
--! EndIncluded functions/_doctor_sweep.sql
--! Included functions/_doctor_tables.sql
-- What the doctor says of a standby, and of rows that wait for vacuum.
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
  return next baseledger._diagnosis(
    'replication', case when not v_connected or v_behind > interval '10 seconds' then 'warning' end,
    case
      when not v_standby then 'this is no standby'
      when not v_connected then format('a standby without its primary, replayed to %s',
        pg_last_xact_replay_timestamp())
      else format('a standby that is %s behind', baseledger._ago(v_behind))
    end,
    'a standby follows within 10 s', 'What is read here is old: look at the primary and the network.'
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
  return next baseledger._diagnosis(
    'dead rows', case when v_dead is not null then 'warning' end, coalesce(v_dead, 'few'),
    'vacuumed in the last 10 minutes, or more live rows than dead ones',
    'Look for a transaction or a replication slot that is open for long, and at autovacuum''s log.'
  );
end
$$;

revoke all on function baseledger._doctor_tables from public;
--! EndIncluded functions/_doctor_tables.sql
--! Included functions/_doctor_transactions.sql
-- What the doctor says of transactions that hold wallets. Since when one is open, the server hides
-- from the owner of this function; so it looks twice. Transactions of commands are over by then.
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
  return next baseledger._diagnosis(
    'open transactions', case when v_found is not null then 'warning' end,
    coalesce(v_found, 'none that lasts'), 'none holds a wallet for 2 s',
    'Their wallets stand still: commit a hold before the model is called. pg_terminate_backend ends '
      'one; pg_stat_activity shows since when, to members of pg_monitor.'
  );

  select string_agg(format('%s by %s, since %s', p.gid, p.owner, p.prepared), '; ' order by p.prepared)
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
  return next baseledger._diagnosis(
    'prepared transactions', case when v_found is not null then 'warning' end,
    coalesce(v_found, 'none'), 'none holds a wallet',
    'End it with commit prepared or rollback prepared: it outlives its session, and restarts.'
  );
end
$$;

revoke all on function baseledger._doctor_transactions from public;
--! EndIncluded functions/_doctor_transactions.sql
--! Included functions/doctor.sql
-- Everything around the ledger that may keep it from working well. What concerns the data is for
-- verify().
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
    select baseledger._diagnosis('schema', null, format('%s: %s', m.id, m.name), null, null)
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
  'Looks at everything around the ledger: server, schema, rights, settings, worker, clock, standby, '
  'vacuum, open transactions. A row for each check, also those that are fine. Takes two seconds if a '
  'transaction holds a wallet just now. Changes nothing; what concerns the data, verify proves.';
revoke all on function baseledger.doctor from public;
grant execute on function baseledger.doctor to baseledger_operator, baseledger_auditor;
--! EndIncluded functions/doctor.sql
