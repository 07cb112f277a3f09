// Mistakes in the sweep.
import type { Mutant } from "./mutant.ts";

const tests = ["expire_due.sql", "test/concurrency/sweep.test.ts"];

const busy = ["test/concurrency/busy-wallet.test.ts"];
const leap = ["test/concurrency/clock-jump.test.ts"];

export const sweep: readonly Mutant[] = [
  {
    about: "the sweep waits for a locked wallet",
    of: "_sweep_wallets",
    search: "for no key update skip locked",
    replace: "for no key update",
    tests,
  },
  {
    about: "the sweep stops at a wallet that cannot be swept",
    of: "_sweep_singly",
    search: "raise warning 'baseledger: wallet %",
    replace: "raise exception 'baseledger: wallet %",
    tests,
  },
  {
    about: "the sweep gives a page up for one wallet in it",
    of: "expire_due",
    search: `select v_expired + s.p_expired, v_locked || s.p_locked into v_expired, v_locked
          from baseledger._sweep_singly(v_ids, p_limit - v_expired) as s;`,
    replace: "null;",
    tests,
  },
  {
    about: "the sweep takes it for a fault of a wallet when it is told to stop",
    of: "_sweep_singly",
    search: "left(sqlstate, 2) in ('25', '40', '53', '57', '58')",
    replace: "false",
    tests,
  },
  {
    about: "the sweep says nothing of a wallet that cannot be swept",
    of: "_sweep_singly",
    search: "raise warning 'baseledger: wallet %",
    replace: "raise debug 'baseledger: wallet %",
    tests,
  },
  {
    about: "the sweep ends with its first page",
    of: "expire_due",
    search: "exit when v_ids is null;",
    replace: "exit when v_ids is null or v_expired > 0;",
    tests,
  },
  {
    about: "the sweep takes the start of the transaction for now",
    of: "expire_due",
    search: "v_now constant timestamptz := clock_timestamp();",
    replace: "v_now constant timestamptz := now();",
    tests: ["test/concurrency/deadline.test.ts"],
  },
  {
    about: "the sweep knows no limit",
    of: "expire_due",
    search: "baseledger._sweep_wallets(v_ids, p_limit - v_expired)",
    replace: "baseledger._sweep_wallets(v_ids, 100000)",
    tests,
  },
  {
    about: "the sweep takes wallets in the order of their ids",
    of: "expire_due",
    search: "select array_agg(p.wallet_id order by p.first_deadline, p.wallet_id),",
    replace: "select array_agg(p.wallet_id order by p.wallet_id),",
    tests,
  },
  {
    about: "the sweep takes any limit",
    of: "expire_due",
    search: "p_limit is null or p_limit not between 1 and 100000",
    replace: "p_limit is null",
    tests,
  },
  {
    about: "the worker sleeps until the last deadline",
    of: "next_due",
    search: "    order by w.next_deadline\n",
    replace: "    order by w.next_deadline desc\n",
    tests: ["next_due.sql"],
  },
  {
    about: "the sweep never has its turn at a busy wallet",
    of: "expire_due",
    search: "v_expired := baseledger._sweep_in_turn(v_locked, v_now, p_limit);",
    replace: "null;",
    tests: busy,
  },
  {
    about: "the sweep waits for the same wallet each time",
    of: "_sweep_in_turn",
    search: "order by random()",
    replace: "order by w.wallet_id desc",
    tests: busy,
  },
  {
    about: "the sweep waits for a busy wallet until it has it",
    of: "_sweep_in_turn",
    search: "set lock_timeout = '1500ms'",
    replace: "set lock_timeout = 0",
    tests: busy,
  },
  {
    about: "the sweep believes a clock that has leapt",
    of: "expire_due",
    search: "if baseledger._clock_jumped(v_now) then",
    replace: "if baseledger._clock_jumped(v_now) and false then",
    tests: leap,
  },
  {
    about: "the sweep never believes a clock that has leapt",
    of: "_clock_jumped",
    search: "where s.looked_at <= p_now - c_settled",
    replace: "where s.looked_at <= p_now - c_far",
    tests: leap,
  },
  {
    about: "the sweep compares the clock with looks that lie ahead",
    of: "_clock_jumped",
    search: "where s.looked_at > v_before and s.looked_at <= p_now;",
    replace: "where s.looked_at > v_before;",
    tests: leap,
  },
  {
    about: "the sweep believes a leap at its second look",
    of: "_clock_jumped",
    search: "c_settled constant interval := '10 seconds'",
    replace: "c_settled constant interval := '0'",
    tests: leap,
  },
  {
    about: "the sweep that is called rarely never acts",
    of: "_clock_jumped",
    search: "greatest(c_far, 2 * (v_before - v_earlier))",
    replace: "c_far",
    tests: leap,
  },
  {
    about: "looks at the clock pile up",
    of: "_clock_jumped",
    search: "where d.looked_at < v_earlier or d.looked_at > p_now",
    replace: "where d.looked_at > p_now",
    tests: leap,
  },
  {
    about: "each call is a look at the clock",
    of: "_clock_jumped",
    search: "where s.looked_at > p_now - c_apart and s.looked_at <= p_now",
    replace: "where s.looked_at = p_now",
    tests: leap,
  },
  {
    about: "the sweep keeps what it has expired after a leap",
    of: "expire_due",
    search: "if clock_timestamp() > v_now + c_longest then",
    replace: "if false then",
    tests: ["test/worker/clock.test.ts"],
  },
];
