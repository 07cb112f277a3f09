// Mistakes in the sweep.
import type { Mutant } from "./mutant.ts";

const tests = ["expire_due.sql", "test/concurrency/sweep.test.ts"];

export const sweep: readonly Mutant[] = [
  {
    about: "the sweep waits for a locked wallet",
    file: "functions/_sweep.sql",
    search: "for no key update skip locked",
    replace: "for no key update",
    tests,
  },
  {
    about: "the sweep stops at a wallet that cannot be swept",
    file: "functions/_sweep_singly.sql",
    search: "raise warning 'baseledger: wallet %",
    replace: "raise exception 'baseledger: wallet %",
    tests,
  },
  {
    about: "the sweep gives a page up for one wallet in it",
    file: "functions/expire_due.sql",
    search: "v_expired := v_expired + baseledger._sweep_singly(v_ids, p_limit - v_expired);",
    replace: "null;",
    tests,
  },
  {
    about: "the sweep takes it for a fault of a wallet when it is told to stop",
    file: "functions/_sweep_singly.sql",
    search: "left(sqlstate, 2) in ('25', '40', '53', '57', '58')",
    replace: "false",
    tests,
  },
  {
    about: "the sweep says nothing of a wallet that cannot be swept",
    file: "functions/_sweep_singly.sql",
    search: "raise warning 'baseledger: wallet %",
    replace: "raise debug 'baseledger: wallet %",
    tests,
  },
  {
    about: "the sweep ends with its first page",
    file: "functions/expire_due.sql",
    search: "exit when v_ids is null;",
    replace: "exit when v_ids is null or v_expired > 0;",
    tests,
  },
  {
    about: "the sweep takes the start of the transaction for now",
    file: "functions/expire_due.sql",
    search: "v_now constant timestamptz := clock_timestamp();",
    replace: "v_now constant timestamptz := now();",
    tests: ["test/concurrency/deadline.test.ts"],
  },
  {
    about: "the sweep knows no limit",
    file: "functions/expire_due.sql",
    search: "baseledger._sweep(v_ids, p_limit - v_expired)",
    replace: "baseledger._sweep(v_ids, 100000)",
    tests,
  },
  {
    about: "the sweep takes wallets in the order of their ids",
    file: "functions/expire_due.sql",
    search: "select array_agg(p.wallet_id order by p.first_deadline, p.wallet_id),",
    replace: "select array_agg(p.wallet_id order by p.wallet_id),",
    tests,
  },
  {
    about: "the sweep takes any limit",
    file: "functions/expire_due.sql",
    search: "p_limit is null or p_limit not between 1 and 100000",
    replace: "p_limit is null",
    tests,
  },
  {
    about: "the worker sleeps until the last deadline",
    file: "functions/next_due.sql",
    search: "    order by w.next_deadline\n",
    replace: "    order by w.next_deadline desc\n",
    tests: ["next_due.sql"],
  },
];
