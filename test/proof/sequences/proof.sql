-- The database's side of the proof: functions that execute steps, and return all that can be observed
-- after each of them, to be compared with the model (test/proof/model.ts). What a step should give is
-- stated there and not here: this file only calls the public functions and reads tables and views.
-- Installed by a superuser into a database that only the proof uses.

do $$
begin
  create role ledger_test_team in role baseledger_agent;
  create role ledger_test_proof
    in role baseledger_operator, baseledger_auditor, baseledger_worker, ledger_test_team;
  create role ledger_test_ann in role baseledger_agent, ledger_test_team;
  create role ledger_test_bob in role baseledger_agent;
exception
  when duplicate_object or unique_violation then null;
end
$$;

create schema proof;
grant usage on schema proof to public;

-- The clock, as far ahead as proof.clock says. Windows of limits follow the calendar, so that a wallet
-- which is moved into the past would have other windows: time passes by the clock instead.
alter function pg_catalog.clock_timestamp() rename to real_clock_timestamp;
alter function pg_catalog.statement_timestamp() rename to real_statement_timestamp;

create function proof.ahead()
returns interval
language sql
stable
as $$
  select coalesce(nullif(pg_catalog.current_setting('proof.clock', true), ''), '0')::interval
$$;

create function pg_catalog.clock_timestamp()
returns timestamptz
language sql
volatile
as $$ select pg_catalog.real_clock_timestamp() + proof.ahead() $$;

create function pg_catalog.statement_timestamp()
returns timestamptz
language sql
stable
as $$ select pg_catalog.real_statement_timestamp() + proof.ahead() $$;

-- Views remember functions by their number.
do $$
declare
  v_view record;
begin
  for v_view in
    select c.oid::regclass as name, pg_get_viewdef(c.oid) as definition
      from pg_class c
      where c.relkind = 'v'
        and c.relnamespace = 'baseledger'::regnamespace
        and pg_get_viewdef(c.oid) like '%real\_%\_timestamp%'
  loop
    execute format(
      'create or replace view %s as %s',
      v_view.name, replace(replace(v_view.definition,
        'real_statement_timestamp()', 'statement_timestamp()'),
        'real_clock_timestamp()', 'clock_timestamp()')
    );
  end loop;
end
$$;

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
-- Its reservation outlives all time that passes.
select set_config('proof.clock', '20 years', false);
select baseledger.open_wallet('busy');
select baseledger.credit('busy', 20, 'funds');
select baseledger.reserve('busy', 5, 'k1', interval '30 days', 'r1');
select set_config('proof.clock', '', false);

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

-- Lets the clock be ahead by so much. A sweep would do nothing for a while after that, so it forgets
-- when it last looked at the clock.
create function proof.set_clock(p_ahead interval)
returns void
language plpgsql
security definer
as $$
begin
  perform set_config('proof.clock', p_ahead::text, true);
  delete from baseledger.sweeps;
end
$$;

-- Sets the clock forward, by some seconds.
create function proof.wait(p_seconds numeric)
returns void
language sql
as $$ select proof.set_clock(proof.ahead() + make_interval(secs => p_seconds)) $$;

-- Sets the clock.
create function proof.travel(p_to timestamptz)
returns void
language sql
as $$ select proof.set_clock(date_trunc('second', p_to - real_clock_timestamp())) $$;

-- When the next window begins after an instant, or about then.
create function proof.border(p_at timestamptz, p_per text, p_zone text)
returns timestamptz
language sql
as $$
  select (date_trunc(p_per, p_at at time zone p_zone) + ('1 ' || p_per)::interval)
    at time zone p_zone
$$;

-- Sets the clock to some seconds before a window ends.
create function proof.go_to_border(p_per text, p_zone text)
returns void
language sql
as $$
  select proof.wait(greatest(0, extract(
    epoch from proof.border(clock_timestamp(), p_per, p_zone) - clock_timestamp()
  ) - 3))
$$;

