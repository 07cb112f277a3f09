--! Previous: sha1:c79af6fece62c25ffb6b03099f7f253b4eb584b7
--! Hash: sha1:09e4472a3be564f48d5992cab6ec53452acdc66d
--! Message: Few expressions for a single command

-- What the fold knows of a command now also says where in its batch its key and its reservation
-- are named first.
alter type baseledger._command
  drop attribute if exists key_at,
  drop attribute if exists hold_at;
alter type baseledger._command
  add attribute key_at integer,
  add attribute hold_at integer;

alter type baseledger._hold
  drop attribute if exists changed;

-- Internal: what a command does to its wallet, as the event will say it: its amount, and by how
-- much each balance changes.
drop type if exists baseledger._move;
create type baseledger._move as (
  event baseledger.event_type,
  amount bigint,
  available bigint,
  reserved bigint,
  spent bigint,
  expires_at timestamptz,
  details jsonb
);

-- Checks are read and prepared anew by every statement that writes: they cost a single command a
-- tenth of its time. The fold looks at what it is about to write instead (_unsound).
alter table baseledger.wallets
  drop constraint if exists wallets_available_within_overdraft,
  drop constraint if exists wallets_reserved_not_negative,
  drop constraint if exists wallets_spent_not_negative;
alter table baseledger.events
  drop constraint if exists events_amount_not_negative,
  drop constraint if exists events_reserved_not_negative;
alter table baseledger.reservations
  drop constraint if exists reservations_held_not_negative,
  drop constraint if exists reservations_settled_covers_used;

drop function if exists baseledger._single(baseledger.receipt[]);
drop function if exists baseledger._fold(text, baseledger._command[], integer);
drop function if exists baseledger._due(text, timestamptz, integer);
drop function if exists baseledger._refusal_detail(
  text, text, bigint, bigint, bigint, bigint, bigint, text, baseledger._command, baseledger._hold,
  baseledger._hold[]
);

--! Included functions/_reserve_ttl.sql
-- How long a reservation lives, as so many seconds: 10 minutes unless it says otherwise.
create or replace function baseledger._reserve_ttl(p_ttl interval)
returns interval
language sql
immutable
parallel safe
as $$
  select case when p_ttl is null then interval '10 minutes' else baseledger._seconds(p_ttl) end
$$;

revoke all on function baseledger._reserve_ttl from public;
--! EndIncluded functions/_reserve_ttl.sql
--! Included functions/_lacks_room.sql
-- Whether funds that come in do not fit: they must leave room for all that is reserved to come back,
-- so that no hold can ever be stuck.
create or replace function baseledger._lacks_room(
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

revoke all on function baseledger._lacks_room from public;
--! EndIncluded functions/_lacks_room.sql
--! Included functions/_probe.sql
-- What the tables know of one command's key and of its reservation: the event that the key stands
-- for, and the reservation as far as one look shows it. What is to be opened is looked for in the
-- journal, the rest among the open ones; what is not there is unknown, to be looked up when it is
-- needed (_find_hold).
--
-- Each look asks for a range of one value in the order of its index; as the fold has sorts off,
-- no statistics can make the planner walk a wallet's history through another index instead. A SQL
-- function without settings, so that it is inlined into the fold.
create or replace function baseledger._probe(
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
        else 'new'
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

revoke all on function baseledger._probe from public;
--! EndIncluded functions/_probe.sql
--! Included functions/_unsound.sql
-- Ends a fold that would leave a wallet with balances that no command may lead to: a mistake in the
-- fold itself, or a row that somebody has changed. Nothing of it is written.
create or replace function baseledger._unsound(
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

revoke all on function baseledger._unsound from public;
--! EndIncluded functions/_unsound.sql
--! Included functions/_make_command.sql
-- A single command as the fold takes it, with LGARG if a value is not allowed. A SQL function
-- without settings, so that it is inlined, and what is constant in its caller is decided there.
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
    case when baseledger._invalid_field(
      p_op, p_idempotency_key, p_reservation_id, p_amount, p_at_least, p_ttl,
      coalesce(p_metadata, '{}'), p_details
    ) is not null then 'LGARG' end,
    null, 1, 1
  )::baseledger._command
$$;

revoke all on function baseledger._make_command from public;
--! EndIncluded functions/_make_command.sql
--! Included functions/_read_commands.sql
-- Reads the commands of a batch, strictly: what is not an array of at most 10,000 objects is
-- refused as a whole; an unknown command, an unknown field or a value of the wrong type refuses
-- that command alone, as does a value that is not allowed. A field that is null counts as absent.
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
      r.op, r.idempotency_key, r.reservation_id, r.amount, r.at_least, r.ttl, r.final, r.metadata,
      null, null,
      case
        when r.problem is not null then r.problem ->> 'code'
        when baseledger._invalid_field(
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
              case when v.op = 'reserve' then baseledger._reserve_ttl(v.ttl) else v.ttl end as ttl,
              v.final is distinct from 'false' as final,
              coalesce(v.metadata, '{}') as metadata,
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
                  case when ltrim(e.amount, '0123456789') = ''
                      and length(e.amount) between 1 and 18
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
                -- each value is computed once, however often it is named
                offset 0
            ) as v
            offset 0
        ) as t
    ) as r;
  return coalesce(v_commands, '{}');
