import { setImmediate } from "node:timers/promises";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createLedger, type Ledger } from "../../src/client/ledger.ts";
import { LedgerClosedError } from "../../src/errors/client.ts";
import {
  IdempotencyKeyReusedError,
  InsufficientFundsError,
  ReservationNotFoundError,
  WalletNotFoundError,
} from "../../src/errors/index.ts";
import * as generated from "../../src/generated/index.ts";
import type { Granted } from "../../src/index.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  createLedger as createTestLedger,
  history,
  holdLock,
  openWallet,
  type TestLedger,
  untilWaiting,
} from "../support/ledger.ts";
import { until } from "../support/until.ts";
import { createNetwork } from "./network.ts";
import { createClient, isSettled, rejection, urlOf } from "./support.ts";

let database: TestLedger;
let ledger: Ledger;
let operator: Ledger;
let wallets = 0;

beforeAll(async () => {
  database = await createTestLedger();
  ledger = createClient(database);
  operator = createLedger(urlOf(database, "operator"));
});
afterAll(async () => {
  await Promise.all([ledger.close(), operator.close()]);
  await checkInvariants(database);
  await database[Symbol.asyncDispose]();
});

function newWallet(funds = 1_000n): Promise<string> {
  return openWallet(database, `ledger-${++wallets}`, funds);
}

/** The events of a wallet as receipts show them. */
async function journal(walletId: string) {
  const lines = await generated.statement(database.operator, { walletId });
  return lines.map(({ actor, metadata, details, ...line }) => ({ walletId, ...line }));
}

/** A receipt as its event in the journal shows it. */
function asEvent(receipt: Granted) {
  const { replayed, refused, detail, ...event } = receipt as unknown as generated.Receipt;
  return event;
}

describe("the methods", () => {
  test("are all functions of the ledger", () => {
    const functions = Object.entries(generated).filter(([, f]) => typeof f === "function");
    expect(functions.length).toBeGreaterThan(15);
    expect(Object.keys(ledger)).toEqual(expect.arrayContaining(functions.map(([name]) => name)));
    expect(Object.keys(ledger.with(database.agent)).sort()).toEqual(
      functions.map(([name]) => name).sort(),
    );
  });

  test("give receipts that equal the journal", async () => {
    const walletId = `ledger-${++wallets}`;
    const other = await newWallet(0n);
    const { operator: o } = { operator };
    const receipts: Granted[] = [
      await o.openWallet({ walletId, overdraftLimit: 100n }),
      await o.credit({ walletId, amount: 1_000n }),
      await o.withdraw({ walletId, amount: 1n }),
    ];
    const held = await ledger.reserve({ walletId, amount: 100n, ttl: "1 minute" });
    receipts.push(
      held,
      await ledger.extend({ walletId, reservationId: held.reservationId, ttl: 90, amount: 50n }),
      await ledger.settle({ walletId, reservationId: held.reservationId, amount: 60n }),
      await o.refund({ walletId, reservationId: held.reservationId, amount: 10n }),
      await ledger.charge({ walletId, amount: 7n, reservationId: "charged" }),
      await ledger.reserve({ walletId, amount: 5n, reservationId: "unused" }),
      await ledger.cancel({ walletId, reservationId: "unused" }),
      await o.transfer({ from: walletId, to: other, amount: 9n }),
      await o.freezeWallet({ walletId, reason: "a test" }),
      await o.unfreezeWallet({ walletId, reason: "over" }),
    );
    expect(receipts.map(asEvent)).toEqual(await journal(walletId));
    expect(held.expiresAt.getTime() - held.occurredAt.getTime()).toBeGreaterThan(59_000);
  });

  test("read as well", async () => {
    const walletId = await newWallet(40n);
    const { asOf, ...now } = await ledger.balance({ walletId });
    expect(now).toMatchObject({ available: 40n, reserved: 0n, spent: 0n, seq: 2n });
    expect(await operator.balanceAt({ walletId, at: asOf })).toMatchObject(now);
    expect(await operator.statement({ walletId })).toHaveLength(2);
    await using auditor = createLedger(urlOf(database, "auditor"));
    expect(await auditor.verify({ walletId })).toEqual([]);
    await using worker = createLedger(urlOf(database, "worker"));
    expect(await worker.expireDue()).toBe(0);
    expect(await worker.nextDue()).toSatisfy((due) => due === null || due instanceof Date);
  });

  test("send batches of the caller's own", async () => {
    const walletId = await newWallet(5n);
    const receipts = await ledger.post({
      walletId,
      commands: [
        { op: "charge", amount: 5n, idempotency_key: "a" },
        { op: "charge", amount: 5n, idempotency_key: "b" },
      ],
    });
    expect(receipts.map(({ event, refused }) => event ?? refused)).toEqual(["charged", "LGNSF"]);
  });

  test("refuse with the classes of the catalogue", async () => {
    const walletId = await newWallet(5n);
    const short = await rejection(InsufficientFundsError, ledger.reserve({ walletId, amount: 6n }));
    expect(short).toMatchObject({ requested: 6n, available: 5n, shortfall: 1n, retryAt: null });
    await rejection(WalletNotFoundError, operator.credit({ walletId: "nowhere", amount: 1n }));
  });
});

