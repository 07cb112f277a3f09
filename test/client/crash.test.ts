// Kills the server or its processes under load. `TEST_KILLS=10` makes it ten times as many kills: 20
// of the server, 200 of its processes.
import postgres from "postgres";
import { describe, expect, test } from "vitest";
import { createLedger } from "../../src/client/ledger.ts";
import { startPostgres } from "../../src/embedded/index.ts";
import * as functions from "../../src/generated/index.ts";
import { migrate } from "../../src/migrate/index.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  createLedger as createTestLedger,
  openWallet,
  type TestLedger,
} from "../support/ledger.ts";
import { until } from "../support/until.ts";
import { compare, type Receipts, startLoad } from "./load.ts";
import { createNetwork } from "./network.ts";
import { urlOf } from "./support.ts";

const KILLS = Number(process.env.TEST_KILLS ?? 1);
const CALLERS = 200;
const FUNDS = 10n ** 15n;
const PATIENCE_MS = 60_000 + KILLS * 30_000;

/** Answers that callers must get between one kill and the next. */
const BETWEEN = 150;

// A quarter of the callers share the hot wallet; each of the others mostly has one to itself.
const MANY = Array.from({ length: CALLERS }, (_, i) => (i % 4 === 0 ? "hot" : `cold-${i}`));
const FEW = ["hot", "hot", "warm", "cold"];

describe.each([
  ["few wallets", FEW],
  ["many wallets", MANY],
])(`commands of ${CALLERS} callers in %s are neither lost nor doubled`, (_, walletIds) => {
  test(`while ${20 * KILLS} processes of the server are killed`, {
    timeout: PATIENCE_MS,
  }, async () => {
    await using database = await createTestLedger();
    await openAll(database);
    const ledger = createLedger(urlOf(database), { connections: 4 });
    const load = startLoad(ledger, walletIds, CALLERS);
    let killed = 0;
    let busy = 0;
    while (killed < 20 * KILLS) {
      const before = load.receipts.size;
      const [victim] = await database.admin<{ pid: number; active: boolean }[]>`
        select pid, state = 'active' as active, pg_terminate_backend(pid)
          from pg_stat_activity
          where datname = ${database.name} and application_name = 'baseledger'
          order by state = 'active' desc, random()
          limit 1`;
      killed += victim ? 1 : 0;
      busy += victim?.active ? 1 : 0;
      await until("callers are answered again", () => load.receipts.size > before + BETWEEN);
    }
    await load.stop();
    await ledger.close();
    expect(load.errors).toEqual([]);
    expect(busy).toBeGreaterThan(killed / 2);
    await compare(database, load.receipts);
    await checkInvariants(database);
    report(`${killed} processes killed, ${busy} of them at work`, load.receipts);
  });

  test(`while the network loses answers ${10 * KILLS} times`, {
    timeout: PATIENCE_MS,
  }, async () => {
    await using database = await createTestLedger();
    await openAll(database);
    await using network = await createNetwork(urlOf(database));
    const ledger = createLedger(network.through(urlOf(database)));
    const load = startLoad(ledger, walletIds, CALLERS);
    for (let cut = 0; cut < 10 * KILLS; cut++) {
      const before = load.receipts.size;
      await until("callers are answered", () => load.receipts.size > before + BETWEEN);
      network.hold("answers");
      await until("an answer is on its way", () => network.held > 0);
      network.cut();
      network.release();
    }
    await load.stop();
    await ledger.close();
    expect(load.errors).toEqual([]);
    expect(countReplayed(load.receipts)).toBeGreaterThanOrEqual(10 * KILLS);
    await compare(database, load.receipts);
    await checkInvariants(database);
    report(`${10 * KILLS} connections cut`, load.receipts);
  });

  test(`while the server is killed ${2 * KILLS} times`, { timeout: PATIENCE_MS }, async () => {
    await using server = await startPostgres();
    await migrate(server.url);
    const ledger = createLedger(server.url);
    for (const walletId of new Set(walletIds)) {
      await ledger.openWallet({ walletId });
      await ledger.credit({ walletId, amount: FUNDS });
    }
    const load = startLoad(ledger, walletIds, CALLERS);
    for (let kill = 0; kill < 2 * KILLS; kill++) {
      const before = load.receipts.size;
      await until("callers are answered", () => load.receipts.size > before + BETWEEN);
      await server.kill("SIGKILL");
      await server.start();
    }
    const before = load.receipts.size;
    await until("callers are answered again", () => load.receipts.size > before + BETWEEN);
    await load.stop();
    await ledger.close();
    expect(load.errors).toEqual([]);
    const admin = postgres(server.url, { max: 1, types: { bigint: postgres.BigInt } });
    await compare({ admin } as never, load.receipts);
    expect(await functions.verify(admin)).toEqual([]);
    await admin.end();
    report(`the server killed ${2 * KILLS} times`, load.receipts);
  });

  async function openAll(database: TestLedger): Promise<void> {
    for (const walletId of new Set(walletIds)) await openWallet(database, walletId, FUNDS);
  }
});

function countReplayed(receipts: Receipts): number {
  return [...receipts.values()].filter(({ replayed }) => replayed).length;
}

function report(what: string, receipts: Receipts): void {
  const again = countReplayed(receipts);
  console.log(`${what}: ${receipts.size} promises, as many events; ${again} answers had been lost`);
}
