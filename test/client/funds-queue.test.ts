import { getEventListeners } from "node:events";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createFundsQueue, type FundsQueue } from "../../src/client/funds-queue.ts";
import { createLedger, type Ledger } from "../../src/client/ledger.ts";
import type { Held } from "../../src/client/receipts.ts";
import { LedgerClosedError, QueueFullError } from "../../src/errors/client.ts";
import {
  InsufficientFundsError,
  LimitReachedError,
  WalletFrozenError,
} from "../../src/errors/index.ts";
import type { Queryable } from "../../src/wire/call.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  balance,
  createLedger as createTestLedger,
  history,
  openWallet,
  type TestLedger,
} from "../support/ledger.ts";
import { until } from "../support/until.ts";
import { createClient, isSettled, rejection } from "./support.ts";

let database: TestLedger;
let ledger: Ledger;
let others: Ledger;
let tries = 0;
let walletId: string;
let wallets = 0;

/** A pool that counts the answers to requests for a reservation. */
function counting(sql: Queryable): Queryable {
  return {
    unsafe(query, parameters, options) {
      const sent = sql.unsafe(query, parameters, options);
      return {
        async raw() {
          const rows = await sent.raw();
          tries += parameters[1]?.match(/"op":"reserve"/g)?.length ?? 0;
          return rows;
        },
      };
    },
  };
}

beforeAll(async () => {
  database = await createTestLedger();
  ledger = createLedger(counting(database.connect("agent", 4)));
  others = createClient(database);
});
afterAll(async () => {
  await Promise.all([ledger.close(), others.close()]);
  await checkInvariants(database);
  await database[Symbol.asyncDispose]();
});
beforeEach(async () => {
  walletId = await openWallet(database, `waiting-${++wallets}`, 100n);
  tries = 0;
});

const available = async () => (await balance(database.agent, walletId)).available;
/** Waits until a request was refused, so that it waits. */
const untilTried = (count = 1) => until("it was tried", () => tries >= count);

describe("a request that may wait", () => {
  test("gets the funds that other requests of this client return", async () => {
    let running = 0;
    let most = 0;
    const order: number[] = [];
    const guards = Array.from({ length: 20 }, (_, i) =>
      ledger.guard({ walletId, amount: 25n, wait: 60 }, async (reservation) => {
        order.push(i);
        most = Math.max(most, ++running);
        await until("the others wait", () => tries >= 20);
        running -= 1;
        reservation.spend(3n);
      }),
    );
    await Promise.all(guards);
    expect(most).toBe(4);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(await available()).toBe(40n);
    expect(new Set(await history(database, walletId))).not.toContain("cancelled");
  });

  test("is tried when the funds may be there, not all the time", async () => {
    const first = await ledger.hold({ walletId, amount: 100n });
    const waiting = Array.from({ length: 50 }, () =>
      ledger.guard({ walletId, amount: 2n, wait: 60 }, (reservation) => reservation.spend(2n)),
    );
    await untilTried(51);
    const asked = tries;
    await first.cancel();
    await Promise.all(waiting);
    // Each is tried once more, and the first of them a few times meanwhile.
    expect(tries - asked).toBeLessThan(60);
    expect(await available()).toBe(0n);
  });

  test("gets what other clients return", async () => {
    const held = await others.hold({ walletId, amount: 90n });
    const waiting = ledger.reserve({ walletId, amount: 50n, wait: 60 });
    await untilTried();
    await held.cancel();
    expect(await waiting).toMatchObject({ event: "reserved", amount: 50n, replayed: false });
  });

  test("gets what a program that died held, once that expires", async () => {
    await others.reserve({ walletId, amount: 90n, ttl: 1 });
    expect(await ledger.reserve({ walletId, amount: 50n, wait: 60 })).toMatchObject({
      amount: 50n,
    });
    expect(await history(database, walletId)).toContain("expired");
  });

  test("is sent with one key, and carried out once", async () => {
    const held = await others.hold({ walletId, amount: 90n });
    const asked = { walletId, amount: 50n, idempotencyKey: "job-1", wait: 60 };
    const waiting = Promise.all([ledger.reserve(asked), ledger.reserve(asked)]);
    await untilTried(2);
    await held.cancel();
    const receipts = await waiting;
    expect(receipts.map(({ replayed }) => replayed).sort()).toEqual([false, true]);
    expect(receipts.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["job-1", "job-1"]);
    expect(await available()).toBe(50n);
  });

  test("accepts less with `atLeast`", async () => {
    const held = await ledger.hold({ walletId, amount: 90n });
    const waiting = ledger.hold({ walletId, amount: 500n, atLeast: 60n, wait: 60 });
    await untilTried(2);
    await held.settle(30n);
    expect((await waiting).amount).toBe(70n);
    await (await waiting).cancel();
  });
});

