-- What the journal says that a combination of labels has spent in a window of a limit, in money or
-- in tokens, or how many calls it has opened: from the setting of the limit on, by the clock of the
-- events. For a window that comes back after a clock that was ahead; else counters know it.
--
-- No event is dated before its clock, so none of the window is dated before its start.
create or replace function baseledger._count_spent(
  p_wallet_id text,
  p_limit_id text,
  p_label_values text[],
  p_starts_at timestamptz,
  p_ends_at timestamptz
)
returns numeric
language plpgsql
stable
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_limit baseledger.limits;
  v_after bigint;
  v_spent numeric;
begin
  select * into v_limit from baseledger.limits l
    where l.wallet_id = p_wallet_id and l.limit_id = p_limit_id;
  v_after := greatest(v_limit.set_seq, baseledger._find_seq_before(p_wallet_id, p_starts_at));
  case v_limit.of
    when 'calls' then
      select count(*) into v_spent
        from baseledger.events e
        where e.wallet_id = p_wallet_id
          and e.seq > v_after
          and e.event in ('reserved', 'charged')
          and baseledger._event_clock(e.occurred_at, e.details) >= p_starts_at
          and baseledger._event_clock(e.occurred_at, e.details) < p_ends_at
          and baseledger._label_values(baseledger._labels(e.details, e.metadata), v_limit."by")
            = p_label_values;
    when 'amount' then
      select
          sum(s.spent - case
            when baseledger._event_clock(o.occurred_at, o.details)
                >= greatest(p_starts_at, v_limit.set_at)
              then s.refunded
            else 0
          end)
        into v_spent
        from (
          select e.reservation_id,
              coalesce(sum(e.amount) filter (where e.event <> 'refunded'), 0) as spent,
              coalesce(sum(e.amount) filter (where e.event = 'refunded'), 0) as refunded
            from baseledger.events e
            where e.wallet_id = p_wallet_id
              and e.seq > v_after
              and e.event in ('settled', 'charged', 'refunded')
              and baseledger._event_clock(e.occurred_at, e.details) >= p_starts_at
              and baseledger._event_clock(e.occurred_at, e.details) < p_ends_at
            group by e.reservation_id
        ) as s
        -- By the opening, which is one event, its labels and its time.
        join baseledger.events o
          on o.wallet_id = p_wallet_id
          and o.reservation_id = s.reservation_id
          and o.event in ('reserved', 'charged')
        where baseledger._label_values(baseledger._labels(o.details, o.metadata), v_limit."by")
          = p_label_values;
    when 'tokens' then
      select sum(baseledger._count_tokens(e.details -> 'usage')) into v_spent
        from baseledger.events e
        join baseledger.events o
          on o.wallet_id = p_wallet_id
          and o.reservation_id = e.reservation_id
          and o.event in ('reserved', 'charged')
        where e.wallet_id = p_wallet_id
          and e.seq > v_after
          and e.event in ('settled', 'charged')
          and e.details -> 'usage' is not null
          and baseledger._event_clock(e.occurred_at, e.details) >= p_starts_at
          and baseledger._event_clock(e.occurred_at, e.details) < p_ends_at
          and baseledger._label_values(
            baseledger._labels(o.details, o.metadata), v_limit."by"
          ) = p_label_values;
    else
      null;
  end case;
  return coalesce(v_spent, 0);
end
$$;

revoke all on function baseledger._count_spent from public;
