-- The sweep. Finds wallets with something due without locking them, earliest first, and executes
-- their expiries. A wallet that another session has locked is left out: the others come first. Only
-- when nothing else is left, and no lock is held, does the sweep wait for one of those.
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
  c_longest constant interval := '1 minute';
  v_now constant timestamptz := clock_timestamp();
  v_deadline timestamptz := timestamptz '-infinity';
  v_wallet_id text := '';
  v_ids text[];
  v_seen text[] := '{}';
  v_expired integer := 0;
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  end if;
  if baseledger._clock_jumped(v_now) then
    return 0;
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

    -- A wallet that cannot be swept must not stop the others: the page is rolled back, and its
    -- wallets are swept one by one.
    begin
      v_expired := v_expired + baseledger._sweep_wallets(v_ids, p_limit - v_expired);
    exception
      when others then
        v_expired := v_expired + baseledger._sweep_singly(v_ids, p_limit - v_expired);
    end;
    v_seen := v_seen || v_ids;
  end loop;
  if v_expired = 0 and v_seen <> '{}' then
    v_expired := baseledger._sweep_in_turn(v_seen, v_now, p_limit);
  end if;

  -- _execute reads the clock itself: if it has jumped since, what was expired is rolled back.
  if clock_timestamp() > v_now + c_longest then
    raise exception using
      errcode = 'serialization_failure',
      message = 'the sweep took too long, or the clock has jumped ahead',
      detail = format('It began at %s and ended at %s.', v_now, clock_timestamp()),
      hint = 'Call it again; with a lower limit if this is raised again.';
  end if;
  return v_expired;
end
$$;

comment on function baseledger.expire_due is
  'Expires reservations whose deadline has passed, earliest first, at most p_limit (1 to 100,000), '
  'and returns how many. Skips wallets that are locked; if there are no others, waits for one of '
  'them that is overdue, two seconds at most. Does nothing for 10 seconds after the clock has '
  'jumped ahead, in case it is wrong, and also when nobody has called it for minutes. Call it '
  'often; while it is not called, balances are right all the same, as due reservations count as '
  'returned by their deadline. A retry expires what is still due. Refused with LGARG. @notNull';
revoke all on function baseledger.expire_due from public;
grant execute on function baseledger.expire_due to baseledger_worker;
