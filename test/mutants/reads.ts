// Mistakes in what is told of balances, now and at a time, and in the views.
import type { Mutant } from "./mutant.ts";

export const reads: readonly Mutant[] = [
  {
    about: "balance does not count due reservations as returned",
    file: "functions/balance.sql",
    search: "w.available + d.due, w.reserved - d.due",
    replace: "w.available, w.reserved",
  },
  {
    about: "balance returns a reservation only after its deadline",
    file: "functions/balance.sql",
    search: "r.expires_at <= i.instant",
    replace: "r.expires_at < i.instant",
  },
  {
    about: "balance trusts a clock that stepped back",
    file: "functions/balance.sql",
    search: "baseledger._as_of(v_clock, w.last_event_at)",
    replace: "v_clock",
  },
  {
    about: "balance is as of the start of the transaction",
    file: "functions/balance.sql",
    search: "v_clock constant timestamptz := baseledger._clock();",
    replace: "v_clock constant timestamptz := now();",
    tests: ["balance.sql", "test/concurrency/deadline.test.ts"],
  },
  {
    about: "the server may compile what balance runs",
    file: "functions/balance.sql",
    search: "set enable_sort = off\nset jit = off\n",
    replace: "set enable_sort = off\n",
    tests: ["test/jit.test.ts"],
  },
  {
    about: "balance_at leaves out the event of that very instant",
    file: "functions/balance_at.sql",
    search: "v_at + interval '1 microsecond'",
    replace: "v_at",
  },
  {
    about: "balance_at does not count what was swept later",
    file: "functions/balance_at.sql",
    search: "(e.seq < v_next or v_next is null)",
    replace: "false",
  },
  {
    about: "balance_at does not count what is due and not swept",
    file: "functions/balance_at.sql",
    search: "              and r.expires_at <= v_as_of\n",
    replace: "              and false\n",
  },
  {
    about: "balance_at returns a reservation only after its deadline",
    file: "functions/balance_at.sql",
    search: "and e.expires_at <= v_as_of",
    replace: "and e.expires_at < v_as_of",
  },
  {
    about: "balance_at does not know of a freeze at that very instant",
    file: "functions/balance_at.sql",
    search: "and f.seq <= v_seq",
    replace: "and f.seq < v_seq",
  },
  {
    about: "balance_at knows the future",
    file: "functions/balance_at.sql",
    search: "      v_at,\n      baseledger._as_of(v_clock, w.last_event_at),\n",
    replace: "      v_at,\n",
  },
  {
    about: "balance_at takes the start of the transaction for now",
    file: "functions/balance_at.sql",
    search: "v_clock constant timestamptz := baseledger._clock();",
    replace: "v_clock constant timestamptz := now();",
    tests: ["test/concurrency/deadline.test.ts"],
  },
  {
    about: "the bisection is off by one",
    file: "functions/_seq_before.sql",
    search: "v_occurred_at < p_before",
    replace: "v_occurred_at <= p_before",
  },
  {
    about: "a statement begins an event too early",
    file: "functions/statement.sql",
    search: "baseledger._seq_before(p_wallet_id, p_from) + 1",
    replace: "baseledger._seq_before(p_wallet_id, p_from)",
  },
  {
    about: "the view of balances does not count due reservations as returned",
    file: "views/wallet_balances.sql",
    search: "w.available + d.due as available",
    replace: "w.available as available",
  },
  {
    about: "the view of open reservations shows those past their deadline",
    file: "views/open_reservations.sql",
    search: "where r.expires_at > c.clock",
    replace: "where true",
  },
  {
    about: "the postings of an event do not sum to zero",
    file: "views/postings.sql",
    search: "- e.available - e.reserved - e.spent",
    replace: "- e.available - e.reserved",
  },
  {
    about: "the history takes a late settlement for one in time",
    file: "views/reservation_history.sql",
    search: "    when h.late > 0 then 'settled late'\n",
    replace: "",
  },
  {
    about: "the history forgets what a settlement released",
    file: "views/reservation_history.sql",
    search: "then greatest(b.reserved - e.reserved - e.amount, 0)",
    replace: "then 0",
  },
];
