-- The limits of a wallet and what is used of them, now. Takes no lock; a stable function reads all
-- in the snapshot of its query, so that counters and reservations agree.
create or replace function baseledger.limits(
  p_wallet_id text,
  p_limit_id text default null,
  p_after text[] default null,
  p_limit integer default 1000
)
returns setof baseledger.limit_use
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
  v_wallet record;
  v_access baseledger._access;
  v_limit baseledger.limits;
  v_window tstzrange;
  v_counter record;
  v_use baseledger.limit_use;
  v_left integer := p_limit;
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    perform baseledger._raise('LGARG', baseledger._describe_argument('limit'));
  elsif p_limit_id is null and p_after is not null then
    perform baseledger._raise('LGARG', baseledger._describe_argument('after'));
  end if;
  select w.restricted, w.next_deadline, baseledger._deadline_clock(v_clock, w.last_event_at) as at
    into v_wallet
    from baseledger.wallets w
    where w.wallet_id = p_wallet_id
      and (not w.restricted or baseledger._may_read(p_wallet_id));
  -- Raised in one place: an error's context tells its line.
  if not found then
    perform baseledger._raise_wallet_not_found(p_wallet_id);
  end if;
  if v_wallet.restricted then
    v_access := baseledger._find_reader(p_wallet_id);
  end if;

  for v_limit in
    select * from baseledger.limits l
      where l.wallet_id = p_wallet_id
        and (p_limit_id is null or l.limit_id = p_limit_id)
      order by l.limit_id
  loop
    exit when v_left = 0;
    v_window := case
      when v_wallet.at >= v_limit.starts_at and v_wallet.at < v_limit.ends_at
        then tstzrange(v_limit.starts_at, v_limit.ends_at)
      else baseledger._window(v_limit.per, v_limit.time_zone, v_wallet.at)
    end;
    v_use := row(
      v_limit.limit_id, case v_limit."by" when '{}' then v_limit."by" end, v_limit.per,
      v_limit."by", v_limit.of, v_limit.time_zone, v_limit.hard, v_limit.amount, null, 0, 0,
      v_limit.amount,
      case when v_limit.per <> 'ever' then lower(v_window) end,
      case when v_limit.per <> 'ever' then upper(v_window) end, v_limit.alert_at
    )::baseledger.limit_use;
    for v_counter in
      select * from baseledger._list_counters(
        p_wallet_id, v_limit.limit_id, v_wallet.at, v_window,
        baseledger._known_values(v_access, v_limit."by"), p_after, v_left
      )
    loop
      v_use.label_values := v_counter.label_values;
      v_use.own_amount := v_counter.own_amount;
      v_use.used := least(v_counter.spent + v_counter.held, 9223372036854775807);
      v_use.held := least(v_counter.held, 9223372036854775807);
      v_use.remaining := case when coalesce(v_use.own_amount, v_use.amount) is not null
        then greatest(
          coalesce(v_use.own_amount, v_use.amount) - v_counter.spent - v_counter.held, 0
        )
      end;
      v_left := v_left - 1;
      return next v_use;
    end loop;
    if not found and p_after is null then
      v_left := v_left - 1;
      return next v_use;
    end if;
  end loop;
end
$$;

comment on function baseledger.limits is
  e'The limits of a wallet, and what is used of them now: a row for each combination of values '
  'that has a counter, in order; for a limit without counters one row, in which nothing is used. '
  'Holds past their deadline do not count, whether or not a worker has swept them. Who has fixed '
  'labels sees the combinations that have them. Refused with LGARG, LGWNF.'
  '\np_limit_id: Only this limit. Default: all.'
  '\np_after: label_values of the last row seen, to go on from there; with p_limit_id. Default: '
  'from the first.'
  '\np_limit: How many rows at most, 1 to 100,000.';
revoke all on function baseledger.limits from public;
grant execute on function baseledger.limits
  to baseledger_agent, baseledger_operator, baseledger_auditor;
