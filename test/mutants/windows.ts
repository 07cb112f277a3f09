// The windows of limits.
import type { Rule } from "./mutant.ts";

export const windows: readonly Rule[] = [
  {
    rule: "A window begins and ends by the clock of events",
    tests: ["counting.sql", "limit_windows.sql"],
    mutants: [
      {
        about: "a batch stays in the window in which it began",
        of: "_execute",
        search: "if coalesce(v_at - v_ahead, v_at) >= v_window_end then",
        replace: "if false then",
      },
      {
        about: "a batch goes on to the next window an instant late",
        of: "_execute",
        search: "if coalesce(v_at - v_ahead, v_at) >= v_window_end then",
        replace: "if coalesce(v_at - v_ahead, v_at) > v_window_end then",
      },
      {
        about: "counters go on to the next window an instant late",
        of: "_roll_counters",
        search: "continue when p_counters[v_i].ends_at > p_at;",
        replace: "continue when p_counters[v_i].ends_at >= p_at;",
      },
      {
        about: "a window ends an instant late",
        of: "_refresh_counter",
        search: "or p_at >= p_counter.ends_at then",
        replace: "or p_at > p_counter.ends_at then",
      },
      {
        about: "a window does not end",
        of: "_refresh_counter",
        search: "if p_at < p_counter.starts_at or p_at >= p_counter.ends_at then",
        replace: "if p_at < p_counter.starts_at then",
      },
      {
        about: "a window that comes back is not found",
        of: "_refresh_counter",
        search: "if p_at < p_counter.starts_at or p_at >= p_counter.ends_at then",
        replace: "if p_at >= p_counter.ends_at then",
      },
      {
        about: "what was spent counts in the next window",
        of: "_refresh_counter",
        search: "p_counter.spent := 0; p_counter.alerted := 0;",
        replace: "p_counter.alerted := 0;",
      },
      {
        about: "what is held does not count in the next window",
        of: "_refresh_counter",
        search: "p_counter.spent := 0; p_counter.alerted := 0;",
        replace: "p_counter.spent := 0; p_counter.held := 0; p_counter.alerted := 0;",
      },
      {
        about: "a window that comes back is not counted again",
        of: "_refresh_counter",
        search: "if p_counter.ends_at < p_counter.counted_until or p_counter.rolled and",
        replace: "if false and",
      },
      {
        about: "only the first combination of a window that comes back is counted again",
        of: "_refresh_counter",
        search: "if p_counter.ends_at < p_counter.counted_until or p_counter.rolled and",
        replace: "if p_counter.rolled and",
      },
      {
        about: "a counter on record is taken for one of the present window",
        of: "_find_counters",
        search: "and coalesce(k.starts_at, l.starts_at) = l.starts_at",
        replace: "",
      },
      {
        about: "a window on record is taken for the present one",
        of: "_find_counters",
        search: "and p_at < l.ends_at",
        replace: "",
      },
      {
        about: "a window on record that is to come is taken for the present one",
        of: "_find_counters",
        search: "p_at >= l.starts_at and",
        replace: "",
      },
      {
        about: "a window that came back is taken for one that is counted",
        of: "_find_counters",
        search: "and l.ends_at = l.counted_until",
        replace: "",
      },
      {
        about: "the window of a limit is not written",
        of: "_save_counters",
        search: "where u.rolled and u.changed",
        replace: "where false",
      },
      {
        about: "it is forgotten which windows were counted",
        of: "_save_counters",
        search: "counted_until = greatest(l.counted_until, c.ends_at)",
        replace: "counted_until = c.ends_at",
      },
      {
        about: "a single command counts by the date of its event",
        of: "_execute",
        search: "p_wallet_id, coalesce(v_at - v_ahead, v_at), p_commands[1]",
        replace: "p_wallet_id, v_at, p_commands[1]",
      },
      {
        about: "a batch counts by the date of its events",
        of: "_execute",
        search: "then baseledger._load_batch( p_wallet_id, v_at - v_ahead, p_commands )",
        replace: "then baseledger._load_batch( p_wallet_id, v_at, p_commands )",
      },
      {
        about: "what is counted again ends late",
        of: "_count_spent",
        search: "and baseledger._event_clock(e.occurred_at, e.details) < p_ends_at group by",
        replace: "group by",
      },
      {
        about: "calls that are counted again end late",
        of: "_count_spent",
        after: "e.event in ('reserved', 'charged')",
        search: "and baseledger._event_clock(e.occurred_at, e.details) < p_ends_at",
        replace: "",
      },
      {
        about: "what was spent before the limit is counted again",
        of: "_count_spent",
        search: "greatest(v_limit.set_seq, baseledger._find_seq_before(p_wallet_id, p_starts_at))",
        replace: "baseledger._find_seq_before(p_wallet_id, p_starts_at)",
      },
      {
        about: "charges are not counted again",
        of: "_count_spent",
        search: "and e.event in ('settled', 'charged', 'refunded')",
        replace: "and e.event in ('settled', 'refunded')",
      },
      {
        about: "settlements are not counted again",
        of: "_count_spent",
        search: "and e.event in ('settled', 'charged', 'refunded')",
        replace: "and e.event in ('charged', 'refunded')",
      },
      {
        about: "refunds are not counted again",
        of: "_count_spent",
        search: "and e.event in ('settled', 'charged', 'refunded')",
        replace: "and e.event in ('settled', 'charged')",
      },
      {
        about: "what others have spent is counted again",
        of: "_count_spent",
        search:
          'where baseledger._label_values(baseledger._labels(o.details, o.metadata), v_limit."by") = p_label_values;',
        replace: "where true;",
      },
      {
        about: "calls of others are counted again",
        of: "_count_spent",
        search:
          'and baseledger._label_values(baseledger._labels(e.details, e.metadata), v_limit."by") = p_label_values;',
        replace: ";",
      },
    ],
  },
  {
    rule: "A window is of whole dates in the limit's zone, whatever the session's settings",
    tests: ["window.sql"],
    mutants: [
      {
        about: "the session's zone decides",
        of: "_window",
        search: "set \"TimeZone\" = 'UTC'",
        replace: "",
      },
      {
        about: "the later of two midnights begins a day",
        of: "_first_instant",
        search: "then v_earlier else v_at",
        replace: "then v_at else v_at",
      },
      {
        about: "a midnight that clocks leave out is an hour late",
        of: "_first_instant",
        search: "return baseledger._find_clock_change(p_time_zone, v_before, v_at);",
        replace: "return v_at + interval '1 hour';",
      },
      {
        about: "clocks change a second early",
        of: "_find_clock_change",
        search: "return to_timestamp(v_high);",
        replace: "return to_timestamp(v_low);",
      },
      {
        about: "a day comes back when clocks go back over midnight",
        of: "_window",
        search: "exit when p_at < v_ends_at;",
        replace: "exit;",
      },
      {
        about: "an hour is of UTC",
        of: "_window",
        search: "v_starts_at := p_at - (v_local - date_trunc('hour', v_local));",
        replace: "v_starts_at := date_trunc('hour', p_at);",
      },
      {
        about: "an hour goes on after clocks went back by half of one",
        of: "_window",
        search: "v_ends_at := baseledger._find_clock_change(p_time_zone, p_at, v_ends_at);",
        replace: "null;",
      },
      {
        about: "an hour begins before clocks went back by half of one",
        of: "_window",
        search: "v_starts_at := baseledger._find_clock_change(p_time_zone, v_starts_at, p_at);",
        replace: "null;",
      },
      {
        about: "a zone that the server does not know fails",
        of: "_window",
        search: "return baseledger._window(p_per, 'UTC', p_at);",
        replace: "raise;",
      },
      {
        about: "for ever has no bounds",
        of: "_window",
        search: "return tstzrange('-infinity', 'infinity');",
        replace: "return tstzrange(null, null);",
      },
      {
        about: "a minute ends with itself",
        of: "_window",
        search: "date_trunc('minute', p_at) + interval '1 minute'",
        replace: "date_trunc('minute', p_at) + interval '59 seconds'",
      },
      {
        about: "a week begins on Sunday",
        of: "_window",
        search: "v_next := date_trunc(p_per, v_local);",
        replace:
          "v_next := date_trunc(p_per, v_local) - case p_per when 'week' then interval '1 day' else interval '0' end;",
      },
    ],
  },
];
