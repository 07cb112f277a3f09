import { getEventListeners } from "node:events";
import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { HoldTerms } from "../../src/client/guard.ts";
import type { Ledger } from "../../src/client/ledger.ts";
import type { Reservation } from "../../src/client/reservation.ts";
import {
  AlreadyEndedError,
  HeartbeatLostError,
  NothingReportedError,
  NotSettledError,
} from "../../src/errors/client.ts";
import {
  InsufficientFundsError,
  OverdraftLimitError,
  ReservationEndedError,
  ReservationExpiredError,
} from "../../src/errors/index.ts";
import type { Metadata } from "../../src/json/index.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  balance,
  createLedger as createTestLedger,
  history,
  holdLock,
  openWallet,
  type TestLedger,
  travelBack,
  untilPast,
} from "../support/ledger.ts";
import { until } from "../support/until.ts";
import { createClient, isSettled, rejection } from "./support.ts";

let database: TestLedger;
let ledger: Ledger;
let walletId: string;
let wallets = 0;

beforeAll(async () => {
  database = await createTestLedger();
  ledger = createClient(database);
});
afterAll(async () => {
  await ledger.close();
  await checkInvariants(database);
  await database[Symbol.asyncDispose]();
});

/** Opens a wallet for a test, with 100 in it. */
async function freshWallet(terms = {}): Promise<void> {
  walletId = await openWallet(database, `guard-${++wallets}`, 100n, terms);
}

const events = async () => (await history(database, walletId)).slice(2);
const funds = async () => {
  const { available, reserved, spent } = await balance(database.agent, walletId);
  return { available, reserved, spent };
};
const lastMetadata = async () => {
  const rows = await database.auditor`
    select metadata from baseledger.journal where wallet_id = ${walletId} order by seq`;
  return rows.map(({ metadata }) => metadata).at(-1);
};

/** Resolves when a signal aborts. */
function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener("abort", () => resolve(signal.reason), { once: true });
  });
}