end
$$;

revoke all on function baseledger._read_commands from public;
--! EndIncluded functions/_read_commands.sql
--! Included functions/_due.sql
-- The expiries that a wallet has coming up to an instant, earliest first, as commands of the
-- system that follow the asked ones: without a key, so that they never meet the callers' keys.
create or replace function baseledger._due(
  p_wallet_id text,
  p_until timestamptz,
  p_limit integer,
  p_asked baseledger._command[]
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
      null, null, cardinality(p_asked) + d.n,
      coalesce(
        (select min(c.hold_at) from unnest(p_asked) as c where c.reservation_id = d.reservation_id),
        cardinality(p_asked) + d.n
      )
    )::baseledger._command order by d.n)
    into v_due
    from (
      select r.reservation_id, r.held, r.expires_at,
          row_number() over (order by r.expires_at, r.reservation_id)::integer as n
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
    v_hold := row(p_reservation_id, 'none', null, null, null, null, false, 0, null, null);
  end if;
  return v_hold;
end
$$;

revoke all on function baseledger._find_hold from public;
--! EndIncluded functions/_find_hold.sql
--! Included functions/_next_return.sql
-- The next deadline at which an open reservation gives its hold back: of those in the table that
-- the fold does not know, and of those that it does.
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
          where h.reservation_id = r.reservation_id and h.status <> 'unknown'
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
      return baseledger._argument_detail(baseledger._invalid_field(
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
--! Included functions/_fold.sql
-- The one place where money moves. Folds commands into a wallet, in order:
--
--   1. lock the wallet's row, before anything is read (the row is the wallet's lock);
--   2. find what the commands refer to, as sets: earlier uses of their keys, their reservations,
--      and the reservations that come due;
--   3. decide each command in memory, expiries first, each at its own instant;
--   4. write as sets: events, reservations, and the wallet's row once.
--
-- Returns one receipt per command, in order. A refusal is a receipt with `refused` set, or raised
-- where the caller wants that. A command that was carried out before gets its first receipt with
-- replayed = true. When nothing was granted, nothing is written: not even the expiries, which
-- then count by deadline as before.
--
-- Without commands it is the sweep of one wallet, and returns the expiries; p_limit bounds them.
--
-- PL/pgSQL prepares each expression anew in each transaction, so that a single command costs by
-- the expressions it meets: few and large ones, none that a branch does not need, and what is
-- there once is written as it is, not as a set.
--
-- Every statement probes by index whatever the statistics say: generic plans without sequential
-- scans or sorts, so that neither a first call on empty tables nor a hot wallet's history spoils
-- them.
create or replace function baseledger._fold(
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
as $$
declare
  v_asked constant integer := cardinality(p_commands);
  v_total integer := v_asked;         -- the asked ones, then the expiries
  v_wallet baseledger.wallets;        -- as it was before this fold, but for frozen
  v_last baseledger.events;           -- the last event: its balances are the wallet's
  v_at timestamptz;                   -- when the next event happens
  v_look_due boolean;
  v_due baseledger._command[];
  v_next_command integer;
  v_next_due integer;
  v_expired integer := 0;

  -- By key_at and hold_at of the commands: those that share a key or a reservation share the
  -- position of the first of them.
  v_done bigint[];                    -- seq of the event that the key stands for
  v_holds baseledger._hold[];

  v_command baseledger._command;
  v_seq bigint;                       -- of the event that its key stands for
  v_hold baseledger._hold;            -- its reservation
  v_move baseledger._move;
  v_amount bigint;                    -- of a reservation: what is granted
  v_available bigint;                 -- what a settlement would do to available
  v_reserved bigint;                  -- what a settlement or an extension would do to reserved
  v_stored baseledger.events;

  v_events baseledger.events[];
  v_receipts baseledger.receipt[];
  v_gone text[];                      -- reservations whose row is not true any more
  v_opened timestamptz;               -- first deadline among those left open without a true row
begin
  -- 1. Lock.
  select * into v_wallet from baseledger.wallets w
    where w.wallet_id = p_wallet_id
    for no key update;
  if not found then
    perform baseledger._no_wallet(p_wallet_id);
  end if;
  v_last := row(
    v_wallet.seq, null, v_wallet.available, v_wallet.reserved, v_wallet.spent,
    v_wallet.last_event_at, null, null, null, null, null, null, null, null, v_wallet.hash
  )::baseledger.events;
  v_at := greatest(clock_timestamp(), v_last.occurred_at + interval '1 microsecond');

  -- 2. Find. Expiries: whatever comes due until the last command has happened. As each expiry
  -- takes its instant, too, they are looked for until there are no more.
  if v_wallet.next_deadline <= v_at + v_asked * interval '1 microsecond' then
    v_look_due := true;
    loop
      v_due := baseledger._due(
        p_wallet_id, v_at + v_total * interval '1 microsecond', p_limit, p_commands
      );
      exit when v_asked + cardinality(v_due) = v_total;
      v_total := v_asked + cardinality(v_due);
    end loop;
    p_commands := p_commands || v_due;
    v_next_command := 1;
    v_next_due := v_asked + 1;
  end if;

  if v_total > 1 then
    select array_agg(p.done order by c.ordinality),
        array_agg(row(
          p.reservation_id, p.status, p.amount, p.settled, p.held, p.expires_at, p.stored, p.net,
          null, null
        )::baseledger._hold order by c.ordinality)
      into v_done, v_holds
      from unnest(p_commands) with ordinality as c
      cross join lateral baseledger._probe(
        p_wallet_id,
        case when c.key_at = c.ordinality then c.idempotency_key end,
        case when c.hold_at = c.ordinality then c.reservation_id end,
        c.op in ('reserve', 'charge')
      ) as p;
  elsif p_commands[1].op in ('reserve', 'charge') then
    -- Said as a constant, so that what is not asked for is left out of the plan.
    select p.* into v_seq, v_hold.reservation_id, v_hold.status, v_hold.amount, v_hold.settled,
        v_hold.held, v_hold.expires_at, v_hold.stored, v_hold.net
      from baseledger._probe(
        p_wallet_id, p_commands[1].idempotency_key, p_commands[1].reservation_id, true
      ) as p;
  elsif v_total = 1 then
    select p.* into v_seq, v_hold.reservation_id, v_hold.status, v_hold.amount, v_hold.settled,
        v_hold.held, v_hold.expires_at, v_hold.stored, v_hold.net
      from baseledger._probe(
        p_wallet_id, p_commands[1].idempotency_key, p_commands[1].reservation_id, false
      ) as p;
  end if;

  -- 3. Decide.
  for v_i in 1 .. v_total loop
    if v_look_due then
      if v_next_due <= v_total and p_commands[v_next_due].due_at <= v_at then
        v_i := v_next_due;
        v_next_due := v_next_due + 1;
      else
        exit when v_next_command > v_asked;
        v_i := v_next_command;
        v_next_command := v_next_command + 1;
      end if;
    end if;
    v_command := p_commands[v_i];
    if v_total > 1 then
      v_seq := v_done[v_command.key_at];
      v_hold := v_holds[v_command.hold_at];
    end if;

    if v_seq is not null or v_hold.status = 'unknown' then
      if v_hold.status = 'unknown' and v_command.reservation_id is not null then
        v_hold := baseledger._find_hold(p_wallet_id, v_command.reservation_id);
      end if;
      -- The key stands for an event already: the same command gets its receipt, another is refused.
      if v_command.refused is null and v_seq is not null then
        if v_seq > v_wallet.seq then
          v_stored := v_events[v_seq - v_wallet.seq];
        else
          select * into v_stored from baseledger.events e
            where e.wallet_id = p_wallet_id and e.seq = v_seq;
        end if;
        v_command.detail := baseledger._difference(
          baseledger._request_of_event(
            v_stored.event, v_stored.reservation_id, v_stored.amount,
            v_stored.expires_at - v_stored.occurred_at, v_stored.metadata, v_stored.details
          ),
          baseledger._request_of_command(v_command)
        );
        if v_command.detail is null then
          v_receipts[v_i] := row(
            v_stored.wallet_id, v_stored.seq, v_stored.event, v_stored.reservation_id,
            v_stored.amount, v_stored.available, v_stored.reserved, v_stored.spent,
            v_stored.expires_at, v_stored.occurred_at, v_stored.idempotency_key, true, null, null
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
            when v_hold.status not in ('new', 'none') then 'LGRID'
            when v_wallet.frozen then 'LGFRZ'
            when v_last.available < v_amount then 'LGNSF'
          end;
          v_hold := row(
            v_hold.reservation_id, 'open', v_amount, 0, v_amount, v_at + v_command.ttl, false,
            v_hold.net, null, null
          )::baseledger._hold;
          v_move := row(
            'reserved', v_amount, -v_amount, v_amount, 0, v_hold.expires_at,
            case when v_command.at_least is not null then jsonb_build_object(
              'requested', v_command.amount, 'at_least', v_command.at_least
            ) end
          )::baseledger._move;

        when 'settle' then
          -- Late: its hold is back in available, and what was spent comes from there.
          v_reserved := -case
            when v_hold.status <> 'open' then 0
            when v_command.final then v_hold.held
            else least(v_command.amount, v_hold.held)
          end;
          v_available := -v_command.amount - v_reserved;
          v_command.refused := case
            when v_hold.status in ('new', 'none') then 'LGRNF'
            when v_hold.status not in ('open', 'expired') then 'LGEND'
            when v_hold.settled > 9223372036854775807 - v_command.amount then 'LGOVF'
            when v_available < 0 and v_last.available < -v_wallet.overdraft_limit - v_available
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
            v_gone := v_gone || case when v_hold.stored then v_hold.reservation_id end;
            v_hold := row(
              v_hold.reservation_id,
              case when v_command.final then 'settled' else v_hold.status end,
              v_hold.amount, v_hold.settled + v_command.amount, v_hold.held + v_reserved,
              v_hold.expires_at, false, v_hold.net + v_command.amount, v_last.seq + 1, v_at
            )::baseledger._hold;
          end if;

        when 'expire' then
          -- Settled, cancelled or extended by a command before it in this fold: not due any more.
          continue when v_hold.status <> 'open' or v_hold.expires_at > v_at;
          v_expired := v_expired + 1;
          v_move := row(
            'expired', v_hold.held, v_hold.held, -v_hold.held, 0, v_hold.expires_at, null
          )::baseledger._move;
          v_gone := v_gone || case when v_hold.stored then v_hold.reservation_id end;
          v_hold := row(
            v_hold.reservation_id, 'expired', null, null, null, v_hold.expires_at, false,
            v_hold.net, v_last.seq + 1, v_at
          )::baseledger._hold;

        when 'cancel' then
          v_command.refused := case
            when v_hold.status = 'expired' then 'LGEXP'
            when v_hold.status in ('new', 'none') then 'LGRNF'
            when v_hold.status <> 'open' then 'LGEND'
          end;
          if v_command.refused is null then
            v_move := row(
              'cancelled', v_hold.held, v_hold.held, -v_hold.held, 0, null, null
            )::baseledger._move;
            v_gone := v_gone || case when v_hold.stored then v_hold.reservation_id end;
            v_hold := row(
              v_hold.reservation_id, 'cancelled', null, null, null, null, false, v_hold.net,
              v_last.seq + 1, v_at
            )::baseledger._hold;
          end if;

        when 'extend' then
          v_reserved := coalesce(v_command.amount - v_hold.held, 0);
          v_command.refused := case
            when v_hold.status = 'expired' then 'LGEXP'
            when v_hold.status in ('new', 'none') then 'LGRNF'
            when v_hold.status <> 'open' then 'LGEND'
            when v_reserved <= 0 then null
            when v_wallet.frozen then 'LGFRZ'
            when v_last.available < v_reserved then 'LGNSF'
            when v_hold.amount > 9223372036854775807 - v_reserved then 'LGOVF'
          end;
          if v_command.refused is null then
            v_gone := v_gone || case when v_hold.stored then v_hold.reservation_id end;
            v_hold := row(
              v_hold.reservation_id, 'open', v_hold.amount + v_reserved, v_hold.settled,
              v_hold.held + v_reserved, v_at + v_command.ttl, false, v_hold.net, null, null
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
            when v_hold.status not in ('new', 'none') then 'LGRID'
            when v_wallet.frozen then 'LGFRZ'
            when v_last.available < v_command.amount then 'LGNSF'
            when v_last.spent > 9223372036854775807 - v_command.amount then 'LGOVF'
          end;
          v_move := row(
            'charged', v_command.amount, -v_command.amount, 0, v_command.amount, null, null
          )::baseledger._move;
          v_hold := row(
            v_hold.reservation_id, 'settled', null, null, null, null, false,
            v_hold.net + v_command.amount, v_last.seq + 1, v_at
          )::baseledger._hold;

        when 'refund' then
          if v_hold.status in ('new', 'none') then
            v_command.refused := 'LGRNF';
          elsif v_hold.net + baseledger._refundable(p_wallet_id, v_hold.reservation_id)
            < v_command.amount
          then
            v_command.refused := 'LGRFD';
          elsif baseledger._lacks_room(v_last.available, v_last.reserved, v_command.amount) then
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
          if baseledger._lacks_room(v_last.available, v_last.reserved, v_command.amount) then
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
      v_command.detail := coalesce(v_command.detail, baseledger._refusal_detail(
        v_command.refused, p_wallet_id, v_last.available, v_last.reserved, v_last.spent,
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
      session_user::text, v_command.metadata, v_move.details, v_last.hash
    )::baseledger.events;
    v_last.hash := sha256(v_last.hash || baseledger._canonical(
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
  if v_asked > 0 and v_last.seq = v_wallet.seq + v_expired then
    return v_receipts[:v_asked];
  end if;
  if v_last.reserved < 0 or v_last.spent < 0 or v_last.available < -v_wallet.overdraft_limit then
    perform baseledger._unsound(p_wallet_id, v_last.available, v_last.reserved, v_last.spent);
  end if;
  if v_total = 1 then
    insert into baseledger.events values (v_last.*);
    if v_gone is not null then
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
    if v_gone is not null then
      delete from baseledger.reservations r
        where r.wallet_id = p_wallet_id and r.reservation_id = any(v_gone);
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

revoke all on function baseledger._fold from public;
--! EndIncluded functions/_fold.sql
--! Included functions/_single.sql
-- Carries out a single command, and raises its refusal. A SQL function without settings, so that it
-- is inlined.
create or replace function baseledger._single(
  p_wallet_id text,
  p_command baseledger._command
)
returns baseledger.receipt
language sql
volatile
as $$
  select (baseledger._fold(p_wallet_id, array[p_command], null, true))[1]
$$;

revoke all on function baseledger._single from public;
--! EndIncluded functions/_single.sql
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
  return baseledger._single(p_wallet_id, baseledger._make_command(
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
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'charge', p_idempotency_key, coalesce(p_reservation_id, p_idempotency_key), p_amount,
    p_metadata => p_metadata
  ));
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
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'credit', p_idempotency_key, p_amount => p_amount, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.credit is
  'Adds p_amount (above 0, in the wallet''s smallest step) to available. A retry with the same key '
  'gets the first receipt. Refused with LGARG, LGWNF, LGIDK, LGOVF.';
revoke all on function baseledger.credit from public;
grant execute on function baseledger.credit to baseledger_operator;
--! EndIncluded functions/credit.sql
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
  p_ttl := baseledger._seconds(p_ttl);
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'extend', p_idempotency_key, p_reservation_id, p_amount,
    p_ttl => p_ttl, p_metadata => p_metadata
  ));
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
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'freeze', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('reason', p_reason)
  ));
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
    return baseledger._single(p_wallet_id, baseledger._make_command(
      'open', null, p_metadata => p_metadata, p_details => v_terms
    ));
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
  return baseledger._single(p_wallet_id, baseledger._make_command(
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
  p_ttl := baseledger._reserve_ttl(p_ttl);
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'reserve', p_idempotency_key, coalesce(p_reservation_id, p_idempotency_key), p_amount,
    p_at_least, p_ttl, p_metadata => p_metadata
  ));
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
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'settle', p_idempotency_key, p_reservation_id, p_amount,
    p_final => coalesce(p_final, true), p_metadata => p_metadata
  ));
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

  v_out := baseledger._single(p_from, baseledger._make_command(
    'transfer_out', p_idempotency_key, p_amount => p_amount, p_metadata => p_metadata,
    p_details => jsonb_build_object('to', p_to)
  ));
  if not v_out.replayed then
    perform baseledger._single(p_to, baseledger._make_command(
      'transfer_in', null, p_amount => p_amount, p_metadata => p_metadata,
      p_details => jsonb_build_object('from', p_from, 'from_seq', v_out.seq)
    ));
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
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'unfreeze', p_idempotency_key, p_metadata => p_metadata,
    p_details => jsonb_build_object('reason', p_reason)
  ));
end
$$;

comment on function baseledger.unfreeze_wallet is
  'Ends a freeze. p_reason (1 to 1000 characters) goes on record. '
  'The key is optional: each call without one is an event, the wallet just stays open. Refused '
  'with LGARG, LGWNF, LGIDK.';
revoke all on function baseledger.unfreeze_wallet from public;
grant execute on function baseledger.unfreeze_wallet to baseledger_operator;
--! EndIncluded functions/unfreeze_wallet.sql
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
  return baseledger._single(p_wallet_id, baseledger._make_command(
    'withdraw', p_idempotency_key, p_amount => p_amount, p_metadata => p_metadata
  ));
end
$$;

comment on function baseledger.withdraw is
  'Takes p_amount (above 0) out of available, never below zero. A retry with the same key gets the '
  'first receipt. Refused with LGARG, LGWNF, LGIDK, LGFRZ, LGNSF.';
revoke all on function baseledger.withdraw from public;
grant execute on function baseledger.withdraw to baseledger_operator;
--! EndIncluded functions/withdraw.sql
