-- The one place where money moves. Folds commands into a wallet, in order:
--
--   1. lock the wallet's row, before anything is read (the row is the wallet's lock);
--   2. find what the commands refer to, as sets: earlier uses of their keys, their reservations,
--      and the reservations that come due;
--   3. decide each command in memory, expiries first, each at its own instant;
--   4. write as sets: events, reservations, and the wallet's row once.
--
-- Returns one receipt per command, in order. A refusal is a receipt with `refused` set; the single
-- commands raise it (_single), batches hand it on. A command that was carried out before gets
-- its first receipt with replayed = true. When nothing was granted, nothing is written: not even
-- the expiries, which then count by deadline as before.
--
-- Without commands it is the sweep of one wallet, and returns the expiries; p_limit bounds them.
--
-- Every statement probes by index whatever the statistics say: generic plans without sequential
-- scans or sorts, so that neither a first call on empty tables nor a hot wallet's history spoils
-- them.
create or replace function baseledger._fold(
  p_wallet_id text,
  p_commands baseledger._command[],
  p_limit integer default null
)
returns baseledger.receipt[]
language plpgsql
volatile
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
as $$
declare
  c_max constant bigint := 9223372036854775807;
  c_step constant interval := interval '1 microsecond';
  c_ttl constant interval := interval '10 minutes';   -- of a reservation that names none
  v_actor constant text := session_user::text;
  v_asked constant integer := cardinality(p_commands);

  v_wallet baseledger.wallets;
  v_first_seq bigint;                 -- the wallet's seq before this fold
  v_at timestamptz;                   -- when the next event happens
  v_commands baseledger._command[] := p_commands;
  v_total integer := v_asked;         -- the asked ones, then the expiries
  v_had_due boolean := false;

  -- By position of the command. Commands that share a key or a reservation share the position
  -- of the first of them.
  v_key_at integer[] := array[1];
  v_hold_at integer[] := array[1];
  v_done bigint[];                    -- at v_key_at: seq of the event that the key stands for
  v_holds baseledger._hold[];         -- at v_hold_at

  v_next_command integer := 1;
  v_next_due integer := v_asked + 1;
  v_i integer;
  v_command baseledger._command;
  v_hold baseledger._hold;
  v_seq bigint;
  v_stored baseledger.events;

  -- The decision: refused, or an event with what it moves.
  v_field text;
  v_refused text;
  v_detail jsonb;
  v_event baseledger.event_type;
  v_amount bigint;
  v_available bigint;
  v_reserved bigint;
  v_spent bigint;
  v_expires_at timestamptz;
  v_details jsonb;

  v_granted integer := 0;             -- commands carried out; expiries do not count
  v_events baseledger.events[] := '{}'::baseledger.events[];
  v_receipts baseledger.receipt[] := '{}'::baseledger.receipt[];
  v_untrue text[] := '{}'::text[];    -- reservations whose row is not true any more
  v_opened boolean := false;          -- a reservation is open without a true row
