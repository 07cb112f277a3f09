import { afterEach, beforeEach, expect, test } from "vitest";
import { checkInvariants } from "../support/invariants.ts";
import {
  call,
  createLedger,
  holdLock,
  openWallet,
  post,
  type TestLedger,
  travelBack,
} from "../support/ledger.ts";
import { until } from "../support/until.ts";

let ledger: TestLedger;
let callers: { stop(): Promise<void> }[];

beforeEach(async () => {
  ledger = await createLedger();
  callers = [];
});
afterEach(async () => {
  await Promise.all(callers.map(({ stop }) => stop()));
  await checkInvariants(ledger);
  await ledger[Symbol.asyncDispose]();
});

/** A wallet with so many reservations that are due. */
async function makeDue(walletId: string, count: number): Promise<string> {
  await openWallet(ledger, walletId, 100_000n);
  const reservations = Array.from({ length: count }, (_, n) => ({
    op: "reserve",
    amount: 1,
    ttl: 60,
    idempotency_key: `r${n}`,
  }));
  await post(ledger.agent, walletId, reservations);
  await travelBack(ledger, walletId, "1 hour");
  return walletId;
}

/** Sessions that lock a wallet in turn: whenever one unlocks it, the others wait in line. */
async function crowd(walletId: string, size: number): Promise<void> {
  const sql = ledger.connect("admin", size, { application_name: "crowd" });
  const calls = Array.from({ length: size }, () =>
    sql
      .unsafe(`do $$ begin
        loop
          perform from baseledger.wallets where wallet_id = '${walletId}' for no key update;
          perform pg_sleep(0.002);
          commit;
        end loop;
      end $$`)
      .catch(() => undefined),
  );
  callers.push({
    async stop() {
      await ledger.admin`
        select pg_terminate_backend(pid) from pg_stat_activity
          where datname = ${ledger.name} and application_name = 'crowd'`;
      await Promise.all(calls);
    },
  });
  await until("they wait in line", async () => {
    const waiting = await ledger.admin`
      select from pg_stat_activity
        where datname = ${ledger.name} and application_name = 'crowd'
          and cardinality(pg_blocking_pids(pid)) > 0`;
    return waiting.length > size / 2;
  });
}

async function sweep(limit?: bigint): Promise<number> {
  const [row] = await call<{ expire_due: number }>(ledger.worker, "expire_due", { limit });
  return row?.expire_due ?? Number.NaN;
}

test("a wallet that is always busy is swept, while its callers go on", async () => {
  await makeDue("busy", 900);
  await crowd("busy", 30);
  let swept = 0;
  // Each call that gets the lock sweeps a part; some may find the line too long.
  for (let calls = 0; calls < 25 && swept < 900; calls++) swept += await sweep(150n);
  expect(swept).toBe(900);
});

test("also when other wallets are locked for long", async () => {
  const unlocks = [];
  for (const walletId of ["stuck 1", "stuck 2"]) {
    unlocks.push(await holdLock(ledger, await makeDue(walletId, 1)));
  }
  await makeDue("busy", 300);
  await crowd("busy", 30);
  let swept = 0;
  for (let calls = 0; calls < 50 && swept < 300; calls++) swept += await sweep(150n);
  expect(swept).toBe(300);
  for (const unlock of unlocks) await unlock();
});

test("unlocked wallets do not wait for a locked one", async () => {
  const unlock = await holdLock(ledger, await makeDue("stuck", 1));
  await makeDue("free 1", 2);
  await makeDue("free 2", 2);
  expect(await sweep(3n)).toBe(3);
  // As long as another wallet is due, the sweep does not wait for the locked one.
  expect(await sweep()).toBe(1);
  // Only now it waits, for a short time.
  expect(await sweep()).toBe(0);
  await unlock();
  expect(await sweep()).toBe(1);
});
