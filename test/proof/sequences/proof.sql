-- The database's side of the proof: functions that execute steps, and return all that can be observed
-- after each of them, to be compared with the model (test/proof/model.ts). What a step should give is
-- stated there and not here: this file only calls the public functions and reads tables and views.
-- Installed by a superuser into a database that only the proof uses.

do $$
begin
  create role ledger_test_proof login password 'secret'
    in role baseledger_operator, baseledger_auditor, baseledger_worker;
exception
  when duplicate_object or unique_violation then null;
end
$$;

create schema proof;
grant usage on schema proof to ledger_test_proof;

-- The functions below change the dates of events; disabling the trigger each time would lock the table.
alter table baseledger.events disable trigger events_append_only;

-- A wallet's last event may lie ahead of the clock by hours and still count as the clock: events after
-- it then reach deadlines to the microsecond. Further ahead, deadlines count by the clock.
create or replace function baseledger._clock_slack()
returns interval
language sql
stable
as $$ select interval '12 hours' $$;

-- A wallet that another session keeps locked while steps are executed. It has the keys and the
-- reservation that other wallets have as well. It is not in the model: nothing may happen in it.
select baseledger.open_wallet('busy');
select baseledger.credit('busy', 20, 'funds');
select baseledger.reserve('busy', 5, 'k1', interval '30 days', 'r1');

-- A digest of its rows.
create function proof.busy()
returns text
language sql
security definer
as $$
  select md5(concat(
      w,
      (select string_agg(e.hash::text, ' ' order by e.seq)
        from baseledger.events e where e.wallet_id = 'busy'),
      (select string_agg(r::text, ' ' order by r.reservation_id)
        from baseledger.reservations r where r.wallet_id = 'busy')
    ))
    from baseledger.wallets w where w.wallet_id = 'busy'
$$;

-- Repairs the hash chain of a wallet from an event on, unless nothing will verify it.
create function proof.rehash(p_wallet_id text, p_seq bigint)
returns void
language plpgsql
as $$
declare
  v_hash bytea := coalesce(
    (select e.hash from baseledger.events e where e.wallet_id = p_wallet_id and e.seq = p_seq - 1),
    decode(repeat('00', 32), 'hex')
  );
  v_event baseledger.events;
begin
  if current_setting('proof.verify') = 'off' then
    return;
  end if;
  for v_event in
    select * from baseledger.events e
      where e.wallet_id = p_wallet_id and e.seq >= p_seq order by e.seq
  loop
    v_hash := sha256(v_hash || baseledger._encode_event(
      v_event.wallet_id, v_event.seq, v_event.event, v_event.reservation_id, v_event.amount,
      v_event.available, v_event.reserved, v_event.spent, v_event.expires_at,
      v_event.occurred_at, v_event.idempotency_key, v_event.actor, v_event.metadata,
      v_event.details
    ));
    update baseledger.events e set hash = v_hash
      where e.wallet_id = p_wallet_id and e.seq = v_event.seq;
  end loop;
  update baseledger.wallets w set hash = v_hash where w.wallet_id = p_wallet_id;
end
$$;

-- Moves all wallets of the model into the past, with all their times.
create function proof.go_back(p_seconds numeric)
returns void
language plpgsql
security definer
as $$
declare
  v_by constant interval := make_interval(secs => p_seconds);
begin
  update baseledger.events e
    set occurred_at = e.occurred_at - v_by, expires_at = e.expires_at - v_by
    where e.wallet_id <> 'busy';
  update baseledger.reservations r set expires_at = r.expires_at - v_by
    where r.wallet_id <> 'busy';
  update baseledger.wallets w
    set last_event_at = w.last_event_at - v_by, next_deadline = w.next_deadline - v_by
    where w.wallet_id <> 'busy';
  perform proof.rehash(w.wallet_id, 1) from baseledger.wallets w where w.wallet_id <> 'busy';
end
$$;

