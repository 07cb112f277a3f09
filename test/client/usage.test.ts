// Usage in place of amounts: what the client sends, what it books, and what it refuses to send.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, expectTypeOf, test } from "vitest";
import type { Ledger } from "../../src/client/ledger.ts";
import { createLedger } from "../../src/client/ledger.ts";
import type { Cost } from "../../src/client/usage.ts";
import {
  IdempotencyKeyReusedError,
  InvalidArgumentError,
  NotSettledError,
  OverdraftLimitError,
  PriceNotFoundError,
  UsageNotPricedError,
} from "../../src/errors/index.ts";
import * as wrappers from "../../src/generated/index.ts";
import type { Usage } from "../../src/json/index.ts";
import { migrate } from "../../src/migrate/index.ts";
import { checkInvariants } from "../support/invariants.ts";
import { createLedger as createTestLedger, type TestLedger } from "../support/ledger.ts";
import { releaseOfFirst } from "../support/release.ts";
import { createDatabase } from "../support/server.ts";
import { createClient, rejection, urlOf } from "./support.ts";

// Dollars per million are nano-dollars per 1,000: 10^9 to the million.
const DOLLAR = 1_000_000_000n;
const MODEL = "acme/large";
/** A token of input costs 2, of output 10 micro-dollars; above 1,000 of input 4 and 15. */
const RATES = { input: 2n * DOLLAR, cache_read: DOLLAR / 5n, output: 10n * DOLLAR };
const RATES_ABOVE = { input: 4n * DOLLAR, cache_read: DOLLAR / 5n, output: 15n * DOLLAR };
const TOKEN = { input: 2_000n, cache_read: 200n, output: 10_000n };

let database: TestLedger;
let ledger: Ledger;
let operator: Ledger;
let walletId: string;
let wallets = 0;

beforeAll(async () => {
  database = await createTestLedger();
  ledger = createClient(database);
  operator = createLedger(urlOf(database, "operator"));
  await operator.setPrice({ model: MODEL, rates: RATES });
  await operator.setPrice({ model: MODEL, rates: RATES_ABOVE, above: 1_000n });
  await operator.setPrice({ model: "acme/latest", rates: null, aliasOf: MODEL });
  await operator.setPrice({ model: "acme/free", rates: { input: 0n, output: 0n } });
});
afterAll(async () => {
  await Promise.all([ledger.close(), operator.close()]);
  await checkInvariants(database);
  await database[Symbol.asyncDispose]();
});

beforeEach(async () => {
  walletId = `usage-${++wallets}`;
  await operator.openWallet({ walletId });
  await operator.credit({ walletId, amount: 10n * DOLLAR });
});

const key = (idempotencyKey: string) => ({ walletId, idempotencyKey });
const funds = async () => {
  const { available, reserved, spent } = await ledger.balance({ walletId });
  return { available, reserved, spent };
};
const spent = async () => (await funds()).spent;
/** The events after the credit: what each is, its amount, and its usage. */
const events = async () => {
  const rows = await database.auditor<{ event: string; amount: bigint; usage: Usage | null }[]>`
    select event, amount, details -> 'usage' as usage from baseledger.journal
      where wallet_id = ${walletId} and seq > 2 order by seq`;
  return rows.map(({ event, amount, usage }) => [event, amount, usage]);
};
const lastMetadata = async () => {
  const rows = await database.auditor`
    select metadata from baseledger.journal where wallet_id = ${walletId} order by seq`;
  return rows.at(-1)?.metadata;
};

