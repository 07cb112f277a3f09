// More is due than one execution expires: the rest counts as returned all the same.
import type { Rule } from "./mutant.ts";

export const backlog: readonly Rule[] = [
  {
    rule: "An execution expires a bounded number, and records what is left",
    tests: ["test/concurrency/backlog.test.ts"],
    mutants: [
      {
        about: "a command expires all that is due, however much",
        of: "_due_chunk_size",
        search: "select 1000",
        replace: "select 1000000",
      },
      {
        about: "a backlog is not recorded",
        of: "_execute",
        search: "v_note := coalesce(v_note, '{}') || '{\"backlog\": true}';",
        replace: "",
      },
      {
        about: "one execution expires without bound",
        of: "_execute",
        search: "10 * baseledger._due_chunk_size()",
        replace: "1000 * baseledger._due_chunk_size()",
      },
      {
        about: "a refused batch drops its expiries although there is a backlog",
        of: "_execute",
        search: "and v_bounded is null",
        replace: "",
      },
    ],
  },
  {
    rule: "What a command needs of the backlog, it gets",
    tests: ["test/concurrency/backlog.test.ts"],
    mutants: [
      {
        about: "what a command names in the backlog stays open",
        of: "_execute",
        search: "v_hold.status = 'open' and v_hold.expires_at <= v_at - v_ahead",
        replace: "false",
      },
      {
        about: "funds in the backlog cannot be used",
        of: "_execute",
        search: "if v_rest > 0",
        replace: "if false",
      },
      {
        about: "a settlement waits for the backlog",
        of: "_execute",
        after: "back in available, and what was spent comes from there.",
        search: "v_last.available + coalesce(v_rest, 0) <",
        replace: "v_last.available <",
      },
      {
        about: "a settlement requires no funds of the backlog",
        of: "_required_funds",
        search: "when p_command.op = 'settle' then",
        replace: "when false then",
      },
      {
        about: "an extension requires no funds of the backlog",
        of: "_required_funds",
        search: "when p_command.op = 'extend' then p_command.amount - p_hold.held",
        replace: "",
      },
      {
        about: "p_at_least is not granted from the backlog",
        of: "_execute",
        search: "v_command.at_least, baseledger._required_funds(",
        replace: "baseledger._required_funds(",
      },
      {
        about: "what an execution has expired counts as backlog once more",
        of: "_execute",
        search: "sum(e.amount)",
        replace: "sum(0)",
      },
      {
        about: "what an execution expires on the way still counts as backlog",
        of: "_execute",
        search: "v_hold.expires_at <= v_since",
        replace: "false",
      },
      {
        about: "the backlog counts by the wallet's own time",
        of: "_execute",
        search: "v_since := v_at - v_ahead;",
        replace: "v_since := v_at;",
      },
    ],
  },
  {
    rule: "Balances and refusals count the backlog as returned",
    tests: ["test/concurrency/backlog.test.ts"],
    mutants: [
      {
        about: "a refusal reports balances without the backlog",
        of: "_execute",
        after: "baseledger._describe_refusal(",
        search: "v_last.available + coalesce(v_rest, 0), v_last.reserved - coalesce(v_rest, 0)",
        replace: "v_last.available, v_last.reserved",
      },
      {
        about: "balance_at ignores a backlog",
        of: "balance_at",
        search: "and e.details -> 'backlog' is null",
        replace: "",
      },
      {
        about: "a refusal names a deadline that has passed",
        of: "_find_next_return",
        search: "and r.expires_at > p_now",
        replace: "",
        tests: ["test/concurrency/backlog.test.ts"],
      },
      {
        about: "a refusal names a later deadline although the funds are due",
        of: "_describe_refusal",
        search: "when p_available >= v_requested then p_now",
        replace: "",
      },
      {
        about: "a shortfall may be negative",
        of: "_describe_refusal",
        search: "greatest(v_requested::numeric - p_available, 0)",
        replace: "v_requested::numeric - p_available",
      },
    ],
  },
  {
    rule: "A wallet that the backlog keeps below its limit is sound",
    tests: ["test/concurrency/backlog.test.ts"],
    mutants: [
      {
        about: "what the backlog will return counts as unsound",
        of: "_execute",
        search: "-v_wallet.overdraft_limit - coalesce(v_rest, 0)",
        replace: "-v_wallet.overdraft_limit",
      },
      {
        about: "a wallet that was below its limit before counts as unsound",
        of: "_execute",
        after: "-v_wallet.overdraft_limit - coalesce(v_rest, 0)",
        search: "and v_last.available < v_wallet.available",
        replace: "",
      },
    ],
  },
];
