import fc from "fast-check";
import type postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as errors from "../src/errors.ts";
import * as wrappers from "../src/generated/baseledger.ts";
import type { Json } from "../src/json.ts";
import { checkInvariants } from "./support/invariants.ts";
import {
  type Arguments,
  call,
  command,
  createLedger,
  digest,
  expectRefusal,
  failure,
  openWallet,
  outcome,
  post,
  type Receipt,
  type Session,
  type TestLedger,
  verify,
} from "./support/ledger.ts";

const MAX = 9223372036854775807n;
const MIN = -9223372036854775808n;
const long = "x".repeat(300);
const metadataOf = (bytes: number): Json => ({ a: "x".repeat(bytes - '{"a": ""}'.length) });
const nested = (depth: number): Json => JSON.parse(`${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`);

let ledger: TestLedger;
let sql: postgres.Sql;
let undoing: Session;

beforeAll(async () => {
  ledger = await createLedger();
  sql = ledger.operator;
  undoing = await ledger.session("operator");
  await openWallet(ledger, "w", 1000n);
  await openWallet(ledger, "other", 1000n);
  await openWallet(ledger, "tokens", 1000n, { unit: "tokens", scale: 0n });
  await openWallet(ledger, "strict", 1000n, { overdraft_limit: 0n });
  await openWallet(ledger, "full", MAX);
  await post(ledger.agent, "w", [
    { op: "reserve", idempotency_key: "open", amount: 100, ttl: 86400 },
    { op: "charge", idempotency_key: "charge", amount: 50 },
  ]);
  const inStrict = { wallet_id: "strict", amount: 1000n, idempotency_key: "open" };
  await command(ledger.agent, "reserve", inStrict);
  await command(ledger.agent, "reserve", { ...inStrict, wallet_id: "full", amount: MAX });
});
afterAll(async () => {
  await checkInvariants(ledger);
  await ledger[Symbol.asyncDispose]();
});

/** Every command with arguments that are granted. */
const granted: Record<string, Arguments> = {
  open_wallet: { wallet_id: "new", unit: "USD", scale: 9n, overdraft_limit: 5n, metadata: {} },
  credit: { wallet_id: "w", amount: 5n, idempotency_key: "k", metadata: {} },
  withdraw: { wallet_id: "w", amount: 5n, idempotency_key: "k", metadata: {} },
  reserve: {
    wallet_id: "w",
    amount: 5n,
    idempotency_key: "k",
    ttl: "1 minute",
    reservation_id: "r",
    at_least: 3n,
    metadata: {},
  },
  settle: {
    wallet_id: "w",
    reservation_id: "open",
    amount: 5n,
    idempotency_key: "k",
    final: true,
    metadata: {},
  },
  cancel: { wallet_id: "w", reservation_id: "open", idempotency_key: "k", metadata: {} },
  extend: {
    wallet_id: "w",
    reservation_id: "open",
    ttl: "1 minute",
    idempotency_key: "k",
    amount: 200n,
    metadata: {},
  },
  charge: {
    wallet_id: "w",
    amount: 5n,
    idempotency_key: "k",
    reservation_id: "r",
    metadata: {},
  },
  refund: {
    wallet_id: "w",
    reservation_id: "charge",
    amount: 5n,
    idempotency_key: "k",
    metadata: {},
  },
  transfer: { from: "w", to: "other", amount: 5n, idempotency_key: "k", metadata: {} },
  freeze_wallet: { wallet_id: "w", reason: "stop", idempotency_key: "k", metadata: {} },
  unfreeze_wallet: { wallet_id: "w", reason: "go", idempotency_key: "k", metadata: {} },
};

const ids = [null, "", " ", "\t\r\n ", long, "x".repeat(256)];
const amounts = [null, 0n, -1n, MIN];
const metadata: Json[] = [
  ...[[], [1], "text", 5, true, [{}]],
  ...[metadataOf(16385), metadataOf(1_000_000), { a: Array(9000).fill(0) }],
];
const ttls = ["0", "0.999999 seconds", "-1 second", "30 days 0.000001 seconds", "1 year"];
const farTtls = ["178000000 years", "-178000000 years", "31 days", "1 mon 1 second"];

