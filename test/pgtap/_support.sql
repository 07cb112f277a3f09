-- Helpers of the pgTAP files, loaded into the schema tap after pgTAP, by a superuser. Those that
-- read or change the tables are `security definer`, so that a file can keep the role that would
-- call the function under test.

grant usage on schema tap to public;

-- Formatting ------------------------------------------------------------------------------------

-- The detail of a refusal without the reason, which is text for a person.
create or replace function tap.facts(p_code text, p_detail jsonb)
returns jsonb
language sql
immutable
as $$
  select case
    when p_code = 'LGARG' and pg_catalog.length(p_detail ->> 'reason') > 0 then p_detail - 'reason'
    else p_detail
  end
$$;

-- A receipt as JSON without its nulls and times: a deadline that the command has set becomes ttl,
-- in seconds, and one that it has kept becomes "open".
create or replace function tap.as_json(p_receipt baseledger.receipt)
returns jsonb
language sql
immutable
as $$
  select pg_catalog.jsonb_object_agg(
        f.key, case f.key when 'detail' then tap.facts(p_receipt.refused, f.value) else f.value end
      ) filter (where f.key not in ('occurred_at', 'expires_at') and f.value <> 'null')
      || case
        when p_receipt.expires_at is null then '{}'::jsonb
        when p_receipt.event in ('reserved', 'extended') then pg_catalog.jsonb_build_object(
          'ttl', extract('epoch' from p_receipt.expires_at - p_receipt.occurred_at)
        )
        else '{"open": true}'
      end
      || case
        when (p_receipt.occurred_at is null) = (p_receipt.refused is null)
          then '{"occurred_at": "wrong"}'::jsonb
        else '{}'
      end
    from pg_catalog.jsonb_each(pg_catalog.to_jsonb(p_receipt)) as f
$$;

-- A receipt in a line: '#3 reserved 40: 60/40/0' (available/reserved/spent after it), with
-- ' again' for a replay, or the code of a refusal.
create or replace function tap.brief(p_receipt baseledger.receipt)
returns text
language sql
immutable
as $$
  select coalesce(p_receipt.refused, pg_catalog.format(
    '#%s %s%s: %s/%s/%s%s', p_receipt.seq, p_receipt.event, ' ' || p_receipt.amount::text,
    p_receipt.available, p_receipt.reserved, p_receipt.spent,
    case when p_receipt.replayed then ' again' end
  ))
$$;

-- Posts a batch, and formats each receipt with tap.brief.
create or replace function tap.posted(p_wallet_id text, p_commands jsonb)
returns text[]
language sql
volatile
as $$
  select pg_catalog.array_agg(tap.brief(r)) from baseledger.post(p_wallet_id, p_commands) as r
$$;

create or replace function tap.posted_funds(p_wallet_id text, p_commands jsonb)
returns text[]
language sql
volatile
as $$
  select pg_catalog.array_agg(tap.brief(r)) from baseledger.post_funds(p_wallet_id, p_commands) as r
$$;

-- Posts a batch for several wallets, and formats each receipt as its wallet and tap.brief.
create or replace function tap.posted_many(p_commands jsonb)
returns text[]
language sql
volatile
as $$
  select pg_catalog.array_agg(r.wallet_id || ' ' || tap.brief(r))
    from baseledger.post_many(p_commands) as r
$$;

-- The balances of a wallet now, with the caller's rights: 'available/reserved/spent'.
create or replace function tap.balances(p_wallet_id text)
returns text
language sql
volatile
as $$
  select pg_catalog.format('%s/%s/%s', b.available, b.reserved, b.spent)
    from baseledger.balance(p_wallet_id) as b
$$;

-- The last events of a wallet in lines, oldest first: 'expired k1 100: 100/0/0'.
create or replace function tap.last_events(p_wallet_id text, p_count integer)
returns text[]
language sql
stable
security definer
as $$
  select pg_catalog.array_agg(pg_catalog.format(
      '%s%s%s: %s/%s/%s', e.event, ' ' || e.reservation_id, ' ' || e.amount::text,
      e.available, e.reserved, e.spent
    ) order by e.seq)
    from (
      select * from baseledger.events l
        where l.wallet_id = p_wallet_id
        order by l.seq desc
        limit p_count
    ) as e
$$;

-- The columns of an event that are not in its receipt.
create or replace function tap.on_record(p_wallet_id text, p_seq bigint)
returns jsonb
language sql
stable
security definer
as $$
  select pg_catalog.jsonb_build_object(
      'actor', e.actor, 'metadata', e.metadata, 'details', e.details
    )
    from baseledger.events e
    where e.wallet_id = p_wallet_id and e.seq = p_seq
