import type postgres from "postgres";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { checkInvariants, checkPast } from "../support/invariants.ts";
import {
  type Arguments,
  balance,
  call,
  command,
  createLedger,
  digest,
  expectRefusal,
  failure,
  history,
  holdLock,
  openWallet,
  outcome,
  post,
  postMany,
  type Receipt,
  type Session,
  type TestLedger,
  travelBack,
  untilWaiting,
} from "../support/ledger.ts";

// post_many beside other sessions: it waits for no wallet, so that it can be part of no deadlock.

/** For a session whose statements fail if they wait for a lock. */
const NEVER_WAITS = { lock_timeout: "200ms" };

let ledger: TestLedger;
let wallets = 0;

beforeAll(async () => {
  ledger = await createLedger();
});
afterEach(() => checkInvariants(ledger));
afterAll(async () => {
  await checkPast(ledger);
  await ledger[Symbol.asyncDispose]();
});

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** Opens so many wallets. */
async function open(count: number, funds = 1000n): Promise<string[]> {
  const ids = times(count, (i) => `wallet-${wallets + i}`);
  wallets += count;
  for (const id of ids) await openWallet(ledger, id, funds);
  return ids;
}

const charge = (walletId: string, key: string, amount = 1n): Arguments => ({
  wallet_id: walletId,
  op: "charge",
  amount,
  idempotency_key: key,
});

/** Charges each of these wallets once, in this order; the event or the code of each. */
async function chargeAll(
  sql: postgres.Sql,
  walletIds: readonly string[],
  key: string,
): Promise<string[]> {
  const receipts = await postMany(
    sql,
    walletIds.map((id) => charge(id, key)),
  );
  expect(receipts.map(({ wallet_id }) => wallet_id)).toEqual(walletIds);
  return receipts.map(answerOf);
}

function answerOf({ event, refused }: Receipt): string {
  return refused ?? `${event}`;
}

/** How often each key was charged in these wallets, as `wallet key`. */
async function charged(walletIds: readonly string[]): Promise<Map<string, number>> {
  const rows = await ledger.auditor<{ wallet_id: string; idempotency_key: string }[]>`
    select wallet_id, idempotency_key from baseledger.journal where event = 'charged'`;
  const ours = rows.filter(({ wallet_id }) => walletIds.includes(wallet_id));
  const groups = Map.groupBy(ours, (row) => `${row.wallet_id} ${row.idempotency_key}`);
  return new Map([...groups].map(([name, { length }]) => [name, length]));
}

/** The same numbers in an order of their own for each seed. */
function shuffle<T>(items: readonly T[], seed: number): T[] {
  let state = seed + 1;
  const keyed = items.map((item) => {
    state = (state * 48271) % 2147483647;
    return [state, item] as const;
  });
  return keyed.sort(([a], [b]) => a - b).map(([, item]) => item);
}

