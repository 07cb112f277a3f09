--! Previous: sha1:91dd7863e344fffab4a93dce45ece3e43529ea81
--! Hash: sha1:ab14cc40c0fe1b460131b8f059b2a22e9544fa8b
--! Message: Many wallets in one call

-- Functions whose parameters change get new ones; calls under way fail with 42883 or 42846, which
-- clients retry.
alter type baseledger._hold
  alter attribute stored type tid,
  add attribute changed boolean;
--! Included schema/types/_locked_wallet.sql
-- A wallet that baseledger._execute has locked, or is about to write.
--   swept                 what is due in it was looked up: next_deadline is to be read again
--   first, until          positions of its commands
--   first_due, until_due  positions of the expiries, if it was swept with others
--   has_more              more is due in it than was looked up
create type baseledger._locked_wallet as (
  wallet_id text,
  frozen boolean,
  overdraft_limit bigint,
  available bigint,
  reserved bigint,
  spent bigint,
  seq bigint,
  hash bytea,
  last_event_at timestamptz,
  next_deadline timestamptz,
  swept boolean,
  first integer,
  until integer,
  first_due integer,
  until_due integer,
  has_more boolean
);
--! EndIncluded schema/types/_locked_wallet.sql
drop function baseledger._look_up(text, text, text, boolean);
drop function baseledger._execute(text, baseledger._command[], integer, boolean);
drop function baseledger._describe_ahead(timestamptz);
drop function baseledger._sweep_wallets(text[], integer);
drop function baseledger._sweep_singly(text[], integer);
drop function baseledger._explain_parse_error(jsonb, text, text[]);
--! Included functions/refusals/_is_impossible_id.sql
-- Whether nothing can have this id: it is null, blank or over-long. A SQL function without settings,
-- so that it is inlined.
create or replace function baseledger._is_impossible_id(p_id text)
returns boolean
language sql
immutable
parallel safe
as $$
  select p_id is null
    or pg_catalog.btrim(p_id, E' \t\r\n') = ''
    or pg_catalog.length(p_id) > 255
$$;

revoke all on function baseledger._is_impossible_id from public;
--! EndIncluded functions/refusals/_is_impossible_id.sql
--! Included functions/refusals/_require_id.sql
-- Refuses an id that is null, blank or over-long.
create or replace function baseledger._require_id(p_field text, p_id text)
returns void
language plpgsql
volatile
as $$
begin
  if baseledger._is_impossible_id(p_id) then
    perform baseledger._raise('LGARG', baseledger._describe_argument(p_field));
  end if;
end
$$;

revoke all on function baseledger._require_id from public;
--! EndIncluded functions/refusals/_require_id.sql
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
      or pg_catalog.octet_length(p_idempotency_key) > 255
        and pg_catalog.length(p_idempotency_key) > 255
      then 'idempotency_key'
    when p_reservation_id is null
      and p_op not in (
        'credit', 'withdraw', 'transfer_out', 'transfer_in', 'freeze', 'unfreeze', 'open'
      )
      or case when p_op in ('reserve', 'charge')
        then baseledger._is_ambiguous_name(p_reservation_id)
        else pg_catalog.btrim(p_reservation_id, E' \t\r\n') = ''
      end
      or pg_catalog.octet_length(p_reservation_id) > 255
        and pg_catalog.length(p_reservation_id) > 255
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
      r.ctid, 0::bigint, null::bigint, null::timestamptz, false
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
      null::tid, 0::bigint, e.seq, e.occurred_at, false
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
    v_hold := row(p_reservation_id, 'none', null, null, null, null, null, 0, null, null, false);
  end if;
  return v_hold;
end
$$;

revoke all on function baseledger._find_reservation from public;
--! EndIncluded functions/reservations/_find_reservation.sql
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
    null, null, null
  )::baseledger._command
$$;

