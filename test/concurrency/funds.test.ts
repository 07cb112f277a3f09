import type postgres from "postgres";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { checkInvariants } from "../support/invariants.ts";
import {
  type Arguments,
  balance,
  call,
  command,
  createLedger,
  history,
  holdLock,
  openWallet,
  outcome,
  post,
  queueUp,
  type Receipt,
  type TestLedger,
  untilCrowd,
  untilWaiting,
  verify,
} from "../support/ledger.ts";

let ledger: TestLedger;
let agents: postgres.Sql;
let operators: postgres.Sql;
let wallets = 0;

beforeAll(async () => {
  ledger = await createLedger();
  agents = ledger.connect("agent", 40);
  operators = ledger.connect("operator", 20);
});
afterEach(() => checkInvariants(ledger));
afterAll(async () => {
  await ledger[Symbol.asyncDispose]();
});

function wallet(funds: bigint, terms: Arguments = {}): Promise<string> {
  wallets += 1;
  return openWallet(ledger, `wallet-${wallets}`, funds, terms);
}

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

type Ended = Receipt | { readonly code: string };
const answerOf = (ended: Ended): string => ("code" in ended ? ended.code : `${ended.event}`);
const count = (all: readonly Ended[], what: string): number =>
  all.filter((each) => answerOf(each) === what).length;

describe("the last cent", () => {
  test("goes to the first of two", async () => {
    const id = await wallet(1n);
    const reserve = (key: string) => (sql: postgres.Sql) =>
      command(sql, "reserve", { wallet_id: id, amount: 1n, idempotency_key: key });
    const ended = await queueUp(ledger, id, [
      ["agent", reserve("a")],
      ["agent", reserve("b")],
    ]);
    expect(ended.map(answerOf)).toEqual(["reserved", "LGNSF"]);
    expect(await history(ledger, id)).toEqual(["opened", "credited", "reserved"]);
  });

  test("200 for 100 cents: 100 are granted", async () => {
    const id = await wallet(100n);
    const unlock = await holdLock(ledger, id);
    const sent = times(200, (i) =>
      outcome(command(agents, "reserve", { wallet_id: id, amount: 1n, idempotency_key: `${i}` })),
    );
    await untilCrowd(ledger, "agent", 40);
    await unlock();
    const ended = await Promise.all(sent);
    expect([count(ended, "reserved"), count(ended, "LGNSF")]).toEqual([100, 100]);
    expect(await balance(agents, id)).toMatchObject({ available: 0n, reserved: 100n });
  });

  test("by every command that takes, in batches or not", async () => {
    const id = await wallet(100n);
    const other = await wallet(0n);
    const key = (i: number): Arguments => ({ idempotency_key: `${i}` });
    const ways: ((i: number) => Promise<Ended[]>)[] = [
      async (i) => [
        await outcome(command(agents, "reserve", { wallet_id: id, amount: 1n, ...key(i) })),
      ],
      async (i) => [
        await outcome(command(agents, "charge", { wallet_id: id, amount: 1n, ...key(i) })),
      ],
      async (i) => [
        await outcome(command(operators, "withdraw", { wallet_id: id, amount: 1n, ...key(i) })),
      ],
      async (i) => [
        await outcome(
          command(operators, "transfer", { from: id, to: other, amount: 1n, ...key(i) }),
        ),
      ],
      async (i) =>
        (
          await post(agents, id, [
            { op: "reserve", amount: 1, ...key(i) },
            { op: "charge", amount: 1, idempotency_key: `${i} too` },
          ])
        ).map((receipt) => (receipt.refused ? { code: receipt.refused } : receipt)),
    ];
    const ended = (
      await Promise.all(times(150, (i) => ways[i % ways.length]?.(i) ?? Promise.resolve([])))
    ).flat();
    expect(ended).toHaveLength(180);
    expect([ended.length - count(ended, "LGNSF"), count(ended, "LGNSF")]).toEqual([100, 80]);
    expect(await balance(agents, id)).toMatchObject({ available: 0n });
  });

  test("p_at_least: the rest is granted, then nothing", async () => {
    const id = await wallet(95n);
    const args = { wallet_id: id, amount: 10n, at_least: 3n };
    const ended = await Promise.all(
      times(20, (i) => outcome(command(agents, "reserve", { ...args, idempotency_key: `${i}` }))),
    );
    const granted = ended.flatMap((each) => ("amount" in each ? [each.amount] : []));
    expect(granted.toSorted()).toEqual([...times(9, () => 10n), 5n]);
    expect(count(ended, "LGNSF")).toBe(10);
  });

  test("what a settlement releases can be reserved by a waiting command", async () => {
    const id = await wallet(100n);
    const all = { wallet_id: id, amount: 100n };
    await command(agents, "reserve", { ...all, idempotency_key: "r" });
    await using caller = await ledger.session("agent");
    await using waiter = await ledger.session("agent");
    await caller.sql.unsafe("begin");
    const settle = { wallet_id: id, reservation_id: "r", amount: 40n, idempotency_key: "s" };
    await command(caller.sql, "settle", settle);
    const reserve = { ...all, amount: 60n, idempotency_key: "r2" };
    const waiting = command(waiter.sql, "reserve", reserve);
    await untilWaiting(ledger, waiter);
    await caller.sql.unsafe("commit");
    expect(await waiting).toMatchObject({ event: "reserved", available: 0n, spent: 40n });
  });

  test("settlements at once stop at the overdraft limit", async () => {
    const id = await wallet(100n, { overdraft_limit: 50n });
    await post(
      agents,
      id,
      times(20, (i) => ({ op: "reserve", amount: 5, idempotency_key: `r${i}` })),
    );
    const ended = await Promise.all(
      times(20, (i) =>
        outcome(
          command(agents, "settle", {
            wallet_id: id,
            reservation_id: `r${i}`,
            amount: 15n,
            idempotency_key: `s${i}`,
          }),
        ),
      ),
    );
    // Each takes 10 from available, which starts at 0.
    expect([count(ended, "settled"), count(ended, "LGOVD")]).toEqual([5, 15]);
    expect(await balance(agents, id)).toMatchObject({ available: -50n, reserved: 75n });
  });
});