/** Values of each argument that no command takes. */
const bad: Record<string, readonly (Json | undefined)[]> = {
  wallet_id: ids,
  from: ids,
  to: ids,
  idempotency_key: ids,
  reservation_id: ids,
  unit: ids,
  reason: [null, "", " ", "\n", "x".repeat(1001)],
  amount: amounts,
  at_least: [0n, -1n, MIN, 6n, MAX],
  scale: [null, -1n, 19n, 2147483647n, -2147483648n],
  overdraft_limit: [-1n, MIN],
  ttl: [...ttls, ...farTtls],
  metadata,
};

/** Where null, or 0, is a value that a command does take. */
function allowed(name: string, field: string, value: Json | undefined): boolean {
  if (value === 0n && field === "amount") return name === "settle";
  if (value !== null) return false;
  if (field === "reservation_id") return name === "reserve" || name === "charge";
  if (field === "idempotency_key") return name.endsWith("freeze_wallet");
  if (field === "amount") return name === "extend";
  return field === "overdraft_limit" || field === "at_least";
}

/** For each command and each of its arguments: calls in which that one is bad. */
const badArguments = Object.entries(granted).flatMap(([name, args]) =>
  Object.keys(args).map((field) => {
    const values = (bad[field] ?? []).filter((value) => !allowed(name, field, value));
    return [name, field, values.map((value): Arguments => ({ ...args, [field]: value }))] as const;
  }),
);
const withBadArguments = badArguments.filter(([, , calls]) => calls.length > 0);

async function unchanged<T>(attempt: () => Promise<T>): Promise<T> {
  const before = await digest(ledger);
  const result = await attempt();
  expect(await digest(ledger)).toBe(before);
  return result;
}

/** Does something in a transaction that is undone. */
async function undone<T>(attempt: (tx: postgres.Sql) => Promise<T>): Promise<T> {
  await undoing.sql.unsafe("begin");
  try {
    return await attempt(undoing.sql);
  } finally {
    await undoing.sql.unsafe("rollback");
  }
}

test.each(Object.entries(granted))("%s is granted as it stands here", async (name, args) => {
  const receipt = await undone((tx) => command(tx, name, args));
  expect(receipt).toMatchObject({ refused: null, replayed: false });
  expect(receipt.seq).toBeGreaterThan(0n);
});