describe("commands", () => {
  const asked = { model: MODEL, input: 100, output: 50 };
  const cost = 100n * TOKEN.input + 50n * TOKEN.output;

  test("reserve and settle by usage; a settlement takes the model of its reservation", async () => {
    const held = await ledger.reserve({ ...key("r"), usage: asked });
    expect(held.amount).toBe(cost);
    const used = { input: 80, cache_read: 20, output: 7 };
    const settled = await ledger.settle({ ...key("s"), reservationId: "r", usage: used });
    const settledCost = 80n * TOKEN.input + 20n * TOKEN.cache_read + 7n * TOKEN.output;
    expect(settled.amount).toBe(settledCost);
    expect(await events()).toEqual([
      ["reserved", cost, asked],
      ["settled", settledCost, used],
    ]);
  });

  test("part settlements by usage, each priced for itself", async () => {
    await ledger.reserve({ ...key("r"), usage: { model: MODEL, input: 3_000, output: 100 } });
    const part = { reservationId: "r", final: false };
    const first = await ledger.settle({ ...key("1"), ...part, usage: { input: 900, output: 1 } });
    // Together they are above 1,000, but neither is alone.
    const second = await ledger.settle({ ...key("2"), ...part, usage: { input: 900, output: 1 } });
    const last = await ledger.settle({ ...key("3"), reservationId: "r", usage: { input: 1_001 } });
    const each = 900n * TOKEN.input + TOKEN.output;
    expect([first.amount, second.amount, last.amount]).toEqual([each, each, 1_001n * 4_000n]);
    expect(await funds()).toMatchObject({ reserved: 0n, spent: 2n * each + 4_004_000n });
  });

  test("charge by usage, also of an alias", async () => {
    const usage = { model: "acme/latest", input: 100, output: 50 };
    expect(await ledger.charge({ ...key("c"), usage })).toMatchObject({ amount: cost });
    const { labels } = await ledger.reservation({ walletId, reservationId: "c" });
    expect(labels).toEqual({ model: MODEL });
  });

  test("what costs nothing is granted where the price says so", async () => {
    const usage = { model: "acme/free", input: 100, output: 1 };
    await ledger.guard({ walletId, usage }, (reservation) => {
      expect(reservation.amount).toBe(0n);
      reservation.spend({ input: 90, output: 1 });
    });
    expect((await events()).map(([event, amount]) => [event, amount])).toEqual([
      ["reserved", 0n],
      ["settled", 0n],
    ]);
  });

  test("travel together, by amount and by usage", async () => {
    const results = await Promise.allSettled([
      ledger.reserve({ ...key("1"), usage: asked }),
      ledger.reserve({ ...key("2"), amount: 5n }),
      ledger.charge({ ...key("3"), usage: { ...asked, model: "acme/none" } }),
      ledger.settle({ ...key("4"), reservationId: "1", usage: { output: 1 } }),
    ]);
    const amounts = results.map((result) =>
      result.status === "fulfilled" ? result.value.amount : result.reason.code,
    );
    expect(amounts).toEqual([cost, 5n, "LGPRC", TOKEN.output]);
    const transactions = await database.admin`
      select distinct xmin::text from baseledger.events where wallet_id = ${walletId} and seq > 2`;
    expect(transactions).toHaveLength(1);
  });

  test("in lists for post and postMany", async () => {
    const [held, settled] = await ledger.post({
      walletId,
      commands: [
        { op: "reserve", idempotency_key: "r", usage: asked },
        { op: "settle", idempotency_key: "s", reservation_id: "r", usage: { output: 3 } },
      ],
    });
    expect([held?.amount, settled?.amount]).toEqual([cost, 3n * TOKEN.output]);
    const [charged, refused] = await ledger.postMany({
      commands: [
        { op: "charge", wallet_id: walletId, idempotency_key: "c", usage: asked },
        { op: "charge", wallet_id: walletId, idempotency_key: "d", usage: { ...asked, pages: 1 } },
      ],
    });
    expect(charged).toMatchObject({ amount: cost });
    expect(refused).toMatchObject({ refused: "LGPRC", detail: { reason: "kind", kind: "pages" } });
  });

  test("through the wrappers, in a transaction of the caller's", async () => {
    const receipt = await wrappers.reserve(database.agent, { ...key("w"), usage: asked });
    expect(receipt.amount).toBe(cost);
    const inTransaction = await database.agent.begin((tx) =>
      ledger.with(tx).charge({ ...key("x"), usage: asked }),
    );
    expect(inTransaction).toMatchObject({ amount: cost });
  });

  test("a retry gets the first receipt after the price has changed", async () => {
    const model = `acme/changing-${wallets}`;
    await operator.setPrice({ model, rates: { input: DOLLAR, output: DOLLAR } });
    const reserve = { ...key("r"), usage: { model, input: 10 } };
    const charge = { ...key("c"), usage: { model, input: 10 } };
    const first = [await ledger.reserve(reserve), await ledger.charge(charge)];
    await operator.setPrice({ model, rates: { input: 7n * DOLLAR } });
    const second = [await ledger.reserve(reserve), await ledger.charge(charge)];
    expect(second).toEqual(first.map((receipt) => ({ ...receipt, replayed: true })));
    expect(first[0]?.amount).toBe(10_000n);
    // The reservation keeps its price, also for a kind that is not priced any more.
    const settle = { ...key("s"), reservationId: "r", usage: { input: 3, output: 2 } };
    expect(await ledger.settle(settle)).toMatchObject({ amount: 5_000n });
    expect(await ledger.settle(settle)).toMatchObject({ amount: 5_000n, replayed: true });
    const other = { ...reserve, usage: { model, input: 11 } };
    const error = await rejection(IdempotencyKeyReusedError, ledger.reserve(other));
    expect(error).toMatchObject({ field: "usage", stored: { input: 10 }, given: { input: 11 } });
    const byAmount = ledger.charge({ ...key("c"), amount: 10_000n });
    expect(await rejection(IdempotencyKeyReusedError, byAmount)).toMatchObject({
      field: "amount",
      stored: null,
      given: 10_000n,
    });
  });

  test.each<[string, Usage, Partial<PriceNotFoundError>]>([
    ["an unknown model", { model: "acme/none", input: 1 }, { reason: "model", model: "acme/none" }],
    ["another case of letters", { model: "acme/Large", input: 1 }, { reason: "model" }],
    [
      "an unknown variant",
      { model: MODEL, variant: "flex", input: 1 },
      { reason: "variant", variant: "flex" },
    ],
    ["an unknown kind", { model: MODEL, input: 1, pages: 1 }, { reason: "kind", kind: "pages" }],
  ])("%s has no price", async (_, usage, fields) => {
    for (const name of ["reserve", "charge"] as const) {
      const error = await rejection(PriceNotFoundError, ledger[name]({ walletId, usage }));
      expect(error).toMatchObject({ code: "LGPRC", variant: "standard", ...fields });
    }
    expect(await events()).toEqual([]);
  });

  test("a wallet in another unit, or of too few decimals, has no price", async () => {
    const usage = { model: MODEL, input: 1 };
    const tokens = `${walletId}-tokens`;
    await operator.openWallet({ walletId: tokens, unit: "tokens", scale: 6 });
    const inTokens = ledger.charge({ walletId: tokens, usage });
    expect(await rejection(PriceNotFoundError, inTokens)).toMatchObject({
      reason: "currency",
      currency: "USD",
      unit: "tokens",
    });
    const cents = `${walletId}-cents`;
    await operator.openWallet({ walletId: cents, scale: 2 });
    const inCents = ledger.charge({ walletId: cents, usage });
    expect(await rejection(PriceNotFoundError, inCents)).toMatchObject({
      reason: "scale",
      scale: 2,
    });
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["neither", {}, "amount"],
    ["both", { amount: 5n, usage: { model: MODEL, input: 1 } }, "usage"],
    ["a fraction", { usage: { model: MODEL, input: 0.5 } }, "usage"],
    ["a negative count", { usage: { model: MODEL, input: -1 } }, "usage"],
    ["a count in a string", { usage: { model: MODEL, input: "1" } }, "usage"],
    ["10^18 tokens", { usage: { model: MODEL, input: 10 ** 18 } }, "usage"],
    ["no kind", { usage: { model: MODEL } }, "usage"],
    ["no model", { usage: { input: 1 } }, "usage"],
    ["a list", { usage: [1] }, "usage"],
  ])("LGARG: %s", async (_, cost, field) => {
    for (const name of ["reserve", "charge"] as const) {
      const through = [
        () => ledger[name]({ walletId, ...cost } as never),
        () => ledger.with(database.agent)[name]({ walletId, ...cost } as never),
      ];
      for (const attempt of through) {
        expect(await rejection(InvalidArgumentError, attempt())).toMatchObject({ field });
      }
    }
    expect(await events()).toEqual([]);
  });

  test("TypeScript takes exactly one of amount and usage", () => {
    const usage = { model: MODEL, input: 1 };
    const sent = () => {
      // @ts-expect-error: neither
      void ledger.charge({ walletId });
      // @ts-expect-error: both
      void ledger.charge({ walletId, amount: 5n, usage });
      // @ts-expect-error: a count is a number
      void ledger.charge({ walletId, usage: { model: MODEL, input: "1" } });
      // @ts-expect-error: neither
      void ledger.guard({ walletId }, () => undefined);
      const both = { op: "charge", idempotency_key: "", amount: 5n, usage } as const;
      // @ts-expect-error: both, in a list
      void ledger.post({ walletId, commands: [both] });
    };
    expectTypeOf(sent).toBeFunction();
    expectTypeOf<{ usage: Usage }>().toExtend<Cost>();
    expectTypeOf<NotSettledError>().toExtend<Parameters<typeof ledger.settle>[0]>();
  });
});

