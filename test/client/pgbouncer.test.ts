import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLedger, type Ledger } from "../../src/client/ledger.ts";
import { PreparedStatementLostError } from "../../src/errors/client.ts";
import { InsufficientFundsError } from "../../src/errors/index.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  createLedger as createTestLedger,
  openWallet,
  type TestLedger,
} from "../support/ledger.ts";
import { type Pooler, skipped, startPooler } from "../support/pooler.ts";
import { until } from "../support/until.ts";
import { compare, startLoad } from "./load.ts";
import { rejection, urlOf } from "./support.ts";

describe.skipIf(skipped)(`behind PgBouncer in transaction mode${skipped}`, () => {
  let database: TestLedger;
  let pooler: Pooler;
  let ledger: Ledger;
  beforeAll(async () => {
    database = await createTestLedger();
    pooler = await startPooler(urlOf(database));
    ledger = createLedger(pooler.url, { prepare: false });
  });
  afterAll(async () => {
    await ledger.close();
    await checkInvariants(database);
    await pooler[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  test("commands travel in batches, refusals have their detail", async () => {
    const walletId = await openWallet(database, "pooled", 100n);
    const charging = Array.from({ length: 50 }, () => ledger.charge({ walletId, amount: 1n }));
    expect((await Promise.all(charging)).at(-1)?.available).toBe(50n);
    const short = ledger.reserve({ walletId, amount: 51n });
    expect(await rejection(InsufficientFundsError, short)).toMatchObject({ shortfall: 1n });
  });

  test("guard and transactions of the caller's work", async () => {
    const walletId = await openWallet(database, "guarded", 100n);
    await ledger.guard({ walletId, amount: 10n, ttl: 60 }, (reservation) => reservation.spend(4n));
    const sql = postgres(pooler.url, { max: 1, prepare: false, fetch_types: false });
    await sql.begin((tx) => ledger.with(tx).charge({ walletId, amount: 1n }));
    await sql.end();
    expect(await ledger.balance({ walletId })).toMatchObject({ available: 95n, spent: 5n });
  });

  test("which does not keep prepared statements, a client stops preparing", async () => {
    const walletIds = ["plain-a", "plain-b", "plain-c"];
    for (const walletId of walletIds) await openWallet(database, walletId, 10n ** 9n);
    const warnings: (string | undefined)[] = [];
    const note = (warning: Error & { code?: string }) => warnings.push(warning.code);
    process.on("warning", note);
    const plain = createLedger(pooler.url);
    // Enough callers for batches of each wallet's own, which take several sessions at once.
    const load = startLoad(plain, walletIds, 120);
    await until("callers are answered", () => load.receipts.size > 8_000);
    await load.stop();
    expect(load.errors).toEqual([]);
    // If it did not stop: one for each batch that gets another session.
    expect(await prepared()).toBeLessThan(50);
    for (const walletId of walletIds) {
      expect(await plain.balance({ walletId })).toMatchObject({ walletId });
    }
    await plain.close();
    process.off("warning", note);
    expect(warnings.filter((code) => code === "BASELEDGER_UNPREPARED")).toHaveLength(1);
  });

  // Otherwise the driver would report a commit of what was rolled back.
  test("which does not keep them, a transaction of a pool that prepares fails", async () => {
    const walletId = await openWallet(database, "transactions", 100n);
    await using plain = createLedger(pooler.url);
    const sql = postgres(pooler.url, { max: 4, fetch_types: false });
    const transact = () => sql.begin((tx) => plain.with(tx).charge({ walletId, amount: 1n }));
    const outcomes: PromiseSettledResult<unknown>[] = [];
    for (let round = 0; round < 10; round++) {
      outcomes.push(...(await Promise.allSettled([1, 2, 3, 4].map(transact))));
    }
    await sql.end();
    const done = outcomes.filter(({ status }) => status === "fulfilled").length;
    const reasons = outcomes.flatMap((outcome) => ("reason" in outcome ? [outcome.reason] : []));
    expect(await plain.balance({ walletId })).toMatchObject({ spent: BigInt(done) });
    expect(reasons.length).toBeGreaterThan(0);
    for (const reason of reasons) expect(reason).toBeInstanceOf(PreparedStatementLostError);
  });

  test("which does not keep them, a transaction of a pool that does not prepare works", async () => {
    const walletId = await openWallet(database, "unprepared", 100n);
    await using plain = createLedger(pooler.url);
    const sql = postgres(pooler.url, { max: 4, prepare: false, fetch_types: false });
    const transact = () => sql.begin((tx) => plain.with(tx).charge({ walletId, amount: 1n }));
    for (let round = 0; round < 5; round++) await Promise.all([1, 2, 3, 4].map(transact));
    await sql.end();
    expect(await plain.balance({ walletId })).toMatchObject({ available: 80n, spent: 20n });
  });

  /** The most statements that a session behind the pooler keeps. */
  async function prepared(): Promise<number> {
    const sql = postgres(pooler.url, { max: 3, prepare: false, fetch_types: false });
    // Three transactions at once, so that each has another of the three sessions.
    const began = Promise.withResolvers<void>();
    let open = 0;
    const counts = [1, 2, 3].map(() =>
      sql.begin(async (tx) => {
        const [row] = await tx<{ count: number }[]>`
          select count(*)::integer as count from pg_prepared_statements`;
        open += 1;
        if (open === 3) began.resolve();
        await began.promise;
        return row?.count ?? 0;
      }),
    );
    const most = Math.max(...(await Promise.all(counts)));
    await sql.end();
    return most;
  }

  test("nothing is lost or doubled while it, and the connections behind it, are killed", async () => {
    await using own = await createTestLedger();
    await using between = await startPooler(urlOf(own));
    const walletIds = ["hot", "warm"];
    for (const walletId of walletIds) await openWallet(own, walletId, 10n ** 12n);
    const client = createLedger(between.url, { prepare: false, connections: 6 });
    const load = startLoad(client, walletIds, 50);
    for (let kill = 0; kill < 4; kill++) {
      const before = load.receipts.size;
      await until("callers are answered", () => load.receipts.size > before + 100);
      if (kill % 2 === 0) {
        await own.admin`
          select pg_terminate_backend(pid) from pg_stat_activity
            where datname = ${own.name} and usename = 'ledger_test_agent' and state = 'active'`;
      } else {
        await between.kill();
        await between.start();
      }
    }
    await load.stop();
    await client.close();
    expect(load.errors).toEqual([]);
    await compare(own, load.receipts);
    await checkInvariants(own);
  });
});
