// What alerts, and how often.
import type { Rule } from "./mutant.ts";

export const alerts: readonly Rule[] = [
  {
    rule: "A limit alerts once for each percentage that is spent of it in a window",
    tests: ["limit_alerts.sql"],
    mutants: [
      {
        about: "limits do not alert",
        of: "_execute",
        search: "if v_counter.spent >= v_counter.next_alert then",
        replace: "if false then",
      },
      {
        about: "a limit alerts when more than the percentage is spent",
        of: "_execute",
        search: "if v_counter.spent >= v_counter.next_alert then",
        replace: "if v_counter.spent > v_counter.next_alert then",
      },
      {
        about: "a limit alerts for less than its percentage",
        of: "_next_alert",
        search: "p_amount * pg_catalog.min(t) / 100",
        replace: "p_amount * pg_catalog.min(t) / 100 - 1",
      },
      {
        about: "what is held alerts",
        of: "_execute",
        search: "if v_counter.spent >= v_counter.next_alert then",
        replace: "if v_counter.spent + v_counter.held >= v_counter.next_alert then",
      },
      {
        about: "soft limits do not alert",
        of: "_execute",
        search: "if v_counter.spent >= v_counter.next_alert then",
        replace: "if v_counter.hard and v_counter.spent >= v_counter.next_alert then",
      },
      {
        about: "a percentage that is just reached is left out",
        of: "_cross_thresholds",
        search: "p_counter.spent >= p_counter.amount * t / 100",
        replace: "p_counter.spent > p_counter.amount * t / 100",
      },
      {
        about: "percentages alert again",
        of: "_cross_thresholds",
        search: "t > p_counter.alerted and",
        replace: "",
      },
      {
        about: "all percentages alert with the first",
        of: "_cross_thresholds",
        search: "and p_counter.spent >= p_counter.amount * t / 100",
        replace: "",
      },
      {
        about: "a batch alerts again",
        of: "_execute",
        search: "v_counter.alerted := v_alerts[cardinality(v_alerts)].threshold;",
        replace: "",
      },
      {
        about: "the next percentage of a batch does not alert",
        of: "_execute",
        search:
          "v_counter.next_alert := baseledger._next_alert( v_counter.amount, v_counter.alert_at, v_counter.alerted );",
        replace: "v_counter.next_alert := null;",
      },
      {
        about: "it is forgotten what has alerted",
        of: "_save_counters",
        search: "ends_at = excluded.ends_at, alerted = excluded.alerted;",
        replace: "ends_at = excluded.ends_at;",
      },
      {
        about: "a new counter forgets what has alerted",
        of: "_save_counters",
        search: "c.starts_at, c.ends_at, c.alerted from",
        replace: "c.starts_at, c.ends_at, 0 from",
      },
      {
        about: "a new window does not alert",
        of: "_refresh_counter",
        search: "p_counter.spent := 0; p_counter.alerted := 0;",
        replace: "p_counter.spent := 0;",
      },
      {
        about: "a window that comes back alerts again",
        of: "_refresh_counter",
        search: "p_counter.alerted := coalesce((",
        replace: "p_counter.alerted := 0 * coalesce((",
      },
      {
        about: "alerts of other windows are taken for those of one that comes back",
        of: "_refresh_counter",
        search: "and a.starts_at = p_counter.starts_at",
        replace: "",
      },
      {
        about: "alerts of others are taken for one's own",
        of: "_refresh_counter",
        search: "and a.label_values = p_counter.label_values",
        replace: "",
      },
      { about: "a limit of 0 alerts", of: "_next_alert", search: "p_amount > 0 and", replace: "" },
      {
        about: "a single command does not look whether it alerts",
        of: "_find_counters",
        search: "and l.alert_at = '{}'",
        replace: "",
      },
      {
        about: "own amounts have the percentages of the limit",
        of: "_cross_thresholds",
        search: "p_counter.amount * t / 100",
        replace: "p_counter.amount / 2 * t / 100",
      },
      {
        about: "an alert has another event",
        of: "_write_alerts",
        search: "select p_wallet_id, p_seq, a.ordinality, a.kind",
        replace: "select p_wallet_id, p_seq - 1, a.ordinality, a.kind",
      },
      {
        about: "alerts are not written",
        of: "_save_watched",
        search: "if p_alerts <> '{}' then",
        replace: "if false then",
      },
      {
        about: "alerts of a wallet are written to the next one",
        of: "_execute",
        search: "v_counters := null; v_alerts := null;",
        replace: "v_counters := null;",
      },
      {
        about: "the alert tells what is held, too",
        of: "_cross_thresholds",
        search: "p_counter.amount, p_counter.spent, p_counter.starts_at",
        replace: "p_counter.amount, p_counter.spent + p_counter.held, p_counter.starts_at",
      },
    ],
  },
  {
    rule: "A low balance alerts each time that funds fall below it",
    tests: ["set_low_balance.sql"],
    mutants: [
      {
        about: "a low balance alerts again while it stays low",
        of: "_watch_balance",
        search: "elsif v_low <> all (below) then",
        replace: "else",
      },
      {
        about: "funds of the amount are below it",
        of: "_watch_balance",
        search: "if p_funds[v_i] >= v_low then",
        replace: "if p_funds[v_i] > v_low then",
      },
      {
        about: "a low balance alerts only once",
        of: "_watch_balance",
        search: "below := array_remove(below, v_low);",
        replace: "null;",
      },
      {
        about: "what is reserved is not there",
        of: "_execute",
        search: "array[v_last.available::numeric + v_last.reserved]",
        replace: "array[v_last.available::numeric]",
      },
      {
        about: "what is reserved is not there in a batch",
        of: "_execute",
        search: "array(select e.available::numeric + e.reserved from unnest(v_events) as e)",
        replace: "array(select e.available::numeric from unnest(v_events) as e)",
      },
      {
        about: "what is reserved is not there in a batch over several wallets",
        of: "_execute",
        search: "select e.available::numeric + e.reserved from unnest(v_events[",
        replace: "select e.available::numeric from unnest(v_events[",
      },
      {
        about: "it is forgotten which amounts funds are below",
        of: "_save_watched",
        search: "if v_watched.below is distinct from p_below then",
        replace: "if false then",
      },
      {
        about: "single commands do not look at funds",
        of: "_execute",
        search: "if v_careful or v_wallet.low_balances is not null then",
        replace: "if v_careful then",
      },
      {
        about: "batches do not look at funds",
        of: "_execute",
        search:
          "if v_wallet.limited or v_wallet.low_balances is not null then perform baseledger._save_watched( p_wallet_id, v_last.seq, v_counters, v_alerts, v_wallet.low_balances, v_wallet.below, array(select",
        replace:
          "if v_wallet.limited then perform baseledger._save_watched( p_wallet_id, v_last.seq, v_counters, v_alerts, v_wallet.low_balances, v_wallet.below, array(select",
      },
      {
        about: "batches over several wallets do not look at funds",
        of: "_execute",
        search: "if v_wallet.limited or v_wallet.low_balances is not null then if v_last.seq",
        replace: "if v_wallet.limited then if v_last.seq",
      },
      {
        about: "several wallets of a batch are watched as the last one",
        of: "_find_due_several",
        search: "w.low_balances, w.below",
        replace: "null, w.below",
      },
      {
        about: "setting alerts when funds are below already",
        of: "set_low_balance",
        search: "below = baseledger._list_below(v_amounts, w.available, w.reserved)",
        replace: "below = null",
      },
      {
        about: "setting counts an amount that funds have just",
        of: "_list_below",
        search: "p_available::numeric + p_reserved < a.amount",
        replace: "p_available::numeric + p_reserved <= a.amount",
      },
      {
        about: "setting leaves out what is reserved",
        of: "_list_below",
        search: "p_available::numeric + p_reserved < a.amount",
        replace: "p_available < a.amount",
      },
      {
        about: "low balances stay as they were",
        of: "set_low_balance",
        search: "set low_balances = nullif(v_amounts, '{}'),",
        replace: "set low_balances = coalesce(w.low_balances, nullif(v_amounts, '{}')),",
      },
      {
        about: "a retry sets low balances again",
        of: "set_low_balance",
        search: "if v_receipt.replayed then",
        replace: "if false then",
      },
      {
        about: "a closed wallet is watched",
        of: "set_low_balance",
        search: "perform baseledger._refuse_closed(p_wallet_id);",
        replace: "",
      },
      {
        about: "an amount may be 0",
        of: "set_low_balance",
        search: "where a.amount >= 1",
        replace: "where a.amount >= 0",
      },
      {
        about: "eleven amounts are watched",
        of: "set_low_balance",
        search: "or cardinality(p_amounts) > 10",
        replace: "",
      },
      {
        about: "the alert has the amount for the funds",
        of: "_watch_balance",
        search: "'low_balance', v_low, null, null, v_low, p_funds[v_i],",
        replace: "'low_balance', v_low, null, null, v_low, v_low,",
      },
    ],
  },
];