describe("an idempotency key", () => {
  test("is made for each call", async () => {
    const walletId = await newWallet();
    const calls = [1, 2].map(() => ledger.charge({ walletId, amount: 1n }));
    const [one, two] = await Promise.all(calls);
    expect(one?.idempotencyKey).toMatch(/^[\w~]{22}$/);
    expect(two?.idempotencyKey).not.toBe(one?.idempotencyKey);
    expect([one?.replayed, two?.replayed]).toEqual([false, false]);
  });

  test("of the caller lets a command be carried out once, in one batch and in the next", async () => {
    const walletId = await newWallet();
    const charge = { walletId, amount: 1n, idempotencyKey: "invoice-1" };
    const [first, second] = await Promise.all([ledger.charge(charge), ledger.charge(charge)]);
    const third = await ledger.charge(charge);
    expect([first, second, third].map((receipt) => receipt?.replayed)).toEqual([false, true, true]);
    expect({ ...third, replayed: false }).toEqual(first);
    expect(await history(database, walletId)).toHaveLength(3);
    const other = ledger.charge({ ...charge, amount: 2n });
    expect(await rejection(IdempotencyKeyReusedError, other)).toMatchObject({
      field: "amount",
      stored: 1n,
      given: 2n,
    });
  });

  test("of null counts as none", async () => {
    const walletId = await newWallet();
    const receipt = await operator.freezeWallet({ walletId, reason: "x", idempotencyKey: null });
    expect(receipt.idempotencyKey).toHaveLength(22);
  });
});

describe("in a transaction of the caller's", () => {
  let sql: postgres.Sql;
  beforeAll(async () => {
    sql = postgres(urlOf(database), { max: 3, onnotice: () => undefined });
    await database.admin.unsafe("create table jobs (name text); grant all on jobs to public");
  });
  afterAll(() => sql.end());

  const jobs = async () => (await database.admin`select name from jobs`).map(({ name }) => name);

  test("a command commits with the caller's row", async () => {
    const walletId = await newWallet();
    const receipt = await sql.begin(async (tx) => {
      await tx`insert into jobs values ('kept')`;
      return ledger.with(tx).reserve({ walletId, amount: 10n });
    });
    expect(await jobs()).toContain("kept");
    expect((await journal(walletId)).at(-1)).toEqual(asEvent(receipt));
  });

  test("and is rolled back with it", async () => {
    const walletId = await newWallet();
    const attempt = sql.begin(async (tx) => {
      await tx`insert into jobs values ('gone')`;
      await ledger.with(tx).reserve({ walletId, amount: 10n });
      throw new Error("changed my mind");
    });
    await expect(attempt).rejects.toThrow("changed my mind");
    expect(await jobs()).not.toContain("gone");
    expect(await history(database, walletId)).toEqual(["opened", "credited"]);
  });

  test("a refusal rolls the caller's row back", async () => {
    const walletId = await newWallet(1n);
    const attempt = sql.begin(async (tx) => {
      await tx`insert into jobs values ('refused')`;
      await ledger.with(tx).charge({ walletId, amount: 10n });
    });
    await rejection(InsufficientFundsError, attempt);
    expect(await jobs()).not.toContain("refused");
  });

  test("that is ended during the call, the hold is lost: its cost is charged", async () => {
    const walletId = await newWallet();
    const cost = { walletId, amount: 4n, idempotencyKey: "call-1-cost" };
    await using session = await database.session("agent");
    await session.sql.unsafe("begin; set local idle_in_transaction_session_timeout = '50ms'");
    await ledger.with(session.sql).reserve({ walletId, amount: 10n, idempotencyKey: "call-1" });
    await until("the server has ended the transaction", async () => {
      const open = await database.admin`select from pg_stat_activity where pid = ${session.pid}`;
      return open.length === 0;
    });
    expect(await history(database, walletId)).toEqual(["opened", "credited"]);
    const settling = ledger.settle({ ...cost, reservationId: "call-1" });
    await rejection(ReservationNotFoundError, settling);
    // The refusal has left the key free.
    expect(await ledger.charge(cost)).toMatchObject({ amount: 4n, replayed: false, spent: 4n });
  });

  test("that locks a wallet for long, the client warns, once, when it is used again", async () => {
    const walletId = await newWallet();
    const warnings: (Error & { code?: string })[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on("warning", note);
    let now = performance.now();
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now);
    try {
      for (const seconds of [4, 6, 6]) {
        await sql.begin(async (tx) => {
          await ledger.with(tx).balance({ walletId });
          now += 60_000;
          const held = await ledger.with(tx).reserve({ walletId, amount: 1n });
          now += seconds * 1000;
          await ledger.with(tx).settle({ walletId, reservationId: held.reservationId, amount: 1n });
        });
      }
      await ledger.with(sql).charge({ walletId, amount: 1n });
    } finally {
      clock.mockRestore();
      await setImmediate();
      process.off("warning", note);
    }
    expect(warnings.map(({ code }) => code)).toEqual(["BASELEDGER_LONG_TRANSACTION"]);
    expect(warnings[0]?.message).toContain("for 6 s");
  });

  test("a client of its own is refused: there is nothing to retry on", async () => {
    await sql.begin((tx) => expect(() => createLedger(tx)).toThrow(/ledger\.with/));
    const reserved = await sql.reserve();
    expect(() => createLedger(reserved)).toThrow(/ledger\.with/);
    reserved.release();
  });
});

