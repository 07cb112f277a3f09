import type postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  alertCounts,
  charge,
  closeWallet,
  credit,
  limitMetrics,
  openWallet,
  reserve,
  setLimit,
  setPrice,
  sweepStatus,
  walletMetrics,
  walletsAhead,
} from "../../src/generated/index.ts";
import { createMonitor } from "../../src/worker/index.ts";
import { createLedger, type TestLedger } from "../support/ledger.ts";

let ledger: TestLedger;
let sql: postgres.Sql;

beforeAll(async () => {
  ledger = await createLedger();
  sql = ledger.admin;
  for (const [walletId, unit, scale] of [
    ["acme", "USD", 9],
    ["tokens", "tokens", 0],
    ["closed", "USD", 9],
  ] as const) {
    await openWallet(sql, { walletId, unit, scale });
    await credit(sql, { walletId, amount: 10_000_000_000n, idempotencyKey: "c" });
  }
  await closeWallet(sql, { walletId: "closed", reason: "left" });
  const walletId = "acme";
  await setLimit(sql, {
    walletId,
    limitId: "month",
    amount: 8_000_000_000n,
    per: "month",
    alertAt: [10],
  });
  await setLimit(sql, { walletId, limitId: "at-once", amount: 3n, per: "ever", of: "open" });
  await setLimit(sql, {
    walletId,
    limitId: "user",
    amount: 5n,
    per: "day",
    by: ["user"],
    hard: false,
  });
  await setPrice(sql, { model: "test/free", rates: { output: 0 } });
  await setLimit(sql, { walletId, limitId: "tokens", amount: 9_000n, per: "month", of: "tokens" });
  const usage = { model: "test/free", output: 1_250 };
  await charge(sql, { walletId, usage, idempotencyKey: "u" });
  await charge(sql, { walletId, amount: 1_500_000_000n, idempotencyKey: "x" });
  await reserve(sql, { walletId, amount: 250_000_000n, idempotencyKey: "r", ttl: 600 });
});
afterAll(async () => {
  await ledger[Symbol.asyncDispose]();
});

async function render(broken = false): Promise<string[]> {
  const monitor = await createMonitor({
    sweepStatus: () => sweepStatus(sql),
    walletsAhead: () => walletsAhead(sql),
    eventsWritten: async () => null,
    wallets: (limit) => (broken ? Promise.reject(new Error("no")) : walletMetrics(sql, { limit })),
    limits: (limit) => limitMetrics(sql, { limit }),
    alerts: () => alertCounts(sql),
  });
  const lines = (await monitor.render()).split("\n");
  return lines.filter((line) => /^baseledger_(wallet|limit|alerts)_?[a-z]*\{/.test(line));
}

test("say what wallets have, what limits are used, and what became of alerts", async () => {
  expect(await render()).toEqual([
    'baseledger_wallet_available{wallet="acme",unit="USD"} 8.25',
    'baseledger_wallet_available{wallet="tokens",unit="tokens"} 10000000000',
    'baseledger_wallet_reserved{wallet="acme",unit="USD"} 0.25',
    'baseledger_wallet_reserved{wallet="tokens",unit="tokens"} 0',
    'baseledger_wallet_spent{wallet="acme",unit="USD"} 1.5',
    'baseledger_wallet_spent{wallet="tokens",unit="tokens"} 0',
    'baseledger_limit_used{wallet="acme",limit="at-once",per="ever",of="open",unit=""} 1',
    'baseledger_limit_used{wallet="acme",limit="month",per="month",of="amount",unit="USD"} 1.75',
    'baseledger_limit_used{wallet="acme",limit="tokens",per="month",of="tokens",unit=""} 1250',
    'baseledger_limit_amount{wallet="acme",limit="at-once",per="ever",of="open",unit=""} 3',
    'baseledger_limit_amount{wallet="acme",limit="month",per="month",of="amount",unit="USD"} 8',
    'baseledger_limit_amount{wallet="acme",limit="tokens",per="month",of="tokens",unit=""} 9000',
    'baseledger_alerts{kind="limit",state="none"} 1',
  ]);
});

test("of a window that is over count what is held", async () => {
  await sql`
    update baseledger.counters
      set starts_at = starts_at - interval '2 months', ends_at = ends_at - interval '2 months'
      where limit_id = 'month'`;
  expect(await render()).toContain(
    'baseledger_limit_used{wallet="acme",limit="month",per="month",of="amount",unit="USD"} 0.25',
  );
});

test("have no series of a database that does not answer", async () => {
  expect(await render(true)).toEqual([]);
});

test("are bounded, in the order of ids", async () => {
  expect((await walletMetrics(sql, { limit: 1 })).map(({ walletId }) => walletId)).toEqual([
    "acme",
  ]);
  expect((await limitMetrics(sql, { limit: 1 })).map(({ limitId }) => limitId)).toEqual([
    "at-once",
  ]);
  for (const limit of [0, -1, 100_001]) {
    await expect(walletMetrics(sql, { limit })).rejects.toMatchObject({ code: "LGARG" });
    await expect(limitMetrics(sql, { limit })).rejects.toMatchObject({ code: "LGARG" });
  }
});
