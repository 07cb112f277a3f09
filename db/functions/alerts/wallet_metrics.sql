-- For monitoring: the balances of the first wallets by id, closed ones left out.
create or replace function baseledger.wallet_metrics(p_limit integer default 1000)
returns setof baseledger.wallet_metric
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  end if;
  return query
    select w.wallet_id, w.unit::text, w.scale::integer, w.available + d.due, w.reserved - d.due,
        w.spent
      from (
        select o.wallet_id, o.unit, o.scale, o.available, o.reserved, o.spent, o.next_deadline,
            baseledger._deadline_clock(baseledger._read_clock(), o.last_event_at) as instant
          from baseledger.wallets o
          where not o.closed
          order by o.wallet_id
          limit p_limit
      ) as w
      cross join lateral (
        select coalesce(sum(r.held), 0)::bigint
          from baseledger.reservations r
          where r.wallet_id = w.wallet_id
            and w.next_deadline <= w.instant
            and r.expires_at <= w.instant
            and r.expires_at < 'infinity'
      ) as d(due);
end
$$;

comment on function baseledger.wallet_metrics is
  'The balances of the first p_limit wallets (1 to 100,000) in the order of their ids, closed ones '
  'left out, for monitoring. Refused with LGARG.';
revoke all on function baseledger.wallet_metrics from public;
grant execute on function baseledger.wallet_metrics to baseledger_worker;