describe("requests that wait", () => {
  test("are served in their order", async () => {
    const held = await ledger.hold({ walletId, amount: 100n });
    const order: string[] = [];
    const ask = async (name: string, amount: bigint) => {
      await ledger.reserve({ walletId, amount, wait: 60 });
      order.push(name);
    };
    const asking = [ask("a", 40n), ask("b", 30n), ask("c", 30n)];
    await untilTried(4);
    asking.push(ask("late", 30n));
    await held.settle(0n);
    await Promise.all(asking.slice(0, 3));
    expect(order).toEqual(["a", "b", "c"]);
    expect(await isSettled(Promise.all(asking))).toBe(false);
    await others.cancel({ walletId, reservationId: await anyReservation() });
    await Promise.all(asking);
  });

  test("do not wait for one that requests more than there is", async () => {
    const held = await ledger.hold({ walletId, amount: 60n });
    const large = ledger.reserve({ walletId, amount: 90n, wait: 60 });
    await untilTried(2);
    const small = await ledger.reserve({ walletId, amount: 30n, wait: 60 });
    expect(small.available).toBe(10n);
    expect(await isSettled(large)).toBe(false);
    await held.cancel();
    expect(await isSettled(large)).toBe(false);
    await ledger.cancel({ walletId, reservationId: small.reservationId });
    expect(await large).toMatchObject({ amount: 90n });
  });

  test("fail when their time is up, with the refusal of the ledger", async () => {
    await others.reserve({ walletId, amount: 90n });
    const attempts = [0.01, 0.2].map((wait) => ledger.reserve({ walletId, amount: 50n, wait }));
    for (const attempt of attempts) {
      const error = await rejection(InsufficientFundsError, attempt);
      expect(error).toMatchObject({ reason: "held", available: 10n, requested: 50n });
    }
    expect(tries).toBeGreaterThanOrEqual(4);
  });

  test("stop waiting when only a credit helps", async () => {
    const held = await ledger.hold({ walletId, amount: 90n });
    const waiting = Array.from({ length: 5 }, () =>
      rejection(InsufficientFundsError, ledger.reserve({ walletId, amount: 50n, wait: 60 })),
    );
    await untilTried(6);
    await held.settle(60n);
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ reason: "exhausted", available: 40n });
    }
  });

  test("stop waiting when the wallet is frozen", async () => {
    await others.reserve({ walletId, amount: 90n });
    const waiting = Array.from({ length: 5 }, () =>
      rejection(WalletFrozenError, ledger.reserve({ walletId, amount: 50n, wait: 60 })),
    );
    await untilTried(5);
    await database.operator`select * from baseledger.freeze_wallet(${walletId}, 'runaway')`;
    await Promise.all(waiting);
  });

  test("fail at once when their signal aborts, and hold nothing", async () => {
    const held = await ledger.hold({ walletId, amount: 90n });
    const controller = new AbortController();
    const { signal } = controller;
    const attempts = [1, 2].map(() =>
      ledger.guard({ walletId, amount: 50n, wait: 60, signal }, () => "never"),
    );
    await untilTried(3);
    controller.abort(new Error("user left"));
    for (const attempt of attempts) await expect(attempt).rejects.toThrow("user left");
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await held.cancel();
    await until("nothing is held", async () => (await available()) === 100n);
    expect(await available()).toBe(100n);
  });

  test("fail when the client closes", async () => {
    const client = createLedger(counting(database.connect("agent", 1)));
    await others.reserve({ walletId, amount: 90n });
    const options = { walletId, amount: 50n, wait: 60 };
    const waiting = [client.reserve(options), client.hold(options)];
    const refused = waiting.map((attempt) => rejection(LedgerClosedError, attempt));
    await untilTried(2);
    await client.close();
    await Promise.all(refused);
    await rejection(LedgerClosedError, client.reserve(options));
  });

  test("are no more than may be pending", async () => {
    const client = createLedger(counting(database.connect("agent", 1)), { maxPending: 2 });
    await others.reserve({ walletId, amount: 90n });
    const options = { walletId, amount: 50n, wait: 60 };
    const waiting = [client.reserve(options), client.reserve(options)];
    await untilTried(2);
    await rejection(QueueFullError, client.reserve(options));
    const ended = waiting.map((attempt) => rejection(LedgerClosedError, attempt));
    await client.close();
    await Promise.all(ended);
  });
});