describe("through SQL, one bad argument", () => {
  test("is tried for every argument", () => {
    const untried = badArguments.filter(([, , calls]) => calls.length === 0);
    expect(untried.map(([, field]) => field).filter((field) => field !== "final")).toEqual([]);
  });

  test.each(withBadArguments)("%s: %s", async (name, field, calls) => {
    await unchanged(async () => {
      for (const args of calls) {
        const detail = await expectRefusal("LGARG", command(sql, name, args));
        expect(detail).toEqual({ field, reason: expect.any(String) });
      }
    });
  });

  const nulls = Object.entries(granted).flatMap(([name, args]) => {
    const fields = Object.keys(args).filter((field) => field !== "wallet_id" && field !== "from");
    return [[name, { ...args, ...Object.fromEntries(fields.map((f) => [f, null])) }] as const];
  });
  test.each(nulls)("%s: everything null but the wallet", async (name, args) => {
    const attempt = () => expectRefusal("LGARG", command(sql, name, args));
    await unchanged(attempt);
  });

  test.each(["credit", "charge"])("%s: numbers beyond 64 bits never arrive", async (name) => {
    for (const amount of ["9223372036854775808", "-9223372036854775809", "1e3", "NaN", "1.5"]) {
      const args = { ...granted[name], amount };
      const { code } = await unchanged(() => failure(command(sql, name, args)));
      expect(code).toMatch(/^22/);
    }
  });

  test("reserve, extend: a deadline that never comes", async () => {
    for (const ttl of ["infinity", "-infinity"]) {
      for (const name of ["reserve", "extend"]) {
        const { code } = await unchanged(() =>
          failure(command(sql, name, { ...granted[name], ttl })),
        );
        // Before version 17 PostgreSQL itself knows no such interval.
        expect(code).toMatch(/^(LGARG|22007)$/);
      }
      const given = { ...granted.reserve, wallet_id: undefined, op: "reserve", ttl };
      const [receipt] = await unchanged(() => post(sql, "w", [given]));
      expect(receipt).toMatchObject({ refused: "LGARG", detail: { field: "ttl" } });
    }
  });

  test("expire_due: a limit out of range", async () => {
    for (const limit of [null, 0n, -1n, 100001n, 2147483647n]) {
      const attempt = () => expectRefusal("LGARG", call(ledger.worker, "expire_due", { limit }));
      expect(await unchanged(attempt)).toMatchObject({ field: "limit" });
    }
  });

  test("balance_at, statement: no time", async () => {
    const of = { wallet_id: "w" };
    const at = await expectRefusal("LGARG", call(sql, "balance_at", { ...of, at: null }));
    expect(at.field).toBe("at");
    for (const [from, to, field] of [
      ["null", "'infinity'", "from"],
      ["'-infinity'", "null", "to"],
    ]) {
      const query = `select * from baseledger.statement('w', ${from}, ${to})`;
      expect(await expectRefusal("LGARG", sql.unsafe(query))).toMatchObject({ field });
    }
  });

  test("balance_at, statement: the ends of time", async () => {
    const times = ["-infinity", "infinity", "4714-11-24 00:00:00+00 BC", "epoch"];
    for (const at of [...times, "294276-12-31 23:59:59.999999+00", "now"]) {
      const [row] = await call<{ spent: bigint }>(sql, "balance_at", { wallet_id: "w", at });
      expect(row?.spent).toBeTypeOf("bigint");
      for (const to of times) {
        await sql`select * from baseledger.statement('w', ${at}::text::timestamptz,
          ${to}::text::timestamptz)`;
      }
    }
  });

  test("the limits themselves are allowed", async () => {
    const key = "k".repeat(255);
    const fine: [string, Arguments][] = [
      ["reserve", { ttl: "1 second", idempotency_key: key, reservation_id: "♥".repeat(255) }],
      ["reserve", { ttl: "30 days", idempotency_key: key, at_least: 5n }],
      ["reserve", { ttl: "720 hours", metadata: metadataOf(16384) }],
      ["reserve", { ttl: "1 mon" }],
      ["reserve", { ttl: null, at_least: null, metadata: null, reservation_id: null }],
      ["settle", { amount: 0n, final: null, metadata: null }],
      ["extend", { amount: 1n, ttl: "30 days" }],
      ["extend", { amount: null, ttl: "1 second" }],
      ["freeze_wallet", { reason: "x".repeat(1000), idempotency_key: null }],
      ["open_wallet", { wallet_id: "♥".repeat(255), unit: "u".repeat(255), scale: 0n }],
      ["open_wallet", { scale: 18n, overdraft_limit: MAX }],
      ["credit", { amount: MAX - 1000n, metadata: nested(2300) }],
    ];
    for (const [name, args] of fine) {
      const receipt = await undone((tx) => command(tx, name, { ...granted[name], ...args }));
      expect(receipt, name).toMatchObject({ replayed: false });
    }
  });
});

describe("what there is not", () => {
  const ofOneWallet = Object.entries(granted).filter(([name]) => name !== "open_wallet");
  test.each(ofOneWallet)("%s: an unknown wallet", async (name, args) => {
    for (const field of ["wallet_id", "from", "to"].filter((each) => each in args)) {
      const attempt = () =>
        expectRefusal("LGWNF", command(sql, name, { ...args, [field]: "nobody" }));
      expect(await unchanged(attempt)).toEqual({ wallet_id: "nobody" });
    }
  });

  test("reading an unknown wallet", async () => {
    for (const name of ["balance", "statement"]) {
      await expectRefusal("LGWNF", call(sql, name, { wallet_id: "nobody" }));
    }
    await expectRefusal("LGWNF", call(sql, "balance_at", { wallet_id: "nobody", at: "now" }));
    await expectRefusal("LGWNF", call(ledger.auditor, "verify", { wallet_id: "nobody" }));
    for (const commands of [[], [{ op: "cancel" }]] as Json[]) {
      await expectRefusal("LGWNF", call(sql, "post", { wallet_id: "nobody", commands }));
      await expectRefusal("LGWNF", call(sql, "post_funds", { wallet_id: "nobody", commands }));
    }
  });

  const ofOneReservation = ["settle", "cancel", "extend", "refund"];
  test.each(ofOneReservation)("%s: an unknown reservation", async (name) => {
    const args = { ...granted[name], reservation_id: "none" };
    const attempt = () => expectRefusal("LGRNF", command(sql, name, args));
    expect(await unchanged(attempt)).toEqual({ reservation_id: "none" });
    // It is there, but in another wallet.
    const theirs = { ...granted[name], wallet_id: "other" };
    await expectRefusal("LGRNF", command(sql, name, theirs));
  });

  test("transfer: to itself, and between wallets that do not match", async () => {
    for (const to of ["w", "tokens"]) {
      const args = { ...granted.transfer, to };
      const attempt = () => expectRefusal("LGARG", command(sql, "transfer", args));
      expect(await unchanged(attempt)).toMatchObject({ field: "to" });
    }
  });
});

