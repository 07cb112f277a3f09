import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { credit, expireDue, openWallet, reserve, statement } from "../../src/generated/index.ts";
import { startWorker, type Worker } from "../../src/worker/index.ts";
import { type ClockedServer, skipped, startClocked } from "../support/faketime.ts";
import { install } from "../support/template.ts";
import { until } from "../support/until.ts";

const A_DAY_AND_MORE = 26 * 3600;

describe.skipIf(skipped)(`when the clock is wrong${skipped}`, () => {
  let clocked: ClockedServer;
  let sql: postgres.Sql;
  let worker: Worker | undefined;
  let sweeps: number;

  beforeEach(async () => {
    clocked = await startClocked();
    await install(clocked.server.url);
    sql = postgres(clocked.server.url, { max: 3, onnotice: () => undefined });
    worker = undefined;
    sweeps = 0;
  });
  afterEach(async () => {
    await worker?.stop();
    await sql.end();
    await clocked[Symbol.asyncDispose]();
  });

  async function work(): Promise<void> {
    worker = await startWorker({
      url: clocked.server.url,
      onSweep: () => {
        sweeps += 1;
      },
    });
    // The first reading of the clock has nothing to be compared with.
    await untilSwept(1);
  }

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

  test("for a moment, nothing expires early, and the sweep continues", async () => {
    await work();
    await hold("live", 600);
    for (let round = 0; round < 3; round += 1) {
      clocked.setAhead(A_DAY_AND_MORE);
      await untilSwept(2);
      clocked.setAhead(0);
      await hold(`short ${round}`, 1);
      await untilExpired(`short ${round}`);
    }
    expect(await events("live")).toEqual(["opened", "credited", "reserved"]);
  });

  test("permanently, ahead or behind, the sweep follows that clock after some seconds", async () => {
    await work();
    await hold("live", 600);
    clocked.setAhead(A_DAY_AND_MORE);
    await untilExpired("live");
    clocked.setAhead(-3600);
    await hold("short", 1);
    await untilExpired("short");
  });

  test("in the middle of a sweep, that sweep is undone", async () => {
    await hold("due", 1);
    await hold("live", 600);
    await sql.unsafe(`
      create function public.wait_for_leap() returns trigger language plpgsql as $$
        begin
          while clock_timestamp() < now() + interval '1 hour' loop
            perform pg_sleep(0.02);
          end loop;
          return new;
        end $$;
      create trigger wait before insert on baseledger.events
        for each row when (new.event = 'expired') execute function public.wait_for_leap()`);
    const sweeping = until("something is due", async () => (await expireDue(sql)) > 0);
    const ended = expect(sweeping).rejects.toMatchObject({ code: "40001" });
    await until("it is sweeping", async () => {
      const [row] = await sql`select from pg_stat_activity where wait_event = 'PgSleep'`;
      return row !== undefined;
    });
    clocked.setAhead(A_DAY_AND_MORE);
    await ended;
    clocked.setAhead(0);
    await sql.unsafe("drop trigger wait on baseledger.events");
    expect(await events("due")).toEqual(["opened", "credited", "reserved"]);
    expect(await expireDue(sql)).toBe(1);
    expect(await events("live")).toEqual(["opened", "credited", "reserved"]);
  });
});
