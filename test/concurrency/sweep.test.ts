import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkInvariants, checkPast } from "../support/invariants.ts";
import {
  balance,
  call,
  command,
  createLedger,
  history,
  holdLock,
  openWallet,
  post,
  type TestLedger,
  travelBack,
  untilPast,
} from "../support/ledger.ts";

// Each test has its own database, as it sweeps all that is due there.
let ledger: TestLedger;

beforeEach(async () => {
  ledger = await createLedger();
});
afterEach(async () => {
  await checkInvariants(ledger);
  await checkPast(ledger);
  await ledger[Symbol.asyncDispose]();
});

/** Wallets with so many reservations each, all past their deadline. */
async function due(count: number, each: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const id = await openWallet(ledger, `wallet-${i}`, 1000n);
    const reservations = Array.from({ length: each }, (_, n) => ({
      op: "reserve",
      amount: 1,
      ttl: 60 + i + n,
      idempotency_key: `r${n}`,
    }));
    await post(ledger.agent, id, reservations);
    ids.push(id);
  }
  await travelBack(ledger, ids, "1 hour");
  return ids;
}

async function sweep(sql: postgres.Sql, limit?: bigint): Promise<number> {
  const [row] = await call<{ expire_due: number }>(sql, "expire_due", { limit });
  return row?.expire_due ?? Number.NaN;
}

async function expired(id: string): Promise<string[]> {
  const rows = await ledger.auditor<{ reservation_id: string }[]>`
    select reservation_id from baseledger.journal
      where wallet_id = ${id} and event = 'expired' order by seq`;
  return rows.map(({ reservation_id }) => reservation_id);
}

test("expires everything once, and then nothing", async () => {
  const ids = await due(3, 4);
  expect(await sweep(ledger.worker)).toBe(12);
  expect(await sweep(ledger.worker)).toBe(0);
  for (const id of ids) expect(await expired(id)).toEqual(["r0", "r1", "r2", "r3"]);
});

test("takes the earliest first, and no more than its limit", async () => {
  const ids = await due(4, 1);
  expect(await sweep(ledger.worker, 3n)).toBe(3);
  const counts = await Promise.all(ids.map(async (id) => (await expired(id)).length));
  expect(counts).toEqual([1, 1, 1, 0]);
  expect(await sweep(ledger.worker, 1n)).toBe(1);
});

test("takes the earliest first, also after an extension", async () => {
  const ids = await due(2, 1);
  const [first = "", second = ""] = ids;
  await post(ledger.agent, first, [{ op: "reserve", amount: 1, ttl: 60, idempotency_key: "x" }]);
  const later = { op: "extend", reservation_id: "x", ttl: 3600, idempotency_key: "later" };
  await post(ledger.agent, first, [later]);
  await post(ledger.agent, second, [{ op: "reserve", amount: 1, ttl: 600, idempotency_key: "y" }]);
  await travelBack(ledger, ids, "2 hours");
  expect(await sweep(ledger.worker, 1n)).toBe(1);
  expect(await expired(first)).not.toContain("x");
  expect(await expired(second)).toContain("y");
});

test("a limit within a wallet leaves the rest for the next", async () => {
  const [id = ""] = await due(1, 10);
  for (const left of [7, 4, 1]) {
    expect(await sweep(ledger.worker, 3n)).toBe(3);
    expect(await balance(ledger.agent, id)).toMatchObject({ available: 1000n, reserved: 0n });
    const rows = await ledger.admin`select from baseledger.reservations`;
    expect(rows).toHaveLength(left);
  }
  expect(await sweep(ledger.worker, 3n)).toBe(1);
});

test("several sweepers at once expire each reservation once", async () => {
  const ids = await due(60, 8);
  const sweepers = ledger.connect("worker", 4);
  const counts = await Promise.all(
    [7n, 20n, 50n, 1000n].map(async (limit) => {
      let sum = 0;
      // A sweeper that finds all wallets locked returns 0, and leaves the rest to the others.
      for (let swept = -1; swept !== 0; sum += swept) swept = await sweep(sweepers, limit);
      return sum;
    }),
  );
  const rest = await sweep(ledger.worker);
  expect(counts.reduce((sum, each) => sum + each, rest)).toBe(480);
  for (const id of ids) expect(new Set(await expired(id)).size).toBe(8);
  expect(await ledger.admin`select from baseledger.events where event = 'expired'`).toHaveLength(
    480,
  );
});

