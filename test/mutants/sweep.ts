// The sweep.
import type { Rule } from "./mutant.ts";

export const sweep: readonly Rule[] = [
  {
    rule: "The sweep takes the earliest first, up to its limit, by the clock",
    tests: ["expire_due.sql", "test/concurrency/sweep.test.ts"],
    mutants: [
      {
        about: "the sweep ends after its first page",
        of: "expire_due",
        search: "exit when v_ids is null;",
        replace: "exit when v_ids is null or v_expired > 0;",
      },
      {
        about: "the sweep takes the start of the transaction for now",
        of: "expire_due",
        search: "v_now constant timestamptz := clock_timestamp();",
        replace: "v_now constant timestamptz := now();",
        tests: ["test/concurrency/deadline.test.ts"],
      },
      {
        about: "the sweep has no limit",
        of: "expire_due",
        search: "baseledger._sweep_wallets(v_ids, p_limit - v_expired)",
        replace: "baseledger._sweep_wallets(v_ids, 100000)",
      },
      {
        about: "the sweep takes wallets in the order of their ids",
        of: "expire_due",
        search: "p.first_deadline, p.wallet_id",
        replace: "p.wallet_id",
      },
      {
        about: "the sweep accepts any limit",
        of: "expire_due",
        search: "or p_limit not between 1 and 100000",
        replace: "",
      },
      {
        about: "next_due gives the last deadline",
        of: "next_due",
        search: "order by w.next_deadline",
        replace: "order by w.next_deadline desc",
        tests: ["next_due.sql"],
      },
    ],
  },
  {
    rule: "A wallet that cannot be swept does not stop the others",
    tests: ["expire_due.sql", "test/concurrency/sweep.test.ts"],
    mutants: [
      {
        about: "the sweep stops at a wallet that cannot be swept",
        of: "_sweep_singly",
        search: "raise warning",
        replace: "raise exception",
      },
      {
        about: "one bad wallet keeps its whole page from being swept",
        of: "expire_due",
        search: "baseledger._sweep_singly(v_ids, p_limit - v_expired)",
        replace: "(select 0 as p_expired, '{}'::text[] as p_locked)",
      },
      {
        about: "the sweep blames a wallet when it is cancelled",
        of: "_sweep_singly",
        search: "left(sqlstate, 2) in ('25', '40', '53', '57', '58')",
        replace: "false",
      },
      {
        about: "the sweep does not warn of a wallet that it cannot sweep",
        of: "_sweep_singly",
        search: "raise warning",
        replace: "raise debug",
      },
    ],
  },
  {
    rule: "Locked wallets are left for later, and have their turn",
    tests: ["expire_due.sql", "test/concurrency/sweep.test.ts"],
    mutants: [
      {
        about: "the sweep waits for a locked wallet",
        of: "_sweep_wallets",
        search: "for no key update skip locked",
        replace: "for no key update",
      },
      {
        about: "the sweep never gets its turn at a busy wallet",
        of: "expire_due",
        search: "v_expired := baseledger._sweep_in_turn(v_locked, v_now, p_limit);",
        replace: "",
        tests: ["test/concurrency/busy-wallet.test.ts"],
      },
      {
        about: "the sweep waits for the same wallet each time",
        of: "_sweep_in_turn",
        search: "order by random()",
        replace: "order by w.wallet_id desc",
        tests: ["test/concurrency/busy-wallet.test.ts"],
      },
      {
        about: "the sweep waits for a busy wallet without end",
        of: "_sweep_in_turn",
        search: "set lock_timeout = '1500ms'",
        replace: "set lock_timeout = 0",
        tests: ["test/concurrency/busy-wallet.test.ts"],
      },
    ],
  },
  {
    rule: "A clock that has jumped is not trusted at once",
    tests: ["test/concurrency/clock-jump.test.ts"],
    mutants: [
      {
        about: "the sweep trusts a clock that has jumped",
        of: "expire_due",
        search: "if baseledger._clock_jumped(v_now)",
        replace: "if baseledger._clock_jumped(v_now) and false",
      },
      {
        about: "the sweep never trusts a clock that has jumped",
        of: "_clock_jumped",
        search: "where s.looked_at <= p_now - c_settled",
        replace: "where s.looked_at <= p_now - c_far",
      },
      {
        about: "the sweep compares the clock with looks that lie ahead",
        of: "_clock_jumped",
        search: "where s.looked_at > v_before and s.looked_at <= p_now",
        replace: "where s.looked_at > v_before",
      },
      {
        about: "the sweep trusts a jump at its second look",
        of: "_clock_jumped",
        search: "c_settled constant interval := '10 seconds'",
        replace: "c_settled constant interval := '0'",
      },
      {
        about: "a sweep that is called rarely never acts",
        of: "_clock_jumped",
        search: "greatest(c_far, 2 * (v_before - v_earlier))",
        replace: "c_far",
      },
      {
        about: "looks at the clock pile up",
        of: "_clock_jumped",
        search: "d.looked_at < v_earlier or",
        replace: "",
      },
      {
        about: "each call records a look at the clock",
        of: "_clock_jumped",
        search: "where s.looked_at > p_now - c_apart and s.looked_at <= p_now",
        replace: "where s.looked_at = p_now",
      },
      {
        about: "the sweep keeps what it has expired after a jump",
        of: "expire_due",
        search: "clock_timestamp() > v_now + c_longest",
        replace: "false",
        tests: ["test/worker/clock.test.ts"],
      },
    ],
  },
];