describe("guard", () => {
  test("settles what the callback reports, and returns what it returns", async () => {
    await freshWallet();
    const answer = await ledger.guard({ walletId, amount: 10n, ttl: 60 }, async (reservation) => {
      expect(await funds()).toEqual({ available: 90n, reserved: 10n, spent: 0n });
      expect(reservation).toMatchObject({ walletId, amount: 10n, spent: 0n });
      expect(reservation.expiresAt).toBeInstanceOf(Date);
      reservation.spend(3n, { model: "small", tokens: 5 });
      reservation.spend(4n, { tokens: 9 });
      expect(reservation.spent).toBe(7n);
      return "the answer";
    });
    expect(answer).toBe("the answer");
    expect(await funds()).toEqual({ available: 93n, reserved: 0n, spent: 7n });
    expect(await lastMetadata()).toEqual({ model: "small", tokens: 9 });
  });

  test("settles more than was held in full", async () => {
    await freshWallet();
    await ledger.guard({ walletId, amount: 10n }, (reservation) => reservation.spend(15n));
    expect(await funds()).toEqual({ available: 85n, reserved: 0n, spent: 15n });
  });

  test("accepts a report of zero", async () => {
    await freshWallet();
    expect(
      await ledger.guard({ walletId, amount: 10n }, (reservation) => {
        reservation.spend(0n);
        return "from the cache";
      }),
    ).toBe("from the cache");
    expect(await events()).toEqual(["reserved", "settled"]);
    expect(await funds()).toEqual({ available: 100n, reserved: 0n, spent: 0n });
  });

  test("settles the full hold when nothing was reported, and fails", async () => {
    await freshWallet();
    const attempt = ledger.guard({ walletId, amount: 10n }, async () => "forgot to report");
    const error = await rejection(NothingReportedError, attempt);
    expect(error).toMatchObject({ amount: 10n, result: "forgot to report" });
    expect(await funds()).toEqual({ available: 90n, reserved: 0n, spent: 10n });
    expect(await lastMetadata()).toEqual({ reason: "unreported" });
  });

  test.each(["async", "sync"])("cancels on a throw before spending (%s)", async (kind) => {
    await freshWallet();
    const attempt = ledger.guard({ walletId, amount: 10n }, () => {
      const error = new Error("provider down");
      if (kind === "sync") throw error;
      return Promise.reject(error);
    });
    await expect(attempt).rejects.toThrow("provider down");
    expect(await events()).toEqual(["reserved", "cancelled"]);
    expect(await funds()).toEqual({ available: 100n, reserved: 0n, spent: 0n });
    expect(await lastMetadata()).toEqual({ reason: "threw", error: "Error" });
  });

  test("settles what was spent before a throw", async () => {
    await freshWallet();
    const attempt = ledger.guard({ walletId, amount: 10n }, async (reservation) => {
      reservation.spend(6n);
      throw new Error("stream broke");
    });
    await expect(attempt).rejects.toThrow("stream broke");
    expect(await events()).toEqual(["reserved", "settled"]);
    expect(await funds()).toEqual({ available: 94n, reserved: 0n, spent: 6n });
  });

  test("does not run the callback without funds", async () => {
    await freshWallet();
    let ran = false;
    const attempt = ledger.guard({ walletId, amount: 101n }, () => {
      ran = true;
    });
    await rejection(InsufficientFundsError, attempt);
    expect(ran).toBe(false);
  });

  test("accepts less with `atLeast`", async () => {
    await freshWallet();
    await ledger.guard({ walletId, amount: 500n, atLeast: 50n }, (reservation) => {
      expect(reservation.amount).toBe(100n);
      reservation.spend(1n);
    });
    expect(await funds()).toEqual({ available: 99n, reserved: 0n, spent: 1n });
  });

  test("does not end what the callback has ended", async () => {
    await freshWallet();
    await ledger.guard({ walletId, amount: 10n }, (reservation) => reservation.settle(2n));
    await ledger.guard({ walletId, amount: 10n }, (reservation) => reservation.cancel());
    expect(await events()).toEqual(["reserved", "settled", "reserved", "cancelled"]);
    expect(await funds()).toEqual({ available: 98n, reserved: 0n, spent: 2n });
  });

  test("waits for an end that the callback did not await", async () => {
    await freshWallet();
    await ledger.guard({ walletId, amount: 10n }, (reservation) => {
      void reservation.settle(2n);
    });
    expect(await events()).toEqual(["reserved", "settled"]);
  });

  test("gives the settlement to repeat when it fails", async () => {
    await freshWallet({ overdraft_limit: 0n });
    const attempt = ledger.guard({ walletId, amount: 10n }, (reservation) => {
      reservation.spend(200n, { model: "large" });
      return "expensive";
    });
    const error = await rejection(NotSettledError, attempt);
    expect(error.cause).toBeInstanceOf(OverdraftLimitError);
    expect(error.outcome).toEqual({ status: "fulfilled", value: "expensive" });
    await database.operator`select * from baseledger.credit(${walletId}, 500, 'more')`;
    expect(await ledger.settle(error)).toMatchObject({ amount: 200n, available: 400n });
    expect(await ledger.settle(error)).toMatchObject({ replayed: true });
    expect(await lastMetadata()).toEqual({ model: "large" });
  });

  test("gives it also when the callback has thrown", async () => {
    await freshWallet({ overdraft_limit: 0n });
    const thrown = new Error("stream broke");
    const attempt = ledger.guard({ walletId, amount: 10n }, (reservation) => {
      reservation.spend(200n);
      throw thrown;
    });
    const error = await rejection(NotSettledError, attempt);
    expect(error.outcome).toEqual({ status: "rejected", reason: thrown });
  });

  test("with the key of an open reservation takes it over and extends it", async () => {
    await freshWallet();
    const again = { walletId, amount: 10n, ttl: 60, idempotencyKey: "job-1" };
    // Of a program that died while its reservation was open.
    await ledger.reserve({ walletId, amount: 10n, ttl: 60, idempotencyKey: "job-1" });
    await ledger.guard(again, (reservation) => reservation.spend(1n));
    expect(await events()).toEqual(["reserved", "extended", "settled"]);
    let ran = false;
    const attempt = ledger.guard(again, () => {
      ran = true;
    });
    await rejection(ReservationEndedError, attempt);
    expect(ran).toBe(false);
  });
});