describe("the timing", () => {
  const asked = { walletId: "w", amount: 50n, idempotencyKey: "k", wait: 60 };
  const held = (retryAt: Date | null) => {
    const detail = { reason: "held", available: 10, retry_at: retryAt?.toISOString() ?? null };
    return new InsufficientFundsError("LGNSF", { message: "held", detail });
  };
  let requests: number[];
  let refusal: InsufficientFundsError | undefined;
  let queue: FundsQueue;

  beforeEach(() => {
    vi.useFakeTimers({ now: Date.parse("2026-03-01T12:00:00Z") });
    requests = [];
    refusal = held(new Date("2026-03-01T12:00:40Z"));
    queue = createFundsQueue(async ({ walletId, amount }) => {
      requests.push(Date.now() - Date.parse("2026-03-01T12:00:00Z"));
      if (!refusal) return { walletId, amount } as Held;
      queue.observe(walletId, refusal.available);
      throw refusal;
    }, 10);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("tries at once after an answer that shows enough funds", async () => {
    const waiting = queue.reserve(asked, asked);
    await vi.advanceTimersByTimeAsync(0);
    queue.observe("w", 49n);
    queue.observe("x", 500n);
    expect(requests).toHaveLength(1);
    refusal = undefined;
    queue.observe("w", 50n);
    expect(requests).toHaveLength(2);
    expect(await waiting).toMatchObject({ amount: 50n });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("without answers tries the first request: soon at first, then twice a second, and at the end", async () => {
    const waiting = Array.from({ length: 10 }, () => queue.reserve(asked, { wait: 10 }));
    const refused = Promise.allSettled(waiting);
    await vi.advanceTimersByTimeAsync(300);
    expect(requests.length).toBeGreaterThanOrEqual(1 + 3);
    await vi.advanceTimersByTimeAsync(9_600);
    expect(requests.length).toBeLessThanOrEqual(1 + 9 + 40);
    expect(requests.length).toBeGreaterThanOrEqual(1 + 3 + 18);
    await vi.advanceTimersByTimeAsync(100);
    expect((await refused).map(({ status }) => status)).toEqual(Array(10).fill("rejected"));
    expect(vi.getTimerCount()).toBe(0);
  });

  test("tries when the next hold expires, unless clocks differ widely", async () => {
    refusal = held(new Date("2026-03-01T11:59:00Z"));
    void queue.reserve(asked, asked);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(requests.length).toBeLessThanOrEqual(1 + 5 + 80);
    const before = requests.length;
    refusal = held(new Date(Date.now() + 1_000));
    await vi.advanceTimersByTimeAsync(1_600);
    expect(requests.slice(before).some((at) => at >= 21_000 && at <= 21_010)).toBe(true);
    refusal = undefined;
    await vi.advanceTimersByTimeAsync(600);
  });

  describe("of limits", () => {
    const reached = (user: string, fields: object) => {
      const limit = { limit_id: "day", values: [user], of: "amount", amount: 100, used: 100 };
      return new LimitReachedError("LGLIM", { message: "", detail: { ...limit, ...fields } });
    };
    const ask = (user: string, wait = 60) =>
      queue.reserve({ ...asked, metadata: { user } }, { wait });
    let refusals: Record<string, LimitReachedError | undefined>;
    let sent: string[];

    beforeEach(() => {
      sent = [];
      queue = createFundsQueue(async ({ walletId, metadata }) => {
        const { user } = metadata as { user: string };
        sent.push(user);
        const refused = refusals[user];
        if (refused) throw refused;
        return { walletId } as Held;
      }, 100);
    });

    test("waits for the next window, and asks no sooner", async () => {
      const resets = (resetsAt: string) => ({ reason: "exhausted", resets_at: resetsAt });
      refusals = { ann: reached("ann", resets("2026-03-01T12:00:30Z")) };
      const waiting = [ask("ann"), ask("ann")];
      await vi.advanceTimersByTimeAsync(29_900);
      expect(sent).toHaveLength(2);
      refusals = {};
      await vi.advanceTimersByTimeAsync(1_000);
      await Promise.all(waiting);
      expect(sent).toHaveLength(4);
      expect(vi.getTimerCount()).toBe(0);
    });

    test("does not wait for a window that begins too late", async () => {
      const late = { reason: "exhausted", resets_at: "2026-03-01T12:01:01Z" };
      refusals = { ann: reached("ann", late) };
      await rejection(LimitReachedError, ask("ann"));
      expect(sent).toHaveLength(1);
    });

    test("tries the first of each combination after an end, few at a time", async () => {
      const users = Array.from({ length: 25 }, (_, i) => `user-${i}`);
      const held = { reason: "held", used: 90, held: 90 };
      refusals = Object.fromEntries(users.map((user) => [user, reached(user, held)]));
      const waiting = users.flatMap((user) => [ask(user), ask(user)]);
      const settled = Promise.allSettled(waiting);
      await vi.advanceTimersByTimeAsync(0);
      sent = [];
      for (const most of [10, 20, 25]) {
        queue.noteEnd("w");
        expect(new Set(sent).size).toBe(most);
        await vi.advanceTimersByTimeAsync(0);
      }
      expect(sent.length).toBeLessThanOrEqual(30);
      refusals = {};
      await vi.advanceTimersByTimeAsync(1_000);
      expect((await settled).every(({ status }) => status === "fulfilled")).toBe(true);
      expect(vi.getTimerCount()).toBe(0);
    });
  });

  test("does not repeat endlessly after a refusal that contradicts itself", async () => {
    const waiting = queue.reserve({ ...asked, amount: 5n }, { wait: 1 });
    const refused = rejection(InsufficientFundsError, waiting);
    await vi.advanceTimersByTimeAsync(1_000);
    await refused;
    expect(requests.length).toBeLessThan(12);
  });
});

test.each([-1, Number.NaN, "soon"])("an invalid time to wait is refused: %o", async (wait) => {
  const attempt = ledger.hold({ walletId, amount: 1n, wait: wait as number });
  await expect(attempt).rejects.toThrow(RangeError);
  expect(tries).toBe(0);
});

async function anyReservation(): Promise<string> {
  const [row] = await database.auditor<{ id: string }[]>`
    select reservation_id as id from baseledger.open_reservations where wallet_id = ${walletId}`;
  return row?.id ?? "";
}
