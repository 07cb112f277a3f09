import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { credit, openWallet, reserve, statement } from "../src/generated/baseledger.ts";
import { migrate } from "../src/migrate.ts";
import { startWorker, type Worker } from "../src/worker.ts";
import { type ClockedServer, skipped, startClocked } from "./support/faketime.ts";
import { until } from "./support/until.ts";

const A_DAY_AND_MORE = 26 * 3600;

describe.skipIf(skipped)(`with a clock that is wrong${skipped}`, () => {
  let clocked: ClockedServer;
  let sql: postgres.Sql;
  let worker: Worker;
  let sweeps: number;

  beforeEach(async () => {
    clocked = await startClocked();
    const { url } = clocked.server;
    await migrate(url);
    sql = postgres(url, { max: 3, onnotice: () => undefined });
    sweeps = 0;
    worker = await startWorker({
      url,
      onSweep: () => {
        sweeps += 1;
      },
    });
  });
  afterEach(async () => {
    await worker.stop();
    await sql.end();
    await clocked[Symbol.asyncDispose]();
  });

  async function hold(walletId: string, ttl: number): Promise<void> {
    await openWallet(sql, { walletId });
    await credit(sql, { walletId, amount: 10n, idempotencyKey: "c" });
    await reserve(sql, { walletId, amount: 10n, idempotencyKey: "r", ttl });
  }

  async function events(walletId: string): Promise<string[]> {
    return (await statement(sql, { walletId })).map(({ event }) => event);
  }

  async function untilSwept(more: number): Promise<void> {
    const wanted = sweeps + more;
    await until(`${more} sweeps`, () => sweeps >= wanted);
  }

  async function untilExpired(walletId: string): Promise<void> {
    const swept = async () => (await events(walletId)).includes("expired");
    await until(`${walletId} is swept`, swept);
  }

  test("for a moment, nothing expires that is not due, and the sweep goes on", async () => {
    await hold("live", 600);
    for (let round = 0; round < 3; round += 1) {
      clocked.setAhead(A_DAY_AND_MORE);
      await untilSwept(3);
      clocked.setAhead(0);
      await hold(`short ${round}`, 1);
      await untilExpired(`short ${round}`);
    }
    expect(await events("live")).toEqual(["opened", "credited", "reserved"]);
  });

  test("for good, ahead or behind, it goes by that clock after some seconds", async () => {
    await hold("live", 600);
    await untilSwept(1);
    clocked.setAhead(A_DAY_AND_MORE);
    await untilExpired("live");
    clocked.setAhead(-3600);
    await hold("short", 1);
    await untilExpired("short");
  });
});