describe("a call that is cut off before it has reported", () => {
  /** Runs a guard whose stream is cut off after its first chunk. */
  async function cutOff(
    options: Partial<HoldTerms> & { amount?: bigint },
    ran?: (reservation: Reservation) => void,
  ) {
    const reader = new AbortController();
    const { signal } = reader;
    const call = { walletId, amount: 100n, signal, ...options };
    const streaming = ledger.guard(call, async (reservation) => {
      ran?.(reservation);
      reader.abort();
      reservation.signal.throwIfAborted();
    });
    expect(await rejection(DOMException, streaming)).toBe(signal.reason);
  }
  const threw = { reason: "threw", error: "AbortError" };

  test("costs the amount of onThrow", async () => {
    await freshWallet();
    await cutOff({ onThrow: 42n });
    expect(await events()).toEqual(["reserved", "settled"]);
    expect(await funds()).toEqual({ available: 58n, reserved: 0n, spent: 42n });
    expect(await lastMetadata()).toEqual(threw);
  });

  test("costs what the function finds, with its metadata", async () => {
    await freshWallet();
    const seen: unknown[] = [];
    await cutOff({
      onThrow: async (error, { amount, id }) => {
        seen.push((error as Error).name, id);
        return { amount: amount / 2n, metadata: { tokens: 420, reason: "cut by the reader" } };
      },
    });
    expect(seen).toEqual(["AbortError", expect.any(String)]);
    expect(await funds()).toEqual({ available: 50n, reserved: 0n, spent: 50n });
    expect(await lastMetadata()).toEqual({ ...threw, tokens: 420, reason: "cut by the reader" });
  });

  test.each([
    ["declared", 0n],
    ["found", () => 0n],
    ["left out", undefined],
  ])("is cancelled, with the reason on record, where nothing is %s", async (_, onThrow) => {
    await freshWallet();
    await cutOff({ onThrow });
    expect(await events()).toEqual(["reserved", "cancelled"]);
    expect(await lastMetadata()).toEqual(threw);
  });

  test("costs what was reported, and no more, once anything was", async () => {
    await freshWallet();
    const onThrow = () => expect.fail("there was a report");
    await cutOff({ onThrow }, (reservation) => reservation.spend(7n, { part: "prompt" }));
    expect(await funds()).toEqual({ available: 93n, reserved: 0n, spent: 7n });
    expect(await lastMetadata()).toEqual({ part: "prompt" });
    await cutOff({ onThrow, amount: 50n }, (reservation) => reservation.spend(0n));
    expect((await events()).at(-1)).toBe("cancelled");
  });

  test("costs the full hold when the function fails, and rejects with both errors", async () => {
    await freshWallet();
    const bug = new Error("a bug");
    const down = new Error("provider down");
    const onThrow = () => {
      throw bug;
    };
    const attempt = ledger.guard({ walletId, amount: 10n, onThrow }, () => Promise.reject(down));
    expect((await rejection(AggregateError, attempt)).errors).toEqual([down, bug]);
    expect(await funds()).toEqual({ available: 90n, reserved: 0n, spent: 10n });
    const wrong = () => 0.5 as never;
    const second = ledger.guard({ walletId, amount: 10n, onThrow: wrong }, () => expect.fail());
    await rejection(AggregateError, second);
    expect(await funds()).toEqual({ available: 80n, reserved: 0n, spent: 20n });
  });

  test("is left alone when the function has ended it", async () => {
    await freshWallet();
    await cutOff({
      onThrow: async (_, reservation) => {
        await reservation.settle(3n);
        return 4n;
      },
    });
    expect(await events()).toEqual(["reserved", "settled"]);
    expect(await funds()).toEqual({ available: 97n, reserved: 0n, spent: 3n });
  });

  test.each([-1n, 5, "5", null])("is not begun where onThrow is %o", async (onThrow) => {
    await freshWallet();
    const attempt = ledger.hold({ walletId, amount: 10n, onThrow: onThrow as never });
    await expect(attempt).rejects.toThrow(/onThrow/);
    expect(await events()).toEqual([]);
  });

  test.each<[string, unknown, Metadata]>([
    [
      "a code of the system",
      Object.assign(new Error(), { code: "ECONNRESET" }),
      { error: "Error", code: "ECONNRESET" },
    ],
    [
      "a name that is long, or has other characters",
      { name: `sk-${"x".repeat(99)}`, code: "a\0 b" },
      {},
    ],
    ["a number for a code", { name: "APIError", code: 429 }, { error: "APIError" }],
    ["a string", "sk-secret", {}],
    ["nothing", undefined, {}],
  ])("goes on record with name and code, never the message: %s", async (_, error, recorded) => {
    await freshWallet();
    const attempt = ledger.guard({ walletId, amount: 10n }, () => Promise.reject(error));
    await attempt.catch(() => undefined);
    expect(await lastMetadata()).toEqual({ reason: "threw", ...recorded });
  });
});

