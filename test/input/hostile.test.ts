import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLedger as createClient, type Ledger } from "../../src/client/ledger.ts";
import { InvalidArgumentError } from "../../src/errors/index.ts";
import { urlOf } from "../client/support.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  createLedger,
  digest,
  failure,
  loginOf,
  openWallet,
  post,
  type Session,
  type TestLedger,
} from "../support/ledger.ts";

// What no caller means to send: values that a type cannot hold, that are too large or too deep,
// or that are not what TypeScript says. Every parameter of every function gets each of them.
// What the rules of the ledger refuse is in the files beside this one.

/** A refusal of the ledger, of the type (class 22), or of JSON deeper than the server's stack. */
const CODED = /^(LGARG|22[0-9A-Z]{3}|54001)$/;

let ledger: TestLedger;
let client: Ledger;
let before: string;

beforeAll(async () => {
  ledger = await createLedger();
  client = createClient(urlOf(ledger, "operator"));
  await openWallet(ledger, "w", 1000n);
  await openWallet(ledger, "other", 1000n);
  await post(ledger.agent, "w", [
    { op: "reserve", idempotency_key: "open", amount: 100, ttl: 86400 },
    { op: "charge", idempotency_key: "charge", amount: 50 },
  ]);
  before = await digest(ledger);
});
afterAll(async () => {
  await client.close();
  expect(await digest(ledger)).toBe(before);
  await checkInvariants(ledger);
  await ledger[Symbol.asyncDispose]();
});

const long = "x".repeat(256);
const deep = (n: number) => `${'{"a":'.repeat(n)}1${"}".repeat(n)}`;
const array = (n: number, item: string) => `[${Array(n).fill(item).join(",")}]`;

/** Text that a type takes for no value that any function could use, as it would be sent. */
const BAD: Record<string, readonly string[]> = {
  text: [
    ...["", " ", "\t", "\r\n", " \t ", long, "x".repeat(1001), "\u{1f4a9}".repeat(256)],
    ...["x".repeat(1_000_000), "a\0b", "\0"],
  ],
  bigint: [
    ...["9223372036854775808", "-9223372036854775809", "9".repeat(400), "1.5", "1e3", "NaN"],
    ...["Infinity", "-Infinity", "", " ", "abc", "١", "１", "1,000", "1 2", "--1", "true", "null"],
    ...["{}", "'1'", "1;", "$1", "\u00a01", "1\u200b", "-9223372036854775808", "-1"],
  ],
  integer: [
    ...["2147483648", "-2147483649", "-2147483648", "2147483647", "1.5", "NaN", "", "abc", "-1"],
    ...["9".repeat(400), "true", "1e1"],
  ],
  boolean: ["", "maybe", "2", "nope", "truee", "null", "t f", "\u0442"],
  interval: [
    ...["", "garbage", "NaN", "infinity", "-infinity", "1e400 seconds", "178956971 years"],
    ...["9223372036854775808 microseconds", "-178956970 years -9 mons", "2147483648 days"],
    ...["178956970 years", "-1 microsecond", "1 mon -30 days", "0", "1 fortnight", "P1Y", "1 2 3"],
  ],
  "timestamp with time zone": [
    ...["", "garbage", "NaN", "294277-01-01 00:00:00+00", "4714-11-23 00:00:00+00 BC", "24:00:61"],
    ...["2026-02-30", "2026-01-01 Mars/Olympus", "0000-01-01", "2026-13-01", "+275760-09-13"],
    ...["9".repeat(400), "2026-01-01 00:00:00+99"],
  ],
  jsonb: [
    ...[
      "",
      "{",
      "}",
      "nul",
      "NaN",
      "Infinity",
      "'a'",
      "{a:1}",
      "[1,]",
      '{"a":}',
      "1 2",
      "\u00a0{}",
    ],
    ...['"\\u0000"', '{"a":"\\u0000"}', '{"\\u0000":1}', '"\\ud800"', '{"a":"\\udc00\\ud800"}'],
    ...['{"a":"\\ud83d"}', '"\\u00"', '"\\x41"', '{"a":1e131072}', '{"a":"\u0001"}', '{"a":"\0"}'],
    ...["1", "true", '"{}"', "[[]]", '[{"op":"charge"},[]]', deep(100_000), "[".repeat(100_000)],
    ...[`{"a":"${"x".repeat(16_376)}"}`, `{"a":"${"x".repeat(1_000_000)}"}`],
    ...[`{"a":${array(100_000, "[]")}}`, array(10_001, "{}"), array(100_000, "0")],
    ...[`{"a":${"9".repeat(20_000)}}`, `{${Array.from({ length: 5000 }, (_, i) => `"k${i}":0`)}}`],
  ],
};

