// Values that TypeScript or the ledger does not allow, through the client: each parameter of each method
// gets each of them, and must refuse it with a code and change nothing. Through SQL: sql.test.ts, and
// every value for every parameter in proof/fuzz/refusals.ts.
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createLedger as createClient, type Ledger } from "../../src/client/ledger.ts";
import { InvalidArgumentError } from "../../src/errors/index.ts";
import type { BatchOperations } from "../../src/generated/index.ts";
import { urlOf } from "../client/support.ts";
import { digest, failure } from "../support/ledger.ts";
import { useLedger } from "./ledger.ts";

/** A refusal of the ledger, of a type (class 22), or of JSON nested too deep for the server's stack. */
const CODED = /^(LGARG|22[0-9A-Z]{3}|54001)$/;

const input = useLedger();
let client: Ledger;
let before: string;

beforeAll(async () => {
  client = createClient(urlOf(input.ledger, "operator"));
  before = await digest(input.ledger);
});
afterEach(async () => expect(await digest(input.ledger)).toBe(before));
afterAll(() => client.close());

const long = "x".repeat(256);
const deep = (n: number) => `${'{"a":'.repeat(n)}1${"}".repeat(n)}`;

const cycle: Record<string, unknown> = {};
cycle.self = cycle;
const throwing = {
  toJSON() {
    throw new Error("no JSON on purpose");
  },
};
const trickster = { toString: () => "5", valueOf: () => 5 };

/** Values that no parameter of a kind takes, besides undefined and null, which mean the default. */
const NONSENSE: Record<string, readonly unknown[]> = {
  text: [
    ...["", " ", "\n", long, "a\0b", "\0", "\ud800", "\udc00a"],
    ...["\ud83d", "a\udfff", 5, 5n, Number.NaN, true, {}, [], ["w"], trickster, () => "w"],
    ...[Symbol("w"), new Date(0), new String("w"), Buffer.from("w")],
  ],
  bigint: [
    ...[2n ** 63n, -(2n ** 63n) - 1n, 10n ** 400n, -1n, -(2n ** 63n), 5, 5.5, Number.NaN],
    ...[Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER, "5", "", "1e3", true, {}, [], [5n]],
    ...[trickster, () => 5n, Symbol("5"), new Date(0), Object(5n)],
  ],
  ttl: [
    ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e300, -1e300, 1e15, 5e-324, "", "soon"],
    ...["infinity", "178956971 years", "1 minute\0", "\ud800", 60n, true, {}, [], trickster],
    ...[Symbol("1"), new Date(0)],
  ],
  metadata: [
    ...[[], [1], "text", 5, 5n, true, Number.NaN, { a: Number.NaN }, { a: [Infinity] }, cycle],
    ...[throwing, () => ({}), Symbol("m"), { a: "\0" }, { "\0": 1 }, { a: "\ud800" }],
    ...[{ "\udc00": 1 }, { a: "x".repeat(16_376) }, { a: "x".repeat(1_000_000) }],
    ...[{ a: Array(100_000).fill([]) }, new Date(0), JSON.parse(deep(3000)), { a: 10n ** 20000n }],
  ],
  final: ["true", "", 0, 1, 1n, {}, [], trickster, Symbol("t"), () => true],
  scale: [-1, 19, 1.5, Number.NaN, Infinity, 2 ** 53, 1e300, "9", 9n, true, {}, [], trickster],
  at: [new Date(Number.NaN), new Date(8.64e15), "", "garbage", "\0", 5, 5n, true, {}, trickster],
};

const names: Record<string, string> = {
  ...{ walletId: "text", from: "text", to: "text", idempotencyKey: "text", unit: "text" },
  ...{ reservationId: "text", reason: "text", amount: "bigint", atLeast: "bigint" },
  ...{ overdraftLimit: "bigint", ttl: "ttl", metadata: "metadata", final: "final" },
  ...{ scale: "scale", at: "at" },
};