describe("a handle", () => {
  test("ends once", async () => {
    await freshWallet();
    const reservation = await ledger.hold({ walletId, amount: 10n });
    const settling = reservation.settle(1n);
    const error = await rejection(AlreadyEndedError, reservation.settle(1n));
    expect(error).toMatchObject({ reservationId: reservation.id, end: "settled" });
    await settling;
    expect(() => reservation.spend(1n)).toThrow(AlreadyEndedError);
    await rejection(AlreadyEndedError, reservation.cancel());
    await rejection(AlreadyEndedError, reservation.extend(20n));
    await reservation[Symbol.asyncDispose]();
    expect(await events()).toEqual(["reserved", "settled"]);
    expect(await funds()).toEqual({ available: 99n, reserved: 0n, spent: 1n });
  });

  test("fails after its guard: it has ended", async () => {
    await freshWallet();
    let kept: Reservation | undefined;
    await ledger.guard({ walletId, amount: 10n }, (reservation) => {
      kept = reservation;
      reservation.spend(1n);
    });
    expect(() => kept?.spend(1n)).toThrow(/was settled/);
  });

  test("that could not be settled can be settled again", async () => {
    await freshWallet({ overdraft_limit: 0n });
    const reservation = await ledger.hold({ walletId, amount: 10n });
    await rejection(OverdraftLimitError, reservation.settle(200n));
    await database.operator`select * from baseledger.credit(${walletId}, 500, 'more')`;
    expect(await reservation.settle()).toMatchObject({ amount: 200n });
    expect(await events()).toEqual(["reserved", "credited", "settled"]);
  });

  test("extends to more or less", async () => {
    await freshWallet();
    const reservation = await ledger.hold({ walletId, amount: 10n, ttl: 60 });
    await reservation.extend(30n);
    expect(reservation.amount).toBe(30n);
    expect(await funds()).toEqual({ available: 70n, reserved: 30n, spent: 0n });
    await reservation.extend(20n);
    await rejection(InsufficientFundsError, reservation.extend(101n));
    expect(reservation.amount).toBe(20n);
    await reservation.cancel();
  });

  test("refuses to report an invalid amount", async () => {
    await freshWallet();
    const reservation = await ledger.hold({ walletId, amount: 10n });
    expect(() => reservation.spend(-1n)).toThrow(RangeError);
    expect(() => reservation.spend(0.5 as never)).toThrow(TypeError);
    await reservation.cancel();
  });

  test("settles what was spent at the end of a block", async () => {
    await freshWallet();
    {
      await using reservation = await ledger.hold({ walletId, amount: 10n });
      reservation.spend(3n);
    }
    expect(await events()).toEqual(["reserved", "settled"]);
    expect(await funds()).toEqual({ available: 97n, reserved: 0n, spent: 3n });
  });

  test("cancels at the end of a block if nothing was spent", async () => {
    await freshWallet();
    const work = async () => {
      await using reservation = await ledger.hold({ walletId, amount: 10n });
      throw new Error(`never came to use ${reservation.id}`);
    };
    await expect(work()).rejects.toThrow("never came to use");
    expect(await events()).toEqual(["reserved", "cancelled"]);
    expect(await lastMetadata()).toEqual({ reason: "left" });
  });

  test("books what onThrow says at the end of a block if nothing was reported", async () => {
    await freshWallet();
    const errors: unknown[] = [];
    const onThrow = (error: unknown) => {
      errors.push(error);
      return 6n;
    };
    const work = async () => {
      await using reservation = await ledger.hold({ walletId, amount: 10n, onThrow });
      throw new Error(`never came to report ${reservation.id}`);
    };
    await expect(work()).rejects.toThrow("never came to report");
    expect(errors).toEqual([undefined]);
    expect(await funds()).toEqual({ available: 94n, reserved: 0n, spent: 6n });
    expect(await lastMetadata()).toEqual({ reason: "left" });
    {
      await using reservation = await ledger.hold({ walletId, amount: 10n, onThrow });
      await reservation.cancel({ why: "not needed" });
    }
    expect(await funds()).toEqual({ available: 94n, reserved: 0n, spent: 6n });
    expect(await lastMetadata()).toEqual({ why: "not needed" });
  });
});