describe("closing", () => {
  test("waits for what was accepted, and refuses the rest", async () => {
    const walletId = await newWallet();
    await using session = await database.session("agent");
    const client = createLedger(session.sql);
    const letGo = await holdLock(database, walletId);
    const accepted = [1, 2, 3].map(() => client.charge({ walletId, amount: 1n }));
    const reading = client.balance({ walletId });
    await untilWaiting(database, session);
    const closed = client.close();
    await rejection(LedgerClosedError, client.charge({ walletId, amount: 1n }));
    await rejection(LedgerClosedError, client.balance({ walletId }));
    await rejection(LedgerClosedError, client.hold({ walletId, amount: 1n }));
    expect(await isSettled(closed)).toBe(false);
    await letGo();
    await closed;
    expect(await Promise.all([...accepted, reading].map(isSettled))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(await history(database, walletId)).toHaveLength(2 + 3);
  });

  test("waits for reservations that are open, and lets them end", async () => {
    const walletId = await newWallet();
    const client = createClient(database);
    const reservation = await client.hold({ walletId, amount: 10n });
    const closed = client.close();
    reservation.spend(4n);
    expect(await isSettled(closed)).toBe(false);
    await reservation.settle();
    await closed;
    expect(await history(database, walletId)).toEqual([
      "opened",
      "credited",
      "reserved",
      "settled",
    ]);
  });

  test("closes the connections that it has opened, and no others", async () => {
    const name = "to be closed";
    const url = new URL(urlOf(database));
    url.searchParams.set("application_name", name);
    const connections = async () =>
      (await database.admin`select from pg_stat_activity where application_name = ${name}`).length;
    const walletId = await newWallet();
    {
      await using client = createLedger(url.href);
      await client.balance({ walletId });
      expect(await connections()).toBe(1);
    }
    expect(await connections()).toBe(0);
    const sql = postgres(url.href, { max: 1 });
    const client = createLedger(sql);
    await client.balance({ walletId });
    await client.close();
    await client.close();
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
    await sql.end();
  });
});

test.each([
  [true, 1],
  [false, 3],
])("with prepare: %s, three batches bring their statement %i times", async (prepare, times) => {
  const walletId = await newWallet();
  await using network = await createNetwork(urlOf(database));
  await using client = createLedger(network.through(urlOf(database)), { prepare });
  for (const amount of [1n, 2n, 3n]) await client.charge({ walletId, amount });
  expect(network.questions.split('"baseledger"."post"')).toHaveLength(1 + times);
});

test.each([undefined, "", "  ", null, {}, 5])(
  "without an address, there is no client: %o",
  (target) => {
    // The driver would look for a server on this machine.
    expect(() => createLedger(target as never)).toThrow(/DATABASE_URL/);
  },
);

test.each([{ connections: 0 }, { batchSize: -1 }, { maxPending: Number.NaN }, { retryFor: 0 }])(
  "an option that makes no sense is refused: %o",
  (options) => {
    expect(() => createLedger(urlOf(database), options)).toThrow(RangeError);
  },
);

test("options that are left undefined have their defaults", async () => {
  const walletId = await newWallet();
  await using client = createClient(database, { connections: undefined });
  expect((await client.balance({ walletId })).available).toBe(1_000n);
});