describe("a balance that would leave its range", () => {
  const k = { idempotency_key: "k" };
  const cases: [string, string, Arguments][] = [
    ["LGOVF", "credit", { wallet_id: "w", amount: MAX }],
    ["LGOVF", "credit", { wallet_id: "w", amount: MAX - 949n }],
    // what is reserved may come back, and must then fit
    ["LGOVF", "credit", { wallet_id: "full", amount: 1n }],
    ["LGOVF", "transfer", { from: "w", to: "full", amount: 1n }],
    ["LGNSF", "reserve", { wallet_id: "w", amount: MAX }],
    ["LGNSF", "charge", { wallet_id: "w", amount: MAX }],
    ["LGNSF", "withdraw", { wallet_id: "w", amount: MAX }],
    ["LGNSF", "transfer", { from: "w", to: "other", amount: MAX }],
    ["LGNSF", "extend", { wallet_id: "w", reservation_id: "open", ttl: "1 hour", amount: MAX }],
    ["LGNSF", "extend", { wallet_id: "full", reservation_id: "open", ttl: "1 hour", amount: MAX }],
    ["LGRFD", "refund", { wallet_id: "w", reservation_id: "charge", amount: MAX }],
    ["LGOVF", "settle", { wallet_id: "w", reservation_id: "open", amount: MAX }],
    ["LGOVD", "settle", { wallet_id: "strict", reservation_id: "open", amount: MAX }],
    ["LGOVD", "settle", { wallet_id: "strict", reservation_id: "open", amount: 1001n }],
  ];
  test.each(cases)("%s for %s %o", async (code, name, args) => {
    if (args.reservation_id === "open" && name === "extend" && args.wallet_id === "full") {
      // As much as before is no change, and granted.
      const receipt = await undone((tx) => command(tx, name, { ...args, ...k }));
      expect(receipt).toMatchObject({ event: "extended", amount: 0n });
      return;
    }
    const detail = await unchanged(() =>
      expectRefusal(code, command(sql, name, { ...args, ...k })),
    );
    expect(detail).toHaveProperty("requested");
  });

  test("spent above all: settled in parts, refunded, and settled again", async () => {
    await undone(async (tx) => {
      const settle = { wallet_id: "w", reservation_id: "open", final: false };
      const most = MAX - 50n;
      await command(tx, "settle", { ...settle, amount: most, idempotency_key: "1" });
      await tx.unsafe("savepoint s");
      const more = command(tx, "settle", { ...settle, amount: 1n, idempotency_key: "2" });
      expect(await failure(more)).toMatchObject({ code: "LGOVF" });
      await tx.unsafe("rollback to s");
      const refund = { wallet_id: "w", reservation_id: "open", amount: most };
      await command(tx, "refund", { ...refund, idempotency_key: "3" });
      // Now spent has room, but what this reservation has settled in all has not.
      for (const final of [false, true]) {
        await tx.unsafe("savepoint s");
        const again = { ...settle, final, amount: 51n, idempotency_key: "4" };
        expect(await failure(command(tx, "settle", again))).toMatchObject({ code: "LGOVF" });
        await tx.unsafe("rollback to s");
      }
      expect(await verify(ledger.auditor)).toEqual([]);
    });
  });

  test("funds far below zero", async () => {
    await undone(async (tx) => {
      await command(tx, "reserve", { wallet_id: "w", amount: 1n, idempotency_key: "r" });
      const settle = { wallet_id: "w", amount: MAX - 60n };
      const first = { ...settle, reservation_id: "open", idempotency_key: "1" };
      expect(await command(tx, "settle", first)).toMatchObject({ event: "settled" });
      await tx.unsafe("savepoint s");
      const second = { ...settle, reservation_id: "r", idempotency_key: "2" };
      expect(await failure(command(tx, "settle", second))).toMatchObject({ code: "LGOVF" });
      await tx.unsafe("rollback to s");
      // In a batch it stops nothing but itself.
      const receipts = await post(tx, "w", [
        { op: "settle", ...second, wallet_id: undefined },
        { op: "cancel", reservation_id: "r", idempotency_key: "3" },
      ]);
      expect(receipts.map((r) => r.refused ?? r.event)).toEqual(["LGOVF", "cancelled"]);
    });
  });

  test("everything that a wallet at its limits holds can still come back", async () => {
    await undone(async (tx) => {
      const cancel = { wallet_id: "full", reservation_id: "open", idempotency_key: "1" };
      expect(await command(tx, "cancel", cancel)).toMatchObject({ available: MAX });
    });
    await undone(async (tx) => {
      const settle = { wallet_id: "full", reservation_id: "open", amount: MAX };
      const receipt = await command(tx, "settle", { ...settle, idempotency_key: "1" });
      expect(receipt).toMatchObject({ available: 0n, spent: MAX });
      const more = { wallet_id: "full", amount: MAX, idempotency_key: "2" };
      expect(await command(tx, "credit", more)).toMatchObject({ available: MAX });
    });
  });
});