revoke all on function baseledger._make_command from public;
--! EndIncluded functions/execute/_make_command.sql
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
        null, null, null, a.hold_at
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
  stored tid,
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
      o.amount, o.settled, o.held, o.expires_at, o.ctid, 0::bigint
    from (values (p_reservation_id)) as asked(id)
    left join lateral (
      select r.amount, r.settled, r.held, r.expires_at, r.ctid from baseledger.reservations r
        where r.wallet_id = p_wallet_id
          and r.reservation_id between asked.id and asked.id
          and not p_opens
        order by r.reservation_id
        limit 1
    ) as o on true
$$;

revoke all on function baseledger._look_up from public;
--! EndIncluded functions/execute/_look_up.sql
--! Included functions/clock/_describe_ahead.sql
-- What the details of an event record when it is ahead of the server's clock, as its wallet's last
-- event was: by how many microseconds. Null for any other event.
create or replace function baseledger._describe_ahead(p_at timestamptz, p_clock timestamptz)
returns jsonb
language plpgsql
stable
as $$
begin
  if p_at > p_clock + baseledger._clock_slack() then
    return jsonb_build_object(
      'ahead_us', (extract(epoch from p_at - p_clock) * 1000000)::bigint
    );
  end if;
  return null;
end
$$;

revoke all on function baseledger._describe_ahead from public;
--! EndIncluded functions/clock/_describe_ahead.sql
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
      null, null, null
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
--! Included functions/execute/_link_due.sql
-- Of each reservation that is due, the position of the first asked command that names it, or null.
-- p_places has the place of its wallet in p_locked, p_wallet_ids the wallet of each command.
--
-- No nested loops: the planner takes every array for a short one.
create or replace function baseledger._link_due(
  p_due baseledger._hold[],
  p_places integer[],
  p_locked baseledger._locked_wallet[],
  p_commands baseledger._command[],
  p_wallet_ids text[]
)
returns integer[]
language plpgsql
stable
set enable_nestloop = off
as $$
begin
  return (
    select array_agg(c.position order by d.ordinality)
      from (
        select h.ordinality, h.reservation_id, p_locked[p_places[h.ordinality]].wallet_id
          from unnest(p_due) with ordinality as h
      ) as d
      left join (
        select p_wallet_ids[u.ordinality] as wallet_id, u.reservation_id,
            min(u.ordinality)::integer as position
          from unnest(p_commands) with ordinality as u
          group by 1, 2
      ) as c on c.wallet_id = d.wallet_id and c.reservation_id = d.reservation_id
  );
end
$$;

revoke all on function baseledger._link_due from public;
--! EndIncluded functions/execute/_link_due.sql
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
      v_untils[w.ordinality] - v_firsts[w.ordinality] >= baseledger._due_chunk_size()
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
--! Included functions/execute/_delete_reservations.sql
-- Deletes rows of reservations where they are: in one wallet, or in several if p_wallet_id is null.
--
-- All but the way by the rows' places is off: the planner takes every array for a short one, and on
-- a small table would walk over all rows instead, also when it has grown since.
create or replace function baseledger._delete_reservations(p_wallet_id text, p_rows tid[])
returns void
language plpgsql
volatile
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_bitmapscan = off
as $$
begin
  if p_wallet_id is null then
    delete from baseledger.reservations r where r.ctid = any(p_rows);
  else
    delete from baseledger.reservations r
      where r.wallet_id = p_wallet_id and r.ctid = any(p_rows);
  end if;
end
$$;

revoke all on function baseledger._delete_reservations from public;
--! EndIncluded functions/execute/_delete_reservations.sql
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
      w.last_event_at, w.next_deadline, false, 1, v_asked, null, null, null
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
        least(v_wallet.next_deadline, v_opened), v_look_due, null, null, null, null, null
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
--! Included functions/sweep/_sweep_wallets.sql
-- Sweeps wallets in their order until p_limit reservations have expired, and returns how many. Passes
-- those that another session has locked. Locks no more wallets at once than may expire something,
-- so that other sweepers find the rest.
create or replace function baseledger._sweep_wallets(p_wallet_ids text[], p_limit integer)
returns integer
language plpgsql
volatile
as $$
declare
  v_expired integer := 0;
  v_next integer := 1;
  v_ids text[];
