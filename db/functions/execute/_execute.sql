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
