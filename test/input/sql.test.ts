import { describe, expect, test } from "vitest";
import {
  type Arguments,
  call,
  command,
  expectRefusal,
  failure,
  post,
  postMany,
} from "../support/ledger.ts";
import { badArguments, granted, MAX, metadataOf, nested, withBadArguments } from "./arguments.ts";
import { useLedger } from "./ledger.ts";

const input = useLedger();

test.each(Object.entries(granted))("%s is granted with good arguments", async (name, args) => {
  const receipt = await input.undone((tx) => command(tx, name, args));
  expect(receipt).toMatchObject({ refused: null, replayed: false });
  expect(receipt.seq).toBeGreaterThan(0n);
});

describe("through SQL, one bad argument", () => {
  test("every argument has bad values", () => {
    const without = badArguments.filter(([, , calls]) => calls.length === 0);
    expect(without.map(([, field]) => field).filter((field) => field !== "final")).toEqual([]);
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
    const run = () => expectRefusal("LGARG", command(input.sql, name, args));
    await input.unchanged(run);
  });

  test.each(["credit", "charge"])("%s: the server refuses numbers beyond 64 bits", async (name) => {
    for (const amount of ["9223372036854775808", "-9223372036854775809", "1e3", "NaN", "1.5"]) {
      const args = { ...granted[name], amount };
      const { code } = await input.unchanged(() => failure(command(input.sql, name, args)));
      expect(code).toMatch(/^22/);
    }
  });

  test("reserve, extend: an infinite ttl", async () => {
    for (const ttl of ["infinity", "-infinity"]) {
      for (const name of ["reserve", "extend"]) {
        const { code } = await input.unchanged(() =>
          failure(command(input.sql, name, { ...granted[name], ttl })),
        );
        // PostgreSQL has infinite intervals since version 17.
        expect(code).toMatch(/^(LGARG|22007)$/);
      }
      const given = { ...granted.reserve, wallet_id: undefined, op: "reserve", ttl };
      const [receipt] = await input.unchanged(() => post(input.sql, "w", [given]));
      expect(receipt).toMatchObject({ refused: "LGARG", detail: { field: "ttl" } });
      const ofMany = await input.unchanged(() =>
        postMany(input.sql, [{ ...given, wallet_id: "w" }]),
      );
      expect(ofMany).toMatchObject([{ refused: "LGARG", detail: { field: "ttl" } }]);
    }
  });

  test("expire_due: a limit out of range", async () => {
    for (const limit of [null, 0n, -1n, 100001n, 2147483647n]) {
      const run = () => expectRefusal("LGARG", call(input.ledger.worker, "expire_due", { limit }));
      expect(await input.unchanged(run)).toMatchObject({ field: "limit" });
    }
  });

  test("balance_at, statement: a time that is null", async () => {
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

  const encodings = [
    ["an overlong NUL", "E'\\xC0\\x80'"],
    ["half a surrogate pair", "E'\\xED\\xA0\\x80'"],
    ["a code point beyond Unicode", "E'\\xF4\\x90\\x80\\x80'"],
    ["a single byte", "E'\\xFF'"],
    ["a truncated character", "E'\\xE2\\x82'"],
    ["Latin 1", "E'caf\\xE9'"],
  ];
  test.each(encodings)("bytes that are not UTF-8: %s", async (_what, literal) => {
    for (const query of [
      `credit('w', 1, ${literal})`,
      `credit(${literal}, 1, 'k')`,
      `charge('w', 1, 'k', ${literal})`,
      `freeze_wallet('w', ${literal})`,
      `credit('w', 1, 'k', jsonb_build_object('a', ${literal}))`,
    ]) {
      const { code } = await input.unchanged(() =>
        failure(input.sql.unsafe(`select baseledger.${query}`)),
      );
      expect(code).toBe("22021");
    }
  });

  const strangeIds = [
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
  test.each(strangeIds)("an id may have any characters: %j", async (id) => {
    await input.undone(async (tx) => {
      await tx`select baseledger.open_wallet(${id})`;
      await tx`select baseledger.credit(${id}, 10, ${id})`;
      const [reserved] = await tx`
        select wallet_id, reservation_id from baseledger.reserve(
          ${id}, 4, 'r', p_reservation_id => ${id}
        )`;
      expect(reserved).toEqual({ wallet_id: id, reservation_id: id });
      const [settled] = await tx`
        select wallet_id, reservation_id from baseledger.settle(${id}, ${id}, 4, 's')`;
      expect(settled).toEqual({ wallet_id: id, reservation_id: id });
      const [charged] = await postMany(tx, [
        { op: "charge", wallet_id: id, amount: 1, idempotency_key: "m" },
      ]);
      expect(charged).toMatchObject({ wallet_id: id, event: "charged", refused: null });
      const [balance] = await tx`select wallet_id, available from baseledger.balance(${id})`;
      expect(balance).toEqual({ wallet_id: id, available: 5n });
    });
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
