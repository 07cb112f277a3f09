// What moves money: the engine, and what it executes one command after the other.
import type { Rule } from "./mutant.ts";

export const execute: readonly Rule[] = [
  {
    rule: "A wallet is locked before it is read, and several in the order of their ids",
    mutants: [
      {
        about: "the wallet is not locked",
        of: "_execute",
        search: "where w.wallet_id = p_wallet_id for no key update;",
        replace: "where w.wallet_id = p_wallet_id;",
        tests: ["test/concurrency/funds.test.ts", "test/concurrency/duplicates.test.ts"],
      },
      {
        about: "transfer locks in the order of its arguments",
        of: "transfer",
        search:
          'least(p_from collate "C", p_to collate "C"), greatest(p_from collate "C", p_to collate "C")',
        replace: "p_from, p_to",
        tests: ["test/concurrency/funds.test.ts"],
      },
    ],
  },
  {
    rule: "Events have the time of the server's clock under the lock, each later than the one before",
    mutants: [
      {
        about: "deadlines count by the start of the transaction",
        of: "_execute",
        search: "v_at := greatest(clock_timestamp(),",
        replace: "v_at := greatest(now(),",
        tests: ["test/concurrency/deadline.test.ts"],
      },
      {
        about: "the clock may step back",
        of: "_execute",
        search: "greatest(clock_timestamp(), v_last.occurred_at + interval '1 microsecond')",
        replace: "clock_timestamp()",
      },
      {
        about: "commands of a batch happen at the same time",
        of: "_execute",
        search: "v_at := v_at + interval '1 microsecond';",
        replace: "",
      },
    ],
  },
  {
    rule: "What is due expires before the next command, at its deadline and not before",
    mutants: [
      {
        about: "a reservation is still open at its deadline",
        of: "_execute",
        search: "due_at <= v_at - v_ahead",
        replace: "due_at < v_at - v_ahead",
        tests: ["test/concurrency/deadline.test.ts"],
      },
      {
        about: "nothing expires at its very deadline",
        of: "_execute",
        search: "v_hold.expires_at > v_at - v_ahead;",
        replace: "v_hold.expires_at >= v_at - v_ahead;",
      },
      {
        about: "an expiry ignores an extension before it in the batch",
        of: "_execute",
        search: "or v_hold.expires_at > v_at - v_ahead",
        replace: "",
      },
      {
        about: "commands do not expire what is due",
        of: "_execute",
        search: "if v_look_due then v_since",
        replace: "if v_asked = 0 then v_since",
      },
      {
        about: "the next deadline is that of the newest reservation",
        of: "_execute",
        after: "-- 4. Write a single event.",
        search: "least(v_wallet.next_deadline, v_opened)",
        replace: "coalesce(v_opened, v_wallet.next_deadline)",
      },
      {
        about: "the next deadline is that of what a batch has opened",
        of: "_execute",
        after: "_delete_reservations(p_wallet_id, v_stale)",
        search: "least(v_wallet.next_deadline, v_opened)",
        replace: "coalesce(v_opened, v_wallet.next_deadline)",
      },
      {
        about: "what has just come due is not found",
        of: "_find_due",
        search: "and r.expires_at <= c_until",
        replace: "and r.expires_at < c_until - interval '1 minute'",
      },
      {
        about: "the sweep of one wallet has no limit",
        of: "_find_due",
        search: "::baseledger._command order by d.n) filter (where d.n <= c_limit)",
        replace: "::baseledger._command order by d.n)",
        tests: ["expire_due.sql", "test/concurrency/sweep.test.ts"],
      },
      {
        about: "a reservation lasts an hour by default",
        of: "_default_ttl",
        search: "interval '10 minutes'",
        replace: "interval '1 hour'",
      },
    ],
  },
  {
    rule: "A key stands for one command, and a retry gets its first receipt",
    mutants: [
      {
        about: "a repeated key is executed again",
        of: "_execute",
        search: "if v_command.refused is null and v_seq is not null then",
        replace: "if false then",
      },
      {
        about: "a repeated key is not compared",
        of: "_execute",
        search: "if v_command.detail is null then",
        replace: "if true then",
      },
      {
        about: "of a repeated key only the amount is compared",
        of: "_compare_requests",
        search:
          "'op', 'reservation_id', 'amount', 'at_least', 'ttl', 'final', 'to', 'reason', 'metadata', 'unit', 'scale', 'overdraft_limit'",
        replace: "'amount'",
      },
      {
        about: "a repeated key may come with other metadata",
        of: "_compare_requests",
        search: "'reason', 'metadata',",
        replace: "'reason',",
      },
      {
        about: "a repeated key may come with another time to live",
        of: "_compare_requests",
        search: "'at_least', 'ttl', 'final'",
        replace: "'at_least', 'final'",
      },
      {
        about: "a repeated transfer may go to another wallet",
        of: "_compare_requests",
        search: "'to', 'reason'",
        replace: "'reason'",
      },
      {
        about: "a wallet is opened again on other terms",
        of: "_compare_requests",
        search: "'unit', 'scale', 'overdraft_limit'",
        replace: "'unit', 'scale'",
      },
      {
        about: "a retry gets today's balances",
        of: "_execute",
        search: "v_earlier.available, v_earlier.reserved, v_earlier.spent",
        replace: "v_last.available, v_last.reserved, v_last.spent",
      },
      {
        about: "a retry does not say that it is one",
        of: "_execute",
        search: "v_earlier.idempotency_key, true",
        replace: "v_earlier.idempotency_key, false",
      },
      {
        about: "a key that comes twice in a batch is executed twice",
        of: "_execute",
        search: "and e.idempotency_key = v_command.idempotency_key",
        replace: "and false",
      },
    ],
  },
  {
    rule: "A refusal changes nothing: single commands raise, batches go on",
    mutants: [
      {
        about: "a refusal of a single command is not raised",
        of: "_execute_single",
        search: "null, true))[1]",
        replace: "null, false))[1]",
      },
      {
        about: "a refused command takes its key",
        of: "_execute",
        search: "v_command.refused, v_command.detail )::baseledger.receipt;",
        replace:
          "v_command.refused, v_command.detail )::baseledger.receipt; v_done[v_command.key_at] := coalesce(v_done[v_command.key_at], v_wallet.seq);",
      },
      {
        about: "a refusal writes the expiries it has met",
        of: "_execute",
        search: "= v_wallet.seq + v_expired and v_bounded",
        replace: "= v_wallet.seq and v_bounded",
      },
      {
        about: "a batch stops at a refused command",
        of: "_execute",
        after: "v_command.refused, v_command.detail )::baseledger.receipt;",
        search: "continue;",
        replace: "exit;",
      },
    ],
  },
  {
    rule: "Reserve and extend take what is available, and no more",
    mutants: [
      {
        about: "reserve does not look at what is available",
        of: "_execute",
        search: "when v_last.available < v_amount then 'LGNSF'",
        replace: "",
      },
      {
        about: "reserve grants one more than there is",
        of: "_execute",
        search: "v_last.available < v_amount",
        replace: "v_last.available < v_amount - 1",
      },
      {
        about: "p_at_least is ignored",
        of: "_execute",
        search: "least(v_command.amount, greatest(v_last.available, v_command.at_least))",
        replace: "v_command.amount",
      },
      {
        about: "p_at_least grants no more than that",
        of: "_execute",
        search: "least(v_command.amount, greatest(v_last.available, v_command.at_least))",
        replace: "v_command.at_least",
      },
      {
        about: "a frozen wallet reserves",
        of: "_execute",
        after: "when 'reserve' then",
        search: "when v_wallet.frozen then 'LGFRZ'",
        replace: "",
      },
      {
        about: "reserve takes the id of an ended reservation",
        of: "_execute",
        after: "when 'reserve' then",
        search: "when v_hold.status <> 'none' then 'LGRID'",
        replace: "",
      },
      {
        about: "extend takes more than there is",
        of: "_execute",
        search: "when v_last.available < v_reserved then 'LGNSF'",
        replace: "",
      },
      {
        about: "a frozen wallet lets holds grow",
        of: "_execute",
        after: "when 'extend' then",
        search: "when v_wallet.frozen then 'LGFRZ'",
        replace: "",
      },
      {
        about: "extend keeps the old deadline",
        of: "_execute",
        after: "when 'extend' then",
        search: "coalesce(v_at - v_ahead, v_at) + v_command.ttl",
        replace: "v_hold.expires_at",
      },
      {
        about: "a reservation past its deadline is extended",
        of: "_execute",
        after: "when 'extend' then",
        search: "v_reserved := coalesce(v_command.amount - v_hold.held, 0);",
        replace:
          "if v_hold.status = 'expired' then v_hold.status := 'open'; v_hold.held := 0; v_hold.amount := 0; v_hold.settled := 0; end if; v_reserved := coalesce(v_command.amount - v_hold.held, 0);",
      },
    ],
  },
  {
    rule: "What is held comes back when a reservation is cancelled or expires",
    mutants: [
      {
        about: "cancel gives nothing back",
        of: "_execute",
        search: "'cancelled', v_hold.held, v_hold.held",
        replace: "'cancelled', v_hold.held, 0",
      },
      {
        about: "an expiry leaves its hold reserved",
        of: "_execute",
        search: "'expired', v_hold.held, v_hold.held, -v_hold.held",
        replace: "'expired', v_hold.held, 0, 0",
      },
    ],
  },
  {
    rule: "What was spent is booked in full and once, down to the overdraft limit",
    mutants: [
      {
        about: "the rest of a settled reservation stays reserved",
        of: "_execute",
        search: "when v_command.final then v_hold.held",
        replace: "",
      },
      {
        about: "a settlement in part ends the reservation",
        of: "_execute",
        search: "case when v_command.final then 'settled' else v_hold.status end",
        replace: "'settled'",
      },
      {
        about: "what is spent above the reservation is not booked",
        of: "_execute",
        search: "v_available := -v_command.amount - v_reserved;",
        replace: "v_available := greatest(-v_command.amount - v_reserved, 0);",
      },
      {
        about: "a late settlement takes the hold once more",
        of: "_execute",
        search: "when v_hold.status <> 'open' then 0",
        replace: "",
      },
      {
        about: "a settled reservation is settled again",
        of: "_execute",
        search: "v_hold.status not in ('open', 'expired') then 'LGEND'",
        replace: "v_hold.status = 'cancelled' then 'LGEND'",
      },
      {
        about: "a late settlement is booked twice",
        of: "_find_reservation",
        search: 'e.details @> \'{"late": true, "final": false}\'',
        replace: "e.details @> '{\"late\": true}'",
      },
      {
        about: "a late settlement is refused",
        of: "_execute",
        search: "v_hold.status not in ('open', 'expired') then 'LGEND'",
        replace: "v_hold.status <> 'open' then 'LGEND'",
      },
      {
        about: "the overdraft limit has the wrong sign",
        of: "_execute",
        search: "< -v_wallet.overdraft_limit - v_available",
        replace: "< v_wallet.overdraft_limit - v_available",
      },
      {
        about: "there is no overdraft limit",
        of: "_execute",
        search: "< -v_wallet.overdraft_limit - v_available",
        replace: "< null",
      },
    ],
  },
  {
    rule: "Refunds are at most what was settled",
    mutants: [
      {
        about: "refunds have no limit",
        of: "_execute",
        search: "< v_command.amount then v_command.refused := 'LGRFD'",
        replace: "< 0 then v_command.refused := 'LGRFD'",
      },
      {
        about: "refunds of one batch ignore each other",
        of: "_execute",
        search: "v_hold.net := v_hold.net - v_command.amount;",
        replace: "",
      },
      {
        about: "refunds do not count against the next refund",
        of: "_sum_refundable",
        search: "when 'refunded' then -e.amount else",
        replace: "when 'refunded' then 0 else",
      },
    ],
  },
  {
    rule: "Charge, withdraw and transfer take what is available, and no more",
    mutants: [
      {
        about: "charge does not look at what is available",
        of: "_execute",
        after: "when 'charge' then",
        search: "when v_last.available < v_command.amount then 'LGNSF'",
        replace: "",
      },
      {
        about: "a charge that is refused is added to what its id had",
        of: "_execute",
        search: "null, v_command.amount,",
        replace: "null, v_hold.net + v_command.amount,",
        tests: ["charge.sql"],
      },
      {
        about: "a frozen wallet is charged",
        of: "_execute",
        after: "when 'charge' then",
        search: "when v_wallet.frozen then 'LGFRZ'",
        replace: "",
      },
      {
        about: "withdraw and transfer do not look at what is available",
        of: "_execute",
        after: "when 'withdraw', 'transfer_out' then",
        search: "when v_last.available < v_command.amount then 'LGNSF'",
        replace: "",
      },
      {
        about: "a frozen wallet pays out",
        of: "_execute",
        after: "when 'withdraw', 'transfer_out' then",
        search: "when v_wallet.frozen then 'LGFRZ'",
        replace: "",
      },
      {
        about: "a freeze freezes nothing",
        of: "_execute",
        search: "v_wallet.frozen := v_command.op = 'freeze';",
        replace: "",
      },
    ],
  },
  {
    rule: "A transfer moves funds once, between wallets of one unit",
    mutants: [
      {
        about: "transfer does not compare units",
        of: "transfer",
        search: "or v_terms[1:2] <> v_terms[3:4]",
        replace: "",
      },
      {
        about: "the key of a transfer belongs to the receiver as well",
        of: "transfer",
        search: "'transfer_in', null,",
        replace: "'transfer_in', p_idempotency_key,",
      },
      {
        about: "a repeated transfer credits the receiver again",
        of: "transfer",
        search: "if not v_out.replayed then",
        replace: "if true then",
      },
    ],
  },
  {
    rule: "Balances stay in their range",
    mutants: [
      {
        about: "a credit leaves no room for what is reserved to come back",
        of: "_exceeds_range",
        search: "9223372036854775807 - p_reserved - p_amount",
        replace: "9223372036854775807 - p_amount",
      },
    ],
  },
  {
    rule: "What is written is chained, signed and sound",
    mutants: [
      {
        about: "the hash does not cover the one before",
        of: "_execute",
        search: "sha256(v_last.hash ||",
        replace: "sha256(''::bytea ||",
      },
      {
        about: "the actor is the owner of the function",
        of: "_execute",
        search: "session_user",
        replace: "current_user",
      },
      {
        about: "a single command writes an unsound wallet all the same",
        of: "_execute",
        after: "-- 4. Write a single event.",
        search: "perform baseledger._raise_corrupted(",
        replace: "perform concat(",
        tests: ["post_many.sql"],
      },
      {
        about: "a single command refuses a wallet that was below its limit before",
        of: "_execute",
        after: "-- 4. Write a single event.",
        search: "and v_last.available < v_wallet.available",
        replace: "",
        tests: ["post_many.sql"],
      },
      {
        about: "a batch writes an unsound wallet all the same",
        of: "_execute",
        after: "-v_wallet.overdraft_limit - coalesce(v_rest, 0)",
        search: "perform baseledger._raise_corrupted(",
        replace: "perform concat(",
        tests: ["post_many.sql"],
      },
      {
        about: "a sweep of several wallets counts expiries of an unsound one",
        of: "_execute",
        after: "if v_asked = 0 then",
        search: "perform baseledger._raise_corrupted(",
        replace: "perform concat(",
        tests: ["expire_due.sql", "test/concurrency/sweep.test.ts"],
      },
      {
        about: "a batch leaves ended reservations in the table",
        of: "_execute",
        search: "_delete_reservations(p_wallet_id, v_stale) where v_stale <> '{}'",
        replace: "_delete_reservations(p_wallet_id, v_stale) where false",
      },
    ],
  },
  {
    rule: "What is refused says when to try again",
    mutants: [
      {
        about: "the sum of the holds does not count as held",
        of: "_describe_refusal",
        search: "v_held := p_reserved::numeric + p_available >= v_requested;",
        replace: "v_held := p_available >= v_requested;",
      },
      {
        about: "the time to retry is that of an ended reservation",
        of: "_find_next_return",
        search: "where h.status = 'open'",
        replace: "where true",
      },
    ],
  },
  {
    rule: "Short statements are not compiled",
    tests: ["test/field/jit.test.ts"],
    mutants: [
      {
        about: "the server may compile what _execute runs",
        of: "_execute",
        search: "set jit = off",
        replace: "",
      },
      {
        about: "the server may compile what balance runs",
        of: "balance",
        search: "set jit = off",
        replace: "",
      },
    ],
  },
];