begin
  -- 1. Lock.
  select * into v_wallet from baseledger.wallets w
    where w.wallet_id = p_wallet_id
    for no key update;
  if not found then
    perform baseledger._no_wallet(p_wallet_id);
  end if;
  v_first_seq := v_wallet.seq;
  v_at := greatest(clock_timestamp(), v_wallet.last_event_at + c_step);

  -- 2. Find. Expiries: whatever comes due until the last command has happened. As each expiry
  -- takes its instant, too, they are looked for until there are no more.
  if v_wallet.next_deadline <= v_at + v_asked * c_step then
    v_had_due := true;
    loop
      v_commands := p_commands || baseledger._due(p_wallet_id, v_at + v_total * c_step, p_limit);
      exit when cardinality(v_commands) = v_total;
      v_total := cardinality(v_commands);
    end loop;
  end if;
  if v_total > 1 then
    select array_agg(p.key_at order by p.ordinality), array_agg(p.hold_at order by p.ordinality)
      into v_key_at, v_hold_at
      from (
        select c.ordinality,
          min(c.ordinality) over (partition by c.idempotency_key collate "C")::integer as key_at,
          min(c.ordinality) over (partition by c.reservation_id collate "C")::integer as hold_at
        from unnest(v_commands) with ordinality as c
      ) as p;
  end if;

  -- One probe a key and one a reservation: what is to be opened is looked for in the journal,
  -- the rest among the open ones (what is not there is looked up when it is needed: unknown).
  -- Each probe asks for a range of one value in the order of its index; as sorts are off, no
  -- statistics can make the planner walk a wallet's history through another index instead.
  select array_agg(k.seq order by c.ordinality),
      array_agg(row(
        c.reservation_id,
        case when r.reservation_id is not null then 'open'
          when c.op in ('reserve', 'charge') and x.seq is null then 'new'
          else 'unknown' end,
        r.amount, r.settled, r.held, r.expires_at,
        r.reservation_id is not null, false, 0, null, null
      )::baseledger._hold order by c.ordinality)
    into v_done, v_holds
    from unnest(v_commands) with ordinality as c
    left join lateral (
      select e.seq from baseledger.events e
        where e.wallet_id = p_wallet_id
          and e.idempotency_key between c.idempotency_key and c.idempotency_key
          and v_key_at[c.ordinality] = c.ordinality
        order by e.idempotency_key
        limit 1
    ) k on true
    left join lateral (
      select e.seq from baseledger.events e
        where e.wallet_id = p_wallet_id
          and e.reservation_id between c.reservation_id and c.reservation_id
          and c.op in ('reserve', 'charge')
          and v_hold_at[c.ordinality] = c.ordinality
        order by e.reservation_id
        limit 1
    ) x on true
    left join lateral (
      select o.* from baseledger.reservations o
        where o.wallet_id = p_wallet_id
          and o.reservation_id between c.reservation_id and c.reservation_id
          and c.op not in ('reserve', 'charge')
          and v_hold_at[c.ordinality] = c.ordinality
        order by o.reservation_id
        limit 1
    ) r on true;

  -- 3. Decide.
  loop
    if v_next_due <= v_total and v_commands[v_next_due].due_at <= v_at then
      v_i := v_next_due;
      v_next_due := v_next_due + 1;
    elsif v_next_command <= v_asked then
      v_i := v_next_command;
      v_next_command := v_next_command + 1;
    else
      exit;
    end if;
    v_command := v_commands[v_i];
    v_refused := v_command.refused;
    v_detail := v_command.detail;

    if v_command.op = 'reserve' and v_command.ttl is null then
      v_command.ttl := c_ttl;
    end if;
    if v_refused is null and v_i <= v_asked then
      v_field := baseledger._invalid_field(
        v_command.op, v_command.idempotency_key, v_command.reservation_id, v_command.amount,
        v_command.at_least, v_command.ttl, v_command.metadata, v_command.details
      );
      if v_field is not null then
        v_refused := 'LGARG';
      end if;
    end if;

    -- The key stands for an event already: the same command gets its receipt, another is refused.
    v_seq := v_done[v_key_at[v_i]];
    if v_seq is not null and v_refused is null and v_command.idempotency_key is not null then
      if v_seq > v_first_seq then
        v_stored := v_events[v_seq - v_first_seq];
      else
        select * into v_stored from baseledger.events e
          where e.wallet_id = p_wallet_id and e.seq = v_seq;
      end if;
      v_detail := baseledger._difference(
        baseledger._request_of_event(
          v_stored.event, v_stored.reservation_id, v_stored.amount,
          v_stored.expires_at - v_stored.occurred_at, v_stored.metadata, v_stored.details
        ),
        baseledger._request_of_command(v_command)
      );
      if v_detail is null then
        v_receipts[v_i] := row(
          v_stored.wallet_id, v_stored.seq, v_stored.event, v_stored.reservation_id,
          v_stored.amount, v_stored.available, v_stored.reserved, v_stored.spent,
          v_stored.expires_at, v_stored.occurred_at, v_stored.idempotency_key, true, null, null
        )::baseledger.receipt;
        continue;
      end if;
      v_refused := 'LGIDK';
    end if;

    if v_refused is null then
      v_amount := v_command.amount;
      v_available := 0;
      v_reserved := 0;
      v_spent := 0;
      v_expires_at := null;
      v_details := v_command.details;
      if v_command.reservation_id is not null then
        v_hold := v_holds[v_hold_at[v_i]];
        if v_hold.status = 'unknown' then
          v_hold := baseledger._find_hold(p_wallet_id, v_command.reservation_id);
        end if;
      end if;

      case v_command.op
        when 'reserve' then
          if v_command.at_least is not null then
            v_amount := least(v_amount, greatest(v_wallet.available, v_command.at_least));
            v_details := jsonb_build_object(
              'requested', v_command.amount, 'at_least', v_command.at_least
            );
          end if;
          if v_hold.status not in ('new', 'none') then
            v_refused := 'LGRID';
          elsif v_wallet.frozen then
            v_refused := 'LGFRZ';
          elsif v_wallet.available < v_amount then
            v_refused := 'LGNSF';
          else
            v_event := 'reserved';
            v_available := -v_amount;
            v_reserved := v_amount;
            v_hold.status := 'open';
            v_hold.expires_at := v_at + v_command.ttl;
            v_hold.amount := v_amount;
            v_hold.settled := 0;
            v_hold.held := v_amount;
          end if;

        when 'settle' then
          if v_hold.status = 'open' and v_hold.settled > c_max - v_amount then
            v_refused := 'LGOVF';
          elsif v_hold.status = 'open' then
            v_event := 'settled';
            v_spent := v_amount;
            v_hold.settled := v_hold.settled + v_amount;
            if v_command.final then
              v_available := v_hold.held - v_amount;
              v_reserved := -v_hold.held;
              v_hold.status := 'settled';
            else
              v_reserved := -least(v_amount, v_hold.held);
              v_available := -(v_amount + v_reserved);
              v_hold.held := v_hold.held + v_reserved;
              v_details := '{"final": false}';
            end if;
          elsif v_hold.status = 'expired' then
            -- Late: its hold is back in available, and what was spent comes from there.
            v_event := 'settled';
            v_spent := v_amount;
            v_available := -v_amount;
            if v_command.final then
              v_details := '{"late": true}';
              v_hold.status := 'settled';
            else
              v_details := '{"late": true, "final": false}';
            end if;
          else
            v_refused := 'LGEND';
          end if;
          if v_available < 0 and v_wallet.available < -v_wallet.overdraft_limit - v_available then
            v_refused := 'LGOVD';
          end if;

        when 'expire' then
          -- Settled, cancelled or extended by a command before it in this fold: not due any more.
          continue when v_hold.status <> 'open' or v_hold.expires_at > v_at;
          v_event := 'expired';
          v_amount := v_hold.held;
          v_available := v_amount;
          v_reserved := -v_amount;
          v_expires_at := v_hold.expires_at;
          v_hold.status := 'expired';

        when 'cancel' then
          if v_hold.status = 'open' then
            v_event := 'cancelled';
            v_amount := v_hold.held;
            v_available := v_amount;
            v_reserved := -v_amount;
            v_hold.status := 'cancelled';
          elsif v_hold.status = 'expired' then
            v_refused := 'LGEXP';
          else
            v_refused := 'LGEND';
          end if;

        when 'extend' then
          v_reserved := coalesce(v_amount - v_hold.held, 0);
          if v_hold.status = 'expired' then
            v_refused := 'LGEXP';
          elsif v_hold.status <> 'open' then
            v_refused := 'LGEND';
          elsif v_reserved > 0 and v_wallet.frozen then
            v_refused := 'LGFRZ';
          elsif v_reserved > 0 and v_wallet.available < v_reserved then
            v_refused := 'LGNSF';
          elsif v_reserved > 0 and v_hold.amount > c_max - v_reserved then
            v_refused := 'LGOVF';
          else
            v_event := 'extended';
            v_available := -v_reserved;
            if v_amount is not null then
              v_details := jsonb_build_object('hold', v_amount);
            end if;
            v_amount := v_reserved;
            v_hold.expires_at := v_at + v_command.ttl;
            v_hold.amount := v_hold.amount + v_reserved;
            v_hold.held := v_hold.held + v_reserved;
          end if;

        when 'charge' then
          if v_hold.status not in ('new', 'none') then
            v_refused := 'LGRID';
          elsif v_wallet.frozen then
            v_refused := 'LGFRZ';
          elsif v_wallet.available < v_amount then
            v_refused := 'LGNSF';
          else
            v_event := 'charged';
            v_available := -v_amount;
            v_spent := v_amount;
            v_hold.status := 'settled';
          end if;

        when 'refund' then
          if v_hold.status in ('new', 'none') then
            v_refused := 'LGRNF';
          elsif v_hold.net + baseledger._refundable(p_wallet_id, v_hold.reservation_id) < v_amount
          then
            v_refused := 'LGRFD';
          else
            v_event := 'refunded';
            v_available := v_amount;
            v_spent := -v_amount;
          end if;

        when 'credit' then
          v_event := 'credited';
          v_available := v_amount;

        when 'withdraw', 'transfer_out' then
          if v_wallet.frozen then
            v_refused := 'LGFRZ';
          elsif v_wallet.available < v_amount then
            v_refused := 'LGNSF';
          else
            v_available := -v_amount;
            v_event := 'withdrawn';
            if v_command.op = 'transfer_out' then
              v_event := 'transferred_out';
            end if;
          end if;

        when 'transfer_in' then
          v_event := 'transferred_in';
          v_available := v_amount;

        when 'freeze' then
          v_event := 'frozen';
          v_wallet.frozen := true;

        when 'unfreeze' then
          v_event := 'unfrozen';
          v_wallet.frozen := false;

        when 'open' then
          v_event := 'opened';
      end case;

      if v_refused = 'LGEND' and v_hold.status in ('new', 'none') then
        v_refused := 'LGRNF';
      end if;
      -- Funds that come in must leave room for all that is reserved to come back, so that no
      -- hold can ever be stuck.
      if v_refused is null and (
        v_available + v_reserved > 0
          and v_wallet.available > c_max - v_wallet.reserved - (v_available + v_reserved)
        or v_available < 0 and v_wallet.available < -c_max - v_available
        or v_spent > 0 and v_wallet.spent > c_max - v_spent
      ) then
        v_refused := 'LGOVF';
      end if;
    end if;

    if v_refused is not null then
      v_detail := coalesce(v_detail, baseledger._refusal_detail(
        v_refused, p_wallet_id, v_wallet.available, v_wallet.reserved, v_wallet.spent,
        v_wallet.overdraft_limit, v_available, v_field, v_command, v_hold, v_holds
      ));
      -- No rule stands against an expiry: the wallet's rows are not as the fold has left them.
      if v_i > v_asked then
        perform baseledger._raise(v_refused, v_detail);
      end if;
      v_receipts[v_i] := row(
        p_wallet_id, null, null, v_command.reservation_id, null, null, null, null, null, null,
        v_command.idempotency_key, false, v_refused, v_detail
      )::baseledger.receipt;
      continue;
    end if;

    if v_command.reservation_id is not null and v_hold.status = 'open' then
      v_expires_at := v_hold.expires_at;
    end if;
    v_wallet.available := v_wallet.available + v_available;
    v_wallet.reserved := v_wallet.reserved + v_reserved;
    v_wallet.spent := v_wallet.spent + v_spent;
    v_wallet.seq := v_wallet.seq + 1;
    v_wallet.last_event_at := v_at;
    v_wallet.hash := sha256(v_wallet.hash || baseledger._canonical(
      p_wallet_id, v_wallet.seq, v_event, v_command.reservation_id, v_amount,
      v_wallet.available, v_wallet.reserved, v_wallet.spent, v_expires_at, v_at,
      v_command.idempotency_key, v_actor, v_command.metadata, v_details
    ));
    v_events[v_wallet.seq - v_first_seq] := row(
      v_wallet.seq, v_amount, v_wallet.available, v_wallet.reserved, v_wallet.spent, v_at,
      v_expires_at, v_event, p_wallet_id, v_command.reservation_id, v_command.idempotency_key,
      v_actor, v_command.metadata, v_details, v_wallet.hash
    )::baseledger.events;
    v_receipts[v_i] := row(
      p_wallet_id, v_wallet.seq, v_event, v_command.reservation_id, v_amount,
      v_wallet.available, v_wallet.reserved, v_wallet.spent, v_expires_at, v_at,
      v_command.idempotency_key, false, null, null
    )::baseledger.receipt;
    if v_i <= v_asked then
      v_granted := v_granted + 1;
      v_done[v_key_at[v_i]] := v_wallet.seq;
    end if;

    if v_command.reservation_id is not null then
      v_hold.net := v_hold.net + v_spent;
      if v_event <> 'refunded' then
        if v_hold.stored and not v_hold.changed then
          v_hold.changed := true;
          v_untrue := v_untrue || v_hold.reservation_id;
        end if;
        if v_hold.status = 'open' then
          v_wallet.next_deadline := least(v_wallet.next_deadline, v_expires_at);
          v_opened := true;
        else
          v_hold.ended_seq := v_wallet.seq;
          v_hold.ended_at := v_at;
        end if;
      end if;
      v_holds[v_hold_at[v_i]] := v_hold;
    end if;
    v_at := v_at + c_step;
  end loop;

  -- 4. Write.
  if v_granted = 0 and v_asked > 0 then
    return v_receipts[:v_asked];
  end if;
  if v_wallet.seq > v_first_seq then
    insert into baseledger.events select * from unnest(v_events);
  end if;
  if v_untrue <> '{}' then
    delete from baseledger.reservations r
      where r.wallet_id = p_wallet_id and r.reservation_id = any(v_untrue);
  end if;
  if v_opened then
    insert into baseledger.reservations
      (wallet_id, reservation_id, amount, settled, held, expires_at)
    select p_wallet_id, h.reservation_id, h.amount, h.settled, h.held, h.expires_at
      from unnest(v_holds) as h
      where h.status = 'open' and (not h.stored or h.changed);
  end if;
  if v_had_due then
    v_wallet.next_deadline := (
      select r.expires_at from baseledger.reservations r
        where r.wallet_id = p_wallet_id and r.expires_at < 'infinity'
        order by r.expires_at
        limit 1
    );
  end if;
  update baseledger.wallets w
    set available = v_wallet.available,
      reserved = v_wallet.reserved,
      spent = v_wallet.spent,
      seq = v_wallet.seq,
      hash = v_wallet.hash,
      frozen = v_wallet.frozen,
      last_event_at = v_wallet.last_event_at,
      next_deadline = v_wallet.next_deadline
    where w.wallet_id = p_wallet_id;

  if v_asked > 0 then
    return v_receipts[:v_asked];
  end if;
  return v_receipts;
end
$$;

revoke all on function baseledger._fold from public;