describe("a wallet that another session has locked", () => {
  type Locker = (sql: postgres.Sql, id: string) => Promise<unknown>;
  const reserve = { amount: 1n, idempotency_key: "locker" };
  const lockers: [string, "agent" | "operator" | "worker", Locker][] = [
    ["reserve", "agent", (sql, id) => command(sql, "reserve", { wallet_id: id, ...reserve })],
    ["post", "agent", (sql, id) => post(sql, id, [{ op: "reserve", ...reserve }])],
    ["post_many", "agent", (sql, id) => postMany(sql, [charge(id, "locker")])],
    ["a retry by post_many", "agent", (sql, id) => postMany(sql, [charge(id, "first")])],
    [
      "freeze_wallet",
      "operator",
      (sql, id) => command(sql, "freeze_wallet", { wallet_id: id, reason: "stop" }),
    ],
    ["expire_due", "worker", (sql) => call(sql, "expire_due", { limit: 1000n })],
  ];

  test.each(lockers)("by %s, refuses its commands alone, at once", async (_how, role, lock) => {
    const ids = await open(3);
    const [a = "", locked = "", b = ""] = ids;
    const due = { op: "reserve", amount: 5n, ttl: 60n, idempotency_key: "due" };
    await post(ledger.agent, locked, [{ op: "charge", amount: 1n, idempotency_key: "first" }, due]);
    await travelBack(ledger, locked, "1 hour");
    await using locker = await ledger.session(role);
    await using caller = await ledger.session("agent", NEVER_WAITS);
    await locker.sql.unsafe("begin");
    await lock(locker.sql, locked);
    const before = await history(ledger, locked);

    const receipts = await postMany(caller.sql, [
      charge(locked, "k"),
      charge(b, "k"),
      charge(locked, "first"),
      charge("nobody", "k"),
      charge(a, "k"),
      { wallet_id: locked, op: "settle", reservation_id: "due", amount: 1n, idempotency_key: "s" },
    ]);
    expect(receipts.map(answerOf)).toEqual([
      ...["LGBSY", "charged", "LGBSY", "LGWNF", "charged", "LGBSY"],
    ]);
    expect(receipts[5]).toMatchObject({
      ...{ wallet_id: locked, seq: null, event: null, amount: null, available: null },
      ...{ reservation_id: "due", idempotency_key: "s", replayed: false },
      detail: { wallet_id: locked },
    });
    // Committed, while the other session still has the wallet.
    expect(await charged(ids)).toEqual(
      new Map([
        [`${a} k`, 1],
        [`${locked} first`, 1],
        [`${b} k`, 1],
      ]),
    );
    expect(await history(ledger, locked)).toEqual(before);

    await locker.sql.unsafe("rollback");
    expect(await chargeAll(caller.sql, ids, "k")).toEqual(["charged", "charged", "charged"]);
    expect(new Set((await charged(ids)).values())).toEqual(new Set([1]));
    expect(await balance(ledger.agent, locked)).toMatchObject({ available: 998n, spent: 2n });
  });

  test("by a command that commits, refuses what was free before", async () => {
    const [id = ""] = await open(1, 5n);
    await using locker = await ledger.session("agent");
    await locker.sql.unsafe("begin");
    const all = { wallet_id: id, amount: 5n, idempotency_key: "all" };
    await command(locker.sql, "charge", all);
    expect(await chargeAll(ledger.agent, [id], "k")).toEqual(["LGBSY"]);
    await locker.sql.unsafe("commit");
    expect(await chargeAll(ledger.agent, [id], "k")).toEqual(["LGNSF"]);
    const [again] = await postMany(ledger.agent, [charge(id, "all", 5n)]);
    expect(again).toMatchObject({ replayed: true, available: 0n });
  });

  test("of all, refuses every command, and writes nothing", async () => {
    const ids = await open(3);
    const unlock = await Promise.all(ids.map((id) => holdLock(ledger, id)));
    await using caller = await ledger.session("agent", NEVER_WAITS);
    const before = await digest(ledger);
    expect(await chargeAll(caller.sql, ids, "k")).toEqual(["LGBSY", "LGBSY", "LGBSY"]);
    expect(await digest(ledger)).toBe(before);
    await Promise.all(unlock.map((each) => each()));
  });

  test("is busy for post_many while post waits for it", async () => {
    const ids = await open(2);
    const [a = "", b = ""] = ids;
    const unlock = await holdLock(ledger, a);
    await using waiting = await ledger.session("agent");
    await using caller = await ledger.session("agent", NEVER_WAITS);
    const posted = post(waiting.sql, a, [{ op: "charge", amount: 1n, idempotency_key: "k" }]);
    await untilWaiting(ledger, waiting);
    expect(await chargeAll(caller.sql, [b, a], "k")).toEqual(["charged", "LGBSY"]);
    await unlock();
    expect((await posted).map(answerOf)).toEqual(["charged"]);
    const receipts = await postMany(caller.sql, [charge(a, "k")]);
    expect(receipts).toMatchObject([{ replayed: true }]);
  });
});

