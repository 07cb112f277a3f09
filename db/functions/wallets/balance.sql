-- The balances now. Takes no lock; one statement, so that wallet and reservations agree.
create or replace function baseledger.balance(p_wallet_id text)
returns baseledger.wallet_balance
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_clock constant timestamptz := baseledger._read_clock();
  v_balance baseledger.wallet_balance;
begin
  select w.wallet_id, w.unit, w.scale, w.available + d.due, w.reserved - d.due, w.spent,
      w.overdraft_limit, w.frozen, w.seq, i.instant
    into v_balance
    from baseledger.wallets w
    cross join lateral (
      select baseledger._deadline_clock(v_clock, w.last_event_at) offset 0
    ) as i(instant)
    cross join lateral (
      select coalesce(sum(o.held), 0)::bigint
        from (
          -- In the order of the index, for the planner's sake: see _execute.
          select r.held from baseledger.reservations r
            where r.wallet_id = p_wallet_id
              and w.next_deadline <= i.instant
              and r.expires_at <= i.instant
              and r.expires_at < 'infinity'
            order by r.expires_at
            offset 0
        ) as o
    ) as d(due)
    where w.wallet_id = p_wallet_id
      and (not w.restricted or baseledger._may_read(p_wallet_id));
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  return v_balance;
end
$$;

comment on function baseledger.balance is
  'The balances of a wallet now, in its smallest step. Reservations past their deadline count as '
  'returned, whether or not a worker has swept them. On a standby: as of what it has replayed. '
  'Refused with LGARG, LGWNF.';
revoke all on function baseledger.balance from public;
grant execute on function baseledger.balance
  to baseledger_agent, baseledger_operator, baseledger_auditor;