/** What a function takes in each parameter, were it not for the one. */
const FINE: Record<string, string> = {
  wallet_id: "w",
  from: "w",
  to: "other",
  amount: "5",
  idempotency_key: "k",
  reservation_id: "open",
  ttl: "1 minute",
  at_least: "3",
  final: "true",
  metadata: "{}",
  reason: "stop",
  unit: "USD",
  scale: "9",
  overdraft_limit: "5",
  limit: "10",
  at: "now",
  commands: "[]",
};

interface Parameter {
  readonly func: string;
  readonly name: string;
  readonly type: string;
  readonly all: readonly { readonly name: string; readonly type: string }[];
}

/** Every parameter of every function that somebody may call. */
async function parameters(): Promise<Parameter[]> {
  const rows = await ledger.admin<{ func: string; names: string[]; types: string[] }[]>`
    select p.proname as func, to_json(p.proargnames) as names, (
        select json_agg(format_type(t, null) order by n)
          from unnest(p.proargtypes::oid[]) with ordinality as a(t, n)
      ) as types
      from pg_proc p
      where p.pronamespace = 'baseledger'::regnamespace and p.prosecdef and p.pronargs > 0
      order by p.proname collate "C"`;
  return rows.flatMap(({ func, names, types }) => {
    const all = types.map((type, i) => ({ name: (names[i] ?? "").replace("p_", ""), type }));
    return all
      .filter(({ name }) => !(func === "statement" && name !== "wallet_id"))
      .map(({ name, type }) => ({ func, name, type, all }));
  });
}

/** The functions that get what is huge, one for each way into the ledger. */
const ROBUST = ["credit", "reserve", "post"];
const HUGE = 20_000;

describe("through SQL", () => {
  // Superusers who are none for the time being, so that their memory can be looked at.
  const sessions = new Map<string, Session>();
  let tried = 0;

  beforeAll(async () => {
    for (const role of ["operator", "auditor", "worker"] as const) {
      const session = await ledger.session("admin");
      await session.sql.unsafe(`set session authorization ${loginOf(role)}`);
      sessions.set(role, session);
    }
  });
  afterAll(async () => {
    for (const { sql } of sessions.values()) await sql.end();
  });

  test.each(Object.entries(BAD))("each parameter refuses what no %s can be", async (type, bad) => {
    const taking = (await parameters()).filter((parameter) => parameter.type === type);
    expect(taking.length).toBeGreaterThan(0);
    for (const parameter of taking) {
      for (const value of bad) {
        if (value.length > HUGE && !ROBUST.includes(parameter.func)) continue;
        // a reason may be longer than an id
        if (parameter.name === "reason" && value.trim() && value.length < 1000) continue;
        const told = [parameter.func, parameter.name, value.slice(0, 50)];
        const error = await failure(send(parameter, value)).catch(() => undefined);
        expect([...told, error?.code, error?.message]).toEqual([
          ...told,
          expect.stringMatching(CODED),
          expect.any(String),
        ]);
        tried += 1;
      }
    }
    expect(await digest(ledger)).toBe(before);
  });

  test("those are all types and many values, and no memory is kept", async () => {
    const types = new Set((await parameters()).map(({ type }) => type));
    expect([...types].sort()).toEqual(Object.keys(BAD).sort());
    expect(tried).toBeGreaterThan(600);
    for (const { sql } of sessions.values()) {
      await sql.unsafe("reset session authorization");
      const [memory] = await sql<{ bytes: bigint }[]>`
        select sum(total_bytes)::bigint as bytes from pg_backend_memory_contexts`;
      expect(memory?.bytes).toBeLessThan(32n * 1024n * 1024n);
    }
  });

  function send(given: Parameter, value: string): PromiseLike<unknown> {
    const reader = given.func === "verify" ? "auditor" : "operator";
    const session = sessions.get(given.func === "expire_due" ? "worker" : reader);
    if (!session) throw new Error("no session");
    const list = given.all.map(({ name, type }, i) => `p_${name} => $${i + 1}::text::${type}`);
    const values = given.all.map(({ name }) =>
      name === given.name ? value : (FINE[name] ?? null),
    );
    const query = `select * from baseledger.${given.func}(${list.join(", ")})`;
    return session.sql.unsafe(query, values, { prepare: false });
  }

  const encodings = [
    ["an overlong NUL", "E'\\xC0\\x80'"],
    ["half a surrogate pair", "E'\\xED\\xA0\\x80'"],
    ["beyond Unicode", "E'\\xF4\\x90\\x80\\x80'"],
    ["a byte alone", "E'\\xFF'"],
    ["cut short", "E'\\xE2\\x82'"],
    ["Latin 1", "E'caf\\xE9'"],
  ];
  test.each(encodings)("bytes that are no UTF-8: %s", async (_what, literal) => {
    for (const call of [
      `credit('w', 1, ${literal})`,
      `credit(${literal}, 1, 'k')`,
      `charge('w', 1, 'k', ${literal})`,
      `freeze_wallet('w', ${literal})`,
      `credit('w', 1, 'k', jsonb_build_object('a', ${literal}))`,
    ]) {
      const error = await failure(ledger.operator.unsafe(`select baseledger.${call}`));
      expect(error.code).toBe("22021");
    }
    expect(await digest(ledger)).toBe(before);
  });

  const odd = [
    "'; drop schema baseledger cascade; --",
    "w' or '1'='1",
    "$$; select pg_sleep(10); $$",
    "\\'; delete from baseledger.events; --",
    "%s %I %L %n",
    '","op":"credit","amount":1000000,"',
    "null",
    "{}",
    "(w,1)",
    "w\u202egnp.exe",
    "e\u0301",
    "\u00e9",
    "w\u200bw",
    "w\ufeffw",
    "w\u00a0w",
    "W",
    "w w",
    "\u{10ffff}",
    "😀".repeat(255),
    "$1",
    "w\u0001\u001f\u007fw",
  ];
  test.each(odd)("an id of any characters is an id like any other: %j", async (id) => {
    await using session = await ledger.session("operator");
    const { sql } = session;
    await sql.unsafe("begin");
    await sql`select baseledger.open_wallet(${id})`;
    await sql`select baseledger.credit(${id}, 10, ${id})`;
    await sql`select baseledger.reserve(${id}, 4, 'r', p_reservation_id => ${id})`;
    const [receipt] = await sql`
      select wallet_id, reservation_id, idempotency_key
        from baseledger.settle(${id}, ${id}, 4, ${`s${id}`.slice(0, 255)})`.catch(() => []);
    if (`s${id}`.length <= 255) {
      expect(receipt).toMatchObject({ wallet_id: id, reservation_id: id });
    }
    const [row] = await sql`select wallet_id, available from baseledger.balance(${id})`;
    expect(row?.wallet_id).toBe(id);
    await sql.unsafe("rollback");
    expect(await digest(ledger)).toBe(before);
  });
});

