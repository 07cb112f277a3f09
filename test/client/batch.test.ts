import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLedger } from "../../src/client/ledger.ts";
import { QueueFullError } from "../../src/errors/client.ts";
import { InsufficientFundsError, ReservationNotFoundError } from "../../src/errors/index.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  createLedger as createTestLedger,
  history,
  holdLock,
  openWallet,
  type TestLedger,
  untilCrowd,
} from "../support/ledger.ts";
import {
  countPosts,
  createClient,
  eventsByTransaction,
  isSettled,
  rejection,
  untilBlocked,
  urlOf,
} from "./support.ts";

let database: TestLedger;
let wallets = 0;

beforeAll(async () => {
  database = await createTestLedger();
});
afterAll(async () => {
  await checkInvariants(database);
  await database[Symbol.asyncDispose]();
});

function newWallet(funds = 1_000_000n): Promise<string> {
  return openWallet(database, `batch-${++wallets}`, funds);
}

/** A pool whose sessions tests can see waiting, and that counts batches. */
function connect(max: number) {
  return countPosts(database.connect("agent", max));
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

describe("commands that come while a batch is being sent", () => {
  test("go together in the next one", async () => {
    const walletId = await newWallet();
    const pool = connect(2);
    await using ledger = createLedger(pool.sql);
    const letGo = await holdLock(database, walletId);
    const first = ledger.reserve({ walletId, amount: 1n });
    await untilCrowd(database, "agent", 1);
    const others = numbers(50).map(() => ledger.charge({ walletId, amount: 1n }));
    await letGo();
    await Promise.all([first, ...others]);
    expect(pool.posts).toBe(2);
    expect(await eventsByTransaction(database, walletId)).toEqual([1, 50]);
  });

  test("are divided at the batch size", async () => {
    const walletId = await newWallet();
    const pool = connect(2);
    await using ledger = createLedger(pool.sql, { batchSize: 20 });
    await Promise.all(numbers(50).map(() => ledger.charge({ walletId, amount: 1n })));
    expect(await eventsByTransaction(database, walletId)).toEqual([20, 20, 10]);
  });

  test("are divided where a batch would be too long", async () => {
    const walletId = await newWallet();
    await using ledger = createClient(database);
    const metadata = { note: "x".repeat(16_000) };
    await Promise.all(numbers(200).map(() => ledger.charge({ walletId, amount: 1n, metadata })));
    expect(await eventsByTransaction(database, walletId)).toEqual([62, 62, 62, 14]);
  });

  test("are divided in two when there are many, so that client and server work at once", async () => {
    const walletId = await newWallet();
    const pool = connect(2);
    await using ledger = createLedger(pool.sql, { batchSize: 500 });
    await Promise.all(numbers(400).map(() => ledger.charge({ walletId, amount: 1n })));
    expect(await eventsByTransaction(database, walletId)).toEqual([200, 200]);
  });

  test("settle only after their batch is committed", async () => {
    const walletId = await newWallet();
    await using ledger = createLedger(connect(2).sql);
    const letGo = await holdLock(database, walletId);
    const commands = numbers(5).map(() => ledger.charge({ walletId, amount: 1n }));
    await untilCrowd(database, "agent", 1);
    expect(await Promise.all(commands.map(isSettled))).toEqual(commands.map(() => false));
    await letGo();
    const seqs = (await Promise.all(commands)).map(({ seq }) => seq);
    const rows = await database.auditor`
      select seq from baseledger.journal where wallet_id = ${walletId} and event = 'charged'
      order by seq`;
    expect(rows.map(({ seq }) => seq)).toEqual(seqs);
  });
});

test("a single command is sent at once, and commands of one turn are sent together", async () => {
  const walletId = await newWallet();
  const pool = connect(2);
  await using ledger = createLedger(pool.sql);
  await ledger.charge({ walletId, amount: 1n });
  expect(pool.posts).toBe(1);
  await Promise.all(numbers(7).map(() => ledger.charge({ walletId, amount: 1n })));
  expect(pool.posts).toBe(2);
});

describe("order", () => {
  test("is kept in a wallet, across batches", async () => {
    const walletId = await newWallet();
    await using ledger = createClient(database, { batchSize: 7 });
    const receipts = await Promise.all(
      numbers(200).map((i) => ledger.charge({ walletId, amount: BigInt(i + 1) })),
    );
    expect(receipts.map(({ seq }) => seq)).toEqual(numbers(200).map((i) => BigInt(i + 3)));
    expect(receipts.map(({ amount }) => amount)).toEqual(numbers(200).map((i) => BigInt(i + 1)));
  });

  test("lets a caller send more without waiting", async () => {
    const walletId = await newWallet(10n);
    await using ledger = createClient(database, { batchSize: 1 });
    const reservationId = "impatient";
    await Promise.all([
      ledger.reserve({ walletId, amount: 10n, reservationId }),
      ledger.extend({ walletId, reservationId, ttl: 60, amount: 5n }),
      ledger.charge({ walletId, amount: 5n }),
      ledger.settle({ walletId, reservationId, amount: 2n, final: false }),
      ledger.settle({ walletId, reservationId, amount: 1n }),
      ledger.reserve({ walletId, amount: 2n, reservationId: "other" }),
      ledger.cancel({ walletId, reservationId: "other" }),
    ]);
    expect((await history(database, walletId)).slice(2)).toEqual([
      "reserved",
      "extended",
      "charged",
      "settled",
      "settled",
      "reserved",
      "cancelled",
    ]);
  });
});

describe("a refused command", () => {
  test("leaves its neighbours alone", async () => {
    const walletId = await newWallet(10n);
    const pool = connect(1);
    await using ledger = createLedger(pool.sql);
    const outcomes = await Promise.allSettled([
      ledger.reserve({ walletId, amount: 6n }),
      ledger.reserve({ walletId, amount: 5n }),
      ledger.settle({ walletId, reservationId: "nowhere", amount: 1n }),
      ledger.charge({ walletId, amount: 4n }),
    ]);
    expect(pool.posts).toBe(1);
    expect(outcomes.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "rejected",
      "fulfilled",
    ]);
    const [, short, unknown] = outcomes as PromiseRejectedResult[];
    expect(short?.reason).toBeInstanceOf(InsufficientFundsError);
    expect(short?.reason).toMatchObject({ code: "LGNSF", requested: 5n, available: 4n });
    expect(unknown?.reason).toBeInstanceOf(ReservationNotFoundError);
  });

  test("that cannot be sent at all is refused before it joins a batch", async () => {
    const walletId = await newWallet(10n);
    const pool = connect(1);
    await using ledger = createLedger(pool.sql);
    const outcomes = await Promise.allSettled([
      ledger.charge({ walletId, amount: 1 as never }),
      ledger.charge({ walletId, amount: 1n, idempotencyKey: "nul \0" }),
      ledger.charge({ walletId, amount: 1n, metadata: { text: "\ud800" } }),
      ledger.charge({ walletId, amount: 2n ** 63n }),
      ledger.charge({ walletId, amount: 1n }),
    ]);
    const reasons = outcomes.map((outcome) => "reason" in outcome && outcome.reason.field);
    expect(reasons).toEqual(["amount", "idempotency_key", "metadata", "amount", false]);
    expect(await eventsByTransaction(database, walletId)).toEqual([1]);
  });

  test("that the server cannot parse fails alone", async () => {
    const walletId = await newWallet(10n);
    await using ledger = createClient(database);
    const endless = 10n ** 140_000n;
    const outcomes = await Promise.allSettled([
      ledger.charge({ walletId, amount: 1n }),
      ledger.charge({ walletId, amount: 1n, metadata: { endless } }),
      ledger.charge({ walletId, amount: 1n }),
    ]);
    const seen = outcomes.map((outcome) => ("reason" in outcome ? outcome.reason.code : "done"));
    expect(seen).toEqual(["done", "22003", "done"]);
  });

  test("that concerns the batch fails each of its commands", async () => {
    await using ledger = createClient(database);
    const outcomes = await Promise.allSettled(
      numbers(3).map(() => ledger.charge({ walletId: "nowhere", amount: 1n })),
    );
    const codes = outcomes.map((outcome) => "reason" in outcome && outcome.reason.code);
    expect(codes).toEqual(["LGWNF", "LGWNF", "LGWNF"]);
  });
});

