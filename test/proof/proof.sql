-- What the proof needs in its database: functions that carry out steps and tell what came of them.
-- Installed by a superuser into a database that is for the proof alone.

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

-- Events are dated anew here, as the owner; to switch the guard for each would lock the table.
alter table baseledger.events disable trigger events_append_only;

-- Makes the hash chain of a wallet good again from an event on.
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
  for v_event in
    select * from baseledger.events e
      where e.wallet_id = p_wallet_id and e.seq >= p_seq order by e.seq
  loop
    v_hash := sha256(v_hash || baseledger._canonical(
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

-- Moves all wallets that there are into the past, with all their times.
create function proof.go_back(p_seconds numeric)
returns void
language plpgsql
security definer
as $$
declare
  v_by constant interval := make_interval(secs => p_seconds);
begin
  update baseledger.events e
    set occurred_at = e.occurred_at - v_by, expires_at = e.expires_at - v_by;
  update baseledger.reservations r set expires_at = r.expires_at - v_by;
  update baseledger.wallets w
    set last_event_at = w.last_event_at - v_by, next_deadline = w.next_deadline - v_by;
  perform proof.rehash(w.wallet_id, 1) from baseledger.wallets w;
end
$$;

-- Dates the last event of a wallet ahead, as if it had happened at another time: by so many
-- seconds, or until so many microseconds before the next deadline. From then on the clock is behind
-- the wallet, and each event happens exactly a microsecond after the one before. An event of a
-- reservation stays where it is: it may have set a deadline, or come before one. Returns the time.
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
  -- no deadline may be passed by without an event: what writes to a wallet expires what is due
  v_at := least(v_at, (
    select min(r.expires_at) - coalesce(p_before_due, 1) * interval '1 microsecond'
      from baseledger.reservations r where r.wallet_id = p_wallet_id
  ));
  update baseledger.events e set occurred_at = v_at
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

-- One of the times that a wallet has seen, or a little off it.
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

create function proof.micros(p_at timestamptz)
returns bigint
language sql
immutable
as $$ select (extract(epoch from p_at) * 1000000)::bigint $$;

-- Calls a function by its name; a batch gives several rows.
create function proof.call(p_call text, a jsonb)
returns jsonb
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
        (select jsonb_agg(to_jsonb(p)) from baseledger.post(w, a -> 'commands') as p), '[]'
      );
    when 'post_funds' then
      return coalesce(
        (select jsonb_agg(to_jsonb(p)) from baseledger.post_funds(w, a -> 'commands') as p), '[]'
      );
    when 'expire_due' then return to_jsonb(baseledger.expire_due((a ->> 'limit')::integer));
    when 'go_back' then
      perform proof.go_back((a ->> 'seconds')::numeric);
      return 'null';
    when 'date_last' then
      return to_jsonb(proof.date_last(
        w, (a ->> 'seconds')::numeric, (a ->> 'before_due')::integer
      ));
  end case;
  return jsonb_build_array(to_jsonb(v));
end
$$;

-- Carries out a step, and tells all that can be seen afterwards: by the views, by balance, and by
-- balance_at at the instant that the step names; with the times between which each was done.
create function proof.step(p_step jsonb)
returns jsonb
language plpgsql
as $$
declare
  v_wallet_id constant text := p_step #>> '{look,wallet_id}';
  v_from constant timestamptz := clock_timestamp();
  v_until timestamptz;
  v_answer jsonb;
  v_code text;
  v_detail text;
  v_at timestamptz;
  v_seen jsonb;
begin
  begin
    v_answer := proof.call(p_step ->> 'call', p_step -> 'args');
  exception
    when others then
      get stacked diagnostics v_code = returned_sqlstate, v_detail = pg_exception_detail;
      v_answer := jsonb_build_object('refused', v_code, 'detail', case
        when v_code like 'LG%' then v_detail::jsonb else to_jsonb(sqlerrm) end);
  end;
  v_until := clock_timestamp();
  v_at := proof.instant(
    v_wallet_id, (p_step #>> '{look,index}')::integer, (p_step #>> '{look,shift}')::integer
  );
  select jsonb_build_object(
      'wallets', (select jsonb_agg(to_jsonb(b) order by b.wallet_id) from baseledger.wallet_balances b),
      'open', (
        select jsonb_agg(to_jsonb(o) - 'time_left' order by o.wallet_id, o.reservation_id)
          from baseledger.open_reservations o
      ),
      'now', (
        select to_jsonb(baseledger.balance(x.id))
          from (select w.wallet_id as id from baseledger.wallet_balances w
            where w.wallet_id = v_wallet_id) as x
      ),
      'then', (
        select to_jsonb(baseledger.balance_at(x.id, v_at))
          from (select w.wallet_id as id from baseledger.wallet_balances w
            where w.wallet_id = v_wallet_id) as x
      )
    ) into v_seen;
  return v_seen || jsonb_build_object(
    'answer', v_answer, 'from', v_from, 'until', v_until, 'at', v_at,
    'seen', clock_timestamp(), 'statement', statement_timestamp()
  );
end
$$;

-- Carries out steps in order, on an empty ledger which is left empty. Returns what each has given,
-- then the journals, and what verify has found.
create function proof.play(p_steps jsonb)
returns jsonb[]
language plpgsql
as $$
declare
  v_told jsonb[] := '{}';
  v_step jsonb;
begin
  begin
    for v_step in select * from jsonb_array_elements(p_steps) loop
      v_told := v_told || proof.step(v_step);
    end loop;
    v_told := v_told || jsonb_build_object(
      'journals', (
        select jsonb_agg(to_jsonb(j) - 'actor' - 'details' - 'hash' order by j.wallet_id, j.seq)
          from baseledger.journal j
      ),
      'verify', (select jsonb_agg(to_jsonb(d)) from baseledger.verify() d)
    );
    raise exception using errcode = 'PROOF';
  exception
    when sqlstate 'PROOF' then null;
  end;
  return v_told;
end
$$;
