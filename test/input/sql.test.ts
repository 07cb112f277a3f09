import { describe, expect, test } from "vitest";
import { type Arguments, call, command, expectRefusal, failure, post } from "../support/ledger.ts";
import { badArguments, granted, MAX, metadataOf, nested, withBadArguments } from "./arguments.ts";
import { useLedger } from "./ledger.ts";

const input = useLedger();

test.each(Object.entries(granted))("%s is granted as it stands here", async (name, args) => {
  const receipt = await input.undone((tx) => command(tx, name, args));
  expect(receipt).toMatchObject({ refused: null, replayed: false });
  expect(receipt.seq).toBeGreaterThan(0n);
});

describe("through SQL, one bad argument", () => {
  test("is tried for every argument", () => {
    const untried = badArguments.filter(([, , calls]) => calls.length === 0);
    expect(untried.map(([, field]) => field).filter((field) => field !== "final")).toEqual([]);
  });

  test.each(withBadArguments)("%s: %s", async (name, field, calls) => {
    await input.unchanged(async () => {
      for (const args of calls) {
        const detail = await expectRefusal("LGARG", command(input.sql, name, args));
        expect(detail).toEqual({ field, reason: expect.any(String) });
      }
    });
  });

  const nulls = Object.entries(granted).flatMap(([name, args]) => {
    const fields = Object.keys(args).filter((field) => field !== "wallet_id" && field !== "from");
    return [[name, { ...args, ...Object.fromEntries(fields.map((f) => [f, null])) }] as const];
  });
  test.each(nulls)("%s: everything null but the wallet", async (name, args) => {
    const attempt = () => expectRefusal("LGARG", command(input.sql, name, args));
    await input.unchanged(attempt);
  });

  test.each(["credit", "charge"])("%s: numbers beyond 64 bits never arrive", async (name) => {
    for (const amount of ["9223372036854775808", "-9223372036854775809", "1e3", "NaN", "1.5"]) {
      const args = { ...granted[name], amount };
      const { code } = await input.unchanged(() => failure(command(input.sql, name, args)));
      expect(code).toMatch(/^22/);
    }
  });

  test("reserve, extend: a deadline that never comes", async () => {
    for (const ttl of ["infinity", "-infinity"]) {
      for (const name of ["reserve", "extend"]) {
        const { code } = await input.unchanged(() =>
          failure(command(input.sql, name, { ...granted[name], ttl })),
        );
        // Before version 17 PostgreSQL itself knows no such interval.
        expect(code).toMatch(/^(LGARG|22007)$/);
      }
      const given = { ...granted.reserve, wallet_id: undefined, op: "reserve", ttl };
      const [receipt] = await input.unchanged(() => post(input.sql, "w", [given]));
      expect(receipt).toMatchObject({ refused: "LGARG", detail: { field: "ttl" } });
    }
  });

  test("expire_due: a limit out of range", async () => {
    for (const limit of [null, 0n, -1n, 100001n, 2147483647n]) {
      const attempt = () =>
        expectRefusal("LGARG", call(input.ledger.worker, "expire_due", { limit }));
      expect(await input.unchanged(attempt)).toMatchObject({ field: "limit" });
    }
  });

  test("balance_at, statement: no time", async () => {
    const of = { wallet_id: "w" };
    const at = await expectRefusal("LGARG", call(input.sql, "balance_at", { ...of, at: null }));
    expect(at.field).toBe("at");
    for (const [from, to, field] of [
      ["null", "'infinity'", "from"],
      ["'-infinity'", "null", "to"],
    ]) {
      const query = `select * from baseledger.statement('w', ${from}, ${to})`;
      expect(await expectRefusal("LGARG", input.sql.unsafe(query))).toMatchObject({ field });
    }
  });

  test("balance_at, statement: the ends of time", async () => {
    const times = ["-infinity", "infinity", "4714-11-24 00:00:00+00 BC", "epoch"];
    for (const at of [...times, "294276-12-31 23:59:59.999999+00", "now"]) {
      const [row] = await call<{ spent: bigint }>(input.sql, "balance_at", { wallet_id: "w", at });
      expect(row?.spent).toBeTypeOf("bigint");
      for (const to of times) {
        await input.sql`select * from baseledger.statement('w', ${at}::text::timestamptz,
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
      const receipt = await input.undone((tx) => command(tx, name, { ...granted[name], ...args }));
      expect(receipt, name).toMatchObject({ replayed: false });
    }
  });
});