begin
  while v_expired < p_limit and v_next <= cardinality(p_wallet_ids) loop
    v_ids := p_wallet_ids[v_next:v_next + p_limit - v_expired - 1];
    v_next := v_next + cardinality(v_ids);
    v_expired := v_expired + cardinality(
      baseledger._execute(null, '{}', p_limit - v_expired, p_wallet_ids => v_ids)
    );
  end loop;
  return v_expired;
end
$$;

revoke all on function baseledger._sweep_wallets from public;
--! EndIncluded functions/sweep/_sweep_wallets.sql
--! Included functions/sweep/_sweep_singly.sql
-- Sweeps wallets one by one; one that cannot be swept is left out with a warning. (With Citus, which
-- cannot lock rows of several wallets by one statement, this is the only way.) Errors that are
-- no fault of a wallet go to the caller: a transaction that may not write (class 25) or must be
-- retried (40), a server without resources (53), one that shuts down (57) or cannot read its files
-- (58).
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
      perform from baseledger.wallets w
        where w.wallet_id = v_id
        for no key update skip locked;
      if found then
        v_expired := v_expired
          + cardinality(baseledger._execute(v_id, '{}', p_limit - v_expired));
      end if;
    exception
      when others then
        if left(sqlstate, 2) in ('25', '40', '53', '57', '58') then
          raise;
        end if;
        raise warning 'baseledger: wallet % cannot be swept: %', v_id, sqlerrm
          using hint = 'Run baseledger.verify() on it.';
    end;
  end loop;
  return v_expired;
end
$$;

revoke all on function baseledger._sweep_singly from public;
--! EndIncluded functions/sweep/_sweep_singly.sql
--! Included functions/sweep/_sweep_in_turn.sql
-- Sweeps one of the wallets in which nothing expired, as they were locked when the sweep came by: an
-- overdue one, drawn by lot.
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
  return baseledger._sweep_singly(array[v_id], p_limit);
exception
  when lock_not_available then
    return 0;
end
$$;

revoke all on function baseledger._sweep_in_turn from public;
--! EndIncluded functions/sweep/_sweep_in_turn.sql
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
  v_seen text[] := '{}';
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
      v_expired := v_expired + baseledger._sweep_wallets(v_ids, p_limit - v_expired);
    exception
      when others then
        v_expired := v_expired + baseledger._sweep_singly(v_ids, p_limit - v_expired);
    end;
    v_seen := v_seen || v_ids;
  end loop;
  if v_expired = 0 and v_seen <> '{}' then
    v_expired := baseledger._sweep_in_turn(v_seen, v_now, p_limit);
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
      else 'final'
    end);
  end if;
  return jsonb_build_object('code', 'LGARG', 'detail', baseledger._describe_argument(v_field));
end
$$;

