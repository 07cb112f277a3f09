--! Previous: sha1:710b86221dcf4c8b83b9020fd574635033ead945
--! Hash: sha1:d47a20c618133fb2f37b2fa393b713502190cc2e
--! Message: Sweep the earliest first

--! Included functions/_sweep_singly.sql
-- Sweeps wallets one by one, leaving out with a warning those that cannot be swept. What is no fault
-- of a wallet goes to the caller: a transaction that may not write (class 25) or has to be tried
-- again (40), a server that lacks room (53), is told to stop (57) or cannot read (58).
create or replace function baseledger._sweep_singly(p_wallet_ids text[], p_limit integer)
returns integer
language plpgsql
volatile
as $$
declare
  v_id text;
  v_expired integer := 0;
begin
  foreach v_id in array p_wallet_ids loop
    exit when v_expired >= p_limit;
    begin
      v_expired := v_expired + baseledger._sweep(array[v_id], p_limit - v_expired);
    exception
      when others then
        if left(sqlstate, 2) in ('25', '40', '53', '57', '58') then
          raise;
        end if;
        raise warning 'baseledger: wallet % cannot be swept: %', v_id, sqlerrm
          using hint = 'Run baseledger.verify() on it.';
    end;
  end loop;
  return v_expired;
end
$$;

revoke all on function baseledger._sweep_singly from public;
--! EndIncluded functions/_sweep_singly.sql
--! Included functions/expire_due.sql
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
--! EndIncluded functions/expire_due.sql
