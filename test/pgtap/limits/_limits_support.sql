-- Helpers of the tests of limits.

-- Moves the limits of a wallet into the past, after its events: their windows are those of its last
-- event, and counters are counted anew.
create or replace function tap.move_limits(p_wallet_id text, p_by interval)
returns void
language plpgsql
volatile
security definer
as $$
begin
  update baseledger.limits l
    set set_at = l.set_at - p_by,
      starts_at = lower(m.period),
      ends_at = upper(m.period),
      counted_until = upper(m.period)
    from (
      select o.limit_id, baseledger._window(o.per, o.time_zone, w.last_event_at) as period
        from baseledger.limits o
        join baseledger.wallets w on w.wallet_id = p_wallet_id
        where o.wallet_id = p_wallet_id
    ) as m
    where l.wallet_id = p_wallet_id and l.limit_id = m.limit_id;
  update baseledger.counters c
    set starts_at = l.starts_at,
      ends_at = l.ends_at,
      spent = baseledger._count_spent(
        p_wallet_id, c.limit_id, c.label_values, l.starts_at, l.ends_at
      )
    from baseledger.limits l
    where c.wallet_id = p_wallet_id and l.wallet_id = p_wallet_id and l.limit_id = c.limit_id;
end
$$;

-- What limits() says, in lines: 'day {ann}: 70 used, 20 held, 30 left'.
create or replace function tap.used(p_wallet_id text, p_limit_id text default null)
returns text[]
language sql
volatile
as $$
  select pg_catalog.array_agg(pg_catalog.format(
      '%s %s: %s used, %s held, %s left', u.limit_id, u.label_values, u.used, u.held,
      coalesce(u.remaining::text, 'all')
    ))
    from baseledger.limits(p_wallet_id, p_limit_id) as u
$$;

-- The window of an instant, in UTC: '2025-11-02 04:00 - 2025-11-03 05:00'.
create or replace function tap.window_of(p_per text, p_time_zone text, p_at text)
returns text
language sql
stable
security definer
as $$
  select pg_catalog.to_char(pg_catalog.lower(w.period) at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
      || pg_catalog.to_char(
        pg_catalog.upper(w.period) at time zone 'UTC', ' - YYYY-MM-DD HH24:MI'
      )
    from (
      select baseledger._window(p_per, p_time_zone, p_at::timestamptz) offset 0
    ) as w (period)
$$;

-- All limits and counters, as text.
create or replace function tap.limits_on_record(p_wallet_id text)
returns text
language sql
stable
security definer
as $$
  select pg_catalog.string_agg(r.content, E'\n' order by r.content)
    from (
      select l::text from baseledger.limits l where l.wallet_id = p_wallet_id
      union all
      select c::text from baseledger.counters c where c.wallet_id = p_wallet_id
      union all
      select a::text from baseledger.raised_alerts a where a.wallet_id = p_wallet_id
    ) as r (content)
$$;

-- The deadlines of a wallet's open reservations.
create or replace function tap.deadlines(p_wallet_id text)
returns table (reservation_id text, expires_at timestamptz)
language sql
stable
security definer
as $$
  select r.reservation_id, r.expires_at from baseledger.reservations r
    where r.wallet_id = p_wallet_id
$$;

-- Moves a wallet into the future, so that a window (minute, hour, day) ends after so many more events:
-- each takes a microsecond, and the one after them happens exactly at the border. This transaction
-- gives the clock slack, so that windows are those of the events' times.
create or replace function tap.window_ends_after(
  p_wallet_id text,
  p_per text,
  p_events integer
)
returns void
language plpgsql
volatile
security definer
as $$
declare
  v_last timestamptz;
  v_border timestamptz;
begin
  create or replace function baseledger._clock_slack()
    returns interval language sql stable as 'select interval ''2 days''';
  select w.last_event_at into v_last from baseledger.wallets w where w.wallet_id = p_wallet_id;
  v_border := pg_catalog.upper(baseledger._window(
    p_per, 'UTC', greatest(v_last, pg_catalog.clock_timestamp() + interval '1 hour')
  ));
  perform tap.travel_back(
    p_wallet_id,
    v_last - v_border + (p_events + 1) * interval '1 microsecond'
  );
end
$$;

-- The alerts that limits have raised in a wallet, in lines: '#4.1 day {ann} 50%: 60 of 100'.
create or replace function tap.limit_alerts(p_wallet_id text)
returns text[]
language sql
stable
security definer
as $$
  select pg_catalog.array_agg(pg_catalog.format(
      '#%s.%s %s %s %s%%: %s of %s', a.seq, a.number, a.limit_id, a.label_values, a.threshold,
      a.value, a.amount
    ) order by a.seq, a.number)
    from baseledger.raised_alerts a
    where a.wallet_id = p_wallet_id and a.kind = 'limit'
$$;