test("two sweepers in open transactions share the wallets", async () => {
  await due(6, 1);
  await using one = await ledger.session("worker");
  await using two = await ledger.session("worker");
  await one.sql.unsafe("begin");
  await two.sql.unsafe("begin");
  expect(await sweep(one.sql, 2n)).toBe(2);
  expect(await sweep(two.sql, 3n)).toBe(3);
  expect(await sweep(one.sql)).toBe(1);
  expect(await sweep(two.sql)).toBe(0);
  await one.sql.unsafe("rollback");
  expect(await sweep(two.sql)).toBe(3);
  await two.sql.unsafe("commit");
  expect(await sweep(ledger.worker)).toBe(0);
});

test("skips a locked wallet, and does not wait", async () => {
  const [first = "", second = ""] = await due(2, 2);
  const unlock = await holdLock(ledger, first);
  expect(await sweep(ledger.worker)).toBe(2);
  expect(await expired(first)).toEqual([]);
  expect(await expired(second)).toEqual(["r0", "r1"]);
  // Its funds count as returned all the same.
  expect(await balance(ledger.agent, first)).toMatchObject({ available: 1000n, reserved: 0n });
  await unlock();
  expect(await sweep(ledger.worker)).toBe(2);
});

test("locked wallets before others do not raise the limit", async () => {
  const [first = "", second = "", ...free] = await due(4, 2);
  const unlocks = [await holdLock(ledger, first), await holdLock(ledger, second)];
  expect(await sweep(ledger.worker, 3n)).toBe(3);
  expect(await Promise.all(free.map(expired))).toEqual([["r0", "r1"], ["r0"]]);
  for (const unlock of unlocks) await unlock();
  expect(await sweep(ledger.worker)).toBe(5);
});

test("more locked wallets than a page do not hide the one after them", async () => {
  const ids = await due(450, 1);
  const last = ids.at(-1) ?? "";
  await using locker = await ledger.session("admin");
  await locker.sql.unsafe("begin");
  await locker.sql`
    select from baseledger.wallets where wallet_id <> ${last} for no key update`;
  expect(await sweep(ledger.worker, 10n)).toBe(1);
  await locker.sql.unsafe("rollback");
  expect(await expired(last)).toEqual(["r0"]);
  expect(await sweep(ledger.worker)).toBe(449);
});

test("an error that is no wallet's fault is raised", async () => {
  const [, id = ""] = await due(2, 1);
  // It has just looked at the clock, so that the first that the next one writes is a wallet.
  expect(await sweep(ledger.worker, 1n)).toBe(1);
  await using session = await ledger.session("worker", { default_transaction_read_only: "on" });
  await expect(sweep(session.sql)).rejects.toMatchObject({ code: "25006" });
  expect(await expired(id)).toEqual([]);
  expect(await sweep(ledger.worker)).toBe(1);
});

