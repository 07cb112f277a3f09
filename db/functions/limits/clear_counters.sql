-- Deletes counters of past windows, oldest first: finds them without a lock, and then deletes them
-- limit by limit. Locks those rows only, no wallet, and waits for no lock.
--
-- Before, a limit moves on to the present window: should the clock have been ahead and the window
-- come back, it is counted again from the journal.
create or replace function baseledger.clear_counters(p_limit integer default 1000)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_past record;
  v_starts_at timestamptz;
  v_cleared integer := 0;
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  end if;
  for v_past in
    select c.wallet_id, c.limit_id, array_agg(c.stored) as stored
      from (
        select k.wallet_id, k.limit_id, k.ctid as stored from baseledger.counters k
          where k.ends_at <= v_now
            and k.ends_at < 'infinity'
            and k.own_amount is null
            and k.held = 0
          order by k.ends_at
          limit p_limit
      ) as c
      group by c.wallet_id, c.limit_id
  loop
    v_starts_at := baseledger._move_limit(v_past.wallet_id, v_past.limit_id, v_now);
    v_cleared := v_cleared
      + baseledger._delete_counters(v_past.wallet_id, v_past.stored, v_starts_at);
  end loop;
  return v_cleared;
end
$$;

comment on function baseledger.clear_counters is
  'Deletes counters of limits whose window has passed, at most p_limit (1 to 100,000), and returns '
  'how many: those that hold nothing and have no amount of their own. Those of limits for ever '
  'stay. Waits for no lock. While it is not called, limits are right all the same. Refused with '
  'LGARG. @notNull';
revoke all on function baseledger.clear_counters from public;
grant execute on function baseledger.clear_counters to baseledger_worker;