const key = { idempotencyKey: "k" };
const open = { walletId: "w", reservationId: "open", ...key };
type Given = Record<string, unknown>;
const grants: Record<keyof BatchOperations, Given> & Record<string, Given> = {
  openWallet: { walletId: "new", unit: "USD", scale: 9, overdraftLimit: 5n, metadata: {} },
  credit: { walletId: "w", amount: 5n, metadata: {}, ...key },
  withdraw: { walletId: "w", amount: 5n, metadata: {}, ...key },
  reserve: {
    ...{ walletId: "w", reservationId: "r", amount: 5n, atLeast: 3n, ttl: 60, metadata: {} },
    ...key,
  },
  settle: { ...open, amount: 5n, final: true, metadata: {} },
  cancel: { ...open, metadata: {} },
  extend: { ...open, ttl: 60, amount: 200n, metadata: {} },
  charge: { walletId: "w", reservationId: "r", amount: 5n, metadata: {}, ...key },
  refund: { ...open, reservationId: "charge", amount: 5n, metadata: {} },
  transfer: { from: "w", to: "other", amount: 5n, metadata: {}, ...key },
  freezeWallet: { walletId: "w", reason: "stop", metadata: {}, ...key },
  unfreezeWallet: { walletId: "w", reason: "go", metadata: {}, ...key },
  balance: { walletId: "w" },
  balanceAt: { walletId: "w", at: new Date(0) },
  statement: { walletId: "w" },
  post: { walletId: "w" },
  postFunds: { walletId: "w" },
};

const methods = Object.entries(grants);
let tried = 0;

test.each(methods)("%s refuses invalid arguments", async (name, args) => {
  const call = client[name as "credit"] as unknown as (args: unknown) => Promise<unknown>;
  for (const field of Object.keys(args)) {
    for (const value of NONSENSE[names[field] ?? ""] ?? []) {
      // A reason may be longer than an id.
      if (field === "reason" && value === long) continue;
      const what = `${name} ${field} ${describeValue(value)}`;
      const commands = name.startsWith("post") ? { commands: [] } : {};
      const error = await failure(call({ ...args, ...commands, [field]: value })).catch(
        () => undefined,
      );
      expect([what, error?.code, error?.message]).toEqual([
        what,
        expect.stringMatching(CODED),
        expect.any(String),
      ]);
      if (error?.code === "LGARG") expect(error).toBeInstanceOf(InvalidArgumentError);
      tried += 1;
    }
  }
});

test("many values were tried", () => {
  expect(tried).toBeGreaterThan(600);
});

const huge: [string, Record<string, unknown>][] = [
  ["an id", { walletId: "x".repeat(1_000_000) }],
  ["a key", { idempotencyKey: "x".repeat(1_000_000) }],
  ["a time to live", { ttl: "1".repeat(1_000_000) }],
  ["a text in metadata", { metadata: { a: "x".repeat(1_000_000) } }],
  ["a list in metadata", { metadata: { a: Array(100_000).fill([]) } }],
  ["a number in metadata", { metadata: { a: 10n ** 20_000n } }],
  ["a number of steps", { amount: 10n ** 20_000n }],
];
test.each(huge)("%s that is huge", async (_what, args) => {
  const error = await failure(client.reserve({ ...grants.reserve, ...args } as never));
  expect(error.code).toMatch(CODED);
});

const lists: [string, unknown][] = [
  ["an object", {}],
  ["a string", "[]"],
  ["a number", 5],
  ["a cycle", cycle],
  ["a function", () => []],
  ["a list of functions", [() => ({})]],
  ["nulls", [null]],
  ["an undefined", [undefined]],
  ["10,001 commands", Array(10_001).fill({})],
  ["a NUL", [{ op: "charge", idempotency_key: "\0", amount: 1 }]],
  ["half a pair", [{ op: "charge", idempotency_key: "\ud800", amount: 1 }]],
  ["NaN", [{ op: "charge", idempotency_key: "k", amount: Number.NaN }]],
];
test.each(lists)("a batch that is %s", async (_what, commands) => {
  for (const name of ["post", "postFunds"] as const) {
    const error = await failure(client[name]({ walletId: "w", commands: commands as never }));
    expect(error).toBeInstanceOf(InvalidArgumentError);
  }
});

test("missing arguments, and values that are not an object of arguments", async () => {
  for (const name of Object.keys(grants)) {
    const call = client[name as "credit"] as unknown as (args?: unknown) => Promise<unknown>;
    for (const args of [undefined, null, {}, [], 5, "w", { __proto__: grants[name] }]) {
      const error = await failure(call(args));
      expect([name, args, error.code]).toEqual([name, args, expect.stringMatching(CODED)]);
    }
  }
});

test("a call that is refused before it is sent does not affect concurrent ones", async () => {
  const bad = client.charge({ walletId: "w", amount: 2n ** 64n });
  const none = client.charge({ walletId: "nobody", amount: 1n });
  const good = client.balance({ walletId: "w" });
  expect((await failure(bad)).code).toBe("LGARG");
  expect((await failure(none)).code).toBe("LGWNF");
  expect((await good).spent).toBe(50n);
});

function describeValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  if (typeof value === "bigint") return `${String(value).slice(0, 40)}n`;
  return typeof value === "object" ? Object.prototype.toString.call(value) : String(value);
}