describe("a database from before usage", () => {
  test("takes amounts as before, and refuses usage as an argument", async () => {
    const directory = mkdtempSync(join(tmpdir(), "usage-"));
    const older = await createDatabase("empty");
    await migrate(older.url, releaseOfFirst(directory, 3));
    const client = createLedger(older.url);
    try {
      const wallet = { walletId: "w" };
      await client.openWallet(wallet);
      await client.credit({ ...wallet, amount: 100n });
      await client.guard({ ...wallet, amount: 10n }, (reservation) => reservation.spend(3n));
      const usage = { model: MODEL, input: 1 };
      await rejection(InvalidArgumentError, client.reserve({ ...wallet, usage }));
      await rejection(
        InvalidArgumentError,
        client.guard({ ...wallet, usage }, () => undefined),
      );
      expect(await client.balance(wallet)).toMatchObject({ available: 97n, spent: 3n });
    } finally {
      await client.close();
      await older.drop();
      rmSync(directory, { recursive: true });
    }
  });
});

describe("guard and hold", () => {
  const asked = { model: MODEL, input: 100, output: 50 };
  const held = 100n * TOKEN.input + 50n * TOKEN.output;

  test("hold the cost of usage, and settle the usage that is reported", async () => {
    const answer = await ledger.guard({ walletId, usage: asked }, async (reservation) => {
      expect(reservation.amount).toBe(held);
      expect(await funds()).toMatchObject({ reserved: held });
      reservation.spend({ input: 90, output: 4 }, { answer: "a-1" });
      return "the answer";
    });
    expect(answer).toBe("the answer");
    const cost = 90n * TOKEN.input + 4n * TOKEN.output;
    expect((await events()).at(-1)).toEqual(["settled", cost, { input: 90, output: 4 }]);
    expect(await lastMetadata()).toEqual({ answer: "a-1" });
  });

  test("settle each report for itself, then what was reported as an amount", async () => {
    await ledger.guard({ walletId, amount: DOLLAR }, (reservation) => {
      reservation.spend({ model: MODEL, input: 900, output: 1 }, { step: 1 });
      reservation.spend(5n, { tool: "search" });
      reservation.spend({ model: "acme/latest", input: 900, output: 1 }, { step: 2 });
    });
    const each = 900n * TOKEN.input + TOKEN.output;
    expect((await events()).map(([event, amount]) => [event, amount])).toEqual([
      ["reserved", DOLLAR],
      ["settled", each],
      ["settled", each],
      ["settled", 5n],
    ]);
    expect(await funds()).toMatchObject({ reserved: 0n, spent: 2n * each + 5n });
    expect(await lastMetadata()).toEqual({ tool: "search" });
  });

  test("settle(usage) ends it", async () => {
    const reservation = await ledger.hold({ walletId, usage: asked });
    expect(await reservation.settle({ output: 2 })).toMatchObject({ amount: 2n * TOKEN.output });
    await reservation.close();
    expect(await events()).toHaveLength(2);
  });

  test("book the usage of onThrow when a call is cut off", async () => {
    const down = new Error("provider down");
    const onThrow = { usage: { input: 100 }, metadata: { basis: "prompt" } };
    const attempt = ledger.guard({ walletId, usage: asked, onThrow }, () => Promise.reject(down));
    await expect(attempt).rejects.toBe(down);
    expect(await spent()).toBe(100n * TOKEN.input);
    expect(await lastMetadata()).toEqual({ reason: "threw", error: "Error", basis: "prompt" });
    const found = () => ({ usage: { output: 1 } });
    const second = ledger.guard({ walletId, usage: asked, onThrow: found }, () => {
      throw down;
    });
    await expect(second).rejects.toBe(down);
    expect(await spent()).toBe(100n * TOKEN.input + TOKEN.output);
  });

  test("book what was reported before a throw", async () => {
    const attempt = ledger.guard({ walletId, usage: asked }, (reservation) => {
      reservation.spend({ input: 100, output: 1 });
      throw new Error("later");
    });
    await expect(attempt).rejects.toThrow("later");
    expect(await spent()).toBe(100n * TOKEN.input + TOKEN.output);
  });

  test.each<[string, unknown]>([
    ["null", null],
    ["a string", "100"],
    ["a fraction", { input: 0.5 }],
    ["a negative count", { input: -1 }],
    ["a count in a string", { input: "1" }],
    ["too many", { input: 10 ** 12 + 1 }],
    ["no kind", { model: MODEL, input: undefined }],
    ["a model that is no text", { model: 5, input: 1 }],
  ])("refuse to report %s", async (_, usage) => {
    const reservation = await ledger.hold({ walletId, usage: asked });
    expect(() => reservation.spend(usage as never)).toThrow(TypeError);
    await reservation.cancel();
    const onThrow = { usage } as never;
    await expect(ledger.hold({ walletId, usage: asked, onThrow })).rejects.toThrow(TypeError);
  });

  test("settle the hold where usage has no price, and say so", async () => {
    const attempt = ledger.guard({ walletId, usage: asked }, (reservation) => {
      reservation.spend({ input: 10 });
      reservation.spend({ input: 1, pages: 2 }, { page: "a" });
      return "read";
    });
    const error = await rejection(UsageNotPricedError, attempt);
    expect(error).toMatchObject({
      amount: held - 10n * TOKEN.input,
      outcome: { status: "fulfilled", value: "read" },
      cause: { code: "LGPRC", reason: "kind", kind: "pages" },
    });
    expect(await funds()).toMatchObject({ reserved: 0n, spent: held });
    expect(await lastMetadata()).toEqual({ reason: "unpriced", usage: [{ input: 1, pages: 2 }] });
  });

  test("settle what has a price beside it, whichever was reported first", async () => {
    const attempt = ledger.guard({ walletId, usage: asked }, (reservation) => {
      reservation.spend({ input: 1, pages: 2 });
      reservation.spend({ input: 10 });
    });
    expect(await rejection(UsageNotPricedError, attempt)).toMatchObject({ amount: held });
    expect(await funds()).toMatchObject({ reserved: 0n, spent: held + 10n * TOKEN.input });
    expect(await lastMetadata()).toMatchObject({ usage: [{ input: 1, pages: 2 }] });
  });

  test("settle the hold where usage names no model, though it was opened by an amount", async () => {
    const attempt = ledger.guard({ walletId, amount: 500n }, (reservation) =>
      reservation.spend({ input: 10 }),
    );
    expect((await rejection(UsageNotPricedError, attempt)).cause).toMatchObject({ field: "usage" });
    expect(await funds()).toMatchObject({ reserved: 0n, spent: 500n });
  });

  test("give the settlements to repeat when they fail", async () => {
    walletId = `usage-${++wallets}`;
    await operator.openWallet({ walletId, overdraftLimit: 0n });
    await operator.credit({ walletId, amount: held });
    const attempt = ledger.guard({ walletId, usage: asked }, (reservation) => {
      reservation.spend({ input: 900 });
      reservation.spend({ output: 900 });
    });
    const error = await rejection(NotSettledError, attempt);
    expect(error.cause).toBeInstanceOf(OverdraftLimitError);
    expect(error).toMatchObject({ amount: null, usage: { output: 900 } });
    expect(error.parts).toMatchObject([{ usage: { input: 900 }, final: false }]);
    await operator.credit({ walletId, amount: DOLLAR });
    for (const part of error.parts) await ledger.settle(part);
    await ledger.settle(error);
    expect(await ledger.settle(error)).toMatchObject({ replayed: true });
    expect(await funds()).toMatchObject({
      reserved: 0n,
      spent: 900n * TOKEN.input + 900n * TOKEN.output,
    });
  });

  test("wait for the funds that usage needs", async () => {
    await ledger.reserve({ ...key("other"), amount: 10n * DOLLAR });
    const waiting = ledger.guard({ walletId, usage: asked, wait: 30 }, (reservation) =>
      reservation.spend({ output: 1 }),
    );
    await ledger.settle({ ...key("end"), reservationId: "other", amount: 0n });
    await waiting;
    expect(await spent()).toBe(TOKEN.output);
  });
});
