import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { checkInvariants, checkPast } from "../support/invariants.ts";
import {
  type Arguments,
  balance,
  call,
  command,
  createLedger,
  failure,
  giveSlack,
  history,
  holdLock,
  openWallet,
  outcome,
  rehash,
  type TestLedger,
  travelBack,
  untilPast,
  untilWaiting,
  verify,
  withoutTriggers,
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

/** A wallet with 100, all reserved as `r`; returns its id and the deadline. */
async function reserved(ttl: string): Promise<{ id: string; deadline: string | null }> {
  wallets += 1;
  const id = await openWallet(ledger, `wallet-${wallets}`, 100n);
  const args = { wallet_id: id, amount: 100n, idempotency_key: "r", ttl };
  const { expires_at } = await command(ledger.agent, "reserve", args);
  return { id, deadline: expires_at };
}

/** The same, past its deadline. */
async function due(): Promise<string> {
  const { id } = await reserved("1 hour");
  await travelBack(ledger, id, "2 hours");
  return id;
}

async function sweep(): Promise<number> {
  const [row] = await call<{ expire_due: number }>(ledger.worker, "expire_due", {});
  return row?.expire_due ?? Number.NaN;
}

// The outcome of each command to a reservation past its deadline, and the events that it writes.
const commands: [string, Arguments, string, string[]][] = [
  ["settle", { reservation_id: "r", amount: 70n }, "settled", ["expired", "settled"]],
  ["settle", { reservation_id: "r", amount: 7n, final: false }, "settled", ["expired", "settled"]],
  ["cancel", { reservation_id: "r" }, "LGEXP", []],
  ["extend", { reservation_id: "r", ttl: "1 hour" }, "LGEXP", []],
  ["reserve", { amount: 100n }, "reserved", ["expired", "reserved"]],
  ["charge", { amount: 100n }, "charged", ["expired", "charged"]],
];
const key = { idempotency_key: "x" };
const start = ["opened", "credited", "reserved"];

async function send(sql: TestLedger["agent"], name: string, args: Arguments): Promise<string> {
  const result = await outcome(command(sql, name, args));
  return "code" in result ? result.code : `${result.event}`;
}

describe.each(commands)("%s %o and the sweep", (name, args, expected, events) => {
  test("the sweep goes first", async () => {
    const id = await due();
    await using sweeper = await ledger.session("worker");
    await using caller = await ledger.session("agent");
    await sweeper.sql.unsafe("begin");
    expect(await call(sweeper.sql, "expire_due", {})).toEqual([{ expire_due: 1 }]);
    const sent = send(caller.sql, name, { wallet_id: id, ...key, ...args });
    await untilWaiting(ledger, caller);
    await sweeper.sql.unsafe("commit");
    expect(await sent).toBe(expected);
    expect(await history(ledger, id)).toEqual([
      ...start,
      "expired",
      ...events.filter((event) => event !== "expired"),
    ]);
  });

  test("the sweep goes first, but rolls back", async () => {
    const id = await due();
    await using sweeper = await ledger.session("worker");
    await using caller = await ledger.session("agent");
    await sweeper.sql.unsafe("begin");
    expect(await call(sweeper.sql, "expire_due", {})).toEqual([{ expire_due: 1 }]);
    const sent = send(caller.sql, name, { wallet_id: id, ...key, ...args });
    await untilWaiting(ledger, caller);
    await sweeper.sql.unsafe("rollback");
    expect(await sent).toBe(expected);
    expect(await history(ledger, id)).toEqual([...start, ...events]);
    expect(await sweep()).toBe(events.length === 0 ? 1 : 0);
  });

  test("the command goes first, the sweep does not wait", async () => {
    const id = await due();
    await using caller = await ledger.session("agent");
    await caller.sql.unsafe("begin; savepoint before");
    expect(await send(caller.sql, name, { wallet_id: id, ...key, ...args })).toBe(expected);
    if (expected.startsWith("LG")) await caller.sql.unsafe("rollback to before");
    const granted = events.length > 0;
    if (granted) expect(await sweep()).toBe(0);
    await caller.sql.unsafe("commit");
    expect(await sweep()).toBe(granted ? 0 : 1);
    expect(await history(ledger, id)).toEqual([...start, ...(granted ? events : ["expired"])]);
  });

  test("the deadline passes while the command waits for the lock", async () => {
    const { id, deadline } = await reserved("1 second");
    const unlock = await holdLock(ledger, id);
    await using caller = await ledger.session("agent");
    const sent = send(caller.sql, name, { wallet_id: id, ...key, ...args });
    await untilWaiting(ledger, caller);
    await untilPast(ledger, deadline);
    expect(await sweep()).toBe(0);
    await unlock();
    expect(await sent).toBe(expected);
    expect(await history(ledger, id)).toEqual([...start, ...events]);
    await sweep();
  });
});

// A command counts at the time at which it is decided.
const inTime: [string, Arguments, string][] = [
  ["settle", { reservation_id: "r", amount: 70n }, "settled"],
  ["cancel", { reservation_id: "r" }, "cancelled"],
  ["extend", { reservation_id: "r", ttl: "1 hour" }, "extended"],
];
test.each(inTime)("%s in time, committed after the deadline", async (name, args, event) => {
  await using caller = await ledger.session("agent");
  const { id, deadline } = await reserved("1.5 seconds");
  await caller.sql.unsafe("begin");
  expect(await send(caller.sql, name, { wallet_id: id, ...key, ...args })).toBe(event);
  await untilPast(ledger, deadline);
  // Its transaction holds the lock, so the sweep skips the wallet; reads count the hold as returned.
  expect(await sweep()).toBe(0);
  expect(await balance(ledger.agent, id)).toMatchObject({ available: 100n, reserved: 0n });
  await caller.sql.unsafe("commit");
  expect(await sweep()).toBe(0);
  expect(await history(ledger, id)).toEqual([...start, event]);
  const { reserved: held } = await balance(ledger.agent, id);
  expect(held).toBe(name === "extend" ? 100n : 0n);
});

test("in a transaction that began before the deadline, reads and the sweep use the clock", async () => {
  const { id, deadline } = await reserved("1 second");
  await using reader = await ledger.session("operator");
  await using worker = await ledger.session("worker");
  for (const { sql } of [reader, worker]) await sql.unsafe("begin; select 1");
  await untilPast(ledger, deadline);
  const returned = { available: 100n, reserved: 0n };
  expect(await balance(reader.sql, id)).toMatchObject(returned);
  const at = { wallet_id: id, at: "infinity" };
  expect(await call(reader.sql, "balance_at", at)).toMatchObject([returned]);
  expect(await call(worker.sql, "expire_due", {})).toMatchObject([{ expire_due: 1 }]);
  await worker.sql.unsafe("commit");
  await reader.sql.unsafe("commit");
  expect(await history(ledger, id)).toEqual([...start, "expired"]);
});

test.each(["cancel", "extend", "settle"])(
  "%s: a deadline that passes while many others are being expired",
  async (name) => {
    // The clock is behind the journal, so that time moves only with events, a microsecond each. The
    // reservations of the batch are due, then r while they expire.
    await giveSlack(ledger, "2 hours");
    wallets += 1;
    const id = await openWallet(ledger, `wallet-${wallets}`, 100n);
    const batch = Array.from({ length: 10 }, (_, i) => ({
      op: "reserve",
      amount: 1,
      ttl: 10,
      idempotency_key: `k${i}`,
    }));
    await call(ledger.agent, "post", { wallet_id: id, commands: batch });
    const r = { amount: 1n, idempotency_key: "r", ttl: "10 seconds" };
    await command(ledger.agent, "reserve", { wallet_id: id, ...r });
    await withoutTriggers(ledger.admin, async (tx) => {
      await tx`
      create temp table moved on commit drop as
        select reservation_id, now() + interval '1 hour' + case reservation_id
            when 'r' then interval '5 microseconds' else interval '1 microsecond'
          end as deadline
        from baseledger.reservations where wallet_id = ${id}`;
      await tx`
      update baseledger.reservations r set expires_at = m.deadline
        from moved m where r.wallet_id = ${id} and m.reservation_id = r.reservation_id`;
      await tx`
      update baseledger.events e set expires_at = m.deadline
        from moved m where e.wallet_id = ${id} and m.reservation_id = e.reservation_id`;
      await tx`
      update baseledger.events e set occurred_at = now() + interval '1 hour'
        where e.wallet_id = ${id} and e.reservation_id = 'r'`;
      await rehash(tx, id);
    });
    expect(await verify(ledger.auditor)).toEqual([]);

    const args = { cancel: {}, extend: { ttl: "1 hour" }, settle: { amount: 1n } }[name];
    const sent = send(ledger.agent, name, { wallet_id: id, reservation_id: "r", ...key, ...args });
    expect(await sent).toBe(name === "settle" ? "settled" : "LGEXP");
    expect(await verify(ledger.auditor)).toEqual([]);
  },
);

describe("free races around the deadline", () => {
  const many = 60;

  test.each([
    ["settle", { amount: 70n }],
    ["cancel", {}],
    ["extend", { ttl: "1 hour" }],
  ])("%s and the sweep, each reservation ends once", async (name, args) => {
    const ids: string[] = [];
    for (let i = 0; i < many; i++) ids.push((await reserved("1 hour")).id);
    // Some are due already, the others within the next moments.
    await Promise.all(
      [0, 20, 40, 60].map(async (ms, lot) => {
        const those = ids.filter((_, i) => i % 4 === lot);
        await travelBack(ledger, those, `59 minutes 59.${940 - ms} seconds`);
      }),
    );

    let sending = true;
    const sweeps = [0, 1].map(async () => {
      let expired = 0;
      while (sending) expired += await sweep();
      return expired;
    });
    const reads = async () => {
      // At no time are funds lost between reserved, available and spent.
      for (let i = 0; sending; i++) {
        const now = await balance(ledger.agent, ids[i % many] ?? "");
        expect(now.available + now.reserved + now.spent).toBe(100n);
      }
    };
    const reading = reads();
    const outcomes = await Promise.all(
      ids.map((id) =>
        send(ledger.operator, name, { wallet_id: id, reservation_id: "r", ...key, ...args }),
      ),
    );
    sending = false;
    await reading;
    await Promise.all(sweeps);

    for (const [i, id] of ids.entries()) {
      const events = (await history(ledger, id)).slice(start.length);
      const answer = outcomes[i] ?? "";
      if (answer.startsWith("LG")) expect([answer, ...events]).toEqual(["LGEXP", "expired"]);
      else if (events.includes("expired")) expect(events).toEqual(["expired", "settled"]);
      else expect(events).toEqual([answer]);
    }
  });

  test("settle and cancel and extend, all at once", async () => {
    const ids: string[] = [];
    for (let i = 0; i < many; i++) ids.push((await reserved("1 hour")).id);
    const senders = ledger.connect("agent", 16);
    await Promise.all(
      ids.map(async (id) => {
        const answers = await Promise.all([
          send(senders, "settle", {
            wallet_id: id,
            reservation_id: "r",
            amount: 70n,
            idempotency_key: "s",
          }),
          send(senders, "cancel", { wallet_id: id, reservation_id: "r", idempotency_key: "c" }),
          send(senders, "extend", {
            wallet_id: id,
            reservation_id: "r",
            ttl: "1 hour",
            idempotency_key: "e",
          }),
        ]);
        const events = (await history(ledger, id)).slice(start.length);
        expect(answers.filter((each) => each !== "LGEND").sort()).toEqual(events.toSorted());
        expect(events.filter((event) => event !== "extended")).toHaveLength(1);
      }),
    );
  });
});

test("a refused command expires nothing", async () => {
  const id = await due();
  const { code } = await failure(
    command(ledger.agent, "reserve", { wallet_id: id, amount: 101n, ...key }),
  );
  expect(code).toBe("LGNSF");
  expect(await history(ledger, id)).toEqual(start);
  expect(await balance(ledger.agent, id)).toMatchObject({ available: 100n, reserved: 0n });
  expect(await sweep()).toBe(1);
});
