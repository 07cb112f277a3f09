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
  openWallet,
  outcome,
  post,
  type Session,
  type TestLedger,
  travelBack,
  untilWaiting,
} from "../support/ledger.ts";

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

function wallet(funds = 1000n): Promise<string> {
  wallets += 1;
  return openWallet(ledger, `wallet-${wallets}`, funds);
}

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** Sends one of every command, one after the other. */
async function everything(session: Session, id: string, other: string): Promise<void> {
  const { sql } = session;
  const send = (name: string, args: Arguments) => command(sql, name, { wallet_id: id, ...args });
  await call(sql, "open_wallet", { wallet_id: `${id} new` });
  await send("credit", { amount: 10n, idempotency_key: "credit" });
  await send("withdraw", { amount: 10n, idempotency_key: "withdraw" });
  await send("reserve", { amount: 100n, idempotency_key: "reserve" });
  await send("extend", { reservation_id: "reserve", ttl: "1 hour", idempotency_key: "extend" });
  await send("settle", { reservation_id: "reserve", amount: 150n, idempotency_key: "settle" });
  await send("charge", { amount: 10n, idempotency_key: "charge" });
  await send("refund", { reservation_id: "charge", amount: 10n, idempotency_key: "refund" });
  await send("freeze_wallet", { reason: "stop", idempotency_key: "freeze" });
  await send("unfreeze_wallet", { reason: "go", idempotency_key: "unfreeze" });
  await call(sql, "post_funds", {
    wallet_id: id,
    commands: [
      { op: "reserve", amount: 5, idempotency_key: "in a batch" },
      { op: "cancel", reservation_id: "in a batch", idempotency_key: "cancel" },
      { op: "credit", amount: 5, idempotency_key: "credit in a batch" },
    ],
  });
  const transfer = { from: id, to: other, amount: 10n, idempotency_key: "transfer" };
  await command(sql, "transfer", transfer);
}

