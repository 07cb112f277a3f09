-- The counters of a reservation with these labels, as of an instant: one for each limit of the wallet.
-- Nothing is written when a window ends: a counter has spent nothing in the new one. A window that
-- comes back, as after a clock that was ahead, is counted again from the journal.
--
-- A SQL function without settings, so that it is inlined into _load_counters.
create or replace function baseledger._find_counters(
  p_wallet_id text,
  p_labels jsonb,
  p_at timestamptz
)
returns table (limit_id text, label_values text[], counter baseledger._counter)
language sql
stable
as $$
  select w.limit_id, w.label_values, row(
      w.limit_id, w.label_values, w.per, w.of, w.time_zone, w.hard,
      coalesce(k.own_amount, w.amount), w.alert_at,
      case
        when k.starts_at = w.starts_at then k.spent
        when w.starts_at >= w.counted_until
          or w.starts_at = w.was_at and w.ends_at >= w.counted_until
          then 0
        else baseledger._count_spent(
          p_wallet_id, w.limit_id, w.label_values, w.starts_at, w.ends_at
        )
      end,
      coalesce(k.held, 0), w.starts_at, w.ends_at, greatest(w.starts_at, w.set_at),
      baseledger._next_alert(
        coalesce(k.own_amount, w.amount), w.alert_at,
        case when k.starts_at = w.starts_at then k.alerted else 0 end
      ),
      case when k.starts_at = w.starts_at then k.alerted else 0 end,
      w.starts_at <> w.was_at, false
    )::baseledger._counter
    from (
      select l.limit_id, l.amount, l.per, l.of, l.time_zone, l.hard, l.alert_at, l.set_at,
          l.counted_until, l.starts_at as was_at,
          case when p_at >= l.starts_at and p_at < l.ends_at then l.starts_at
            else lower(baseledger._window(l.per, l.time_zone, p_at)) end as starts_at,
          case when p_at >= l.starts_at and p_at < l.ends_at then l.ends_at
            else upper(baseledger._window(l.per, l.time_zone, p_at)) end as ends_at,
          baseledger._label_values(p_labels, l.by) as label_values
        from baseledger.limits l
        where l.wallet_id = p_wallet_id
        offset 0
    ) as w
    left join lateral (
      select c.own_amount, c.spent, c.held, c.starts_at, c.alerted from baseledger.counters c
        where c.wallet_id = p_wallet_id
          and c.limit_id = w.limit_id
          and c.label_values = w.label_values
        limit 1
    ) as k on true
$$;

revoke all on function baseledger._find_counters from public;