describe("transfers", () => {
  test("in both directions at once do not deadlock", async () => {
    const [a, b] = [await wallet(500n), await wallet(500n)];
    const ended = await Promise.all(
      times(200, (i) => {
        const [from, to] = i % 2 ? [a, b] : [b, a];
        const args = { from, to, amount: BigInt(1 + (i % 7)), idempotency_key: `${i}` };
        return outcome(command(operators, "transfer", args));
      }),
    );
    expect(count(ended, "transferred_out")).toBe(200);
    const [one, two] = [await balance(agents, a), await balance(agents, b)];
    expect(one.available + two.available).toBe(1000n);
  });

  test("in a ring of wallets, never more than there is", async () => {
    // Bytewise, Z comes before a; by a language's collation it does not.
    const ids = await Promise.all(
      ["a", "B", "Z", "ä", "_"].map((name) => openWallet(ledger, `ring ${name}`, 20n)),
    );
    const ended = await Promise.all(
      times(300, (i) => {
        const from = ids[i % 5] ?? "";
        const to = ids[(i + 1 + (i % 4)) % 5] ?? "";
        const args = { from, to, amount: 9n, idempotency_key: `${i}` };
        return outcome(command(operators, "transfer", args));
      }),
    );
    expect(count(ended, "transferred_out") + count(ended, "LGNSF")).toBe(300);
    const balances = await Promise.all(ids.map((id) => balance(agents, id)));
    expect(balances.reduce((sum, each) => sum + each.available, 0n)).toBe(100n);
    expect(balances.filter(({ available }) => available < 0n)).toEqual([]);
  });

  test.each([
    ["the lower id", 0],
    ["the higher id", 1],
  ])("wait for %s, whatever their direction", async (_which, held) => {
    const ids = [await wallet(10n), await wallet(10n)].sort();
    const [a = "", b = ""] = ids;
    const transfer = (from: string, to: string) => (sql: postgres.Sql) =>
      command(sql, "transfer", { from, to, amount: 4n, idempotency_key: "t" });
    const ended = await queueUp(ledger, ids[held] ?? "", [
      ["operator", transfer(a, b)],
      ["operator", transfer(b, a)],
    ]);
    expect(ended.map(answerOf)).toEqual(["transferred_out", "transferred_out"]);
  });

  test("and commands to either wallet", async () => {
    const ids = await Promise.all(times(4, () => wallet(100n)));
    const ended = await Promise.all(
      times(300, (i) => {
        const id = ids[i % 4] ?? "";
        const to = ids[(i + 1) % 4] ?? "";
        const args = { amount: 3n, idempotency_key: `${i}` };
        return i % 3
          ? outcome(command(agents, "charge", { wallet_id: id, ...args }))
          : outcome(command(operators, "transfer", { from: id, to, ...args }));
      }),
    );
    expect(count(ended, "40P01")).toBe(0);
    const balances = await Promise.all(ids.map((id) => balance(agents, id)));
    expect(balances.reduce((sum, each) => sum + each.available + each.spent, 0n)).toBe(400n);
  });

  test("freezing the sender stops a waiting transfer, freezing the receiver does not", async () => {
    const [a, b] = [await wallet(10n), await wallet(10n)];
    const freeze = (sql: postgres.Sql) =>
      command(sql, "freeze_wallet", { wallet_id: a, reason: "stop" });
    const transfer = (from: string, to: string) => (sql: postgres.Sql) =>
      command(sql, "transfer", { from, to, amount: 4n, idempotency_key: "t" });
    const ended = await queueUp(ledger, a, [
      ["operator", freeze],
      ["operator", transfer(a, b)],
      ["operator", transfer(b, a)],
    ]);
    expect(ended.map(answerOf)).toEqual(["frozen", "LGFRZ", "transferred_out"]);
  });
});

test("reads always see all the funds, and a sound ledger", async () => {
  const id = await wallet(1000n);
  let reads = 0;
  let writing = true;
  const reader = async (): Promise<void> => {
    for (; writing; reads++) {
      const now = await balance(ledger.agent, id);
      expect(now.available + now.reserved + now.spent).toBe(1000n);
      const [row] = await ledger.auditor<{ sum: bigint }[]>`
        select available + reserved + spent as sum from baseledger.wallet_balances
          where wallet_id = ${id}`;
      expect(row?.sum).toBe(1000n);
      expect(await call(ledger.auditor, "verify", { wallet_id: id })).toEqual([]);
      if (reads % 5 === 0) expect(await verify(ledger.auditor)).toEqual([]);
    }
  };
  const write = async (key: string, i: number): Promise<void> => {
    const reserve = { wallet_id: id, amount: 30n, idempotency_key: `r${key}` };
    await outcome(command(agents, "reserve", reserve));
    const settle = { reservation_id: `r${key}`, amount: BigInt(i % 40), idempotency_key: key };
    await outcome(command(agents, "settle", { wallet_id: id, ...settle }));
    const refund = { reservation_id: `r${key}`, amount: 7n, idempotency_key: `f${key}` };
    await outcome(command(operators, "refund", { wallet_id: id, ...refund }));
  };
  const reading = [reader(), reader()];
  for (let round = 0; reads < 20; round++) {
    await Promise.all(times(40, (i) => write(`${round} ${i}`, i)));
  }
  writing = false;
  await Promise.all(reading);
});