describe("nothing waits, and nothing is a deadlock", () => {
  test("two transactions that want what the other has", async () => {
    const [a = "", b = "", c = ""] = await open(3);
    await using one = await ledger.session("agent", NEVER_WAITS);
    await using two = await ledger.session("agent", NEVER_WAITS);
    await one.sql.unsafe("begin");
    await two.sql.unsafe("begin");
    expect(await chargeAll(one.sql, [a], "1")).toEqual(["charged"]);
    expect(await chargeAll(two.sql, [b], "1")).toEqual(["charged"]);
    // What a transaction has locked itself is not busy.
    expect(await chargeAll(one.sql, [b, a, c], "2")).toEqual(["LGBSY", "charged", "charged"]);
    expect(await chargeAll(two.sql, [a, b, c], "2")).toEqual(["LGBSY", "charged", "LGBSY"]);
    await one.sql.unsafe("commit");
    expect(await chargeAll(two.sql, [c, a, b], "2")).toEqual(["charged", "charged", "charged"]);
    await two.sql.unsafe("commit");
    expect(await balance(ledger.agent, a)).toMatchObject({ spent: 2n, seq: 4n });
    expect(await balance(ledger.agent, b)).toMatchObject({ spent: 2n, seq: 4n });
    expect(await balance(ledger.agent, c)).toMatchObject({ spent: 1n, seq: 3n });
  });

  test("two transactions that have reserved in opposite orders", async () => {
    const [a = "", b = ""] = await open(2);
    await using one = await ledger.session("agent");
    await using two = await ledger.session("agent", NEVER_WAITS);
    const reserve = (session: Session, id: string, key: string) =>
      command(session.sql, "reserve", { wallet_id: id, amount: 10n, idempotency_key: key });
    await one.sql.unsafe("begin");
    await two.sql.unsafe("begin");
    await reserve(one, a, "r");
    await reserve(two, b, "r");
    const settle = (id: string) => ({
      ...{ wallet_id: id, op: "settle", reservation_id: "r", amount: 4n, idempotency_key: "s" },
    });
    const settled = async ({ sql }: Session, first: string, second: string) =>
      (await postMany(sql, [settle(first), settle(second)])).map(answerOf);
    expect(await settled(one, a, b)).toEqual(["settled", "LGBSY"]);
    // The first waits for the second, which goes on all the same.
    const waiting = reserve(one, b, "r of the first");
    await untilWaiting(ledger, one);
    expect(await settled(two, a, b)).toEqual(["LGBSY", "settled"]);
    await two.sql.unsafe("commit");
    expect(await waiting).toMatchObject({ event: "reserved", available: 986n });
    await one.sql.unsafe("commit");
    expect(await history(ledger, a)).toEqual(["opened", "credited", "reserved", "settled"]);
  });

  test("many callers, each with the same wallets in an order of its own", async () => {
    const ids = await open(12, 10_000n);
    const callers = 6;
    const calls = 60;
    const answers = await Promise.all(
      times(callers, async (caller) => {
        await using session = await ledger.session("agent");
        const all: string[] = [];
        for (let call = 0; call < calls; call += 1) {
          const order = shuffle(ids, caller * 1000 + call);
          const key = `${caller} ${call}`;
          const own = await chargeAll(session.sql, order, key);
          all.push(...own.flatMap((each, i) => (each === "charged" ? [`${order[i]} ${key}`] : [])));
          expect(own.filter((each) => each !== "charged" && each !== "LGBSY")).toEqual([]);
        }
        return all;
      }),
    );
    const granted = answers.flat();
    // Exactly what was granted has happened.
    expect(granted.length).toBeGreaterThan(calls);
    const counts = await charged(ids);
    expect([...counts.keys()].sort()).toEqual(granted.sort());
    expect(new Set(counts.values())).toEqual(new Set([1]));
  });

  test("transactions of several calls, in both orders", async () => {
    const ids = await open(8, 10_000n);
    await Promise.all(
      times(4, async (caller) => {
        await using session = await ledger.session("agent");
        for (let turn = 0; turn < 40; turn += 1) {
          const order = caller % 2 ? ids : ids.toReversed();
          await session.sql.unsafe("begin");
          for (const [i, id] of order.entries()) {
            const key = `${caller} ${turn} ${i}`;
            const [answer] = await chargeAll(session.sql, [id], key);
            expect(["charged", "LGBSY"]).toContain(answer);
          }
          await session.sql.unsafe(turn % 3 ? "commit" : "rollback");
        }
      }),
    );
  });

  test("beside transfers and sweeps", async () => {
    const ids = await open(6, 10_000n);
    for (const id of ids) {
      await post(
        ledger.agent,
        id,
        times(30, (i) => ({ op: "reserve", amount: 1n, ttl: 60n, idempotency_key: `due ${i}` })),
      );
    }
    await travelBack(ledger, ids, "1 hour");
    let over = false;
    const sweeps = (async () => {
      await using worker = await ledger.session("worker");
      while (!over) await call(worker.sql, "expire_due", { limit: 7n });
    })();
    const transfers = times(2, async (caller) => {
      await using session = await ledger.session("operator");
      for (let turn = 0; turn < 30; turn += 1) {
        const [from, to] = shuffle(ids, caller * 100 + turn);
        const key = `transfer ${caller} ${turn}`;
        await command(session.sql, "transfer", { from, to, amount: 1n, idempotency_key: key });
      }
    });
    const charges = times(3, async (caller) => {
      await using session = await ledger.session("agent");
      for (let turn = 0; turn < 30; turn += 1) {
        await chargeAll(session.sql, shuffle(ids, caller * 100 + turn), `${caller} ${turn}`);
      }
    });
    await Promise.all([...transfers, ...charges]);
    over = true;
    await sweeps;
    for (const id of ids) {
      const events = await history(ledger, id);
      expect(events.filter((event) => event === "expired")).toHaveLength(30);
    }
  });
});

