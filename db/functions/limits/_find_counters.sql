-- Counters as they are on record: of a reservation with these labels one for each limit of the
-- wallet, or the one of a limit and a combination. fresh: its window is the present one, so that
-- this is what it is (see _refresh_counter). A SQL function without settings, so that it is inlined
-- into _load_single and _load_batch, without what is not asked for.
create or replace function baseledger._find_counters(
  p_wallet_id text,
  p_labels jsonb,
  p_limit_id text,                    -- null: all
  p_label_values text[],              -- null: those of p_labels
  p_at timestamptz
)
returns table (limit_id text, label_values text[], counter baseledger._counter, fresh boolean)
language sql
stable
as $$
  select l.limit_id, l.label_values, row(
      l.limit_id, l.label_values, l.per, l.of, l.time_zone, l.hard,
      coalesce(k.own_amount, l.amount), l.alert_at, coalesce(k.spent, 0), coalesce(k.held, 0),
      l.starts_at, l.ends_at, l.set_at, k.starts_at, l.counted_until, null,
      coalesce(k.alerted, 0), false, false
    )::baseledger._counter,
    p_at >= l.starts_at
      and p_at < l.ends_at
      and l.ends_at = l.counted_until
      and coalesce(k.starts_at, l.starts_at) = l.starts_at
      and l.alert_at = '{}'
    from (
      select s.*,
          coalesce(p_label_values, baseledger._label_values(p_labels, s.by)) as label_values
        from baseledger.limits s
        where s.wallet_id = p_wallet_id and (p_limit_id is null or s.limit_id = p_limit_id)
        order by s.limit_id
        offset 0
    ) as l
    left join lateral (
      select c.own_amount, c.spent, c.held, c.starts_at, c.alerted from baseledger.counters c
        where c.wallet_id = p_wallet_id
          and c.limit_id = l.limit_id
          and c.label_values = l.label_values
        limit 1
    ) as k on true
$$;

revoke all on function baseledger._find_counters from public;
