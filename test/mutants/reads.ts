// Balances, now and at a time, and the views.
import type { Rule } from "./mutant.ts";

export const reads: readonly Rule[] = [
  {
    rule: "A balance counts what is due as returned, by the clock",
    mutants: [
      {
        about: "balance does not count due reservations as returned",
        of: "balance",
        search: "w.available + d.due, w.reserved - d.due",
        replace: "w.available, w.reserved",
      },
      {
        about: "balance returns a reservation only after its deadline",
        of: "balance",
        search: "r.expires_at <= i.instant",
        replace: "r.expires_at < i.instant",
      },
      {
        about: "balance trusts a clock that stepped back",
        of: "balance",
        search: "baseledger._deadline_clock(v_clock, w.last_event_at)",
        replace: "v_clock",
      },
      {
        about: "balance is as of the start of the transaction",
        of: "balance",
        search: "v_clock constant timestamptz := baseledger._read_clock();",
        replace: "v_clock constant timestamptz := now();",
        tests: ["balance.sql", "test/concurrency/deadline.test.ts"],
      },
    ],
  },
  {
    rule: "A past balance is that after the last event until then",
    mutants: [
      {
        about: "balance_at leaves out the event of that very time",
        of: "balance_at",
        search: "v_at + interval '1 microsecond'",
        replace: "v_at",
      },
      {
        about: "balance_at does not know of a freeze at that very time",
        of: "balance_at",
        search: "and f.seq <= v_seq",
        replace: "and f.seq < v_seq",
      },
      {
        about: "balance_at returns the future",
        of: "balance_at",
        search: "v_at, baseledger._deadline_clock(v_clock, w.last_event_at),",
        replace: "v_at,",
      },
      {
        about: "the bisection is off by one",
        of: "_find_seq_before",
        search: "v_occurred_at < p_before",
        replace: "v_occurred_at <= p_before",
      },
      {
        about: "a statement begins an event too early",
        of: "statement",
        search: "baseledger._find_seq_before(p_wallet_id, p_from) + 1",
        replace: "baseledger._find_seq_before(p_wallet_id, p_from)",
      },
    ],
  },
  {
    rule: "A past balance counts what was due then as returned",
    mutants: [
      {
        about: "balance_at does not count what was swept later",
        of: "balance_at",
        search: "(e.seq < v_next or v_next is null)",
        replace: "false",
      },
      {
        about: "balance_at does not count what is due and not swept",
        of: "balance_at",
        search: "and r.expires_at <= v_as_of",
        replace: "and false",
      },
      {
        about: "balance_at returns a reservation only after its deadline",
        of: "balance_at",
        search: "and e.expires_at <= v_as_of",
        replace: "and e.expires_at < v_as_of",
      },
      {
        about: "balance_at takes the start of the transaction for now",
        of: "balance_at",
        search: "v_clock constant timestamptz := baseledger._read_clock();",
        replace: "v_clock constant timestamptz := now();",
        tests: ["test/concurrency/deadline.test.ts"],
      },
    ],
  },
  {
    rule: "The views say the same as the functions",
    mutants: [
      {
        about: "wallet_balances does not count due reservations as returned",
        of: "wallet_balances",
        search: "w.available + d.due",
        replace: "w.available",
      },
      {
        about: "open_reservations shows those past their deadline",
        of: "open_reservations",
        search: "r.expires_at > c.clock",
        replace: "true",
      },
      {
        about: "the postings of an event do not sum to zero",
        of: "postings",
        search: "- e.available - e.reserved - e.spent",
        replace: "- e.available - e.reserved",
      },
      {
        about: "reservation_history shows a late settlement as one in time",
        of: "reservation_history",
        search: "when h.late > 0 then 'settled late'",
        replace: "",
      },
      {
        about: "reservation_history shows nothing released by a settlement",
        of: "reservation_history",
        search: "in ('settled', 'cancelled', 'expired')",
        replace: "in ('cancelled', 'expired')",
      },
      {
        about: "reservation_history shows an expired reservation as open",
        of: "reservation_history",
        search: "e.expires_at is not null and e.event <> 'expired'",
        replace: "e.expires_at is not null",
      },
    ],
  },
];
