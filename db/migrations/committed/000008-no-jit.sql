--! Previous: sha1:13c56da2223036fb637346cee46b5f53815b5316
--! Hash: sha1:288de8c08a7628bbf599d8c8633ccd4eb325107c
--! Message: No JIT

-- No JIT, whatever the server says.
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
-- them. Without JIT: a sort that is off costs 1e10 where there is no way around it, above which any
-- server would compile the plan, at some 100 ms a call.
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
set jit = off
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
            v_hold.reservation_id, 'settled', null, null, null, null, false, v_command.amount,
            v_last.seq + 1, v_at
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
set jit = off
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
set jit = off
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
set enable_sort = off
set jit = off
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
--! Included functions/next_due.sql
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
set jit = off
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
--! Included functions/post.sql
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
set jit = off
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
set jit = off
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