describe("several wallets", () => {
  test("are served in parallel, over a bounded number of connections", async () => {
    const walletIds = await Promise.all(numbers(6).map(() => newWallet()));
    const pool = connect(3);
    await using ledger = createLedger(pool.sql);
    const locks = await Promise.all(walletIds.map((id) => holdLock(database, id)));
    const commands = walletIds.flatMap((walletId) =>
      numbers(4).map(() => ledger.charge({ walletId, amount: 1n })),
    );
    await untilCrowd(database, "agent", 3);
    expect(pool.posts).toBe(3);
    await Promise.all(locks.map((letGo) => letGo()));
    await Promise.all(commands);
    expect(pool.posts).toBe(6);
  });

  test("do not wait for one that is locked", async () => {
    const [locked, free] = await Promise.all([newWallet(), newWallet()]);
    await using ledger = createLedger(connect(2).sql);
    const letGo = await holdLock(database, locked);
    const held = ledger.charge({ walletId: locked, amount: 1n });
    await untilCrowd(database, "agent", 1);
    for (const _ of numbers(5)) await ledger.charge({ walletId: free, amount: 1n });
    expect(await isSettled(held)).toBe(false);
    await letGo();
    await held;
  });
});

test("a batch does not queue behind a call that waits on its connection", async () => {
  const [one, two, free] = await Promise.all([newWallet(), newWallet(), newWallet()]);
  await using operator = createLedger(urlOf(database, "operator"), { connections: 2 });
  // The driver would pipeline prepared statements.
  await Promise.all([one, two].map((walletId) => operator.credit({ walletId, amount: 1n })));
  const locks = await Promise.all([one, two].map((id) => holdLock(database, id)));
  const crediting = [one, two].map((walletId) => operator.credit({ walletId, amount: 1n }));
  await untilBlocked(database, 2);
  const charging = operator.charge({ walletId: free, amount: 1n });
  await locks[1]?.();
  await charging;
  expect(await Promise.all(crediting.map(isSettled))).toEqual([false, true]);
  await locks[0]?.();
  await Promise.all(crediting);
});

