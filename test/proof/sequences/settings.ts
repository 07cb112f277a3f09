// Generates changes of who may use a wallet, and how: grants, keys, limits, terms.
import fc from "fast-check";
import type { Json } from "../../../src/json/index.ts";
import { PERS } from "../model/windows.ts";
import type { Arguments } from "../requests.ts";
import { grantees, grants } from "./callers.ts";
import type { Step } from "./compare.ts";
import { BEGINNINGS, ZONES } from "./times.ts";

type Call = Pick<Step, "call" | "args">;

const amounts = fc.constantFrom(5, 10, 10, 12, 20, 3, 0);
const thresholds = fc.constantFrom<Json[]>([], [], [50, 80, 100], [50], [100], [1, 200]);
const LIMIT_IDS = ["day", "each", "run"] as const;

/** A limit that is possible. */
export const limits: fc.Arbitrary<Arguments> = fc
  .record({
    limit_id: fc.constantFrom(...LIMIT_IDS),
    amount: amounts,
    per: fc.constantFrom(...PERS, "ever", "minute"),
    by: fc.constantFrom<Json[]>([], [], ["user"], ["run"], ["user", "run"], ["model"]),
    of: fc.constantFrom("amount", "amount", "amount", "calls", "open", "tokens"),
    time_zone: fc.constantFrom("UTC", ...ZONES),
    hard: fc.constantFrom(true, true, true, false),
    alert_at: thresholds,
    every: fc.boolean(),
  })
  .map(({ every, ...limit }) => {
    const open = limit.of === "open" ? { per: "ever", alert_at: [] } : {};
    const few = limit.of === "amount" || limit.of === "tokens" ? {} : { amount: limit.amount % 4 };
    const none = every && (limit.by as Json[]).length > 0 && limit.hard ? { amount: null } : {};
    return { ...limit, ...few, ...open, ...none };
  });

/** Changes to a limit that are refused. */
const spoiled = fc.constantFrom<Arguments[]>(
  { limit_id: " " },
  { amount: -1 },
  { by: [], amount: null },
  { per: "second" },
  { by: ["a", "b", "c", "d", "e"] },
  { by: ["a", "a"] },
  { of: "words" },
  { time_zone: "CET" },
  { time_zone: "Europe/Atlantis" },
  { alert_at: [0] },
  { alert_at: [10, 10] },
  { hard: null },
);

const VALUES: readonly Json[] = [["ann"], ["bob"], [""], ["1"], ["ann", "1"], ["", "2"], ["x/one"]];

const wallet = fc.oneof(
  { arbitrary: fc.constantFrom<Json[]>("a", "a", "a", "a", "b"), weight: 24 },
  { arbitrary: fc.constantFrom<Json[]>("nobody", "", null), weight: 1 },
);
const reason = fc.oneof(
  { arbitrary: fc.constant<Json>("why"), weight: 12 },
  { arbitrary: fc.constant<Json>(" "), weight: 1 },
);

/** Names of keys in the proof: the setting `baseledger.key` refers to them. */
const key = fc.constantFrom("k1", "k2");
const expiries = fc.constantFrom<Json[]>(
  null,
  null,
  ...BEGINNINGS.map((time) => new Date(Date.parse(time) + 3_600_000).toISOString()).map((time) =>
    time.replace(".000Z", "+00:00"),
  ),
  "2035-01-01T00:00:00+00:00",
);

const drawn: readonly (readonly [number, string, fc.Arbitrary<Arguments>])[] = [
  [5, "allow", fc.tuple(grantees, grants).map(([role, grant]) => ({ role, ...grant }))],
  [2, "disallow", grantees.map((role) => ({ role }))],
  [
    3,
    "create_key",
    fc.record({ key, expires_at: expiries, grant: grants }).map(({ grant, ...its }) => {
      return { ...its, ...grant };
    }),
  ],
  [1, "revoke_key", fc.record({ key })],
  [8, "set_limit", limits],
  [1, "set_limit", fc.tuple(limits, spoiled).map(([limit, wrong]) => ({ ...limit, ...wrong }))],
  [
    3,
    "set_limit_for",
    fc.record({
      limit_id: fc.constantFrom<Json[]>(...LIMIT_IDS),
      values: fc.constantFrom<Json[]>(...VALUES, ...VALUES, [], null, ["x".repeat(256)]),
      amount: fc.constantFrom<Json[]>(5, 10, 20, 2, 0, null, -1),
    }),
  ],
  [1, "remove_limit", fc.record({ limit_id: fc.constantFrom<Json[]>(...LIMIT_IDS) })],
  [
    2,
    "set_overdraft_limit",
    fc.record({ overdraft_limit: fc.constantFrom<Json[]>(null, 0, 5, 10, -1) }),
  ],
  [
    3,
    "set_low_balance",
    fc.record({
      amounts: fc.constantFrom<Json[]>([10], [5, 15], [1, 5, 10, 20], [], null, [0], [5, 5]),
    }),
  ],
  [2, "close_wallet", fc.record({ reason })],
  [3, "reopen_wallet", fc.record({ reason })],
];

/** A change; with `key`, a retry may repeat it. */
export const changing = fc
  .tuple(
    wallet,
    fc.oneof(
      ...drawn.map(([weight, call, args]) => ({
        arbitrary: args.map((its): Call => ({ call, args: its })),
        weight,
      })),
    ),
    fc.constantFrom<Json[]>(null, null, "fresh", "k1", "k3"),
  )
  .map(([wallet_id, { call, args }, idempotency_key]): Call[] => {
    return [{ call, args: { wallet_id, ...args, idempotency_key } }];
  });

/** Some limits and grants of a wallet at the start. */
export const settings = fc
  .tuple(
    fc.array(limits, { maxLength: 3 }),
    fc.subarray([
      { role: "ledger_test_ann", labels: { user: "ann" }, free_labels: ["run"] },
      { role: "ledger_test_team", labels: {}, free_labels: ["*"] },
    ] as Arguments[]),
    fc.constantFrom<Json[]>([], [], [5, 15]),
  )
  .map(([set, allowed, low]): Call[] => [
    ...set.map((args): Call => ({ call: "set_limit", args })),
    ...allowed.map((args): Call => ({ call: "allow", args })),
    ...((low as Json[]).length > 0 ? [{ call: "set_low_balance", args: { amounts: low } }] : []),
  ]);