describe("the same keys at the same time", () => {
  /** Sends until no wallet is busy; the answers in the end. */
  async function persist(sql: postgres.Sql, commands: readonly Arguments[]): Promise<Receipt[]> {
    const answers = new Map<Arguments, Receipt>();
    while (answers.size < commands.length) {
      const rest = commands.filter((each) => !answers.has(each));
      const receipts = await postMany(sql, rest);
      for (const [i, each] of rest.entries()) {
        const receipt = receipts[i];
        if (receipt && receipt.refused !== "LGBSY") answers.set(each, receipt);
      }
    }
    return commands.map((each) => answers.get(each) as Receipt);
  }

  test("by post and by post_many, are charged once", async () => {
    const ids = await open(6);
    const keys = times(10, (i) => `key ${i}`);
    const commands = keys.flatMap((key) => ids.map((id) => charge(id, key)));
    const sent = await Promise.all(
      times(8, async (caller) => {
        await using session = await ledger.session("agent");
        const mine = shuffle(commands, caller);
        if (caller % 2) return await persist(session.sql, mine);
        const receipts: Receipt[] = [];
        for (const { wallet_id, ...each } of mine) {
          receipts.push(...(await post(session.sql, `${wallet_id}`, [each])));
        }
        return receipts;
      }),
    );
    const receipts = sent.flat();
    expect(receipts).toHaveLength(8 * commands.length);
    expect(receipts.filter(({ refused }) => refused !== null)).toEqual([]);
    expect(receipts.filter(({ replayed }) => !replayed)).toHaveLength(commands.length);
    const byKey = Map.groupBy(receipts, (r) => `${r.wallet_id} ${r.idempotency_key}`);
    for (const same of byKey.values()) {
      expect(new Set(same.map(({ seq, available }) => `${seq} ${available}`)).size).toBe(1);
    }
    expect(new Set((await charged(ids)).values())).toEqual(new Set([1]));
    for (const id of ids) {
      expect(await balance(ledger.agent, id)).toMatchObject({ available: 990n, spent: 10n });
    }
  });

  test("the last funds of each wallet go to as many as they last for", async () => {
    const ids = await open(5, 7n);
    const sent = await Promise.all(
      times(10, async (caller) => {
        await using session = await ledger.session("agent");
        return await persist(
          session.sql,
          shuffle(ids, caller).map((id) => charge(id, `of ${caller}`)),
        );
      }),
    );
    const answers = sent.flat().map((receipt) => `${receipt.wallet_id} ${answerOf(receipt)}`);
    for (const id of ids) {
      expect(answers.filter((each) => each === `${id} charged`)).toHaveLength(7);
      expect(answers.filter((each) => each === `${id} LGNSF`)).toHaveLength(3);
      expect(await balance(ledger.agent, id)).toMatchObject({ available: 0n, spent: 7n });
    }
  });
});

