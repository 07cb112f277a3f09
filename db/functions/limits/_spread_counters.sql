-- What changes in counters, and what decides on commands, as arrays: _execute works on those, as a
-- number in an array is changed for a fraction of what a composite costs. max is null where nothing
-- is refused.
create or replace function baseledger._spread_counters(
  p_counters baseledger._counter[],
  out spent numeric[],
  out held numeric[],
  out max numeric[],
  out next_alert numeric[],
  out kinds text[],
  out changed boolean[],
  out tokens boolean,                 -- some count tokens
  out window_end timestamptz
)
returns record
language plpgsql
immutable
as $$
begin
  select array_agg(c.spent order by c.n), array_agg(c.held order by c.n),
      array_agg(case when c.hard then c.amount end order by c.n),
      array_agg(c.next_alert order by c.n), array_agg(c.of order by c.n),
      array_agg(c.changed order by c.n), bool_or(c.of = 'tokens'), min(c.ends_at)
    into spent, held, max, next_alert, kinds, changed, tokens, window_end
    from unnest(p_counters) with ordinality as c(
      limit_id, label_values, per, of, time_zone, hard, amount, alert_at, spent, held, starts_at,
      ends_at, set_at, counted_at, counted_until, next_alert, alerted, rolled, changed, n
    );
end
$$;

revoke all on function baseledger._spread_counters from public;
