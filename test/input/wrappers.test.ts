import type postgres from "postgres";
import { describe, expect, test } from "vitest";
import * as errors from "../../src/errors/index.ts";
import * as wrappers from "../../src/generated/index.ts";
import { type Arguments, failure } from "../support/ledger.ts";
import { granted, MAX, withBadArguments } from "./arguments.ts";
import { useLedger } from "./ledger.ts";

const input = useLedger();

describe("through the wrappers", () => {
  const client = () => input.ledger.operator;
  // The wrappers by name.
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

  // Nulls as well, which TypeScript would not allow.
  test.each(withBadArguments)("%s: %s", async (name, field, calls) => {
    await input.unchanged(async () => {
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
    const error = await input.unchanged(() => failure(send(name, { ...granted[name], ...args })));
    expect(error).toBeInstanceOf(Class);
    expect(error).toMatchObject(fields);
  });

  test("values that SQL cannot express", async () => {
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
      const error = await input.unchanged(() => failure(send(name, all)));
      expect([name, args, error]).toMatchObject([name, args, { code: "LGARG", field }]);
    }
  });

  test("ttl as a number: 0, below a second, a year", async () => {
    for (const ttl of [0, -1, 0.5, 31_536_000, 1e15]) {
      const error = await input.unchanged(() =>
        failure(send("reserve", { ...granted.reserve, ttl })),
      );
      expect(error.code, `${ttl} ${error.message}`).toMatch(/^(LGARG|22...)$/);
    }
  });

  test("a batch", async () => {
    const commands = [{ op: "reserve", amount: -1n, idempotencyKey: "k" }, {}] as never;
    const receipts = await input.unchanged(() =>
      wrappers.post(client(), { walletId: "w", commands }),
    );
    expect(receipts.map(({ refused }) => refused)).toEqual(["LGARG", "LGARG"]);
    const error = await failure(wrappers.post(client(), { walletId: "w", commands: {} as never }));
    expect(error).toBeInstanceOf(errors.InvalidArgumentError);
  });

  test("a batch of several wallets", async () => {
    const charge = { op: "charge", amount: 1n, idempotency_key: "k" };
    const commands = [{ ...charge, wallet_id: "w", amount: -1n }, charge, {}] as never;
    const receipts = await input.unchanged(() => wrappers.postMany(client(), { commands }));
    expect(receipts.map(({ refused }) => refused)).toEqual(["LGARG", "LGARG", "LGARG"]);
    for (const wrong of [{}, "[]", null, [null], Array(10_001).fill({})]) {
      const error = await failure(wrappers.postMany(client(), { commands: wrong as never }));
      expect(error).toBeInstanceOf(errors.InvalidArgumentError);
    }
  });
});
