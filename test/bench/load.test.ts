import { expect, test } from "vitest";
import { load } from "../../src/bench/load.ts";
import { connectAs, startBenchServer } from "../../src/bench/server.ts";
import { countDiscrepancies } from "../../src/bench/verify.ts";
import { balance, expireDue, settle, statement } from "../../src/generated/index.ts";

const CALLS = [
  { hold: 10n, cost: 3n },
  { hold: 20n, cost: 20n },
  { hold: 30n, cost: 0n },
];

test("loaded wallets are sound, and take commands", async () => {
  await using server = await startBenchServer();
  const database = await server.createDatabase("loaded");
  await load(database, CALLS, [
    { walletIds: ["one"], calls: 4, due: 0 },
    { walletIds: ["two", "three"], calls: 1, due: 2 },
  ]);
  expect(await countDiscrepancies(database)).toBe(0);

  const { admin } = database;
  const events = await statement(admin, { walletId: "two" });
  expect(events.map(({ event }) => event)).toEqual([
    "opened",
    "credited",
    "reserved",
    "settled",
    "reserved",
    "reserved",
  ]);
  const [late] = await admin<{ id: string }[]>`
    select reservation_id as id from baseledger.reservations where wallet_id = 'three' limit 1`;
  const key = { walletId: "three", idempotencyKey: "late" };
  await settle(admin, { ...key, reservationId: late?.id ?? "none", amount: 1n });

  // The settlement has expired both of the third wallet.
  await using worker = connectAs(database.urls.worker);
  expect(await expireDue(worker.sql)).toBe(2);
  expect((await balance(admin, { walletId: "two" })).reserved).toBe(0n);
  expect(await countDiscrepancies(database)).toBe(0);
});
