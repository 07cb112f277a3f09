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
      v_untils[w.ordinality] - v_firsts[w.ordinality] >= baseledger._due_chunk_size(),
      w.restricted, w.closed, w.limited, w.low_balances, w.below
    )::baseledger._locked_wallet order by w.ordinality)
    into locked
    from unnest(p_locked) with ordinality as w;
  select array_agg(row(
        'expire', null, h.reservation_id, h.held, null, null, null, '{}', null, h.expires_at, null,
        null, null, v_linked[h.ordinality], null
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
