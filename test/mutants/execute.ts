// Mistakes in what moves money: the fold, what reads commands for it, and what calls it.
import type { Mutant } from "./mutant.ts";

const FOLD = "_execute";
const concurrency = (...names: string[]) => names.map((n) => `test/concurrency/${n}.test.ts`);

const locking: Mutant[] = [
  {
    about: "the wallet is not locked",
    of: FOLD,
    search: "where w.wallet_id = p_wallet_id\n    for no key update;",
    replace: "where w.wallet_id = p_wallet_id;",
    tests: concurrency("funds", "duplicates"),
  },
  {
    about: "transfer locks in the order of its arguments",
    of: "transfer",
    search: `least(p_from collate "C", p_to collate "C"), greatest(p_from collate "C", p_to collate "C")`,
    replace: "p_from, p_to",
    tests: concurrency("funds"),
  },
  {
    about: "transfer does not compare units",
    of: "transfer",
    search: " or v_terms[1:2] <> v_terms[3:4] then",
    replace: " then",
  },
  {
    about: "the key of a transfer belongs to the receiver, too",
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
  {
    about: "a refusal of a single command is not raised",
    of: "_execute_single",
    search: "null, true))[1]",
    replace: "null, false))[1]",
  },
  {
    about: "the server may compile what the fold runs",
    of: FOLD,
    search: "set enable_sort = off\nset jit = off\n",
    replace: "set enable_sort = off\n",
    tests: ["test/field/jit.test.ts"],
  },
  {
    about: "the fold is open to agents",
    of: FOLD,
    search: "revoke all on function baseledger._execute from public;",
    replace: "grant execute on function baseledger._execute to baseledger_agent;",
    tests: ["test/security/privileges.test.ts"],
  },
];

const time: Mutant[] = [
  {
    about: "the deadline is judged by the start of the transaction",
    of: FOLD,
    search: "v_at := greatest(clock_timestamp(),",
    replace: "v_at := greatest(now(),",
    tests: concurrency("deadline"),
  },
  {
    about: "the clock may step back",
    of: FOLD,
    search: "greatest(clock_timestamp(), v_last.occurred_at + interval '1 microsecond')",
    replace: "clock_timestamp()",
  },
  {
    about: "commands of a batch happen at the same time",
    of: FOLD,
    search: "    v_at := v_at + interval '1 microsecond';\n  end loop;",
    replace: "  end loop;",
  },
  {
    about: "a reservation is still open at its deadline",
    of: FOLD,
    search: "p_commands[v_next_due].due_at <= v_at - v_ahead then",
    replace: "p_commands[v_next_due].due_at < v_at - v_ahead then",
    tests: ["test/concurrency/deadline.test.ts"],
  },
  {
    about: "expires nothing at its very deadline",
    of: FOLD,
    search: "continue when v_hold.status <> 'open' or v_hold.expires_at > v_at - v_ahead;",
    replace: "continue when v_hold.status <> 'open' or v_hold.expires_at >= v_at - v_ahead;",
  },
  {
    about: "what a command before it has extended expires all the same",
    of: FOLD,
    search: "continue when v_hold.status <> 'open' or v_hold.expires_at > v_at - v_ahead;",
    replace: "continue when v_hold.status <> 'open';",
  },
  {
    about: "commands do not expire what is due",
    of: FOLD,
    search: "    if v_look_due then\n      v_since",
    replace: "    if v_asked = 0 then\n      v_since",
  },
  {
    about: "the next deadline is that of the newest reservation",
    of: FOLD,
    search: "next_deadline = least(v_wallet.next_deadline, v_opened)",
    replace: "next_deadline = coalesce(v_opened, v_wallet.next_deadline)",
  },
  {
    about: "what comes due is looked for too early",
    of: "_find_due",
    search: "and r.expires_at <= c_until",
    replace: "and r.expires_at < c_until - interval '1 minute'",
  },
  {
    about: "the sweep of a wallet knows no limit",
    of: "_find_due",
    search: "::baseledger._command order by d.n) filter (where d.n <= c_limit),",
    replace: "::baseledger._command order by d.n),",
    tests: ["expire_due.sql", "test/concurrency/sweep.test.ts"],
  },
  {
    about: "a reservation lives for an hour unless it says otherwise",
    of: "_default_ttl",
    search: "interval '10 minutes'",
    replace: "interval '1 hour'",
  },
];

const keys: Mutant[] = [
  {
    about: "a repeated key is carried out again",
    of: FOLD,
    search: "if v_command.refused is null and v_seq is not null then",
    replace: "if false then",
  },
  {
    about: "a repeated key is not compared",
    of: FOLD,
    search: "if v_command.detail is null then\n          v_receipts",
    replace: "if true then\n          v_receipts",
  },
  {
    about: "a retry gets the balances of today",
    of: FOLD,
    search: "v_stored.amount, v_stored.available, v_stored.reserved, v_stored.spent,",
    replace: "v_stored.amount, v_last.available, v_last.reserved, v_last.spent,",
  },
  {
    about: "a retry does not say that it is one",
    of: FOLD,
    search: "v_stored.idempotency_key, true, null, null",
    replace: "v_stored.idempotency_key, false, null, null",
  },
  {
    about: "a key that comes twice in a batch is carried out twice",
    of: FOLD,
    search: "v_done[v_command.key_at] := v_last.seq;",
    replace: "",
  },
  {
    about: "a refused command takes its key",
    of: FOLD,
    search:
      "v_command.idempotency_key, false, v_command.refused, v_command.detail\n      )::baseledger.receipt;",
    replace:
      "v_command.idempotency_key, false, v_command.refused, v_command.detail\n      )::baseledger.receipt;\n      v_done[v_command.key_at] := coalesce(v_done[v_command.key_at], v_wallet.seq);",
  },
];

const reserving: Mutant[] = [
  {
    about: "reserve does not look at what is available",
    of: FOLD,
    search: "            when v_last.available < v_amount then 'LGNSF'\n",
    replace: "",
  },
  {
    about: "reserve grants one more than there is",
    of: FOLD,
    search: "when v_last.available < v_amount then 'LGNSF'",
    replace: "when v_last.available < v_amount - 1 then 'LGNSF'",
  },
  {
    about: "p_at_least is ignored",
    of: FOLD,
    search: "least(v_command.amount, greatest(v_last.available, v_command.at_least))",
    replace: "v_command.amount",
  },
  {
    about: "p_at_least grants no more than that",
    of: FOLD,
    search: "least(v_command.amount, greatest(v_last.available, v_command.at_least))",
    replace: "v_command.at_least",
  },
  {
    about: "a frozen wallet reserves",
    of: FOLD,
    search:
      "            when v_wallet.frozen then 'LGFRZ'\n            when v_last.available < v_amount",
    replace: "            when v_last.available < v_amount",
  },
  {
    about: "reserve takes an id again that has ended",
    of: FOLD,
    search:
      "            when v_hold.status not in ('new', 'none') then 'LGRID'\n            when v_wallet.frozen then 'LGFRZ'\n            when v_last.available < v_amount",
    replace:
      "            when v_wallet.frozen then 'LGFRZ'\n            when v_last.available < v_amount",
  },
  {
    about: "extend takes more than there is",
    of: FOLD,
    search: "            when v_last.available < v_reserved then 'LGNSF'\n",
    replace: "",
  },
  {
    about: "a frozen wallet lets holds grow",
    of: FOLD,
    search:
      "            when v_wallet.frozen then 'LGFRZ'\n            when v_last.available < v_reserved",
    replace: "            when v_last.available < v_reserved",
  },
  {
    about: "extend keeps the old deadline",
    of: FOLD,
    search: "v_hold.held + v_reserved, coalesce(v_at - v_ahead, v_at) + v_command.ttl, false,",
    replace: "v_hold.held + v_reserved, v_hold.expires_at, false,",
  },
  {
    about: "a reservation past its deadline is extended anew",
    of: FOLD,
    search:
      "          v_reserved := coalesce(v_command.amount - v_hold.held, 0);\n          v_command.refused := case\n            when v_hold.status = 'expired' then 'LGEXP'\n            when v_hold.status in ('new', 'none') then 'LGRNF'\n            when v_hold.status <> 'open' then 'LGEND'",
    replace:
      "          v_reserved := coalesce(v_command.amount - coalesce(v_hold.held, 0), 0);\n          v_hold.held := coalesce(v_hold.held, 0);\n          v_hold.amount := coalesce(v_hold.amount, 0);\n          v_hold.settled := coalesce(v_hold.settled, 0);\n          v_command.refused := case\n            when v_hold.status in ('new', 'none') then 'LGRNF'\n            when v_hold.status not in ('open', 'expired') then 'LGEND'",
  },
  {
    about: "cancel gives nothing back",
    of: FOLD,
    search: "'cancelled', v_hold.held, v_hold.held, -v_hold.held, 0, null, null",
    replace: "'cancelled', v_hold.held, 0, -v_hold.held, 0, null, null",
  },
  {
    about: "an expiry leaves its hold reserved",
    of: FOLD,
    search: "'expired', v_hold.held, v_hold.held, -v_hold.held, 0, v_hold.expires_at, null",
    replace: "'expired', v_hold.held, 0, 0, 0, v_hold.expires_at, null",
  },
];

const settling: Mutant[] = [
  {
    about: "the rest of a settled reservation stays reserved",
    of: FOLD,
    search: "            when v_command.final then v_hold.held\n",
    replace: "",
  },
  {
    about: "a settlement in part ends the reservation",
    of: FOLD,
    search: "case when v_command.final then 'settled' else v_hold.status end",
    replace: "'settled'",
  },
  {
    about: "what is spent above the reservation is not booked",
    of: FOLD,
    search: "v_available := -v_command.amount - v_reserved;",
    replace: "v_available := greatest(-v_command.amount - v_reserved, 0);",
  },
  {
    about: "a late settlement takes the hold once more",
    of: FOLD,
    search: "            when v_hold.status <> 'open' then 0\n",
    replace: "",
  },
  {
    about: "a settled reservation is settled again",
    of: FOLD,
    search: "when v_hold.status not in ('open', 'expired') then 'LGEND'",
    replace: "when v_hold.status = 'cancelled' then 'LGEND'",
  },
  {
    about: "a late settlement is booked twice",
    of: "_find_reservation",
    search: `e.details @> '{"late": true, "final": false}'`,
    replace: `e.details @> '{"late": true}'`,
  },
  {
    about: "a late settlement is refused",
    of: FOLD,
    search: "when v_hold.status not in ('open', 'expired') then 'LGEND'",
    replace: "when v_hold.status <> 'open' then 'LGEND'",
  },
  {
    about: "the overdraft limit has the wrong sign",
    of: FOLD,
    search: "              < -v_wallet.overdraft_limit - v_available",
    replace: "              < v_wallet.overdraft_limit - v_available",
  },
  {
    about: "there is no overdraft limit",
    of: FOLD,
    search:
      "when v_available < 0 and v_last.available + coalesce(v_rest, 0)\n              < -v_wallet.overdraft_limit - v_available",
    replace: "when false",
  },
  {
    about: "a refund knows no limit",
    of: FOLD,
    search:
      "            < v_command.amount\n          then\n            v_command.refused := 'LGRFD';",
    replace: "            < 0\n          then\n            v_command.refused := 'LGRFD';",
  },
  {
    about: "refunds of one batch do not know of each other",
    of: FOLD,
    search: "v_hold.net := v_hold.net - v_command.amount;",
    replace: "",
  },
  {
    about: "refunds do not count against the next refund",
    of: "_sum_refundable",
    search: "when 'refunded' then -e.amount else",
    replace: "when 'refunded' then 0 else",
  },
];

const charging: Mutant[] = [
  {
    about: "charge does not look at what is available",
    of: FOLD,
    search:
      "            when v_last.available < v_command.amount then 'LGNSF'\n            when v_last.spent",
    replace: "            when v_last.spent",
  },
  {
    about: "a charge that is refused is added to what its id had",
    of: FOLD,
    search: "null, null, null, null, false, v_command.amount,",
    replace: "null, null, null, null, false, v_hold.net + v_command.amount,",
    tests: ["charge.sql"],
  },
  {
    about: "a frozen wallet is charged",
    of: FOLD,
    search:
      "            when v_wallet.frozen then 'LGFRZ'\n            when v_last.available < v_command.amount then 'LGNSF'\n            when v_last.spent",
    replace:
      "            when v_last.available < v_command.amount then 'LGNSF'\n            when v_last.spent",
  },
  {
    about: "withdraw and transfer do not look at what is available",
    of: FOLD,
    search:
      "            when v_wallet.frozen then 'LGFRZ'\n            when v_last.available < v_command.amount then 'LGNSF'\n          end;",
    replace: "            when v_wallet.frozen then 'LGFRZ'\n          end;",
  },
  {
    about: "a frozen wallet pays out",
    of: FOLD,
    search:
      "            when v_wallet.frozen then 'LGFRZ'\n            when v_last.available < v_command.amount then 'LGNSF'\n          end;",
    replace: "            when v_last.available < v_command.amount then 'LGNSF'\n          end;",
  },
  {
    about: "a freeze freezes nothing",
    of: FOLD,
    search: "v_wallet.frozen := v_command.op = 'freeze';",
    replace: "",
  },
  {
    about: "a credit leaves no room for what is reserved to come back",
    of: "_exceeds_range",
    search: "9223372036854775807 - p_reserved - p_amount",
    replace: "9223372036854775807 - p_amount",
  },
];

const writing: Mutant[] = [
  {
    about: "a refusal writes the expiries it has met",
    of: FOLD,
    search: "if v_asked > 0 and v_last.seq = v_wallet.seq + v_expired and v_bounded is null then",
    replace: "if v_asked > 0 and v_last.seq = v_wallet.seq and v_bounded is null then",
  },
  {
    about: "the hash does not cover the one before",
    of: FOLD,
    search: "sha256(v_last.hash || baseledger._encode_event(",
    replace: "sha256(''::bytea || baseledger._encode_event(",
  },
  {
    about: "the actor is the owner of the function",
    of: FOLD,
    search: "session_user::text,",
    replace: "current_user::text,",
  },
  {
    about: "what is unsound is written all the same",
    of: FOLD,
    search:
      "if v_last.reserved < 0 or v_last.spent < 0 or v_last.available < -v_wallet.overdraft_limit then",
    replace: "if false then",
    tests: ["test/concurrency/sweep.test.ts"],
  },
  {
    about: "a batch does not take ended reservations away",
    of: FOLD,
    search: "r.reservation_id = any(v_gone);",
    replace: "false;",
  },
  {
    about: "a batch stops at a refused command",
    of: FOLD,
    search: "v_command.refused, v_command.detail\n      )::baseledger.receipt;\n      continue;",
    replace: "v_command.refused, v_command.detail\n      )::baseledger.receipt;\n      exit;",
  },
];

const STORM = concurrency("storm");
const NAMED = "if v_hold.status = 'open' and v_hold.expires_at <= v_at - v_ahead then";

const storms: Mutant[] = [
  {
    about: "a command expires all that is due, however much",
    of: "_due_chunk_size",
    search: "select 1000",
    replace: "select 1000000",
    tests: STORM,
  },
  {
    about: "a backlog is not told",
    of: FOLD,
    search: `v_note := coalesce(v_note, '{}') || '{"backlog": true}';`,
    replace: "",
    tests: STORM,
  },
  {
    about: "what a command names in the backlog is open",
    of: FOLD,
    search: NAMED,
    replace: "if false then",
    tests: STORM,
  },
  {
    about: "what is due and not expired gives no funds",
    of: FOLD,
    search: "          if v_rest > 0\n",
    replace: "          if false\n",
    tests: STORM,
  },
  {
    about: "a fold knows no end of expiries",
    of: FOLD,
    search: "v_asked + 10 * baseledger._due_chunk_size()",
    replace: "v_asked + 1000 * baseledger._due_chunk_size()",
    tests: STORM,
  },
  {
    about: "a refused batch forgets what it has expired, however much is due",
    of: FOLD,
    search: " + v_expired and v_bounded is null then",
    replace: " + v_expired then",
    tests: STORM,
  },
  {
    about: "a settlement waits for what is due to expire",
    of: FOLD,
    search: "v_available < 0 and v_last.available + coalesce(v_rest, 0)",
    replace: "v_available < 0 and v_last.available",
    tests: STORM,
  },
  {
    about: "a refusal tells what is available on record",
    of: FOLD,
    search: "v_last.available + coalesce(v_rest, 0), v_last.reserved - coalesce(v_rest, 0)",
    replace: "v_last.available, v_last.reserved",
    tests: STORM,
  },
  {
    about: "the past does not know of a backlog",
    of: "balance_at",
    search: "      and e.details -> 'backlog' is null\n",
    replace: "",
    tests: STORM,
  },
  {
    about: "a settlement asks for nothing of what is due",
    of: "_required_funds",
    search: "when p_command.op = 'settle' then",
    replace: "when false then",
    tests: STORM,
  },
  {
    about: "an extension asks for nothing of what is due",
    of: "_required_funds",
    search: "    when p_command.op = 'extend' then p_command.amount - p_hold.held\n",
    replace: "",
    tests: STORM,
  },
  {
    about: "p_at_least is not granted from what is due",
    of: FOLD,
    search: `coalesce(
              v_command.at_least, baseledger._required_funds(v_command, v_hold, v_wallet.overdraft_limit)
            )`,
    replace: "baseledger._required_funds(v_command, v_hold, v_wallet.overdraft_limit)",
    tests: STORM,
  },
  {
    about: "what a fold has expired counts as due once more",
    of: FOLD,
    search: "select coalesce(sum(e.amount), 0) from unnest(v_events) as e",
    replace: "select coalesce(sum(0), 0) from unnest(v_events) as e",
    tests: STORM,
  },
  {
    about: "what a fold expires on the way still counts as due",
    of: FOLD,
    search:
      "v_rest := v_rest - case when v_hold.expires_at <= v_since then v_hold.held else 0 end;",
    replace: "",
    tests: STORM,
  },
  {
    about: "what will be returned is unsound until it is",
    of: FOLD,
    search: "v_last.available < -v_wallet.overdraft_limit - coalesce(v_rest, 0)",
    replace: "v_last.available < -v_wallet.overdraft_limit",
    tests: STORM,
  },
  {
    about: "what was below the limit before is unsound",
    of: FOLD,
    search: "\n        and v_last.available < v_wallet.available\n",
    replace: "\n",
    tests: STORM,
  },
  {
    about: "a refusal waits for what is due",
    of: "_find_next_return",
    search: "      and r.expires_at > p_now\n",
    replace: "",
    tests: STORM,
  },
  {
    about: "a refusal waits for a deadline where the funds are past theirs",
    of: "_describe_refusal",
    search: "          when p_available >= v_requested then p_now\n",
    replace: "",
    tests: STORM,
  },
  {
    about: "less than nothing is short",
    of: "_describe_refusal",
    search: "greatest(v_requested::numeric - p_available, 0)",
    replace: "v_requested::numeric - p_available",
    tests: STORM,
  },
  {
    about: "the backlog is what is due by a wallet's own time",
    of: FOLD,
    search: "v_since := v_at - v_ahead;",
    replace: "v_since := v_at;",
    tests: STORM,
  },
];

const clocks: Mutant[] = [
  {
    about: "a reservation lives from when its event is dated",
    of: FOLD,
    search: "coalesce(v_at - v_ahead, v_at) + v_command.ttl, false, v_hold.net",
    replace: "v_at + v_command.ttl, false, v_hold.net",
    tests: ["wallets_ahead.sql"],
  },
  {
    about: "an extension lasts from when its event is dated",
    of: FOLD,
    search: "v_hold.held + v_reserved, coalesce(v_at - v_ahead, v_at) + v_command.ttl, false,",
    replace: "v_hold.held + v_reserved, v_at + v_command.ttl, false,",
    tests: ["wallets_ahead.sql"],
  },
  {
    about: "what is due expires by when an event is dated",
    of: FOLD,
    search:
      "v_note := baseledger._describe_ahead(v_at);\n    v_ahead := coalesce((v_note ->> 'ahead_us')::bigint, 0)",
    replace: "v_note := baseledger._describe_ahead(v_at);\n    v_ahead := 0",
    tests: ["wallets_ahead.sql"],
  },
  {
    about: "an event does not say by how much it lies ahead",
    of: FOLD,
    search: "coalesce(v_move.details || v_note, v_note, v_move.details), v_last.hash",
    replace: "v_move.details, v_last.hash",
    tests: ["wallets_ahead.sql"],
  },
  {
    about: "what an event says of itself is lost when it lies ahead",
    of: FOLD,
    search: "coalesce(v_move.details || v_note, v_note, v_move.details), v_last.hash",
    replace: "coalesce(v_note, v_move.details), v_last.hash",
    tests: ["wallets_ahead.sql"],
  },
  {
    about: "a refusal waits by when an event is dated",
    of: FOLD,
    search: "v_command.refused, p_wallet_id, coalesce(v_at - v_ahead, v_at),",
    replace: "v_command.refused, p_wallet_id, v_at,",
    tests: ["wallets_ahead.sql"],
  },
  {
    about: "what was swept in the past is told by when its event is dated",
    of: "balance_at",
    search: "baseledger._event_clock(e.occurred_at, e.details)",
    replace: "e.occurred_at",
    tests: ["wallets_ahead.sql"],
  },
  {
    about: "the view of balances counts by a last event that lies ahead",
    of: "wallet_balances",
    search: "then c.clock\n",
    replace: "then w.last_event_at\n",
    tests: ["wallet_balances.sql", "test/field/clock-ahead.test.ts"],
  },
  {
    about: "the wallet that is the least ahead is named",
    of: "wallets_ahead",
    search: "order by w.last_event_at desc, w.wallet_id",
    replace: "order by w.last_event_at, w.wallet_id",
    tests: ["wallets_ahead.sql"],
  },
  {
    about: "deadlines count by a wallet's own time",
    of: "_describe_ahead",
    search: "if p_at > c_clock + baseledger._clock_slack() then",
    replace: "if false then",
    tests: ["wallets_ahead.sql"],
  },
  {
    about: "a single command does not look where the clock is",
    of: FOLD,
    search: "    or v_at > clock_timestamp() + baseledger._clock_slack()\n",
    replace: "",
    tests: ["wallets_ahead.sql", "journal.sql"],
  },
  {
    about: "a repeated key is compared by when its event is dated",
    of: FOLD,
    search: "v_stored.expires_at - baseledger._event_clock(v_stored.occurred_at, v_stored.details)",
    replace: "v_stored.expires_at - v_stored.occurred_at",
    tests: ["wallets_ahead.sql"],
  },
  {
    about: "a balance counts by a last event that lies ahead",
    of: "_deadline_clock",
    search: "when p_last_event_at > p_clock + baseledger._clock_slack() then p_clock",
    replace: "when false then p_clock",
    tests: ["wallets_ahead.sql"],
  },
  {
    about: "verify counts deadlines by when an event is dated",
    of: "_verify_events",
    search: "baseledger._event_clock(l.occurred_at, l.details) as instant",
    replace: "l.occurred_at as instant",
    tests: ["wallets_ahead.sql"],
  },
  {
    about: "a standby counts by its own clock",
    of: "_read_clock",
    search: "when pg_catalog.pg_is_in_recovery() then",
    replace: "when false then",
    tests: ["test/field/standby.test.ts"],
  },
];

const reading: Mutant[] = [
  {
    about: "a misspelt field is ignored",
    of: "_parse_commands",
    search: "                or v.c - baseledger._command_fields(v.op) <> '{}'\n",
    replace: "",
  },
  {
    about: "a batch may be of any size",
    of: "_parse_commands",
    search: "jsonb_array_length(p_commands) > 10000",
    replace: "jsonb_array_length(p_commands) > 1000000",
  },
  {
    about: "a batch takes one command less than it may",
    of: "_parse_commands",
    search: "jsonb_array_length(p_commands) > 10000",
    replace: "jsonb_array_length(p_commands) > 9999",
  },
  {
    about: "a batch may name any command",
    of: "_parse_commands",
    search: "                or v.op <> all (p_ops)\n",
    replace: "",
  },
  {
    about: "an amount that is none counts as absent",
    of: "_parse_commands",
    search: "                or v.amount is null and v.given_amount is not null\n",
    replace: "",
  },
  {
    about: "a settlement of a batch is final only if it says so",
    of: "_parse_commands",
    search: "v.final is distinct from 'false' as final",
    replace: "v.final is not distinct from 'true' as final",
  },
  {
    about: "final may be a string",
    of: "_parse_commands",
    search:
      "                or v.final is not null and jsonb_typeof(v.c -> 'final') <> 'boolean'\n",
    replace: "",
  },
  {
    about: "single commands are not checked",
    of: "_make_command",
    search: ") is not null then 'LGARG' end",
    replace: ") is not null then null end",
  },
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
];

export const fold: readonly Mutant[] = [
  ...locking,
  ...time,
  ...keys,
  ...reserving,
  ...settling,
  ...charging,
  ...writing,
  ...storms,
  ...clocks,
  ...reading,
];