-- Dates the last event of a wallet ahead, as if the clock had been ahead: by p_seconds, to p_before
-- microseconds before the end of a window, or before the next deadline. From then on the clock is behind the wallet, and
-- each event happens exactly a microsecond after the one before. An event of a reservation keeps its
-- date, as it may have set a deadline, or must come before one. Returns the new date.
create function proof.date_last(
  p_wallet_id text,
  p_seconds numeric,
  p_per text,
  p_zone text,
  p_before integer
)
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
  elsif p_per is not null then
    v_at := proof.border(v_wallet.last_event_at, p_per, p_zone)
      - p_before * interval '1 microsecond';
  end if;
  -- not past a deadline: whatever writes to a wallet expires what is due
  v_at := least(v_at, (
    select min(r.expires_at) - coalesce(p_before, 1) * interval '1 microsecond'
      from baseledger.reservations r where r.wallet_id = p_wallet_id
  ));
  update baseledger.events e
    set occurred_at = v_at, details = nullif(e.details - 'ahead_us', '{}')
    where e.wallet_id = p_wallet_id
      and e.seq = v_wallet.seq
      and e.event in ('opened', 'credited', 'frozen', 'unfrozen')
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

-- A JSON array of texts or numbers, as an array.
create function proof.texts(p_list jsonb)
returns text[]
language sql
as $$
  select case when jsonb_typeof(p_list) = 'array'
    then array(select t.value from jsonb_array_elements_text(p_list) as t(value)) end
$$;

-- The setting that keeps the secret or the id of a key, by its wallet and its name.
create function proof.key_name(p_what text, p_key jsonb)
returns text
language sql
as $$ select format('proof.%s_%s_%s', p_what, p_key ->> 'wallet_id', p_key ->> 'key') $$;

-- Becomes who a step is executed by; null: an operator.
create function proof.become(p_session jsonb)
returns void
language plpgsql
as $$
declare
  v_key constant jsonb := p_session -> 'key';
begin
  perform set_config('session_authorization',
    coalesce(p_session ->> 'login', 'ledger_test_proof'), true);
  perform set_config('role', coalesce(p_session ->> 'role', 'none'), true);
  perform set_config('baseledger.key', case jsonb_typeof(v_key)
    when 'string' then 'bl_' || repeat('0', 32)
    when 'object' then coalesce(current_setting(
      proof.key_name('secret', jsonb_build_object(
        'wallet_id', v_key ->> 'wallet_id', 'key', v_key ->> 'name')), true), '')
    else '' end, true);
end
$$;

-- Calls a function by its name; a batch gives several rows. Not by expressions: PL/pgSQL would check
-- who may execute a function once in a transaction, and callers change.
create function proof.call(p_call text, a jsonb)
returns json
language plpgsql
as $$
declare
  w constant text := a ->> 'wallet_id';
  k constant text := a ->> 'idempotency_key';
  r constant text := a ->> 'reservation_id';
  n constant bigint := a ->> 'amount';
  m constant jsonb := coalesce(nullif(a -> 'metadata', 'null'), '{}');
  l constant text := a ->> 'limit_id';
  u constant jsonb := nullif(a -> 'usage', 'null');
  labels constant jsonb := nullif(a -> 'labels', 'null');
  t constant interval := make_interval(secs => (a ->> 'ttl')::float8);
  v baseledger.receipt;
  v_key record;