$$;

-- Whom events name that are written now: the session's role, and the one in effect.
create or replace function tap.actor()
returns text
language sql
stable
as $$
  select session_user || case
    when pg_catalog.current_setting('role') not in ('none', session_user)
      then ' as ' || pg_catalog.current_setting('role')
    else ''
  end
$$;

-- The time of a wallet's last event, after which the next one happens.
create or replace function tap.last_event_at(p_wallet_id text)
returns timestamptz
language sql
stable
security definer
as $$
  select w.last_event_at from baseledger.wallets w where w.wallet_id = p_wallet_id
$$;

-- A digest of all rows.
create or replace function tap.digest()
returns text
language sql
volatile
security definer
as $$
  select pg_catalog.md5(pg_catalog.string_agg(r.content, E'\n' order by r.content))
    from (
      select 'wallet ' || w::text from baseledger.wallets w
      union all
      select 'event ' || e::text from baseledger.events e
      union all
      select 'reservation ' || o::text from baseledger.reservations o
      union all
      select 'grant ' || g::text from baseledger.grants g
      union all
      select 'key ' || k::text from baseledger.keys k
      union all
      select 'limit ' || m::text from baseledger.limits m
      union all
      select 'counter ' || c::text from baseledger.counters c
      union all
      select 'alert ' || a::text from baseledger.raised_alerts a
      union all
      select 'price ' || p::text from baseledger.price_rows p
    ) as r(content)
$$;

-- Asserting -------------------------------------------------------------------------------------

-- Asserts that a call, e.g. $$reserve('w', 0, 'k')$$, is refused with this code, exactly these
-- facts in the detail, a message and a hint.
create or replace function tap.refuses(p_call text, p_code text, p_detail jsonb, p_name text)
returns text
language plpgsql
volatile
as $$
declare
  v_code text;
  v_message text;
  v_detail text;
  v_hint text;
begin
  begin
    execute 'select * from baseledger.' || p_call;
    -- undone, so that the tests after it do not fail for the same reason
    raise exception using errcode = 'TAP00', message = 'the call was granted';
  exception
    when others then
      get stacked diagnostics
        v_code = returned_sqlstate,
        v_message = message_text,
        v_detail = pg_exception_detail,
        v_hint = pg_exception_hint;
  end;
  if v_code !~ '^LG' then
    return tap.ok(false, p_name) || E'\n' || tap.diag(pg_catalog.format(
      'wanted %s, got %s: %s', p_code, v_code, v_message
    ));
  end if;
  return tap.is(
    pg_catalog.jsonb_build_object(
      'code', v_code,
      'detail', tap.facts(v_code, v_detail::jsonb),
      'message', v_message <> '',
      'hint', v_hint <> ''
    ),
    pg_catalog.jsonb_build_object(
      'code', p_code, 'detail', p_detail, 'message', true, 'hint', true
    ),
    p_name
  );
end
$$;

-- Asserts that a query runs to its end and changes no row of the ledger.
create or replace function tap.changes_nothing(p_query text, p_name text)
returns text
language plpgsql
volatile
as $$
declare
  v_before constant text := tap.digest();
begin
  execute p_query;
  return tap.is(tap.digest(), v_before, p_name);
end
$$;

-- Preparing -------------------------------------------------------------------------------------

-- Opens a wallet of USD with these funds (credited with the key 'funds').
create or replace function tap.wallet(
  p_wallet_id text,
  p_funds bigint default 0,
  p_overdraft_limit bigint default null
)
returns void
language plpgsql
volatile
security definer
as $$
begin
  perform baseledger.open_wallet(p_wallet_id, p_overdraft_limit => p_overdraft_limit);
  if p_funds > 0 then
    perform baseledger.credit(p_wallet_id, p_funds, 'funds');
  end if;
end
$$;

-- Metadata with a text of exactly p_bytes bytes.
create or replace function tap.metadata(p_bytes integer)
returns jsonb
language sql
immutable
as $$
  select pg_catalog.jsonb_build_object('x', pg_catalog.repeat('x', p_bytes - 9))
$$;

-- Runs a statement as the superuser, with the journal's guard off.
create or replace function tap.tamper(p_statement text)
returns void
language plpgsql
volatile
security definer
as $$
begin
  alter table baseledger.events disable trigger events_append_only;
  execute p_statement;
  alter table baseledger.events enable always trigger events_append_only;
end
$$;

