-- The wallets, a page at a time.
--
-- Planned for the prefix that is asked for, so that the index finds where it begins and ends.
create or replace function baseledger.list_wallets(
  p_prefix text default '',
  p_unit text default null,
  p_frozen boolean default null,
  p_closed boolean default false,
  p_after text default null,
  p_limit integer default 100
)
returns setof baseledger.listed_wallet
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_custom_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  end if;
  return query
    select b.wallet_id, b.unit::text, b.scale::smallint, b.available, b.reserved, b.spent,
        b.overdraft_limit::bigint, b.frozen, b.seq, b.last_event_at, b.ahead_by, b.restricted,
        b.closed, b.limited
      from baseledger.wallet_balances b
      where b.wallet_id ^@ coalesce(p_prefix, '')
        and (p_after is null or b.wallet_id > p_after)
        and (p_unit is null or b.unit = p_unit)
        and (p_frozen is null or b.frozen = p_frozen)
        and (p_closed is null or b.closed = p_closed)
      order by b.wallet_id
      limit p_limit;
end
$$;

comment on function baseledger.list_wallets is
  e'The wallets with their balances now, in the order of their ids (byte by byte), a page at a '
  'time: the id of the last one is p_after of the next page. Refused with LGARG.'
  '\np_prefix: Only those whose id begins so. Default: all.'
  '\np_unit: Only those of this unit. Default: all.'
  '\np_frozen: Only frozen ones, or only others. Default: both.'
  '\np_closed: Only closed ones, or only others; null = both. Default: only others.'
  '\np_after: Only ids after this one. Default: from the first.'
  '\np_limit: How many at most, 1 to 100,000. Default: 100.';
revoke all on function baseledger.list_wallets from public;
grant execute on function baseledger.list_wallets to baseledger_operator, baseledger_auditor;