begin
  case p_call
    when 'reserve' then
      select * into v from baseledger.reserve(w, n, k, t, r, (a ->> 'at_least')::bigint, m, u);
    when 'settle' then
      select * into v from baseledger.settle(w, r, n, k, (a ->> 'final')::boolean, m, u);
    when 'cancel' then select * into v from baseledger.cancel(w, r, k, m);
    when 'extend' then select * into v from baseledger.extend(w, r, t, k, n, m);
    when 'charge' then
      select * into v from baseledger.charge(w, n, k, r, m, (a ->> 'already_spent')::boolean, u);
    when 'refund' then select * into v from baseledger.refund(w, r, n, k, m);
    when 'credit' then select * into v from baseledger.credit(w, n, k, m);
    when 'withdraw' then select * into v from baseledger.withdraw(w, n, k, m);
    when 'freeze_wallet' then
      select * into v from baseledger.freeze_wallet(w, a ->> 'reason', k, m);
    when 'unfreeze_wallet' then
      select * into v from baseledger.unfreeze_wallet(w, a ->> 'reason', k, m);
    when 'transfer' then
      select * into v from baseledger.transfer(a ->> 'from', a ->> 'to', n, k, m);
    when 'open_wallet' then
      select * into v from baseledger.open_wallet(
        w, a ->> 'unit', (a ->> 'scale')::integer, (a ->> 'overdraft_limit')::bigint, m,
        coalesce((a ->> 'restricted')::boolean, false)
      );
    when 'allow' then
      select * into v
        from baseledger.allow(w, a ->> 'role', labels, proof.texts(a -> 'free_labels'), k, m);
    when 'disallow' then select * into v from baseledger.disallow(w, a ->> 'role', k, m);
    when 'create_key' then
      select * into v_key from baseledger.create_key(
        w, labels, proof.texts(a -> 'free_labels'), (a ->> 'expires_at')::timestamptz, k, m
      );
      if v_key.secret is not null then
        perform set_config(proof.key_name('secret', a), v_key.secret, true),
          set_config(proof.key_name('id', a), v_key.key_id, true);
      end if;
      return json_build_object(
        'key_id', v_key.key_id, 'shown', v_key.secret ~ '^bl_[0-9A-Za-z]{22,64}$',
        'expires_at', v_key.expires_at, 'replayed', v_key.replayed
      );
    when 'revoke_key' then
      select * into v from baseledger.revoke_key(
        w, coalesce(current_setting(proof.key_name('id', a), true), ''), k, m
      );
    when 'set_limit' then
      select * into v from baseledger.set_limit(
        w, l, n, a ->> 'per', proof.texts(a -> 'by'), a ->> 'of', a ->> 'time_zone',
        (a ->> 'hard')::boolean, proof.texts(a -> 'alert_at')::integer[], k, m
      );
    when 'set_limit_for' then
      select * into v from baseledger.set_limit_for(w, l, proof.texts(a -> 'values'), n, k, m);
    when 'remove_limit' then select * into v from baseledger.remove_limit(w, l, k, m);
    when 'set_overdraft_limit' then
      select * into v
        from baseledger.set_overdraft_limit(w, (a ->> 'overdraft_limit')::bigint, k, m);
    when 'set_low_balance' then
      select * into v
        from baseledger.set_low_balance(w, proof.texts(a -> 'amounts')::bigint[], k, m);
    when 'close_wallet' then select * into v from baseledger.close_wallet(w, a ->> 'reason', k, m);
    when 'reopen_wallet' then
      select * into v from baseledger.reopen_wallet(w, a ->> 'reason', k, m);
    when 'set_price' then
      return (select json_agg(p) from baseledger.set_price(
        a ->> 'model', nullif(a -> 'rates', 'null'), a ->> 'variant', (a ->> 'above')::bigint,
        (a ->> 'valid_from')::timestamptz, a ->> 'currency', (a ->> 'context_window')::bigint,
        (a ->> 'max_output')::bigint, a ->> 'alias_of', a ->> 'source'
      ) as p);
    when 'set_prices' then
      return coalesce((
        select json_agg(p) from baseledger.set_prices(a -> 'prices', a ->> 'source') as p
      ), '[]');
    when 'quote' then
      return (select to_json(p) from baseledger.quote(
        u, (a ->> 'at')::timestamptz, (a ->> 'scale')::integer
      ) as p);
    when 'quotes' then
      return coalesce((select json_agg(p) from baseledger.quotes(
        a -> 'usages', (a ->> 'at')::timestamptz, (a ->> 'scale')::integer
      ) as p), '[]');
    when 'affordable' then
      return (select to_json(p) from baseledger.affordable(
        u, n, (a ->> 'at')::timestamptz, (a ->> 'scale')::integer
      ) as p);
    when 'list_prices' then
      return coalesce((select json_agg(p) from baseledger.list_prices(
        a ->> 'prefix', (a ->> 'at')::timestamptz, (a ->> 'history')::boolean
      ) as p), '[]');
    when 'clear_counters' then
      perform baseledger.clear_counters((a ->> 'limit')::integer);
      return 'null';
    when 'balance' then
      perform baseledger.balance(w);
      return 'true';
    when 'reservation' then return (select to_json(p) from baseledger.reservation(w, r) as p);
    when 'receipt' then
      return coalesce((select json_agg(p) from baseledger.receipt(w, k) as p), '[]');
    when 'limits' then
      return coalesce((select json_agg(p) from baseledger.limits(w) as p), '[]');
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
    when 'expire_due' then return (select to_json(p) from baseledger.expire_due((a ->> 'limit')::integer) as p);
    when 'wait' then
      perform proof.wait((a ->> 'seconds')::numeric);
      return 'null';
    when 'travel' then
      perform proof.travel((a ->> 'to')::timestamptz);
      return 'null';
    when 'go_to_border' then
      perform proof.go_to_border(a ->> 'per', a ->> 'zone');
      return 'null';
    when 'date_last' then
      return to_json(proof.date_last(
        w, (a ->> 'seconds')::numeric, a ->> 'per', a ->> 'zone', (a ->> 'before')::integer
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
            w.overdraft_limit, w.restricted, w.closed, w.limited,
            array(select x from unnest(w.low_balances) as x order by x) as low_balances,
            array(select x from unnest(w.below) as x order by x) as below,
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
        select json_agg(x) from (
          select b.wallet_id, b.unit, b.scale, b.available, b.reserved, b.spent, b.overdraft_limit,
              b.frozen, b.seq, b.last_event_at
            from baseledger.wallet_balances b
            where b.wallet_id <> 'busy'
            order by b.wallet_id
        ) as x
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
      'at', v_at,
      'statement', statement_timestamp()
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
    if p_step ? 'as' then
      perform proof.become(p_step -> 'as');
      v_answer := proof.call(p_step ->> 'call', p_step -> 'args');
      perform proof.become(null);
    else
      v_answer := proof.call(p_step ->> 'call', p_step -> 'args');
    end if;
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

-- What the model says of the details of an event: labels, and what was asked in a change.
create function proof.details(p_event baseledger.event_type, p_details jsonb)
returns jsonb
language sql
as $$
  select nullif(p_details - (array['ahead_us', 'backlog'] || case
    when p_event = 'opened' then array['unit', 'scale', 'overdraft_limit']
    when p_event = 'key_created' then array['secret_sha256']
    when p_event < 'allowed' then array[
      'requested', 'at_least', 'hold', 'final', 'late', 'reason', 'to', 'from', 'from_seq'
    ]
    else array[]::text[]
  end), '{}')
$$;

-- The alerts, but for their numbers and the events that they were written with.
create function proof.alerts()
returns json
language sql
security definer
as $$
  select coalesce(json_agg(to_jsonb(a) - array['seq', 'number']), '[]')
    from baseledger.raised_alerts a where a.wallet_id <> 'busy'
$$;

-- The journals, and if proof.verify is on what verify finds, and the history of reservations.
create function proof.journals()
returns json
language sql
as $$
  select json_build_object(
    'from', clock_timestamp(),
    'journals', (
      select json_agg(x) from (
        select j.wallet_id, j.seq, j.event, j.reservation_id, j.amount, j.available, j.reserved,
            j.spent, j.expires_at, j.occurred_at, j.idempotency_key, j.actor, j.metadata,
            proof.details(j.event, j.details) as details
          from baseledger.journal j
          where j.wallet_id <> 'busy'
          order by j.wallet_id, j.seq
      ) as x
    ),
    'alerts', proof.alerts(),
    'limits', (
      select json_object_agg(w.wallet_id, coalesce(
          (select json_agg(l) from baseledger.limits(w.wallet_id) as l), '[]'
        ))
        from baseledger.wallet_balances w
        where w.wallet_id <> 'busy'
    ),
    'until', clock_timestamp(),
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
    perform proof.become(null);
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
    perform proof.become(null);
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
