import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { fromPg } from "../../src/client/drivers.ts";
import { createLedger, type Ledger } from "../../src/client/ledger.ts";
import { UnavailableError } from "../../src/errors/client.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  createLedger as createTestLedger,
  history,
  holdLock,
  loginOf,
  openWallet,
  type TestLedger,
} from "../support/ledger.ts";
import { until } from "../support/until.ts";
import { createClient, isSettled, rejection, untilBlocked, urlOf } from "./support.ts";

let database: TestLedger;
let wallets = 0;
const locks: (() => Promise<void>)[] = [];

beforeAll(async () => {
  database = await createTestLedger();
});
afterEach(async () => {
  for (const letGo of locks.splice(0)) await letGo();
});
afterAll(async () => {
  await checkInvariants(database);
  await database[Symbol.asyncDispose]();
});

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

function newWallets(count: number): Promise<string[]> {
  return Promise.all(numbers(count).map(() => openWallet(database, `locked-${++wallets}`, 1_000n)));
}

/** Locks wallets in another transaction; returns a function for each that unlocks it. */
async function lock(walletIds: readonly string[]): Promise<(() => Promise<void>)[]> {
  const held = await Promise.all(
    walletIds.map(async (walletId) => {
      const letGo = await holdLock(database, walletId);
      let isHeld = true;
      return async () => {
        if (isHeld) await letGo();
        isHeld = false;
      };
    }),
  );
  locks.push(...held);
  return held;
}

const charge = (ledger: Ledger, walletId: string) => ledger.charge({ walletId, amount: 1n });

describe.each([
  [10, 10],
  [5, 5],
  [5, 20],
  [2, 3],
  [1, 2],
])("a client of %i connections, while others have locked %i wallets", (connections, count) => {
  test("serves the wallets that are free, and the others when they are unlocked", async () => {
    const [locked, free] = [await newWallets(count), await newWallets(6)];
    const letGo = await lock(locked);
    await using ledger = createClient(database, { connections });
    const waiting = locked.map((walletId) => charge(ledger, walletId));
    await Promise.all(free.map((walletId) => charge(ledger, walletId)));
    for (const walletId of free) expect(await ledger.balance({ walletId })).toMatchObject({});
    await Promise.all(free.map((walletId) => charge(ledger, walletId)));
    expect(await Promise.all(waiting.map(isSettled))).toEqual(locked.map(() => false));
    // One in the middle: it need not wait for those before it.
    const middle = Math.floor(count / 2);
    await letGo[middle]?.();
    await waiting[middle];
    expect((await Promise.all(waiting.map(isSettled))).filter(Boolean)).toHaveLength(1);
    await Promise.all(letGo.map((release) => release()));
    await Promise.all(waiting);
  });
});

test("single calls to one locked wallet leave room, too", async () => {
  const [locked = "", from = "", to = ""] = await newWallets(3);
  const [letGo] = await lock([locked]);
  await using operator = createLedger(urlOf(database, "operator"), { connections: 4 });
  const crediting = Promise.all(
    numbers(20).map(() => operator.credit({ walletId: locked, amount: 1n })),
  );
  await untilBlocked(database, 1);
  await operator.credit({ walletId: from, amount: 1n });
  await operator.transfer({ from, to, amount: 1n });
  expect(await operator.statement({ walletId: to })).toHaveLength(3);
  await letGo?.();
  await crediting;
  expect(await operator.balance({ walletId: locked })).toMatchObject({ available: 1_020n });
});

test("order within a wallet is kept after lock time-outs", async () => {
  const [one = "", ...others] = await newWallets(5);
  const letGo = await lock([one, ...others]);
  await using ledger = createClient(database, { connections: 2, batchSize: 3 });
  for (const walletId of others) void charge(ledger, walletId);
  const amounts = numbers(20).map((i) => BigInt(i + 1));
  const charging = amounts.map((amount) => ledger.charge({ walletId: one, amount }));
  await untilBlocked(database, 1);
  await Promise.all(letGo.map((release) => release()));
  const receipts = await Promise.all(charging);
  expect(receipts.map(({ seq }) => seq)).toEqual(numbers(20).map((i) => BigInt(i + 3)));
  expect(receipts.map(({ amount }) => amount)).toEqual(amounts);
});

