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
        null, null, null, a.hold_at, null
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
