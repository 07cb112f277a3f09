import { afterEach, beforeEach, expect, test } from "vitest";
import { checkInvariants } from "../support/invariants.ts";
import {
  balance,
  call,
  createLedger,
  openWallet,
  post,
  type TestLedger,
  travelBack,
} from "../support/ledger.ts";

// The sweep detects a jump of the clock by its earlier looks at the clock, which it keeps in a table.
// These tests change that table, as if the clock had been different at those looks.

let ledger: TestLedger;

beforeEach(async () => {
  ledger = await createLedger();
  await openWallet(ledger, "w", 100n);
});
afterEach(async () => {
  await checkInvariants(ledger);
  await ledger[Symbol.asyncDispose]();
});

let made = 0;

/** Makes a reservation that is due. */
async function makeDue(): Promise<void> {
  const key = `r${made++}`;
  await post(ledger.agent, "w", [{ op: "reserve", amount: 1, ttl: 60, idempotency_key: key }]);
  await travelBack(ledger, "w", "1 hour");
}

async function sweep(sql = ledger.worker): Promise<number> {
  const [row] = await call<{ expire_due: number }>(sql, "expire_due", {});
  return row?.expire_due ?? Number.NaN;
}

/** Sets the looks of the sweep: so many seconds ago, or ahead. */
async function lookedBefore(...seconds: number[]): Promise<void> {
  await ledger.admin`delete from baseledger.sweeps`;
  await ledger.admin`
    insert into baseledger.sweeps
      select clock_timestamp() - make_interval(secs => s::float8)
        from json_array_elements_text(${JSON.stringify(seconds)}::text::json) as s`;
}

/** Moves all looks so many seconds into the past. */
async function pass(seconds: number): Promise<void> {
  await ledger.admin`
    update baseledger.sweeps set looked_at = looked_at - make_interval(secs => ${seconds}::float8)`;
}

async function looks(): Promise<number[]> {
  const rows = await ledger.admin<{ ago: number }[]>`
    select extract('epoch' from clock_timestamp() - looked_at)::float8 as ago
      from baseledger.sweeps order by 1`;
  return rows.map(({ ago }) => ago);
}

test("the first look cannot be compared, and the sweep acts", async () => {
  await makeDue();
  expect(await sweep()).toBe(1);
  await makeDue();
  expect(await sweep()).toBe(1);
  expect(await looks()).toHaveLength(1);
});

test("a jump is trusted when the clock has gone on from there for a while", async () => {
  await lookedBefore(93_605, 93_600);
  await makeDue();
  expect(await sweep()).toBe(0);
  expect(await sweep()).toBe(0);
  await pass(6);
  expect(await sweep()).toBe(0);
  // Meanwhile what is due counts as returned.
  expect(await balance(ledger.agent, "w")).toMatchObject({ available: 100n, reserved: 0n });
  await pass(6);
  expect(await sweep()).toBe(1);
});

test("looks that lie ahead, from a jump that is over, are ignored", async () => {
  await lookedBefore(12, -93_600);
  await makeDue();
  expect(await sweep()).toBe(1);
  await pass(5);
  await makeDue();
  expect(await sweep()).toBe(1);
  expect((await looks()).filter((ago) => ago < 0)).toEqual([]);
});

test("a clock that was ahead for long and steps back does not stop the sweep", async () => {
  await lookedBefore(-93_600, -93_605, -93_610);
  await makeDue();
  expect(await sweep()).toBe(1);
});

test("a pause of up to a minute is no jump, a longer one is", async () => {
  await lookedBefore(60, 55);
  await makeDue();
  expect(await sweep()).toBe(1);
  await lookedBefore(70, 65);
  await makeDue();
  expect(await sweep()).toBe(0);
});

test("a sweep every five minutes is trusted after its first pause", async () => {
  await makeDue();
  expect(await sweep()).toBe(1);
  await pass(300);
  await makeDue();
  expect(await sweep()).toBe(0);
  for (let round = 0; round < 3; round++) {
    await pass(300 + round);
    await makeDue();
    expect(await sweep()).toBe(1);
  }
});

test("looks do not pile up", async () => {
  for (let round = 0; round < 10; round++) {
    await makeDue();
    expect(await sweep()).toBe(1);
    expect(await sweep()).toBe(0);
    await pass(6);
  }
  // Two that are old enough to compare, and those since.
  expect((await looks()).length).toBeLessThanOrEqual(5);
});

test("a sweep in an open transaction does not stop other sweeps", async () => {
  await lookedBefore(12, 7);
  await using one = await ledger.session("worker");
  await one.sql.unsafe("begin");
  expect(await sweep(one.sql)).toBe(0);
  await makeDue();
  expect(await sweep()).toBe(1);
  await pass(20);
  await makeDue();
  expect(await sweep()).toBe(1);
  await one.sql.unsafe("rollback");
});

test("sweep_status reports the last look and the next deadline", async () => {
  const [before] = await call<{ last_sweep: string | null }>(ledger.auditor, "sweep_status", {});
  expect(before?.last_sweep).toBeNull();
  await lookedBefore(20, -100);
  const [row] = await ledger.worker<{ ago: number; due: boolean }[]>`
    select extract('epoch' from s.as_of - s.last_sweep)::float8 as ago,
        s.next_due < s.as_of as due
      from baseledger.sweep_status() as s`;
  expect(row?.ago).toBeGreaterThanOrEqual(20);
  expect(row?.due).toBeNull();
});

test("wallets_ahead counts the wallets whose time lies ahead, and names the furthest", async () => {
  const ahead = async () => {
    const [row] = await call<Record<string, unknown>>(ledger.auditor, "wallets_ahead", {});
    return { wallets: row?.wallets, wallet_id: row?.wallet_id };
  };
  expect(await ahead()).toEqual({ wallets: 0n, wallet_id: null });
  await openWallet(ledger, "far", 1n);
  await travelBack(ledger, "w", "-1 hour");
  await travelBack(ledger, "far", "-26 hours");
  expect(await ahead()).toEqual({ wallets: 2n, wallet_id: "far" });
  await travelBack(ledger, ["w", "far"], "27 hours");
  expect(await ahead()).toEqual({ wallets: 0n, wallet_id: null });
});
