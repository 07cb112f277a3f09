import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fromPg } from "../../src/client/drivers.ts";
import { createLedger, type Ledger, type LedgerOptions } from "../../src/client/ledger.ts";
import { UnavailableError } from "../../src/errors/client.ts";
import { createStage, type Stage } from "../proof/faults/stage.ts";
import { until } from "../support/until.ts";
import { startLoad } from "./load.ts";
import { isSettled, rejection } from "./support.ts";

// One server plays both parts: after the fail-over, sessions opened before it take no writes, and
// sessions opened after it do. A real standby takes over in test/proof/faults/standby.ts.
let stage: Stage;
let operator: Ledger;
let walletId: string;
let wallets = 0;

beforeAll(async () => {
  stage = await createStage();
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await setReadOnly(false, false);
  operator = createLedger(stage.url);
  walletId = `failover-${++wallets}`;
  await operator.openWallet({ walletId });
  await operator.credit({ walletId, amount: 10n ** 9n, idempotencyKey: "funds" });
  await operator.close();
});

/** Sets whether existing sessions take no writes, and whether later ones do not either. */
async function setReadOnly(existing: boolean, later: boolean): Promise<void> {
  // The server notifies its sessions one after the other: check the first one and the last one.
  const last = postgres(stage.server.url, { max: 1, fetch_types: false });
  await last`select`;
  const connection = { options: "-c default_transaction_read_only=off" };
  const sql = postgres(stage.server.url, { max: 1, connection, fetch_types: false });
  const ofDatabase = existing && !later ? "set default_transaction_read_only = off" : "reset all";
  await sql.unsafe(`alter database postgres ${ofDatabase}`);
  await sql.unsafe(`alter system set default_transaction_read_only = ${existing}`);
  await sql.unsafe("select pg_reload_conf()");
  for (const session of [stage.admin, last]) {
    await until("it has the setting", async () => {
      const [row] = await session<{ value: string }[]>`
        select current_setting('default_transaction_read_only') as value`;
      return row?.value === (existing ? "on" : "off");
    });
  }
  await sql.end();
  await last.end();
}

/** How many sessions of clients were opened before an instant of the server's clock. */
async function sessionsBefore(instant: string): Promise<number> {
  const rows = await stage.admin`
    select from pg_stat_activity
      where application_name = 'baseledger' and backend_start < ${instant}::text::timestamptz`;
  return rows.length;
}

async function now(): Promise<string> {
  const [row] = await stage.admin<{ now: string }[]>`select clock_timestamp()::text as now`;
  return row?.now ?? "";
}

/** Returns the instant before which sessions belong to the old primary. */
async function failOver(): Promise<string> {
  const instant = await now();
  await setReadOnly(true, false);
  return instant;
}

describe("after a fail-over that keeps the old connections open", () => {
  test("callers notice nothing, a running guard settles, and old sessions are closed", async () => {
    const walletIds = [walletId, `${walletId}-b`];
    await using ledger = createLedger(stage.url);
    await ledger.openWallet({ walletId: `${walletId}-b` });
    await ledger.credit({ walletId: `${walletId}-b`, amount: 10n ** 9n });
    const began = await ledger.balance({ walletId });
    const load = startLoad(ledger, walletIds, 20);
    const failed = Promise.withResolvers<void>();
    const guarding = ledger.guard({ walletId, amount: 50n, ttl: 60 }, async (held) => {
      await failed.promise;
      held.spend(20n);
      return "answer";
    });
    await until("callers are answered", () => load.receipts.size > 200);
    const instant = await failOver();
    failed.resolve();
    const before = load.receipts.size;
    expect(await guarding).toBe("answer");
    await until("callers are answered again", () => load.receipts.size > before + 200);
    await load.stop();
    expect(load.errors).toEqual([]);
    expect(await ledger.balance({ walletId })).toMatchObject({ unit: began.unit });
    expect(await sessionsBefore(instant)).toBe(0);
  });

  test.each(["postgres", "pg"] as const)("(%s) the old primary answers no read", async (driver) => {
    const pool = new pg.Pool({
      connectionString: stage.url,
      max: 3,
      application_name: "baseledger",
    });
    pool.on("error", () => undefined);
    const options: LedgerOptions = { connections: 3 };
    await using ledger = createLedger(driver === "pg" ? fromPg(pool) : stage.url, options);
    await Promise.all(Array.from({ length: 9 }, () => ledger.balance({ walletId })));
    const instant = await failOver();
    expect(await sessionsBefore(instant)).toBeGreaterThan(0);
    expect(await ledger.balance({ walletId })).toMatchObject({ available: 10n ** 9n });
    expect(await ledger.statement({ walletId })).toHaveLength(2);
    // An empty result is an answer, too.
    expect(await ledger.verify({ walletId })).toEqual([]);
    expect(await ledger.charge({ walletId, amount: 1n })).toMatchObject({ replayed: false });
    await until("the old sessions are gone", async () => (await sessionsBefore(instant)) === 0);
    await ledger.close();
    await pool.end();
  });
});

describe("a server that takes no writes", () => {
  test("and stays read-only fails the call: nothing was done", async () => {
    await using ledger = createLedger(stage.url, { retryFor: 1, connections: 2 });
    await ledger.balance({ walletId });
    await setReadOnly(true, true);
    const charging = rejection(UnavailableError, ledger.charge({ walletId, amount: 1n }));
    const error = await rejection(UnavailableError, ledger.balance({ walletId }));
    expect(error).toMatchObject({ walletId, cause: { code: "25006" } });
    expect(error.message).toContain("readOnly: true");
    expect((await charging).cause).toMatchObject({ code: "25006" });
  });

  test("for a while is waited for", async () => {
    await using ledger = createLedger(stage.url);
    await ledger.balance({ walletId });
    const instant = await now();
    await setReadOnly(true, true);
    const charging = ledger.charge({ walletId, amount: 1n });
    await until("it was refused", async () => (await sessionsBefore(instant)) === 0);
    expect(await isSettled(charging)).toBe(false);
    await setReadOnly(false, false);
    expect(await charging).toMatchObject({ event: "charged" });
  });

  test("answers reads with `readOnly`, and refuses commands at once", async () => {
    await setReadOnly(true, true);
    await using ledger = createLedger(stage.url, { readOnly: true });
    expect(await ledger.balance({ walletId })).toMatchObject({ available: 10n ** 9n });
    expect(await ledger.verify()).toEqual([]);
    await expect(ledger.charge({ walletId, amount: 1n })).rejects.toMatchObject({ code: "25006" });
  });
});