describe("when time is up", () => {
  test("nothing was done, nothing will be, and the error says who holds the wallet", async () => {
    const [walletId = ""] = await newWallets(1);
    const [letGo] = await lock([walletId]);
    await using ledger = createClient(database, { retryFor: 4 });
    const charging = rejection(UnavailableError, charge(ledger, walletId));
    const [holder] = await until("it waits", async () => {
      const rows = await database.admin<{ pid: number }[]>`
        select unnest(pg_blocking_pids(pid)) as pid from pg_stat_activity
          where datname = ${database.name} and application_name = 'baseledger'`;
      return rows.length > 0 && rows;
    });
    const error = await charging;
    expect(error).toMatchObject({ walletId, cause: { code: "55P03" } });
    expect(error.heldBy).toMatchObject([{ pid: holder?.pid, application: "admin" }]);
    expect(error.message).toMatch(/nothing was done.* 4 s.*waited for process \d+ \(user .*admin/);
    await letGo?.();
    await charge(ledger, walletId);
    expect(await history(database, walletId)).toEqual(["opened", "credited", "charged"]);
  });

  test("every method has its answer, whatever is locked", async () => {
    const [walletId = "", to = ""] = await newWallets(2);
    const url = urlOf(database, "operator");
    await using operator = createLedger(url, { retryFor: 3, connections: 3 });
    await operator.balance({ walletId });
    const { sql } = await database.session("admin");
    // As a migration would.
    await sql.unsafe("begin; lock table baseledger.wallets, baseledger.events");
    const amount = 1n;
    const outcomes = await Promise.allSettled([
      operator.balance({ walletId }),
      operator.balanceAt({ walletId, at: new Date() }),
      operator.statement({ walletId }),
      operator.charge({ walletId, amount }),
      operator.credit({ walletId, amount }),
      operator.transfer({ from: walletId, to, amount }),
      operator.freezeWallet({ walletId, reason: "test" }),
    ]);
    await sql.unsafe("rollback");
    await sql.end();
    const names = outcomes.map((outcome) => "reason" in outcome && outcome.reason.name);
    expect(names).toEqual(outcomes.map(() => "UnavailableError"));
    expect(await history(database, walletId)).toEqual(["opened", "credited"]);
  });
});

describe("time-outs of the role", () => {
  beforeAll(() => limit("set statement_timeout = '300ms'", "set lock_timeout = '200ms'"));
  afterAll(() => limit("reset all"));

  async function limit(...changes: string[]): Promise<void> {
    for (const change of changes) {
      const role = `${loginOf("agent")} in database ${database.name}`;
      await database.admin.unsafe(`alter role ${role} ${change}`);
    }
  }

  test.each(["postgres", "pg"] as const)(
    "(%s): a guard settles when the wallet is free",
    async (driver) => {
      const [wallet = ""] = await newWallets(1);
      const pool = new pg.Pool({ connectionString: urlOf(database), max: 4 });
      await using ledger = createLedger(driver === "pg" ? fromPg(pool) : urlOf(database));
      const reserved = Promise.withResolvers<void>();
      const guarding = ledger.guard({ walletId: wallet, amount: 10n }, async (reservation) => {
        const [letGo] = await lock([wallet]);
        reserved.resolve();
        setTimeout(() => void letGo?.(), 1_500);
        reservation.spend(3n);
      });
      await reserved.promise;
      const reserving = ledger.reserve({ walletId: wallet, amount: 5n });
      await guarding;
      expect(await reserving).toMatchObject({ event: "reserved", amount: 5n });
      expect(await ledger.balance({ walletId: wallet })).toMatchObject({ spent: 3n, reserved: 5n });
      await ledger.close();
      await pool.end();
    },
  );

  test("the error has the cause", async () => {
    const [walletId = ""] = await newWallets(1);
    await lock([walletId]);
    await using ledger = createClient(database, { retryFor: 2 });
    const error = await rejection(UnavailableError, charge(ledger, walletId));
    expect(error.cause).toMatchObject({ code: expect.stringMatching(/^(57014|55P03)$/) });
    expect(await history(database, walletId)).toEqual(["opened", "credited"]);
  });
});
