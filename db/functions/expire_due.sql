-- The sweep. Finds wallets with something due without locking, earliest first, and hands each to
-- the fold. A wallet that another session has locked is left to it, or to the next sweep.
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
  v_now constant timestamptz := clock_timestamp();
  v_deadline timestamptz := timestamptz '-infinity';
  v_wallet_id text := '';
  v_ids text[];
  v_expired integer := 0;
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._argument_detail('limit'));
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

    -- A wallet whose rows do not let themselves be swept must not stop the others: the page is
    -- undone, and its wallets are swept one by one.
    begin
      v_expired := v_expired + baseledger._sweep(v_ids, p_limit - v_expired);
    exception
      when others then
        v_expired := v_expired + baseledger._sweep_singly(v_ids, p_limit - v_expired);
    end;
  end loop;
  return v_expired;
end
$$;

comment on function baseledger.expire_due is
  'Expires reservations whose deadline has passed, earliest first, at most p_limit (1 to 100,000), '
  'and returns how many. Skips wallets that are locked. Call it until it returns 0: nothing is '
  'wrong while it is not called, as due reservations count as returned by their deadline. '
  'Refused with LGARG. @notNull';
revoke all on function baseledger.expire_due from public;
grant execute on function baseledger.expire_due to baseledger_worker;