describe("a caller's own transaction", () => {
  test("leaves nothing when it rolls back, and all keys free", async () => {
    const [id, other] = [await wallet(), await wallet()];
    await using caller = await ledger.session("operator");
    const before = await digest(ledger);
    await caller.sql.unsafe("begin");
    await everything(caller, id, other);
    expect((await history(ledger, id)).length).toBe(2);
    await caller.sql.unsafe("rollback");
    expect(await digest(ledger)).toBe(before);

    await caller.sql.unsafe("begin");
    await everything(caller, id, other);
    await caller.sql.unsafe("commit");
    const events = await history(ledger, id);
    expect(events).toHaveLength(15);
    const keys = await ledger.auditor`
      select from baseledger.journal where wallet_id = ${id} and idempotency_key is not null`;
    expect(keys).toHaveLength(14);
  });

  test("changes its own table and the ledger together", async () => {
    const id = await wallet();
    await ledger.admin`create table public.calls (id text primary key)`;
    await ledger.admin`grant insert, select on public.calls to public`;
    await using caller = await ledger.session("agent");
    const transaction = caller.sql.begin(async (tx) => {
      await tx`insert into public.calls values ('call')`;
      const reserve = { wallet_id: id, amount: 5000n, idempotency_key: "call" };
      await command(tx as unknown as typeof caller.sql, "reserve", reserve);
    });
    await expectRefusal("LGNSF", transaction);
    expect(await ledger.admin`select from public.calls`).toHaveLength(0);
  });

  test("a refusal rolled back to a savepoint keeps the rest", async () => {
    const id = await wallet();
    await using caller = await ledger.session("agent");
    const reserve = { wallet_id: id, idempotency_key: "a" };
    await caller.sql.unsafe("begin");
    await command(caller.sql, "reserve", { ...reserve, amount: 600n });
    await caller.sql.unsafe("savepoint s");
    const second = { wallet_id: id, idempotency_key: "b" };
    await expectRefusal("LGNSF", command(caller.sql, "reserve", { ...second, amount: 600n }));
    await caller.sql.unsafe("rollback to s");
    const receipt = await command(caller.sql, "reserve", { ...second, amount: 400n });
    expect(receipt).toMatchObject({ replayed: false, available: 0n, seq: 4n });
    await caller.sql.unsafe("commit");
    expect(await history(ledger, id)).toEqual(["opened", "credited", "reserved", "reserved"]);
  });

  test("a command rolled back to a savepoint is undone, and its key free", async () => {
    const id = await wallet();
    await using caller = await ledger.session("agent");
    const charge = { wallet_id: id, idempotency_key: "a" };
    await caller.sql.unsafe("begin; savepoint s");
    await command(caller.sql, "charge", { ...charge, amount: 600n });
    await caller.sql.unsafe("rollback to s");
    const receipt = await command(caller.sql, "charge", { ...charge, amount: 5n });
    expect(receipt).toMatchObject({ replayed: false, seq: 3n, available: 995n });
    await caller.sql.unsafe("savepoint t");
    const again = await command(caller.sql, "charge", { ...charge, amount: 5n });
    expect(again).toMatchObject({ replayed: true, seq: 3n, available: 995n });
    await caller.sql.unsafe("release t; commit");
    expect(await balance(ledger.agent, id)).toMatchObject({ available: 995n, spent: 5n });
  });

  test("a command that waits for one that rolls back is not a replay", async () => {
    const id = await wallet();
    await using one = await ledger.session("agent");
    await using two = await ledger.session("agent");
    const reserve = { wallet_id: id, amount: 7n, idempotency_key: "same" };
    await one.sql.unsafe("begin");
    expect(await command(one.sql, "reserve", reserve)).toMatchObject({ replayed: false });
    const waiting = command(two.sql, "reserve", reserve);
    await untilWaiting(ledger, two);
    await one.sql.unsafe("rollback");
    expect(await waiting).toMatchObject({ replayed: false, seq: 3n });
  });

  test("an opening that waits for one that rolls back opens the wallet", async () => {
    wallets += 1;
    const id = `wallet-${wallets}`;
    await using one = await ledger.session("operator");
    await using two = await ledger.session("operator");
    await one.sql.unsafe("begin");
    await call(one.sql, "open_wallet", { wallet_id: id, unit: "tokens" });
    const waiting = command(two.sql, "open_wallet", { wallet_id: id, unit: "requests" });
    await untilWaiting(ledger, two);
    await one.sql.unsafe("rollback");
    expect(await waiting).toMatchObject({ replayed: false, seq: 1n });
  });

  test("a function in a statement over many wallets", async () => {
    const ids = await Promise.all(times(5, () => wallet(10n)));
    const receipts = await ledger.agent<{ wallet_id: string; available: bigint }[]>`
      select r.* from unnest(string_to_array(${ids.join()}, ',')) with ordinality as w(id, n)
        cross join lateral baseledger.charge(w.id, w.n, 'key') r
        order by w.n`;
    expect(receipts.map(({ available }) => available)).toEqual([9n, 8n, 7n, 6n, 5n]);
  });

  test("two commands in one statement see each other", async () => {
    const id = await wallet(10n);
    const [row] = await ledger.agent<{ a: bigint; b: bigint; c: bigint }[]>`
      select (baseledger.charge(${id}, 3, 'a')).available as a,
        (baseledger.reserve(${id}, 3, 'b')).available as b,
        (baseledger.settle(${id}, 'b', 2, 'c')).available as c`;
    expect(row).toEqual({ a: 7n, b: 4n, c: 5n });
  });
});