describe("a heartbeat", () => {
  test("keeps a reservation alive beyond its time to live", async () => {
    await freshWallet();
    await ledger.guard({ walletId, amount: 10n, ttl: 1 }, async (reservation) => {
      const first = reservation.expiresAt;
      await untilPast(database, new Date(first.getTime() + 500).toISOString());
      expect(reservation.expiresAt.getTime()).toBeGreaterThan(first.getTime() + 500);
      expect(await funds()).toEqual({ available: 90n, reserved: 10n, spent: 0n });
      expect(reservation.signal.aborted).toBe(false);
      reservation.spend(2n);
    });
    const seen = await events();
    expect(seen.filter((event) => event === "extended").length).toBeGreaterThanOrEqual(2);
    expect(seen.at(-1)).toBe("settled");
    expect(seen).not.toContain("expired");
  });

  test("ends with the reservation", async () => {
    await freshWallet();
    const reservation = await ledger.hold({ walletId, amount: 10n, ttl: 1 });
    await reservation.settle(1n);
    await untilPast(database, new Date(Date.now() + 700).toISOString());
    expect(await events()).toEqual(["reserved", "settled"]);
    expect(reservation.signal.aborted).toBe(false);
  });

  test("that is refused aborts the signal: somebody else has ended it", async () => {
    await freshWallet();
    const attempt = ledger.guard({ walletId, amount: 10n, ttl: 1 }, async (reservation) => {
      await ledger.cancel({ walletId, reservationId: reservation.id });
      throw await aborted(reservation.signal);
    });
    expect(await rejection(ReservationEndedError, attempt)).toMatchObject({ status: "cancelled" });
    expect(await events()).toEqual(["reserved", "cancelled"]);
  });

  test("that does not get through before the deadline aborts it, and spending is settled late", async () => {
    await freshWallet();
    const reservation = await ledger.hold({ walletId, amount: 10n, ttl: 1 });
    const letGo = await holdLock(database, walletId);
    const reason = await aborted(reservation.signal);
    expect(reason).toBeInstanceOf(HeartbeatLostError);
    expect(reason).toMatchObject({ reservationId: reservation.id });
    await letGo();
    await reservation.settle(4n);
    const seen = await events();
    expect(seen.at(0)).toBe("reserved");
    expect(seen.at(-1)).toBe("settled");
    expect(await funds()).toEqual({ available: 96n, reserved: 0n, spent: 4n });
  });

  test("that finds it expired aborts it, and there is nothing to cancel", async () => {
    await freshWallet();
    const attempt = ledger.guard({ walletId, amount: 10n, ttl: 2 }, async (reservation) => {
      await travelBack(database, walletId, "3 seconds");
      throw await aborted(reservation.signal);
    });
    await rejection(ReservationExpiredError, attempt);
    expect(await funds()).toEqual({ available: 100n, reserved: 0n, spent: 0n });
  });
});