-- Dates the last event of a wallet ahead, as if the clock had been ahead: by p_seconds, or to
-- p_before_due microseconds before the next deadline. From then on the clock is behind the wallet, and
-- each event happens exactly a microsecond after the one before. An event of a reservation keeps its
-- date, as it may have set a deadline, or must come before one. Returns the new date.
create function proof.date_last(p_wallet_id text, p_seconds numeric, p_before_due integer)
returns timestamptz
language plpgsql
security definer
as $$
declare
  v_wallet baseledger.wallets;
  v_at timestamptz;
begin
  select * into v_wallet from baseledger.wallets w where w.wallet_id = p_wallet_id;
  if p_seconds is not null then
    v_at := v_wallet.last_event_at + make_interval(secs => p_seconds);
  end if;
  -- not past a deadline: whatever writes to a wallet expires what is due
  v_at := least(v_at, (
    select min(r.expires_at) - coalesce(p_before_due, 1) * interval '1 microsecond'
      from baseledger.reservations r where r.wallet_id = p_wallet_id
  ));
  update baseledger.events e
    set occurred_at = v_at, details = nullif(e.details - 'ahead_us', '{}')
    where e.wallet_id = p_wallet_id
      and e.seq = v_wallet.seq
      and e.reservation_id is null
      and e.occurred_at < v_at;
  if not found then
    return null;
  end if;
  update baseledger.wallets w set last_event_at = v_at where w.wallet_id = p_wallet_id;
  perform proof.rehash(p_wallet_id, v_wallet.seq);
  return v_at;
end
$$;

-- One of the times in a wallet's journal, shifted by some microseconds.
create function proof.instant(p_wallet_id text, p_index integer, p_shift integer)
returns timestamptz
language sql
security definer
as $$
  select coalesce(x.times[1 + p_index % cardinality(x.times)], clock_timestamp())
      + p_shift * interval '1 microsecond'
    from (
      select array_agg(t.at order by t.at) as times
        from baseledger.events e
        cross join lateral (values (e.occurred_at), (e.expires_at)) as t(at)
        where e.wallet_id = p_wallet_id and t.at is not null
    ) as x
$$;

-- Calls a function by its name; a batch gives several rows.
create function proof.call(p_call text, a jsonb)
returns json
language plpgsql
as $$
declare
  w constant text := a ->> 'wallet_id';
  k constant text := a ->> 'idempotency_key';
  r constant text := a ->> 'reservation_id';
  n constant bigint := a ->> 'amount';
  m constant jsonb := nullif(a -> 'metadata', 'null');
  t constant interval := make_interval(secs => (a ->> 'ttl')::float8);
  v baseledger.receipt;
begin
  case p_call
    when 'reserve' then
      v := baseledger.reserve(w, n, k, t, r, (a ->> 'at_least')::bigint, m);
    when 'settle' then v := baseledger.settle(w, r, n, k, (a ->> 'final')::boolean, m);
    when 'cancel' then v := baseledger.cancel(w, r, k, m);
    when 'extend' then v := baseledger.extend(w, r, t, k, n, m);
    when 'charge' then v := baseledger.charge(w, n, k, r, m);
    when 'refund' then v := baseledger.refund(w, r, n, k, m);
    when 'credit' then v := baseledger.credit(w, n, k, m);
    when 'withdraw' then v := baseledger.withdraw(w, n, k, m);
    when 'freeze_wallet' then v := baseledger.freeze_wallet(w, a ->> 'reason', k, m);
    when 'unfreeze_wallet' then v := baseledger.unfreeze_wallet(w, a ->> 'reason', k, m);
    when 'transfer' then v := baseledger.transfer(a ->> 'from', a ->> 'to', n, k, m);
    when 'open_wallet' then
      v := baseledger.open_wallet(
        w, a ->> 'unit', (a ->> 'scale')::integer, (a ->> 'overdraft_limit')::bigint, m
      );
    when 'post' then
      return coalesce(
        (select json_agg(p) from baseledger.post(w, a -> 'commands') as p), '[]'
      );
    when 'post_funds' then
      return coalesce(
        (select json_agg(p) from baseledger.post_funds(w, a -> 'commands') as p), '[]'
      );
    when 'post_many' then
      return coalesce(
        (select json_agg(p) from baseledger.post_many(a -> 'commands') as p), '[]'
      );
    when 'expire_due' then return to_json(baseledger.expire_due((a ->> 'limit')::integer));
    when 'go_back' then
      perform proof.go_back((a ->> 'seconds')::numeric);
      return 'null';
    when 'date_last' then
      return to_json(proof.date_last(
        w, (a ->> 'seconds')::numeric, (a ->> 'before_due')::integer
      ));
  end case;
  return json_build_array(v);