describe.each(["repeatable read", "serializable"])("a transaction at %s", (level) => {
  /** A transaction that has read the wallet before another one changes it. */
  async function stale(id: string, change: () => Promise<unknown>): Promise<Session> {
    const session = await ledger.session("operator");
    await session.sql.unsafe(`begin isolation level ${level}`);
    expect(await balance(session.sql, id)).toMatchObject({ seq: 2n });
    await change();
    return session;
  }
  const key = { idempotency_key: "key" };

  test("executes every command when it is alone", async () => {
    const [id, other] = [await wallet(), await wallet()];
    await using caller = await ledger.session("operator");
    await caller.sql.unsafe(`begin isolation level ${level}`);
    await everything(caller, id, other);
    await caller.sql.unsafe("commit");
    expect(await history(ledger, id)).toHaveLength(15);
  });

  const commands: [string, Arguments][] = [
    ["reserve", { amount: 600n, ...key }],
    ["charge", { amount: 600n, ...key }],
    ["withdraw", { amount: 600n, ...key }],
    ["credit", { amount: 600n, ...key }],
    ["freeze_wallet", { reason: "stop", ...key }],
  ];
  test.each(commands)("%s does not act on an old state", async (name, args) => {
    const id = await wallet();
    await using caller = await stale(id, () =>
      command(ledger.agent, "charge", { wallet_id: id, amount: 600n, idempotency_key: "first" }),
    );
    const { code } = await failure(command(caller.sql, name, { wallet_id: id, ...args }));
    expect(code).toBe("40001");
    expect(await history(ledger, id)).toEqual(["opened", "credited", "charged"]);
  });

  test("the same command sent meanwhile fails with 40001, and replays in a new transaction", async () => {
    const id = await wallet();
    const charge = { wallet_id: id, amount: 6n, ...key };
    await using caller = await stale(id, () => command(ledger.agent, "charge", charge));
    const { code } = await failure(command(caller.sql, "charge", charge));
    expect(code).toBe("40001");
    await caller.sql.unsafe("rollback");
    expect(await command(caller.sql, "charge", charge)).toMatchObject({ replayed: true });
  });

  test("a batch does not act on an old state", async () => {
    const id = await wallet();
    const charge = { op: "charge", amount: 6, ...key };
    await using caller = await stale(id, () => post(ledger.agent, id, [charge]));
    const { code } = await failure(post(caller.sql, id, [charge, { ...charge, amount: 7 }]));
    expect(code).toBe("40001");
  });

  test("a transfer does not act on an old state of either side", async () => {
    for (const changed of [0, 1]) {
      const ids = [await wallet(), await wallet()];
      const charge = { wallet_id: ids[changed] ?? "", amount: 6n, ...key };
      await using caller = await stale(ids[0] ?? "", () => command(ledger.agent, "charge", charge));
      const transfer = { from: ids[0], to: ids[1], amount: 6n, idempotency_key: "t" };
      const { code } = await failure(command(caller.sql, "transfer", transfer));
      expect(code).toBe("40001");
    }
  });

  test("a wallet opened meanwhile", async () => {
    const id = await wallet();
    const args = { wallet_id: `${id} new` };
    await using caller = await stale(id, () => call(ledger.operator, "open_wallet", args));
    const { code } = await failure(command(caller.sql, "open_wallet", args));
    expect(code).toBe("40001");
  });

  test("waits for the lock, and then does not act on an old state", async () => {
    const id = await wallet();
    await using one = await ledger.session("agent");
    await using two = await stale(id, () => Promise.resolve());
    await one.sql.unsafe("begin");
    await command(one.sql, "charge", { wallet_id: id, amount: 600n, idempotency_key: "one" });
    const waiting = failure(command(two.sql, "charge", { wallet_id: id, amount: 600n, ...key }));
    await untilWaiting(ledger, two);
    await one.sql.unsafe("commit");
    expect(await waiting).toMatchObject({ code: "40001" });
  });

  test("a sweep expires nothing twice", async () => {
    const id = await wallet();
    const reserve = { wallet_id: id, amount: 6n, ttl: "1 minute", ...key };
    await command(ledger.agent, "reserve", reserve);
    await travelBack(ledger, id, "1 hour");
    await using sweeper = await ledger.session("worker");
    await sweeper.sql.unsafe(`begin isolation level ${level}`);
    await sweeper.sql`select * from baseledger.next_due()`;
    const settle = { wallet_id: id, reservation_id: "key", amount: 6n, idempotency_key: "s" };
    expect(await command(ledger.agent, "settle", settle)).toMatchObject({ event: "settled" });
    const swept = await outcome(call<{ expire_due: number }>(sweeper.sql, "expire_due", {}));
    if ("code" in swept) expect(swept.code).toBe("40001");
    else expect(swept).toEqual([{ expire_due: 0 }]);
    await sweeper.sql.unsafe("rollback");
    const events = await history(ledger, id);
    expect(events.filter((event) => event === "expired")).toHaveLength(1);
  });

  test("many at once: right, or 40001", async () => {
    const id = await wallet(20n);
    const reserve = async ({ sql }: Session, key: string): Promise<string> => {
      await sql.unsafe(`begin isolation level ${level}`);
      try {
        await balance(sql, id);
        const args = { wallet_id: id, amount: 1n, idempotency_key: key };
        const { event } = await command(sql, "reserve", args);
        await sql.unsafe("commit");
        return `${event}`;
      } catch (error) {
        await sql.unsafe("rollback");
        return (error as { code: string }).code;
      }
    };
    const ended = await Promise.all(
      times(12, async (caller) => {
        await using session = await ledger.session("agent");
        const results: string[] = [];
        while (results.length < 5) {
          const result = await reserve(session, `${caller} ${results.length}`);
          if (result !== "40001") results.push(result);
        }
        return results;
      }),
    );
    const codes = ended.flat();
    expect(codes.filter((code) => code === "reserved")).toHaveLength(20);
    expect(codes.filter((code) => code === "LGNSF")).toHaveLength(40);
    expect(await balance(ledger.agent, id)).toMatchObject({ available: 0n, reserved: 20n });
  });
});
