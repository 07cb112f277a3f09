import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Json } from "../../src/json/index.ts";
import {
  type Arguments,
  call,
  expectRefusal,
  failure,
  post,
  postMany,
  type Receipt,
} from "../support/ledger.ts";
import { POST_FUNDS_OPS, POST_OPS } from "../support/operations.ts";
import { granted, long, nested, withBadArguments } from "./arguments.ts";
import { useLedger } from "./ledger.ts";

const input = useLedger();

/** The operations that post and post_many do not take. */
const OF_OPERATORS = new Set<Json | undefined>(
  POST_FUNDS_OPS.filter((op) => !POST_OPS.includes(op)),
);

describe("through a batch", () => {
  const good = (n: number): Arguments => ({
    op: "charge",
    amount: 1,
    idempotency_key: `good ${n}`,
  });

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
      const refused = () =>
        expectRefusal("LGARG", call(input.sql, name, { wallet_id: "w", commands }));
      expect(await input.unchanged(refused)).toMatchObject({ field: "commands" });
    }
    const refused = () => expectRefusal("LGARG", call(input.sql, "post_many", { commands }));
    expect(await input.unchanged(refused)).toMatchObject({ field: "commands" });
  });

  test("10,000 empty commands", async () => {
    const commands = Array(10000).fill({});
    const receipts = await input.unchanged(() => post(input.sql, "w", commands));
    expect(receipts).toHaveLength(10000);
    expect(new Set(receipts.map(({ refused }) => refused))).toEqual(new Set(["LGARG"]));
    const ofMany = await input.unchanged(() => postMany(input.sql, commands));
    expect(ofMany).toHaveLength(10000);
    expect(new Set(ofMany.map(({ refused }) => refused))).toEqual(new Set(["LGARG"]));
  });

  /** A bad command is refused between two that are granted, and changes nothing if it is alone. */
  async function expectRefused(given: Arguments, code: string, field?: string): Promise<void> {
    const receipts = await input.undone((tx) =>
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
    await input.unchanged(() => call(input.sql, "post_funds", { wallet_id: "w", commands }));
    // What post refuses as a field of its own is the wallet's name there.
    if (OF_OPERATORS.has(given.op) || given.wallet_id !== undefined) return;
    await expectRefusedOfMany(given, code, field);
  }

  /** The same of post_many, between commands of its wallet and of another. */
  async function expectRefusedOfMany(given: Arguments, code: string, field?: string) {
    const own = (each: Arguments) => ({ ...each, wallet_id: "w" });
    const other = (each: Arguments) => ({ ...each, wallet_id: "other" });
    const receipts = await input.undone((tx) =>
      postMany(tx, [other(good(1)), own(good(1)), own(given), own(good(2)), other(good(2))]),
    );
    expect(receipts.map(({ refused }) => refused)).toEqual([null, null, code, null, null]);
    expect(receipts[2]).toMatchObject({ wallet_id: "w", seq: null, event: null, replayed: false });
    if (field !== undefined) expect(receipts[2]?.detail).toMatchObject({ field });
    await input.unchanged(() => postMany(input.sql, [own(given)]));
  }

  const inBatch = withBadArguments.filter(([name, field]) => {
    return POST_FUNDS_OPS.includes(name) && field !== "wallet_id";
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

  const ids = [
    null,
    "",
    " ",
    "\t\r\n ",
    long,
    "x".repeat(256),
    5,
    0,
    true,
    {},
    [],
    ["w"],
    { w: 1 },
  ];
  test.each(ids.map((id) => [id as Json]))("LGARG for the wallet %j in post_many", async (id) => {
    const other = { ...good(1), wallet_id: "other" };
    const receipts = await input.undone((tx) =>
      postMany(tx, [{ ...r, wallet_id: id }, other, { ...r, wallet_id: id }]),
    );
    expect(receipts.map(({ refused }) => refused)).toEqual(["LGARG", null, "LGARG"]);
    expect(receipts[2]?.detail).toMatchObject({ field: "wallet_id" });
    await input.unchanged(() => postMany(input.sql, [{ ...r, wallet_id: id }]));
  });

  test("LGARG for a command of post_many without a wallet", async () => {
    const [receipt] = await input.unchanged(() => postMany(input.sql, [r]));
    expect(receipt).toMatchObject({ refused: "LGARG", detail: { field: "wallet_id" } });
  });

  test.each(["", "Reserve", "open_wallet", "transfer", "post", long])(
    "LGUNK for the op %j",
    async (op) => {
      await expectRefused({ op, amount: 1, idempotency_key: "k" }, "LGUNK");
      const [receipt] = await post(input.sql, "w", [{ op }]);
      expect(receipt?.detail).toEqual({ op });
    },
  );

  test.each(["credit", "withdraw", "refund"])("LGUNK for %s in post", async (op) => {
    const { wallet_id, ...args } = granted[op] ?? {};
    const [receipt] = await input.unchanged(() => post(input.sql, "w", [{ op, ...args }]));
    expect(receipt).toMatchObject({ refused: "LGUNK", detail: { op } });
  });

  test("other forms of good values", async () => {
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
      const [receipt] = await input.undone((tx) => post(tx, "w", [form]));
      expect([form, receipt?.refused]).toEqual([form, null]);
      const [ofMany] = await input.undone((tx) => postMany(tx, [{ ...form, wallet_id: "w" }]));
      expect([form, ofMany?.refused]).toEqual([form, null]);
    }
    // 1.0 is a whole number, however it is written; 1e400 is beyond 64 bits.
    const rows = await input.undone(
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

  test("any list of JSON objects is answered by the ledger", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.dictionary(fc.string(), fc.jsonValue())), async (commands) => {
        // The server refuses NUL and half pairs before it calls the function.
        const text = JSON.stringify(commands);
        fc.pre(!/\\u(0000|d[89a-f])/i.test(text));
        const receipts = await input.undone(
          (tx) => tx<Receipt[]>`select * from baseledger.post('w', ${text}::text::jsonb)`,
        );
        expect(receipts).toHaveLength(commands.length);
        for (const { refused } of receipts) expect(refused).toMatch(/^LG(ARG|UNK)$/);
        for (const wallets of [{}, { wallet_id: "w" }, { wallet_id: "nobody" }]) {
          const ofMany = JSON.stringify(commands.map((each) => ({ ...each, ...wallets })));
          const answers = await input.undone(
            (tx) => tx<Receipt[]>`select * from baseledger.post_many(${ofMany}::text::jsonb)`,
          );
          expect(answers).toHaveLength(commands.length);
          for (const { refused } of answers) expect(refused).toMatch(/^LG(ARG|UNK)$/);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("JSON too deep for the server does not crash it", async () => {
    const text = `[{"op": "charge", "metadata": ${"[".repeat(200_000)}${"]".repeat(200_000)}}]`;
    const sent = input.sql`select * from baseledger.post('w', ${text}::text::jsonb)`;
    expect((await failure(sent)).code).toMatch(/^(54001|LG...)$/);
    const many = input.sql`select * from baseledger.post_many(${text}::text::jsonb)`;
    expect((await failure(many)).code).toMatch(/^(54001|LG...)$/);
    const [receipt] = await input.undone((tx) => post(tx, "w", [{ ...r, metadata: nested(2300) }]));
    expect(receipt?.refused).toBeNull();
  });
});