describe("through a batch", () => {
  const good = (n: number): Arguments => ({
    op: "charge",
    amount: 1,
    idempotency_key: `good ${n}`,
  });
  const ops = ["reserve", "settle", "cancel", "extend", "charge", "credit", "withdraw", "refund"];

  test.each([
    ["null", null],
    ["an object", {}],
    ["a string", "[]"],
    ["a number", 5],
    ["an array with a null", [null]],
    ["an array with a number", [{ op: "cancel" }, 5]],
    ["an array with an array", [[{ op: "cancel" }]]],
    ["an array with a string", [{ op: "cancel" }, "x"]],
    ["10,001 commands", Array(10001).fill({})],
  ] as [string, Json][])("commands that are %s", async (_what, commands) => {
    for (const name of ["post", "post_funds"]) {
      const attempt = () => expectRefusal("LGARG", call(sql, name, { wallet_id: "w", commands }));
      expect(await unchanged(attempt)).toMatchObject({ field: "commands" });
    }
  });

  test("10,000 commands that are nothing", async () => {
    const commands = Array(10000).fill({});
    const receipts = await unchanged(() => post(sql, "w", commands));
    expect(receipts).toHaveLength(10000);
    expect(new Set(receipts.map(({ refused }) => refused))).toEqual(new Set(["LGARG"]));
  });

  /** Refused alone, between two that are granted; and nothing changes if it is the only one. */
  async function expectRefused(given: Arguments, code: string, field?: string): Promise<void> {
    const receipts = await undone((tx) =>
      call<Receipt>(tx, "post_funds", {
        wallet_id: "w",
        commands: [good(1), given, good(2)] as Json,
      }),
    );
    const [, refusal] = receipts;
    expect(receipts.map(({ refused }) => refused)).toEqual([null, code, null]);
    expect(refusal).toMatchObject({ wallet_id: "w", seq: null, event: null, replayed: false });
    if (field) expect(refusal?.detail).toMatchObject({ field });
    const commands = [given] as Json;
    await unchanged(() => call(sql, "post_funds", { wallet_id: "w", commands }));
  }

  const inBatch = withBadArguments.filter(([name, field]) => {
    return ops.includes(name) && field !== "wallet_id";
  });
  test.each(inBatch)("%s: %s", async (name, field, calls) => {
    for (const { wallet_id, ...args } of calls) {
      await expectRefused({ op: name, ...args }, "LGARG", field);
    }
  });

  const r = { op: "reserve", idempotency_key: "k", amount: 1 };
  const s = { op: "settle", idempotency_key: "k", amount: 1, reservation_id: "open" };
  const forms: [string, Arguments][] = [
    ...[1.5, "1.5", "abc", "", " 1", "1 ", "1e3", "0x1", "+1", true, {}, [], [1]].map(
      (amount): [string, Arguments] => ["amount", { ...r, amount: amount as Json }],
    ),
    ...["9223372036854775808", 9223372036854775808n, -9223372036854775809n, "00", "--1"].map(
      (amount): [string, Arguments] => ["amount", { ...r, amount }],
    ),
    ...["99999999999999999999", "١", "1_000", "1,000", "∞"].map((amount): [string, Arguments] => [
      "amount",
      { ...r, amount },
    ]),
    ...[1.5, "x", true, {}].map((least): [string, Arguments] => [
      "at_least",
      { ...r, at_least: least },
    ]),
    ...["x", "", true, {}, [], 0, 0.5, -1, 1e9, 1e300, "0", "1 year", "2592001"].map(
      (ttl): [string, Arguments] => ["ttl", { ...r, ttl: ttl as Json }],
    ),
    ["final", { ...s, final: "true" }],
    ["final", { ...s, final: 1 }],
    ["final", { ...s, final: {} }],
    ["idempotency_key", { ...r, idempotency_key: 5 }],
    ["idempotency_key", { ...r, idempotency_key: {} }],
    ["idempotency_key", { op: "reserve", amount: 1 }],
    ["reservation_id", { ...s, reservation_id: 5 }],
    ["reservation_id", { ...s, reservation_id: [] }],
    ["reservation_id", { op: "settle", idempotency_key: "k", amount: 1 }],
    ["amount", { op: "settle", idempotency_key: "k", reservation_id: "open" }],
    ["ttl", { op: "extend", idempotency_key: "k", reservation_id: "open" }],
    ["op", {}],
    ["op", { op: null }],
    ["op", { op: 5 }],
    ["op", { op: ["reserve"] }],
    ["amonut", { ...r, amonut: 1 }],
    ["Amount", { ...r, Amount: 1 }],
    ["", { ...r, "": 1 }],
    ["wallet_id", { ...r, wallet_id: "w" }],
    ["ttl", { ...s, ttl: 60 }],
    ["amount", { op: "cancel", idempotency_key: "k", reservation_id: "open", amount: 1 }],
  ];
  test.each(forms)("LGARG for %s: %o", async (field, given) => {
    await expectRefused(given, "LGARG", field);
  });

  test.each(["", "Reserve", "open_wallet", "transfer", "post", long])(
    "LGUNK for the op %j",
    async (op) => {
      await expectRefused({ op, amount: 1, idempotency_key: "k" }, "LGUNK");
      const [receipt] = await post(sql, "w", [{ op }]);
      expect(receipt?.detail).toEqual({ op });
    },
  );

  test.each(["credit", "withdraw", "refund"])("LGUNK for %s in post", async (op) => {
    const { wallet_id, ...args } = granted[op] ?? {};
    const [receipt] = await unchanged(() => post(sql, "w", [{ op, ...args }]));
    expect(receipt).toMatchObject({ refused: "LGUNK", detail: { op } });
  });

  test("forms that are as good", async () => {
    const forms: Arguments[] = [
      { ...r, amount: "1" },
      { ...r, amount: 1n },
      { ...r, amount: "0000000000000000001" },
      { ...r, ttl: null, at_least: null, reservation_id: null, metadata: null },
      { ...r, ttl: "1 minute" },
      { ...r, ttl: "PT1M" },
      { ...r, ttl: 60.5 },
      { ...r, ttl: "60" },
      { ...r, ttl: 2592000 },
    ];
    for (const form of forms) {
      const [receipt] = await undone((tx) => post(tx, "w", [form]));
      expect([form, receipt?.refused]).toEqual([form, null]);
    }
    // 1.0 is a whole number, however it is written; 1e400 is none that fits.
    const rows = await undone(
      (tx) => tx<Receipt[]>`
        select * from baseledger.post('w', '[
          {"op": "charge", "amount": 1.0, "idempotency_key": "a"},
          {"op": "charge", "amount": 1e0, "idempotency_key": "b"},
          {"op": "charge", "amount": 10e-1, "idempotency_key": "c"},
          {"op": "charge", "amount": 1e400, "idempotency_key": "d"},
          {"op": "charge", "amount": -1e-400, "idempotency_key": "e"}]')`,
    );
    expect(rows.map(({ refused }) => refused)).toEqual([null, null, null, "LGARG", "LGARG"]);
  });

  test("any JSON at all gets an answer of the ledger", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.dictionary(fc.string(), fc.jsonValue())), async (commands) => {
        // the server holds no NUL, and says so before the ledger is asked
        const text = JSON.stringify(commands);
        fc.pre(!/\\u(0000|d[89a-f])/i.test(text));
        const receipts = await undone(
          (tx) => tx<Receipt[]>`select * from baseledger.post('w', ${text}::text::jsonb)`,
        );
        expect(receipts).toHaveLength(commands.length);
        for (const { refused } of receipts) expect(refused).toMatch(/^LG(ARG|UNK)$/);
      }),
      { numRuns: 60 },
    );
  });

  test("JSON too deep for the server is no crash", async () => {
    const text = `[{"op": "charge", "metadata": ${"[".repeat(200_000)}${"]".repeat(200_000)}}]`;
    const attempt = sql`select * from baseledger.post('w', ${text}::text::jsonb)`;
    expect((await failure(attempt)).code).toMatch(/^(54001|LG...)$/);
    const [receipt] = await undone((tx) => post(tx, "w", [{ ...r, metadata: nested(2300) }]));
    expect(receipt?.refused).toBeNull();
  });
});