end
$$;

-- The rows of the tables.
create function proof.rows()
returns json
language sql
security definer
as $$
  select json_build_object(
    'wallets', (
      select json_agg(x) from (
        select w.wallet_id, w.available, w.reserved, w.spent, w.frozen, w.seq, w.last_event_at,
            baseledger._event_clock(e.occurred_at, e.details) as last_instant
          from baseledger.wallets w
          left join baseledger.events e on e.wallet_id = w.wallet_id and e.seq = w.seq
          where w.wallet_id <> 'busy'
          order by w.wallet_id
      ) as x
    ),
    'reservations', (
      select json_agg(r order by r.wallet_id, r.reservation_id) from baseledger.reservations r
        where r.wallet_id <> 'busy'
    )
  )
$$;

-- What can be read of the wallets: by the views, by balance, and by balance_at at an instant.
create function proof.look(p_look jsonb)
returns json
language plpgsql
as $$
declare
  v_wallet_id constant text := p_look ->> 'wallet_id';
  v_at constant timestamptz := proof.instant(
    v_wallet_id, (p_look ->> 'index')::integer, (p_look ->> 'shift')::integer
  );
  v_looked json;
begin
  select json_build_object(
      'wallets', (
        select json_agg(to_jsonb(b) - 'ahead_by' order by b.wallet_id)
          from baseledger.wallet_balances b
          where b.wallet_id <> 'busy'
      ),
      'open', (
        select json_agg(x) from (
          select o.wallet_id, o.reservation_id, o.amount, o.settled, o.held, o.expires_at
            from baseledger.open_reservations o
            where o.wallet_id <> 'busy'
            order by o.wallet_id, o.reservation_id
        ) as x
      ),
      'now', baseledger.balance(v_wallet_id),
      'past', baseledger.balance_at(v_wallet_id, v_at),
      'at', v_at
    ) into v_looked;
  return v_looked;
end
$$;

-- Executes a step, and returns its answer, the rows after it, what can be read if the step asks for a
-- look, and the times around it.
create function proof.step(p_step jsonb)
returns json
language plpgsql
as $$
declare
  v_from constant timestamptz := clock_timestamp();
  v_until timestamptz;
  v_answer json;
  v_code text;
  v_detail text;
  v_looked json;
begin
  begin
    v_answer := proof.call(p_step ->> 'call', p_step -> 'args');
  exception
    when others then
      get stacked diagnostics v_code = returned_sqlstate, v_detail = pg_exception_detail;
      v_answer := json_build_object('refused', v_code, 'detail', case
        when v_code like 'LG%' then v_detail::json else to_json(sqlerrm) end);
  end;
  v_until := clock_timestamp();
  if p_step -> 'look' <> 'null' then
    v_looked := proof.look(p_step -> 'look');
  end if;
  return json_build_object(
    'answer', v_answer, 'rows', proof.rows(), 'busy', proof.busy(), 'looked', v_looked,
    'from', v_from, 'until', v_until, 'seen', clock_timestamp()
  );
end
$$;