-- Recomputes a wallet's hash chain, from its first event to the head.
create or replace function tap.rehash(p_wallet_id text)
returns void
language plpgsql
volatile
security definer
as $$
declare
  v_hash bytea := pg_catalog.decode(pg_catalog.repeat('00', 32), 'hex');
  v_event baseledger.events;
begin
  alter table baseledger.events disable trigger events_append_only;
  for v_event in
    select * from baseledger.events e where e.wallet_id = p_wallet_id order by e.seq
  loop
    v_hash := pg_catalog.sha256(v_hash || baseledger._encode_event(
      v_event.wallet_id, v_event.seq, v_event.event, v_event.reservation_id, v_event.amount,
      v_event.available, v_event.reserved, v_event.spent, v_event.expires_at,
      v_event.occurred_at, v_event.idempotency_key, v_event.actor, v_event.metadata,
      v_event.details
    ));
    update baseledger.events e set hash = v_hash
      where e.wallet_id = p_wallet_id and e.seq = v_event.seq and e.hash <> v_hash;
  end loop;
  update baseledger.wallets w set hash = v_hash where w.wallet_id = p_wallet_id;
  alter table baseledger.events enable always trigger events_append_only;
end
$$;

-- Moves all times of a wallet into the past, so that deadlines pass without waiting. A negative
-- interval moves it into the future, as if the system's clock had stepped back: each event then
-- happens exactly one microsecond after the one before.
create or replace function tap.travel_back(p_wallet_id text, p_by interval)
returns void
language plpgsql
volatile
security definer
as $$
declare
  -- in seconds, as the length of a day depends on the session's time zone
  v_by constant interval := pg_catalog.make_interval(secs => extract('epoch' from p_by));
begin
  alter table baseledger.events disable trigger events_append_only;
  update baseledger.events e
    set occurred_at = e.occurred_at - v_by, expires_at = e.expires_at - v_by
    where e.wallet_id = p_wallet_id;
  alter table baseledger.events enable always trigger events_append_only;
  update baseledger.reservations r
    set expires_at = r.expires_at - v_by
    where r.wallet_id = p_wallet_id;
  update baseledger.grants g
    set granted_at = g.granted_at - v_by
    where g.wallet_id = p_wallet_id;
  -- When a key ends stands in the details of its event, too, and stays.
  update baseledger.keys k
    set created_at = k.created_at - v_by, revoked_at = k.revoked_at - v_by
    where k.wallet_id = p_wallet_id;
  update baseledger.wallets w
    set last_event_at = w.last_event_at - v_by, next_deadline = w.next_deadline - v_by
    where w.wallet_id = p_wallet_id;
  perform tap.move_limits(p_wallet_id, v_by);
  perform tap.rehash(p_wallet_id);
end
$$;

-- Moves a wallet into the future (if it is not there yet) and sets the deadline of a reservation to
-- the time of the event that follows p_events more events: each takes a microsecond, and deadlines
-- count by these times, as this transaction gives the clock slack. With 0 the next event happens
-- exactly at the deadline, with 1 a microsecond before it, and with -1 the last one has happened at
-- it.
create or replace function tap.due_after(
  p_wallet_id text,
  p_reservation_id text,
  p_events integer
)
returns void
language plpgsql
volatile
security definer
as $$
declare
  v_last timestamptz;
  v_was timestamptz;
  v_due timestamptz;
begin
  create or replace function baseledger._clock_slack()
    returns interval language sql stable as 'select interval ''2 days''';
  select w.last_event_at into v_last from baseledger.wallets w where w.wallet_id = p_wallet_id;
  if v_last < pg_catalog.clock_timestamp() + interval '1 hour' then
    perform tap.travel_back(p_wallet_id, interval '-1 day');
    v_last := v_last + interval '24 hours';
  end if;
  v_due := v_last + pg_catalog.make_interval(secs => (p_events + 1) * 0.000001);
  select r.expires_at into strict v_was
    from baseledger.reservations r
    where r.wallet_id = p_wallet_id and r.reservation_id = p_reservation_id;

  alter table baseledger.events disable trigger events_append_only;
  update baseledger.events e set expires_at = v_due
    where e.wallet_id = p_wallet_id
      and e.reservation_id = p_reservation_id
      and e.expires_at = v_was;
  alter table baseledger.events enable always trigger events_append_only;
  update baseledger.reservations r set expires_at = v_due
    where r.wallet_id = p_wallet_id and r.reservation_id = p_reservation_id;
  update baseledger.wallets w set next_deadline = least(w.next_deadline, v_due)
    where w.wallet_id = p_wallet_id;
  perform tap.rehash(p_wallet_id);
end
$$;