describe("through the client", () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const throwing = {
    toJSON() {
      throw new Error("no JSON on purpose");
    },
  };
  const trickster = { toString: () => "5", valueOf: () => 5 };

  /** Values that no parameter of a kind takes; undefined and null aside, which have a meaning. */
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
      ...[
        { a: Array(100_000).fill([]) },
        new Date(0),
        JSON.parse(deep(3000)),
        { a: 10n ** 20000n },
      ],
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
  const grants: Record<string, Record<string, unknown>> = {
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

  test.each(methods)("%s refuses what its arguments cannot be", async (name, args) => {
    const call = client[name as "credit"] as unknown as (args: unknown) => Promise<unknown>;
    for (const field of Object.keys(args)) {
      for (const value of NONSENSE[names[field] ?? ""] ?? []) {
        // a reason may be longer than an id
        if (field === "reason" && value === long) continue;
        const told = `${name} ${field} ${describeValue(value)}`;
        const commands = name.startsWith("post") ? { commands: [] } : {};
        const error = await failure(call({ ...args, ...commands, [field]: value })).catch(
          () => undefined,
        );
        expect([told, error?.code, error?.message]).toEqual([
          told,
          expect.stringMatching(CODED),
          expect.any(String),
        ]);
        if (error?.code === "LGARG") expect(error).toBeInstanceOf(InvalidArgumentError);
        tried += 1;
      }
    }
    expect(await digest(ledger)).toBe(before);
  });

  test("those were many", () => {
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
    expect(await digest(ledger)).toBe(before);
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
    expect(await digest(ledger)).toBe(before);
  });

  test("arguments that are none", async () => {
    for (const name of Object.keys(grants)) {
      const call = client[name as "credit"] as unknown as (args?: unknown) => Promise<unknown>;
      for (const args of [undefined, null, {}, [], 5, "w", { __proto__: grants[name] }]) {
        const error = await failure(call(args));
        expect([name, args, error.code]).toEqual([name, args, expect.stringMatching(CODED)]);
      }
    }
    expect(await digest(ledger)).toBe(before);
  });

  test("one that is refused before it is sent spoils nothing for those beside it", async () => {
    const bad = client.charge({ walletId: "w", amount: 2n ** 64n });
    const none = client.charge({ walletId: "nobody", amount: 1n });
    const good = client.balance({ walletId: "w" });
    expect((await failure(bad)).code).toBe("LGARG");
    expect((await failure(none)).code).toBe("LGWNF");
    expect((await good).spent).toBe(50n);
  });
});

function describeValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  if (typeof value === "bigint") return `${String(value).slice(0, 40)}n`;
  return typeof value === "object" ? Object.prototype.toString.call(value) : String(value);
}
