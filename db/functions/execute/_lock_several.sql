-- Locks several wallets, those that nobody else has locked: it never waits, so that it can be part
-- of no deadlock, and a hot wallet holds up no other. p_wallet_ids names the wallet of each
-- command, equal ones together; without commands, the wallets in the order in which to sweep them.
--
-- No nested loops: the planner takes every array for a short one.
create or replace function baseledger._lock_several(p_wallet_ids text[], p_asks boolean)
returns baseledger._locked_wallet[]
language plpgsql
volatile
set enable_nestloop = off
as $$
declare
  v_locked baseledger._locked_wallet[];
begin
  select array_agg(row(
      l.wallet_id, l.frozen, l.overdraft_limit, l.available, l.reserved, l.spent, l.seq, l.hash,
      l.last_event_at, l.next_deadline, false,
      case when p_asks then c.first else 1 end, case when p_asks then c.until else 0 end,
      null, null, null, l.restricted, l.closed, l.limited, l.low_balances, l.below
    )::baseledger._locked_wallet order by c.first)
    into v_locked
    from (
      select * from baseledger.wallets w
        where w.wallet_id = any(p_wallet_ids)
          -- Nobody who may not use a wallet holds its lock.
          and (
            not w.restricted
            or not p_asks
            or (baseledger._find_access(w.wallet_id)).allowed
          )
        for no key update skip locked
    ) as l
    join (
      select u.id, min(u.place)::integer as first, max(u.place)::integer as until
        from unnest(p_wallet_ids) with ordinality as u(id, place)
        group by u.id
    ) as c on c.id = l.wallet_id;
  return coalesce(v_locked, '{}');
end
$$;

revoke all on function baseledger._lock_several from public;
