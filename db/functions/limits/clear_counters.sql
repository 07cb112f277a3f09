-- Deletes counters of past windows, oldest first. Locks the counters only, and waits for no lock: a
-- counter that a command is writing has its turn later.
--
-- Before, limits move on to the present window: should the clock have been ahead and the window come
-- back, it is counted again from the journal.
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
  v_limit record;
  v_window tstzrange;
  v_past tid[];
  v_cleared integer;
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  end if;
  v_past := array(
    select c.ctid from baseledger.counters c
      where c.ends_at <= v_now
        and c.ends_at < 'infinity'
        and c.own_amount is null
        and c.held = 0
      order by c.ends_at
      limit p_limit
      for update skip locked
  );
  for v_limit in
    select l.* from baseledger.limits l
      join (
        select distinct c.wallet_id, c.limit_id from baseledger.counters c
          where c.ctid = any (v_past)
      ) as p on p.wallet_id = l.wallet_id and p.limit_id = l.limit_id
      where l.ends_at <= v_now
      for no key update of l skip locked
  loop
    v_window := baseledger._window(v_limit.per, v_limit.time_zone, v_now);
    update baseledger.limits l
      set starts_at = lower(v_window),
        ends_at = upper(v_window),
        counted_until = greatest(l.counted_until, upper(v_window))
      where l.wallet_id = v_limit.wallet_id and l.limit_id = v_limit.limit_id;
  end loop;
  delete from baseledger.counters c
    using baseledger.limits l
    where c.ctid = any (v_past)
      and l.wallet_id = c.wallet_id
      and l.limit_id = c.limit_id
      and l.starts_at >= c.ends_at;
  get diagnostics v_cleared = row_count;
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
