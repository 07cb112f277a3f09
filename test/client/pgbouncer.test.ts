import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLedger, type Ledger } from "../../src/client/ledger.ts";
import { InsufficientFundsError } from "../../src/errors.ts";
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

  test("commands travel in batches, refusals come with their facts", async () => {
    const walletId = await openWallet(database, "pooled", 100n);
    const charging = Array.from({ length: 50 }, () => ledger.charge({ walletId, amount: 1n }));
    expect((await Promise.all(charging)).at(-1)?.available).toBe(50n);
    const short = ledger.reserve({ walletId, amount: 51n });
    expect(await rejection(InsufficientFundsError, short)).toMatchObject({ shortfall: 1n });
  });

  test("a call is guarded, and a transaction of the caller's works", async () => {
    const wallet = await openWallet(database, "guarded", 100n);
    await ledger.guard({ wallet, amount: 10n, ttl: 60 }, (reservation) => reservation.spend(4n));
    const sql = postgres(pooler.url, { max: 1, prepare: false, fetch_types: false });
    await sql.begin((tx) => ledger.with(tx).charge({ walletId: wallet, amount: 1n }));
    await sql.end();
    expect(await ledger.balance({ walletId: wallet })).toMatchObject({ available: 95n, spent: 5n });
  });

  test("nothing is lost or doubled while it, and the connections behind it, are killed", async () => {
    await using own = await createTestLedger();
    await using between = await startPooler(urlOf(own));
    const walletIds = ["hot", "warm"];
    for (const walletId of walletIds) await openWallet(own, walletId, 10n ** 12n);
    const client = createLedger(between.url, { prepare: false, connections: 6 });
    const load = startLoad(client, walletIds, 50);
    for (let kill = 0; kill < 4; kill++) {
      const before = load.told.size;
      await until("callers are answered", () => load.told.size > before + 100);
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
    await compare(own, load.told);
    await checkInvariants(own);
  });
});