revoke all on function baseledger._explain_parse_error from public;
--! EndIncluded functions/batch/_explain_parse_error.sql
--! Included functions/batch/_read_commands.sql
-- Reads the commands of a batch from JSON, strictly: an unknown operation, an unknown field, a value
-- of the wrong type or one that is not allowed refuses that command alone. A field that is null
-- counts as absent. With p_several, each names its wallet.
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
      null, null,
      case
        when r.problem is not null then r.problem ->> 'code'
        when baseledger._find_invalid_field(
          r.op, r.idempotency_key, r.reservation_id, r.amount, r.at_least, r.ttl, r.metadata, null
        ) is not null then 'LGARG'
      end,
      r.problem -> 'detail', null, null
    )::baseledger._command
    from (
      select v.place, v.op, v.wallet_id, v.idempotency_key, v.amount, v.at_least,
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
          then baseledger._explain_parse_error(v.command, v.op, v.fields, p_several)
          end as problem
        from (
          select e.command, e.place, e.op, o.fields, e.idempotency_key, e.reservation_id,
              e.final, e.metadata, e.wallet_id,
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
                at_least text, ttl text, final text, metadata jsonb
              )
            ) with ordinality as e(
              command, op, wallet_id, idempotency_key, reservation_id, amount, at_least, ttl,
              final, metadata, place
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
--! Included functions/batch/_check_commands.sql
-- Refuses a call whose commands are no array of at most 10,000 objects.
create or replace function baseledger._check_commands(p_commands jsonb)
returns void
language plpgsql
stable
as $$
begin
  if jsonb_typeof(p_commands) is distinct from 'array'
    or jsonb_array_length(p_commands) > 10000
    or p_commands @? 'strict $[*] ? (@.type() != "object")'
  then
    perform baseledger._raise('LGARG', baseledger._describe_argument('commands'));
  end if;
end
$$;

revoke all on function baseledger._check_commands from public;
--! EndIncluded functions/batch/_check_commands.sql
--! Included functions/batch/_link_commands.sql
-- Links the commands of a batch that share a key or a reservation: sets key_at and hold_at. Names
-- belong to their wallet: p_wallet_of has that of each command; null if it is one for all.
create or replace function baseledger._link_commands(
  p_commands baseledger._command[],
  p_wallet_of text[]
)
returns baseledger._command[]
language plpgsql
stable
as $$
declare
  v_link record;
begin
  for v_link in
    select l.place, nullif(l.first_of_key, l.place) as key_at,
        nullif(l.first_of_hold, l.place) as hold_at
      from (
        select c.place,
            -- Names that are null are equal here, but nobody looks them up.
            min(c.place) over (partition by c.wallet_id, c.idempotency_key) as first_of_key,
            min(c.place) over (partition by c.wallet_id, c.reservation_id) as first_of_hold
          from (
            select p_wallet_of[u.ordinality] collate "C" as wallet_id,
                u.idempotency_key collate "C", u.reservation_id collate "C",
                u.ordinality::integer as place
              from unnest(p_commands) with ordinality as u
          ) as c
      ) as l
      where l.first_of_key < l.place or l.first_of_hold < l.place
  loop
    p_commands[v_link.place].key_at := v_link.key_at;
    p_commands[v_link.place].hold_at := v_link.hold_at;
  end loop;
  return p_commands;
end
$$;

revoke all on function baseledger._link_commands from public;
--! EndIncluded functions/batch/_link_commands.sql
--! Included functions/batch/_parse_commands.sql
-- Parses the commands of a batch for one wallet: see _read_commands.
create or replace function baseledger._parse_commands(p_commands jsonb, p_for_operators boolean)
returns baseledger._command[]
language plpgsql
stable
as $$
declare
  v_commands baseledger._command[];
  v_shared boolean;
begin
  perform baseledger._check_commands(p_commands);
  select array_agg(r.command order by r.place),
      count(distinct r.idempotency_key collate "C") < count(r.idempotency_key)
        or count(distinct r.reservation_id collate "C") < count(r.reservation_id)
    into v_commands, v_shared
    from baseledger._read_commands(p_commands, p_for_operators, false) as r;
  return case
    when v_shared then baseledger._link_commands(v_commands, null)
    else coalesce(v_commands, '{}')
  end;
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
  out positions integer[]
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
        or count(distinct r.reservation_id collate "C") < count(r.reservation_id)
    into commands, wallet_of, positions, v_shared
    from baseledger._read_commands(p_commands, false, true) as r;
  if v_shared then
    commands := baseledger._link_commands(commands, wallet_of);
  end if;
  commands := coalesce(commands, '{}');
end
$$;

revoke all on function baseledger._parse_several from public;
--! EndIncluded functions/batch/_parse_several.sql
--! Included functions/batch/_refuse_unlocked.sql
-- Fills in the answers to commands whose wallets were not locked: refusals, as the command itself is
-- refused already, there is no such wallet, or somebody else has it.
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
          when exists (select from baseledger.wallets w where w.wallet_id = c.wallet_id)
            then 'LGBSY'
          else 'LGWNF'
        end as code
      ) as r
  );
end
$$;

revoke all on function baseledger._refuse_unlocked from public;
--! EndIncluded functions/batch/_refuse_unlocked.sql
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
    null, v_parsed.commands, p_wallet_ids => v_parsed.wallet_of
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
