-- For monitoring: the use of the first limits by id, of those that count a wallet as a whole. Holds
-- past their deadline count until they are swept.
create or replace function baseledger.limit_metrics(p_limit integer default 1000)
returns setof baseledger.limit_metric
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_now constant timestamptz := clock_timestamp();
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  end if;
  return query
    select l.wallet_id, l.limit_id, l.per, l.of,
        case l.of when 'amount' then w.unit::text end,
        case l.of when 'amount' then w.scale::integer end,
        coalesce(c.own_amount, l.amount)::text,
        trim_scale(
          case when c.ends_at > v_now then c.spent else 0 end + coalesce(c.held, 0)
        )::text
      from (
        select s.wallet_id, s.limit_id, s.per, s.of, s.amount
          from baseledger.limits s
          where s.by = '{}'
          order by s.wallet_id, s.limit_id
          limit p_limit
      ) as l
      join baseledger.wallets w on w.wallet_id = l.wallet_id
      left join baseledger.counters c
        on c.wallet_id = l.wallet_id and c.limit_id = l.limit_id and c.label_values = '{}';
end
$$;

comment on function baseledger.limit_metrics is
  'The use of the first p_limit limits (1 to 100,000) in the order of their wallets and ids, of '
  'those that count a wallet as a whole, for monitoring. Refused with LGARG.';
revoke all on function baseledger.limit_metrics from public;
grant execute on function baseledger.limit_metrics to baseledger_worker;