describe("through the wrappers", () => {
  const client = () => ledger.operator;
  // The same functions by their names in TypeScript.
  const functions = wrappers as unknown as Record<
    string,
    (sql: postgres.Sql, args: Record<string, unknown>) => Promise<unknown>
  >;
  const camel = (name: string) =>
    name.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
  async function send(name: string, args: Arguments): Promise<unknown> {
    const given = Object.entries(args).map(([key, value]) => {
      return [camel(key), key === "scale" && typeof value === "bigint" ? Number(value) : value];
    });
    return functions[camel(name)]?.(client(), Object.fromEntries(given));
  }

  // Also the nulls that TypeScript would not let through.
  test.each(withBadArguments)("%s: %s", async (name, field, calls) => {
    await unchanged(async () => {
      for (const args of calls) {
        const error = await failure(send(name, args));
        expect(error).toBeInstanceOf(errors.InvalidArgumentError);
        expect(error).toMatchObject({ code: "LGARG", field, detail: { field } });
      }
    });
  });

  const refusals: [
    new (...args: never[]) => errors.LedgerError,
    string,
    Arguments,
    Record<string, unknown>,
  ][] = [
    [errors.WalletNotFoundError, "credit", { wallet_id: "nobody" }, { walletId: "nobody" }],
    [errors.ReservationNotFoundError, "cancel", { reservation_id: "x" }, { reservationId: "x" }],
    [errors.ReservationIdTakenError, "reserve", { reservation_id: "open" }, {}],
    [
      errors.InsufficientFundsError,
      "reserve",
      { amount: MAX, at_least: 851n },
      { requested: 851n, available: 850n, reserved: 100n, shortfall: 1n, reason: "held" },
    ],
    [
      errors.InsufficientFundsError,
      "charge",
      { amount: MAX },
      { requested: MAX, shortfall: MAX - 850n, reason: "exhausted", retryAt: null },
    ],
    [errors.IdempotencyKeyReusedError, "charge", { idempotency_key: "funds" }, { field: "op" }],
    [errors.ReservationEndedError, "cancel", { reservation_id: "charge" }, { status: "settled" }],
    [errors.RefundExceedsSettledError, "refund", { amount: 51n }, { refundable: 50n }],
    [errors.BalanceOutOfRangeError, "credit", { amount: MAX }, { requested: MAX, available: 850n }],
    [
      errors.OverdraftLimitError,
      "settle",
      { wallet_id: "strict", amount: 1001n },
      { wouldBe: -1n, overdraftLimit: 0n },
    ],
  ];
  test.each(refusals)("%o for %s %o", async (Class, name, args, fields) => {
    const error = await unchanged(() => failure(send(name, { ...granted[name], ...args })));
    expect(error).toBeInstanceOf(Class);
    expect(error).toMatchObject(fields);
  });

  test("values that SQL cannot say", async () => {
    const nonsense: [string, Arguments | Record<string, unknown>, string][] = [
      ["credit", { amount: 2n ** 63n }, "amount"],
      ["credit", { amount: -(2n ** 64n) }, "amount"],
      ["credit", { amount: 5 }, "amount"],
      ["credit", { amount: "5" }, "amount"],
      ["credit", { amount: Number.NaN }, "amount"],
      ["credit", { idempotency_key: "a\0b" }, "idempotency_key"],
      ["credit", { idempotency_key: "\ud800" }, "idempotency_key"],
      ["credit", { idempotency_key: 5 }, "idempotency_key"],
      ["credit", { idempotency_key: undefined }, "idempotency_key"],
      ["credit", { metadata: { a: "\0" } }, "metadata"],
      ["credit", { metadata: { a: Number.NaN } }, "metadata"],
      ["credit", { metadata: () => 1 }, "metadata"],
      ["reserve", { ttl: Number.POSITIVE_INFINITY }, "ttl"],
      ["reserve", { ttl: Number.NaN }, "ttl"],
      ["settle", { final: "yes" }, "final"],
      ["open_wallet", { scale: 1.5 }, "scale"],
    ];
    for (const [name, args, field] of nonsense) {
      const all = { ...granted[name], ...args } as Arguments;
      const error = await unchanged(() => failure(send(name, all)));
      expect([name, args, error]).toMatchObject([name, args, { code: "LGARG", field }]);
    }
  });

  test("ttl as a number: 0, below a second, a year", async () => {
    for (const ttl of [0, -1, 0.5, 31_536_000, 1e15]) {
      const error = await unchanged(() => failure(send("reserve", { ...granted.reserve, ttl })));
      expect(error.code, `${ttl} ${error.message}`).toMatch(/^(LGARG|22...)$/);
    }
  });

  test("a batch", async () => {
    const commands = [{ op: "reserve", amount: -1n, idempotencyKey: "k" }, {}] as unknown as Json;
    const receipts = await unchanged(() => wrappers.post(client(), { walletId: "w", commands }));
    expect(receipts.map(({ refused }) => refused)).toEqual(["LGARG", "LGARG"]);
    const error = await failure(wrappers.post(client(), { walletId: "w", commands: {} }));
    expect(error).toBeInstanceOf(errors.InvalidArgumentError);
  });
});