describe("a corrupted wallet does not stop the others", () => {
  const poisons: [string, string, string][] = [
    [
      "holds more than is reserved",
      `update baseledger.reservations set held = held + 100, amount = amount + 100
        where wallet_id = $1`,
      `update baseledger.reservations set held = held - 100, amount = amount - 100
        where wallet_id = $1`,
    ],
    [
      "would overflow",
      "update baseledger.wallets set available = 9223372036854775807 where wallet_id = $1",
      `update baseledger.wallets w set available = e.available from baseledger.events e
        where w.wallet_id = $1 and e.wallet_id = $1 and e.seq = w.seq`,
    ],
    [
      "has an event already that it would write",
      "update baseledger.wallets set seq = seq - 1 where wallet_id = $1",
      "update baseledger.wallets set seq = seq + 1 where wallet_id = $1",
    ],
    [
      "would not be within its limit",
      `alter table baseledger.wallets add constraint poison
        check (wallet_id <> $1 or seq < 5) not valid`,
      "alter table baseledger.wallets drop constraint poison",
    ],
  ];

  test.each(poisons)("%s", async (_name, poison, cure) => {
    const ids = await due(5, 2);
    const [sick = "", ...healthy] = ids;
    const apply = async (statement: string) => {
      await ledger.admin.unsafe(statement.replaceAll("$1", `'${sick}'`));
    };
    await apply(poison);
    // It is the earliest; the others are swept even with a limit of one.
    expect(await sweep(ledger.worker, 1n)).toBe(1);
    expect(await sweep(ledger.worker, 2n)).toBe(2);
    expect(await sweep(ledger.worker)).toBe(5);
    expect(await sweep(ledger.worker)).toBe(0);
    expect(await expired(sick)).toEqual([]);
    for (const id of healthy) expect(await expired(id)).toEqual(["r0", "r1"]);
    // Commands to other wallets are not affected.
    const args = { wallet_id: healthy[0] ?? "", amount: 1000n, idempotency_key: "all" };
    expect(await command(ledger.agent, "reserve", args)).toMatchObject({ event: "reserved" });

    await apply(cure);
    expect(await sweep(ledger.worker)).toBe(2);
    expect(await history(ledger, sick)).toContain("expired");
  });

  test("many of them", async () => {
    const ids = await due(420, 1);
    const last = ids.at(-1) ?? "";
    await ledger.admin`
      update baseledger.wallets set seq = seq - 1 where wallet_id <> ${last}`;
    expect(await sweep(ledger.worker, 5n)).toBe(1);
    await ledger.admin`
      update baseledger.wallets set seq = seq + 1 where wallet_id <> ${last}`;
    expect(await sweep(ledger.worker)).toBe(419);
  });

  test("nor does a locked one beside it", async () => {
    const [sick = "", locked = "", free = ""] = await due(3, 1);
    await ledger.admin`update baseledger.wallets set seq = seq - 1 where wallet_id = ${sick}`;
    const unlock = await holdLock(ledger, locked);
    await using session = await ledger.session("worker", { statement_timeout: "20s" });
    expect(await sweep(session.sql)).toBe(1);
    expect(await Promise.all([locked, free].map(expired))).toEqual([[], ["r0"]]);
    await unlock();
    await ledger.admin`update baseledger.wallets set seq = seq + 1 where wallet_id = ${sick}`;
    expect(await sweep(ledger.worker)).toBe(2);
  });

  test("a warning reports it", async () => {
    const [sick = ""] = await due(2, 1);
    await ledger.admin`update baseledger.wallets set seq = seq - 1 where wallet_id = ${sick}`;
    const notices: postgres.Notice[] = [];
    const { host, port, user, pass, database } = ledger.worker.options;
    const sql = postgres({
      host: host[0] ?? "",
      port: port[0] ?? 0,
      user,
      pass: pass ?? "",
      database,
      max: 1,
      onnotice: (notice) => notices.push(notice),
    });
    expect(await sweep(sql)).toBe(1);
    await sql.end();
    expect(notices.map(({ severity }) => severity)).toEqual(["WARNING"]);
    await ledger.admin`update baseledger.wallets set seq = seq + 1 where wallet_id = ${sick}`;
  });
});

test("a deadline that is earlier than those before it", async () => {
  const id = await openWallet(ledger, "wallet", 10n);
  const later = { wallet_id: id, amount: 1n, idempotency_key: "later", ttl: "1 hour" };
  const sooner = { ...later, idempotency_key: "sooner", ttl: "1 second" };
  await command(ledger.agent, "reserve", later);
  const { expires_at } = await command(ledger.agent, "reserve", sooner);
  await untilPast(ledger, expires_at);
  expect(await balance(ledger.agent, id)).toMatchObject({ available: 9n, reserved: 1n });
  expect(await sweep(ledger.worker)).toBe(1);
  expect(await expired(id)).toEqual(["sooner"]);
});

describe("next_due", () => {
  test("is never later than the next deadline", async () => {
    const next = async () => {
      const [row] = await ledger.worker<{ next: string | null; due: boolean }[]>`
        select n as next, n <= now() as due from baseledger.next_due() n`;
      return row;
    };
    expect(await next()).toEqual({ next: null, due: null });
    await due(2, 2);
    expect(await next()).toMatchObject({ due: true });
    await sweep(ledger.worker);
    expect(await next()).toEqual({ next: null, due: null });
    const args = { wallet_id: "wallet-0", amount: 1n, idempotency_key: "later", ttl: "1 hour" };
    const { expires_at } = await command(ledger.agent, "reserve", args);
    const sooner = { ...args, wallet_id: "wallet-1", ttl: "30 minutes" };
    const soon = await command(ledger.agent, "reserve", sooner);
    expect(await next()).toEqual({ next: soon.expires_at, due: false });
    const cancel = { wallet_id: "wallet-1", reservation_id: "later", idempotency_key: "c" };
    await command(ledger.agent, "cancel", cancel);
    expect(`${(await next())?.next}` <= `${expires_at}`).toBe(true);
  });
});
