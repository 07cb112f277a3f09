import type postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { checkInvariants } from "../support/invariants.ts";
import {
  type Arguments,
  call,
  command,
  createLedger,
  holdLock,
  openWallet,
  type Receipt,
  type TestLedger,
  untilWaiting,
} from "../support/ledger.ts";

// Operators set prices while others do, and while calls are open. A token of input costs 1 or 2
// nano-dollars: who sees which price shows in the amount.

interface Price {
  readonly price_id: bigint;
  readonly model: string;
  readonly added_at: string;
}

let ledger: TestLedger;
let model = "";
let wallet = "";
let tests = 0;

beforeAll(async () => {
  ledger = await createLedger();
});
afterEach(() => checkInvariants(ledger));
afterAll(() => ledger[Symbol.asyncDispose]());

beforeEach(async () => {
  tests += 1;
  model = `test/${tests}`;
  wallet = await openWallet(ledger, `wallet ${tests}`, 1_000_000n);
});

/** Sets the price of a token of input, in nano-dollars. */
async function setPrice(sql: postgres.Sql, nanos: number, terms: Arguments = {}): Promise<Price> {
  const args = { model, rates: { input: nanos * 1_000_000 }, ...terms };
  const [price] = await call<Price>(sql, "set_price", args);
  if (!price) throw new Error("set_price gave no row");
  return price;
}

const prices = () =>
  ledger.auditor<Price[]>`
    select price_id, model, added_at from baseledger.prices order by price_id`;

const reserve = (sql: postgres.Sql = ledger.agent): Promise<Receipt> =>
  command(sql, "reserve", {
    ...{ wallet_id: wallet, amount: null, idempotency_key: "r" },
    usage: { model, input: 100 },
  });

const settle = (): Promise<Receipt> =>
  command(ledger.agent, "settle", {
    ...{ wallet_id: wallet, reservation_id: "r", amount: null, idempotency_key: "s" },
    usage: { input: 70 },
  });

/** The price rows that the wallet's events name. */
async function pricesOnRecord(): Promise<number[]> {
  const rows = await ledger.auditor<{ price: number }[]>`
    select (details -> 'price')::int as price from baseledger.journal
      where wallet_id = ${wallet} and details ? 'price' order by seq`;
  return rows.map(({ price }) => price);
}

async function nextId(): Promise<number> {
  return (await prices()).length + 1;
}

test("a price waits for the one before it to be committed, and gets the next id", async () => {
  const id = await nextId();
  await using first = await ledger.session("operator");
  await using second = await ledger.session("operator");
  await first.sql.unsafe("begin");
  await setPrice(first.sql, 1);
  const waiting = setPrice(second.sql, 2, { model: `${model} later` });
  await untilWaiting(ledger, second);
  await first.sql.unsafe("commit");
  const later = await waiting;
  const all = await prices();
  expect(all.slice(id - 1).map((each) => [Number(each.price_id), each.model])).toEqual([
    [id, model],
    [id + 1, `${model} later`],
  ]);
  expect(later.added_at > (all[id - 1]?.added_at ?? "")).toBe(true);
});

test("a price that is rolled back leaves no gap", async () => {
  const id = await nextId();
  await using first = await ledger.session("operator");
  await using second = await ledger.session("operator");
  await first.sql.unsafe("begin");
  await setPrice(first.sql, 1);
  const waiting = setPrice(second.sql, 2);
  await untilWaiting(ledger, second);
  await first.sql.unsafe("rollback");
  expect(Number((await waiting).price_id)).toBe(id);
});

test("two who set the same price at once add one row", async () => {
  const id = await nextId();
  await using first = await ledger.session("operator");
  await using second = await ledger.session("operator");
  await first.sql.unsafe("begin");
  await setPrice(first.sql, 1);
  const waiting = setPrice(second.sql, 1);
  await untilWaiting(ledger, second);
  await first.sql.unsafe("commit");
  expect(Number((await waiting).price_id)).toBe(id);
  expect(await nextId()).toBe(id + 1);
});

test("a model that becomes an alias meanwhile gets no price", async () => {
  const target = await setPrice(ledger.operator, 1, { model: `${model} target` });
  await using first = await ledger.session("operator");
  await using second = await ledger.session("operator");
  await first.sql.unsafe("begin");
  await setPrice(first.sql, 1, { rates: null, alias_of: target.model });
  const waiting = setPrice(second.sql, 1).catch((error) => error);
  await untilWaiting(ledger, second);
  await first.sql.unsafe("commit");
  expect(await waiting).toMatchObject({ code: "LGARG" });
});

test("the ids of many who set prices at once are in the order of their times", async () => {
  const id = await nextId();
  const callers = Array.from({ length: 6 }, async (_, caller) => {
    await using session = await ledger.session("operator");
    for (let nanos = 1; nanos <= 10; nanos += 1) {
      await setPrice(session.sql, nanos, { model: `${model} ${caller % 2}` });
    }
  });
  await Promise.all(callers);
  const all = await prices();
  expect(all.map((each) => Number(each.price_id))).toEqual(all.map((_, i) => i + 1));
  const times = all.slice(id - 1).map((each) => each.added_at);
  expect(times.length).toBeGreaterThanOrEqual(20);
  expect(times).toEqual(times.toSorted());
});

test("a price that is set while a call is open does not change its settlement", async () => {
  const { price_id: id } = await setPrice(ledger.operator, 1);
  expect((await reserve()).amount).toBe(100n);
  await setPrice(ledger.operator, 2);
  expect((await settle()).amount).toBe(70n);
  expect(await pricesOnRecord()).toEqual([Number(id), Number(id)]);
});

test("nor does one that was set before the call was opened, and committed after it", async () => {
  const { price_id: id } = await setPrice(ledger.operator, 1);
  await using operator = await ledger.session("operator");
  await operator.sql.unsafe("begin");
  await setPrice(operator.sql, 2);
  // Nobody waits for whoever sets a price.
  expect((await reserve()).amount).toBe(100n);
  await operator.sql.unsafe("commit");
  expect((await settle()).amount).toBe(70n);
  expect(await pricesOnRecord()).toEqual([Number(id), Number(id)]);
});

test("a call that waits for its wallet has the price of the instant at which it is opened", async () => {
  await setPrice(ledger.operator, 1);
  const unlock = await holdLock(ledger, wallet);
  await using agent = await ledger.session("agent");
  const waiting = reserve(agent.sql);
  await untilWaiting(ledger, agent);
  const { price_id: id } = await setPrice(ledger.operator, 2);
  await unlock();
  expect((await waiting).amount).toBe(200n);
  await setPrice(ledger.operator, 3);
  expect((await settle()).amount).toBe(140n);
  expect(await pricesOnRecord()).toEqual([Number(id), Number(id)]);
});