describe("whatever is sent", () => {
  const amount = fc.constantFrom(1n, 2n, 3n, 0n, -1n, MAX, MAX - 1n, MIN, 10n ** 18n, 2n ** 62n);
  const reservation_id = fc.integer({ min: 0, max: 30 }).map((n) => `r${n}`);
  const idempotency_key = fc.integer({ min: 0, max: 3000 }).map((n) => `key ${n}`);
  const ttl = fc.constantFrom("1 second", "1 minute", "30 days", "0", "1 year");
  const wallet = fc.constantFrom("rich", "poor", "debtor");
  const base = { wallet_id: wallet, idempotency_key };
  const kinds = {
    credit: fc.record({ ...base, amount }),
    withdraw: fc.record({ ...base, amount }),
    charge: fc.record({ ...base, amount, reservation_id }),
    reserve: fc.record({ ...base, amount, ttl, reservation_id }),
    settle: fc.record({ ...base, amount, reservation_id, final: fc.boolean() }),
    cancel: fc.record({ ...base, reservation_id }),
    extend: fc.record({ ...base, ttl, amount: fc.option(amount), reservation_id }),
    refund: fc.record({ ...base, amount, reservation_id }),
    transfer: fc.record({ from: wallet, to: wallet, amount, idempotency_key }),
  };
  const anything = fc.oneof(
    ...Object.entries(kinds).map(([name, args]) =>
      (args as fc.Arbitrary<Arguments>).map((given): [string, Arguments] => [name, given]),
    ),
  );

  test("is granted or refused by the ledger's own codes, and leaves it sound", async () => {
    await openWallet(ledger, "rich", MAX - 10n);
    await openWallet(ledger, "poor", 10n, { overdraft_limit: 0n });
    await openWallet(ledger, "debtor", 10n, { overdraft_limit: MAX });
    let results = 0;
    const said = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.array(anything, { minLength: 40, maxLength: 60 }), async (sent) => {
        for (const [name, args] of sent) {
          const result = await outcome(command(sql, name, args));
          const code = "code" in result ? result.code : (result.event ?? "");
          said.add(code);
          results += 1;
          if ("code" in result) expect([name, args, code.slice(0, 2)]).toEqual([name, args, "LG"]);
        }
        for (const wallet_id of ["rich", "poor", "debtor"]) {
          await call(sql, "balance", { wallet_id });
          await call(sql, "balance_at", { wallet_id, at: "now" });
        }
        for (const view of ["wallet_balances", "postings", "reservation_history"]) {
          await ledger.auditor.unsafe(`select * from baseledger.${view}`);
        }
      }),
      { numRuns: 40 },
    );
    expect(results).toBeGreaterThan(900);
    // It got to many of the edges.
    expect(said.size).toBeGreaterThan(12);
    await checkInvariants(ledger);
  });
});