describe("a caller's own transaction", () => {
  test("leaves nothing when it rolls back, and all keys and wallets free", async () => {
    const ids = await open(4);
    const commands = ids.flatMap((id) => [
      { wallet_id: id, op: "reserve", amount: 9n, idempotency_key: "r" },
      charge(id, "k"),
    ]);
    await using caller = await ledger.session("agent");
    const before = await digest(ledger);
    await caller.sql.unsafe("begin");
    const receipts = await postMany(caller.sql, commands);
    expect(receipts.filter(({ refused }) => refused !== null)).toEqual([]);
    expect(await chargeAll(ledger.agent, ids, "k")).toEqual(ids.map(() => "LGBSY"));
    await caller.sql.unsafe("rollback");
    expect(await digest(ledger)).toBe(before);

    const again = await postMany(ledger.agent, commands);
    expect(again.map(({ replayed, seq }) => [replayed, seq])).toEqual(
      ids.flatMap(() => [
        [false, 3n],
        [false, 4n],
      ]),
    );
  });

  test("keeps the rest when it rolls back to a savepoint", async () => {
    const ids = await open(3);
    const [a = "", b = "", c = ""] = ids;
    await using caller = await ledger.session("agent");
    await caller.sql.unsafe("begin");
    await chargeAll(caller.sql, [a, b], "before");
    await caller.sql.unsafe("savepoint s");
    await chargeAll(caller.sql, [b, c], "undone");
    await caller.sql.unsafe("rollback to s");
    // What the savepoint had locked is free again.
    expect(await chargeAll(ledger.agent, ids, "other")).toEqual(["LGBSY", "LGBSY", "charged"]);
    const [repeated] = await postMany(caller.sql, [charge(b, "undone", 2n)]);
    expect(repeated).toMatchObject({ replayed: false, seq: 4n, available: 997n });
    await caller.sql.unsafe("commit");
    expect([...(await charged(ids)).keys()].sort()).toEqual(
      [`${a} before`, `${b} before`, `${b} undone`, `${c} other`].sort(),
    );
  });

  test("changes its own table and several wallets together", async () => {
    const ids = await open(3);
    await ledger.admin`create table public.invoices (id text primary key)`;
    await ledger.admin`grant insert, select on public.invoices to public`;
    await using caller = await ledger.session("agent");
    await caller.sql.unsafe("begin");
    await caller.sql`insert into public.invoices values ('1')`;
    await chargeAll(caller.sql, ids, "1");
    const twice = caller.sql`insert into public.invoices values ('1')`;
    expect((await failure(twice)).code).toBe("23505");
    await caller.sql.unsafe("rollback");
    expect((await charged(ids)).size).toBe(0);
  });

  test("that is read only cannot change a wallet", async () => {
    const ids = await open(2);
    await using caller = await ledger.session("agent", { default_transaction_read_only: "on" });
    expect((await failure(chargeAll(caller.sql, ids, "k"))).code).toBe("25006");
    expect(await postMany(caller.sql, [])).toEqual([]);
    expect((await charged(ids)).size).toBe(0);
  });

  test("a call that fails as a whole leaves the wallets as they were", async () => {
    const ids = await open(2);
    const before = await digest(ledger);
    const commands = [...ids.map((id) => charge(id, "k")), 5] as unknown as Arguments[];
    await expectRefusal("LGARG", postMany(ledger.agent, commands));
    expect(await digest(ledger)).toBe(before);
    expect(await chargeAll(ledger.agent, ids, "k")).toEqual(["charged", "charged"]);
  });
});

describe.each(["repeatable read", "serializable"])("at isolation level %s", (level) => {
  /** Begins a transaction, and takes its snapshot. */
  async function begin({ sql }: Session): Promise<void> {
    await sql.unsafe(`begin isolation level ${level}`);
    await sql`select from pg_class limit 1`;
  }

  test("a wallet that has changed since is 40001, not a wrong result", async () => {
    const ids = await open(3);
    const [a = "", b = "", c = ""] = ids;
    await using caller = await ledger.session("agent");
    await begin(caller);
    await chargeAll(ledger.agent, [b], "other");
    const error = await failure(chargeAll(caller.sql, ids, "k"));
    expect(error.code).toBe("40001");
    await caller.sql.unsafe("rollback");
    expect([...(await charged(ids)).keys()]).toEqual([`${b} other`]);

    await begin(caller);
    await chargeAll(ledger.agent, [b], "another");
    expect(await chargeAll(caller.sql, [c, a], "k")).toEqual(["charged", "charged"]);
    await caller.sql.unsafe("commit");
  });

  test("a wallet that somebody has locked is busy", async () => {
    const [a = "", b = ""] = await open(2);
    const unlock = await holdLock(ledger, a);
    await using caller = await ledger.session("agent", NEVER_WAITS);
    await begin(caller);
    expect(await chargeAll(caller.sql, [a, b], "k")).toEqual(["LGBSY", "charged"]);
    await caller.sql.unsafe("commit");
    await unlock();
  });

  test("many at once: right, or 40001", async () => {
    const ids = await open(4, 6n);
    const sent = await Promise.all(
      times(8, async (caller) => {
        await using session = await ledger.session("agent");
        const answers: string[] = [];
        let rest = shuffle(ids, caller);
        while (rest.length > 0) {
          await session.sql.unsafe(`begin isolation level ${level}`);
          const own = await outcome(chargeAll(session.sql, rest, `of ${caller}`));
          if ("code" in own) expect(own.code).toBe("40001");
          const end = "code" in own ? "rollback" : "commit";
          const ended = await outcome(session.sql.unsafe(end).then(() => "done"));
          if ("code" in own || ended !== "done") continue;
          const order = rest;
          const decided = order.filter((_, i) => own[i] !== "LGBSY");
          answers.push(...decided.map((id) => `${id} ${own[order.indexOf(id)]}`));
          rest = order.filter((_, i) => own[i] === "LGBSY");
        }
        return answers;
      }),
    );
    const answers = sent.flat();
    for (const id of ids) {
      expect(answers.filter((each) => each === `${id} charged`)).toHaveLength(6);
      expect(answers.filter((each) => each === `${id} LGNSF`)).toHaveLength(2);
    }
  });
});
