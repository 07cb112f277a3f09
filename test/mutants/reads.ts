// Mistakes in what is told of balances, now and at a time, and in the views.
import type { Mutant } from "./mutant.ts";

export const reads: readonly Mutant[] = [
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
  {
    about: "the server may compile what balance runs",
    of: "balance",
    search: "set enable_sort = off\nset jit = off\n",
    replace: "set enable_sort = off\n",
    tests: ["test/field/jit.test.ts"],
  },
  {
    about: "balance_at leaves out the event of that very instant",
    of: "balance_at",
    search: "v_at + interval '1 microsecond'",
    replace: "v_at",
  },
  {
    about: "balance_at does not count what was swept later",
    of: "balance_at",
    search: "(e.seq < v_next or v_next is null)",
    replace: "false",
  },
  {
    about: "balance_at does not count what is due and not swept",
    of: "balance_at",
    search: "              and r.expires_at <= v_as_of\n",
    replace: "              and false\n",
  },
  {
    about: "balance_at returns a reservation only after its deadline",
    of: "balance_at",
    search: "and e.expires_at <= v_as_of",
    replace: "and e.expires_at < v_as_of",
  },
  {
    about: "balance_at does not know of a freeze at that very instant",
    of: "balance_at",
    search: "and f.seq <= v_seq",
    replace: "and f.seq < v_seq",
  },
  {
    about: "balance_at knows the future",
    of: "balance_at",
    search: "      v_at,\n      baseledger._deadline_clock(v_clock, w.last_event_at),\n",
    replace: "      v_at,\n",
  },
  {
    about: "balance_at takes the start of the transaction for now",
    of: "balance_at",
    search: "v_clock constant timestamptz := baseledger._read_clock();",
    replace: "v_clock constant timestamptz := now();",
    tests: ["test/concurrency/deadline.test.ts"],
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
  {
    about: "the view of balances does not count due reservations as returned",
    of: "wallet_balances",
    search: "w.available + d.due as available",
    replace: "w.available as available",
  },
  {
    about: "the view of open reservations shows those past their deadline",
    of: "open_reservations",
    search: "where r.expires_at > c.clock",
    replace: "where true",
  },
  {
    about: "the postings of an event do not sum to zero",
    of: "postings",
    search: "- e.available - e.reserved - e.spent",
    replace: "- e.available - e.reserved",
  },
  {
    about: "the history takes a late settlement for one in time",
    of: "reservation_history",
    search: "    when h.late > 0 then 'settled late'\n",
    replace: "",
  },
  {
    about: "the history forgets what a settlement released",
    of: "reservation_history",
    search: "then greatest(b.reserved - e.reserved - e.amount, 0)",
    replace: "then 0",
  },
];
