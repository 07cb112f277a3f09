--! Previous: sha1:13c56da2223036fb637346cee46b5f53815b5316
--! Hash: sha1:4adec8193f8f7d3bfad37e1e009cecbfd9fb62f7
--! Message: Look at the clock before sweeping, and take turns

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