create function proof.steps(p_steps jsonb)
returns json[]
language sql
as $$ select array_agg(proof.step(s)) from jsonb_array_elements(p_steps) as s $$;

-- The journals, and if proof.verify is on what verify finds, and the history of reservations.
create function proof.journals()
returns json
language sql
as $$
  select json_build_object(
    'journals', (
      select json_agg(x) from (
        select j.wallet_id, j.seq, j.event, j.reservation_id, j.amount, j.available, j.reserved,
            j.spent, j.expires_at, j.occurred_at, j.idempotency_key, j.metadata
          from baseledger.journal j
          where j.wallet_id <> 'busy'
          order by j.wallet_id, j.seq
      ) as x
    ),
    'verify', case when current_setting('proof.verify') = 'on' then
      (select json_agg(d) from baseledger.verify() d)
    end,
    'history', case when current_setting('proof.verify') = 'on' then (
      select coalesce(json_agg(x), '[]') from (
        select h.wallet_id, h.reservation_id, h.amount, h.settled, h.used, h.released, h.refunded
          from baseledger.reservation_history h
          where h.wallet_id <> 'busy'
          order by h.wallet_id, h.reservation_id
      ) as x
    ) end
  )
$$;

-- What stays the same in a round trip.
create function proof.constants()
returns json
language sql
as $$ select json_build_object('statement', statement_timestamp(), 'busy', proof.busy()) $$;

-- Executes the steps of the start in an empty ledger, then each of the sequences after that start, and
-- rolls all of it back. Returns the result of each step, in order, and the journals after each
-- sequence. One sequence in p_verified, the first included, is verified, as that takes as long as
-- playing one.
create function proof.play(p_start jsonb, p_sequences jsonb, p_verified integer)
returns setof json
language plpgsql
as $$
declare
  v_results json[];
  v_sequence jsonb;
  v_i integer := 0;
begin
  begin
    -- each of the sequences inherits what the start has dated ahead
    perform set_config('proof.verify', 'on', true);
    v_results := proof.constants() || proof.steps(p_start);
    for v_sequence in select * from jsonb_array_elements(p_sequences) loop
      begin
        perform set_config('proof.verify', case v_i % p_verified when 0 then 'on' else 'off' end, true);
        v_results := v_results || proof.steps(v_sequence) || proof.journals();
        raise exception using errcode = 'PROOF';
      exception
        when sqlstate 'PROOF' then null;
      end;
      v_i := v_i + 1;
    end loop;
    raise exception using errcode = 'PROOF';
  exception
    when sqlstate 'PROOF' then null;
  end;
  return query select * from unnest(v_results);
end
$$;

-- Executes every sequence that takes one step of each level, as a tree: a step, all that follows it,
-- then the step is rolled back. Returns the result of each step, in that order, and after each last
-- step the journals.
create function proof.branch(p_levels jsonb)
returns json[]
language plpgsql
as $$
declare
  v_results json[] := '{}';
  v_step jsonb;
begin
  if jsonb_array_length(p_levels) = 0 then
    return array[proof.journals()];
  end if;
  for v_step in select * from jsonb_array_elements(p_levels -> 0) loop
    begin
      v_results := v_results || proof.step(v_step);
      v_results := v_results || proof.branch(p_levels - 0);
      raise exception using errcode = 'PROOF';
    exception
      when sqlstate 'PROOF' then null;
    end;
  end loop;
  return v_results;
end
$$;

-- The same after the steps of a start, as in play.
create function proof.explore(p_start jsonb, p_levels jsonb)
returns setof json
language plpgsql
as $$
declare
  v_results json[];
begin
  begin
    perform set_config('proof.verify', 'off', true);
    v_results := proof.constants() || proof.steps(p_start);
    v_results := v_results || proof.branch(p_levels);
    raise exception using errcode = 'PROOF';
  exception
    when sqlstate 'PROOF' then null;
  end;
  return query select * from unnest(v_results);
end
$$;