describe("a wallet whose last event lies ahead of the clock", () => {
  test.each([undefined, 60, "1 minute"])("keeps its holds alive (ttl %s)", async (ttl) => {
    await freshWallet();
    await travelBack(database, walletId, "-26 hours");
    await using reservation = await ledger.hold({ walletId, amount: 10n, ttl });
    await setImmediate();
    await ledger.balance({ walletId });
    expect(reservation.signal.aborted).toBe(false);
    // No heartbeat came early.
    expect(await events()).toEqual(["reserved"]);
  });
});

describe("an AbortSignal", () => {
  test("that is aborted already prevents everything", async () => {
    await freshWallet();
    const signal = AbortSignal.abort(new Error("too late"));
    const attempt = ledger.guard({ walletId, amount: 10n, signal }, () => "never");
    await expect(attempt).rejects.toThrow("too late");
    expect(await events()).toEqual([]);
  });

  test("aborts the callback, and the hold is cancelled", async () => {
    await freshWallet();
    const controller = new AbortController();
    const attempt = ledger.guard(
      { walletId, amount: 10n, signal: controller.signal },
      async (reservation) => {
        queueMicrotask(() => controller.abort(new Error("user left")));
        throw await aborted(reservation.signal);
      },
    );
    await expect(attempt).rejects.toThrow("user left");
    expect(await events()).toEqual(["reserved", "cancelled"]);
  });

  test("does not undo what the callback has done", async () => {
    await freshWallet();
    const controller = new AbortController();
    const { signal } = controller;
    const answer = await ledger.guard({ walletId, amount: 10n, signal }, (reservation) => {
      reservation.spend(5n);
      controller.abort();
      return "in time";
    });
    expect(answer).toBe("in time");
    expect(await funds()).toEqual({ available: 95n, reserved: 0n, spent: 5n });
  });

  test("ends the heartbeats, so that a callback that hangs does not hold funds for long", async () => {
    await freshWallet();
    const controller = new AbortController();
    const { signal } = controller;
    const reservation = await ledger.hold({ walletId, amount: 10n, ttl: 1, signal });
    controller.abort();
    await until("the funds are back", async () => (await funds()).available === 100n);
    expect(await events()).toEqual(["reserved"]);
    await reservation.settle(3n);
    expect(await funds()).toEqual({ available: 97n, reserved: 0n, spent: 3n });
  });

  test("that aborts during the reservation rejects at once, and the hold is cancelled", async () => {
    await freshWallet();
    const letGo = await holdLock(database, walletId);
    const controller = new AbortController();
    const { signal } = controller;
    const attempt = ledger.guard({ walletId, amount: 10n, signal }, () => "never");
    expect(await isSettled(attempt)).toBe(false);
    controller.abort(new Error("user left"));
    await expect(attempt).rejects.toThrow("user left");
    await letGo();
    await until("it is given back", async () => (await events()).length === 2);
    expect(await events()).toEqual(["reserved", "cancelled"]);
    expect(await lastMetadata()).toEqual({ reason: "aborted" });
  });

  test("of many guards keeps no listener", async () => {
    await freshWallet();
    const { signal } = new AbortController();
    const guards = Array.from({ length: 50 }, () =>
      ledger.guard({ walletId, amount: 1n, signal }, (reservation) => reservation.spend(1n)),
    );
    await Promise.all(guards);
    await rejection(
      InsufficientFundsError,
      ledger.guard({ walletId, amount: 51n, signal }, () => "never"),
    );
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect(await funds()).toEqual({ available: 50n, reserved: 0n, spent: 50n });
  });
});