describe("back-pressure", () => {
  test("refuses more than may be pending, sends none of it, and accepts more when there is room", async () => {
    const walletId = await newWallet();
    await using ledger = createLedger(connect(1).sql, { maxPending: 10 });
    const letGo = await holdLock(database, walletId);
    const accepted = numbers(10).map(() => ledger.charge({ walletId, amount: 1n }));
    const error = await rejection(QueueFullError, ledger.charge({ walletId, amount: 1n }));
    expect(error.limit).toBe(10);
    await letGo();
    await Promise.all(accepted);
    await ledger.charge({ walletId, amount: 1n });
    expect(await history(database, walletId)).toHaveLength(2 + 11);
  });

  test("does not keep a reservation from being settled", async () => {
    const [walletId, locked] = await Promise.all([newWallet(), newWallet()]);
    await using ledger = createLedger(connect(2).sql, { maxPending: 2 });
    const reservation = await ledger.hold({ walletId, amount: 5n });
    const letGo = await holdLock(database, locked);
    const waiting = numbers(2).map(() => ledger.charge({ walletId: locked, amount: 1n }));
    await rejection(QueueFullError, ledger.charge({ walletId, amount: 1n }));
    expect(await reservation.settle(3n)).toMatchObject({ event: "settled", amount: 3n });
    await letGo();
    await Promise.all(waiting);
  });
});
