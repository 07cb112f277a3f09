import pg from "pg";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fromPg } from "../../src/client/drivers.ts";
import { createLedger, type Ledger } from "../../src/client/ledger.ts";
import { OutcomeUnknownError, UnavailableError } from "../../src/errors/client.ts";
import { InsufficientFundsError } from "../../src/errors/index.ts";
import type { Queryable } from "../../src/wire/call.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  call,
  createLedger as createTestLedger,
  failure,
  history,
  holdLock,
  loginOf,
  openWallet,
  type TestLedger,
} from "../support/ledger.ts";
import { until } from "../support/until.ts";
import { createNetwork, type Network } from "./network.ts";
import { isSettled, rejection, untilBlocked, urlOf } from "./support.ts";

let database: TestLedger;
let network: Network;
let ledger: Ledger;
let walletId: string;
let wallets = 0;

beforeAll(async () => {
  database = await createTestLedger();
});
afterAll(async () => {
  await checkInvariants(database);
  await database[Symbol.asyncDispose]();
});

beforeEach(async () => {
  walletId = await openWallet(database, `reconnect-${++wallets}`, 10n);
  network = await createNetwork(urlOf(database));
  ledger = connect();
  // The statement is prepared, so that a batch is one message from here on.
  await ledger.charge({ walletId, amount: 1n, idempotencyKey: "first" });
});
afterEach(async () => {
  await network[Symbol.asyncDispose]();
  await ledger.close();
});

function connect(retryFor = 20): Ledger {
  return createLedger(network.through(urlOf(database)), { retryFor });
}

const events = async () => (await history(database, walletId)).slice(3);
const credit = (amount: bigint) =>
  call(database.operator, "credit", { wallet_id: walletId, amount, idempotency_key: "more" });
/** When a client last asked the server to end processes, if that was its last query. */
const lastEnding = async () => {
  const [row] = await database.admin<{ at: string }[]>`
    select state_change::text as at from pg_stat_activity
      where datname = ${database.name} and application_name = 'baseledger'
        and state = 'idle' and query like '%pg_terminate_backend%'`;
  return row;
};

/** The server processes of the clients of a login. */
async function backendsOf(role: "agent" | "operator"): Promise<number[]> {
  const rows = await database.admin<{ pid: number }[]>`
    select pid from pg_stat_activity
      where datname = ${database.name} and application_name = 'baseledger'
        and usename = ${loginOf(role)}`;
  return rows.map(({ pid }) => pid);
}

async function untilGone(pids: readonly number[]): Promise<void> {
  await until("the server has let go of it", async () => {
    const now = [...(await backendsOf("agent")), ...(await backendsOf("operator"))];
    return !pids.some((pid) => now.includes(pid));
  });
}

const untilOneWaits = () => untilBlocked(database, 1);

describe("a connection that breaks", () => {
  test("before the command arrives: it is sent again", async () => {
    network.hold("questions");
    const charging = ledger.charge({ walletId, amount: 2n });
    await until("it is on its way", () => network.held > 0);
    network.cut();
    expect(await charging).toMatchObject({ event: "charged", replayed: false });
    expect(await events()).toEqual(["charged"]);
  });

  test("before the answer arrives: it was carried out once, and the answer is the first one", async () => {
    network.hold("answers");
    const charging = ledger.charge({ walletId, amount: 2n });
    await until("it is done", async () => (await events()).length === 1);
    network.cut();
    expect(await charging).toMatchObject({ event: "charged", replayed: true, available: 7n });
    expect(await events()).toEqual(["charged"]);
  });

  test("during a batch: each command is carried out once", async () => {
    const letGo = await holdLock(database, walletId);
    const outcomes = Promise.allSettled(
      Array.from({ length: 12 }, () => ledger.charge({ walletId, amount: 1n })),
    );
    await untilOneWaits();
    network.cut();
    await letGo();
    const statuses = (await outcomes).map(({ status }) => status);
    expect(statuses.filter((status) => status === "fulfilled")).toHaveLength(9);
    expect(await events()).toEqual(Array(9).fill("charged"));
  });

  test("half-way through the answers: each command gets its own", async () => {
    await using single = createLedger(network.through(urlOf(database)), { connections: 1 });
    await single.charge({ walletId, amount: 1n });
    network.hold("answers");
    const keys = Array.from("abcdef");
    const charging = keys.map((idempotencyKey) =>
      single.charge({ walletId, amount: 1n, idempotencyKey }),
    );
    await until("they are answered", async () => (await events()).length === 7);
    await until("the answers are kept", () => network.held > 500);
    await network.deliver(network.held / 2);
    network.cut();
    const receipts = await Promise.all(charging);
    expect(receipts.map(({ idempotencyKey }) => idempotencyKey)).toEqual(keys);
    expect(receipts.map(({ replayed }) => replayed)).toEqual(keys.map(() => true));
    expect(await events()).toHaveLength(7);
  });

  test.each(["reset", "end"] as const)("of pg (%s): it is sent again, too", async (how) => {
    const pool = new pg.Pool({ connectionString: network.through(urlOf(database)), max: 1 });
    pool.on("error", () => undefined);
    await using other = createLedger(fromPg(pool), { connections: 1 });
    await other.balance({ walletId });
    network.hold("answers");
    const charging = other.charge({ walletId, amount: 2n });
    await until("it is done", async () => (await events()).length === 1);
    network.cut(how);
    expect(await charging).toMatchObject({ event: "charged", replayed: true });
    await other.close();
    await pool.end();
  });

  // The driver then keeps the refusal, and fails the next query with it.
  test("between a refusal and its end does not fail the next command", async () => {
    const options = { connections: 1, retryFor: 20 };
    await using operator = createLedger(network.through(urlOf(database, "operator")), options);
    // Prepared, so that the refusal is the first answer.
    await operator.withdraw({ walletId, amount: 1n });
    network.hold("answers");
    const withdrawing = rejection(
      InsufficientFundsError,
      operator.withdraw({ walletId, amount: 50n }),
    );
    await until("it is refused", () => network.held > 0);
    const crediting = operator.credit({ walletId, amount: 5n });
    // All but the end: Z, a length of four bytes, and the status.
    await network.deliver(network.held - 6);
    network.cut("end");
    network.release();
    expect(await crediting).toMatchObject({ event: "credited", amount: 5n });
    expect(await withdrawing).toMatchObject({ requested: 50n });
    expect(await events()).toEqual(["withdrawn", "credited"]);
  });

  // The driver then begins the next result of that connection with holes.
  test("half-way through a statement does not spoil the next answer", async () => {
    const url = network.through(urlOf(database, "operator"));
    const sql = postgres(url, { max: 1, fetch_types: false });
    // Prepared, so that the answer comes in one piece.
    await using preparing = createLedger(url, { prepare: true });
    const own = preparing.with(sql);
    await own.statement({ walletId });
    network.hold("answers");
    const reading = failure(own.statement({ walletId }));
    await until("it is answered", () => network.held > 400);
    await network.deliver(network.held / 2);
    network.cut();
    expect(await reading).toMatchObject({ code: expect.stringMatching(/^(CONNECTION_|ECONN)/) });
    expect(await own.balance({ walletId })).toMatchObject({ walletId, available: 9n });
    await sql.end({ timeout: 0 });
  });

  test.each(["in another order", "with one left out", "with a hole"])(
    "or a driver that returns the answers of a batch %s: each command gets its own",
    async (fault) => {
      let faults = 0;
      const spoilt: Queryable = {
        unsafe: (...query) => ({
          raw: async () => {
            const rows = await database.agent.unsafe(...query).raw();
            if (!query[0].includes('"post"') || faults++ > 0) return rows;
            if (fault === "in another order") return rows.toReversed();
            return fault === "with a hole" ? Object.assign([], { 1: rows[1] }) : rows.slice(1);
          },
        }),
      };
      await using spoiled = createLedger(spoilt);
      const charging = ["a", "b"].map((idempotencyKey) =>
        spoiled.charge({ walletId, amount: 1n, idempotencyKey }),
      );
      const receipts = await Promise.all(charging);
      expect(receipts.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["a", "b"]);
      expect(receipts.map(({ available }) => available)).toEqual([8n, 7n]);
      expect(faults).toBe(2);
      expect(await events()).toHaveLength(2);
    },
  );

  test("during a single call, or a read: it is sent again", async () => {
    await using operator = createLedger(network.through(urlOf(database, "operator")));
    await operator.credit({ walletId, amount: 1n });
    network.hold("answers");
    const crediting = operator.credit({ walletId, amount: 5n });
    await until("it is done", async () => (await events()).length === 2);
    network.cut();
    expect(await crediting).toMatchObject({ event: "credited", replayed: true });
    network.hold("answers");
    const reading = operator.statement({ walletId });
    await until("it is answered", () => network.held > 0);
    network.cut();
    expect(await reading).toHaveLength(5);
  });
});

describe("a command that the server has not begun when the connection breaks", () => {
  test("is not granted after the caller got a refusal", async () => {
    network.hold("questions");
    const charging = ledger.charge({ walletId, amount: 20n });
    await until("it is on its way", () => network.held > 0);
    const backends = await backendsOf("agent");
    network.cut();
    await rejection(InsufficientFundsError, charging);
    await credit(50n);
    network.release();
    await untilGone(backends);
    expect(await events()).toEqual(["credited"]);
  });

  test("nor when it waits for the wallet already", async () => {
    const letGo = await holdLock(database, walletId);
    // One connection: none is left to look for who holds the wallet.
    const url = network.through(urlOf(database));
    await using single = createLedger(url, { connections: 1 });
    const charging = single.charge({ walletId, amount: 20n });
    const [first] = await untilOneWaits();
    network.cut();
    await until("another waits", async () => (await untilOneWaits())[0] !== first);
    const refused = rejection(InsufficientFundsError, charging);
    await letGo();
    await refused;
    await until("the server has let go of it", () => network.lines === 2);
    await credit(50n);
    expect(await events()).toEqual(["credited"]);
  });

  test("nor when its session does not end at once: nothing is sent again before", async () => {
    const rows = await database.admin<{ pid: number }[]>`
      select pid from pg_stat_activity
        where datname = ${database.name} and application_name = 'baseledger'`;
    const pid = rows[0]?.pid ?? 0;
    expect(rows).toHaveLength(1);
    network.hold("questions");
    const charging = ledger.charge({ walletId, amount: 20n });
    await until("it is on its way", () => network.held > 0);
    process.kill(pid, "SIGSTOP");
    try {
      network.cut();
      const first = await until("it is asked to end", lastEnding);
      await until("it is looked for again", async () => (await lastEnding())?.at !== first.at);
      expect(await isSettled(charging)).toBe(false);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await rejection(InsufficientFundsError, charging);
  });

  test("nor when it is a single call", async () => {
    await using operator = createLedger(network.through(urlOf(database, "operator")));
    const withdraw = { walletId, amount: 20n, idempotencyKey: "out" };
    await rejection(InsufficientFundsError, operator.withdraw(withdraw));
    network.hold("questions");
    const withdrawing = operator.withdraw(withdraw);
    await until("it is on its way", () => network.held > 0);
    const backends = await backendsOf("operator");
    network.cut();
    await rejection(InsufficientFundsError, withdrawing);
    await credit(50n);
    network.release();
    await untilGone(backends);
    expect(await events()).toEqual(["credited"]);
  });
});

describe("within the time that a command has", () => {
  test("the client waits for a server that is away and comes back", async () => {
    await network.refuse(true);
    const charging = ledger.charge({ walletId, amount: 1n });
    const reading = ledger.balance({ walletId });
    await until("a try has failed", async () => !(await isSettled(charging)));
    await network.refuse(false);
    expect(await charging).toMatchObject({ event: "charged" });
    expect((await reading).walletId).toBe(walletId);
  });

  test("a server that stays away fails the call: nothing was done", async () => {
    await using hasty = connect(1);
    await network.refuse(true);
    const charging = hasty.charge({ walletId, amount: 1n, idempotencyKey: "unsent" });
    const error = await rejection(UnavailableError, charging);
    expect(error).toMatchObject({ walletId, idempotencyKey: "unsent" });
    expect(error.cause).toMatchObject({ code: "ECONNREFUSED" });
    const unread = await rejection(UnavailableError, hasty.balance({ walletId }));
    expect(unread).toMatchObject({ walletId, cause: { code: "ECONNREFUSED" } });
  });

  describe.each(["postgres", "pg"] as const)(
    "a refusal before the session is ready (%s)",
    (driver) => {
      /** A client that has no connection yet. */
      async function withClient(retryFor: number, use: (client: Ledger) => Promise<void>) {
        const url = network.through(urlOf(database));
        const pool = new pg.Pool({ connectionString: url, max: 2 });
        const client = createLedger(driver === "pg" ? fromPg(pool) : url, { retryFor });
        await use(client);
        await client.close();
        await pool.end();
      }

      test.each(["XX000", "58000", "53300", "57P03", "08P01", "0A000", "22023"])(
        "with %s is tried again, and nothing was done",
        async (code) => {
          network.fail(code);
          await withClient(20, async (client) => {
            const charging = client.charge({ walletId, amount: 1n });
            const reading = client.balance({ walletId });
            await until("it was refused", () => network.failures > 2);
            network.fail(undefined);
            expect(await charging).toMatchObject({ event: "charged", replayed: false });
            expect(await reading).toMatchObject({ walletId });
          });
        },
      );

      test("that goes on fails the call: nothing was done", async () => {
        network.fail("XX000");
        await withClient(1, async (client) => {
          const charging = rejection(UnavailableError, client.charge({ walletId, amount: 1n }));
          const error = await rejection(UnavailableError, client.balance({ walletId }));
          expect(error).toMatchObject({ walletId, cause: { code: "XX000" } });
          expect((await charging).cause).toMatchObject({ code: "XX000" });
          network.fail(undefined);
        });
        expect(await events()).toEqual([]);
      });

      test.each(["28P01", "28000", "3D000"])("with %s is final", async (code) => {
        network.fail(code);
        await withClient(20, async (client) => {
          expect(await failure(client.charge({ walletId, amount: 1n }))).toMatchObject({ code });
          expect(await failure(client.balance({ walletId }))).toMatchObject({ code });
        });
      });
    },
  );

  test("a login that fails after a broken connection leaves the outcome unknown", async () => {
    network.hold("answers");
    const charging = rejection(OutcomeUnknownError, ledger.charge({ walletId, amount: 1n }));
    await until("it is done", async () => (await events()).length === 1);
    network.fail("28P01");
    network.cut();
    expect((await charging).cause).toMatchObject({ code: "28P01" });
    network.fail(undefined);
  });

  test("an answer that does not come is unknown; the same key shows what it was", async () => {
    await using hasty = connect(1);
    // Prepared, so that the command is carried out though its answer is kept.
    await hasty.charge({ walletId, amount: 1n });
    network.hold("answers");
    const charge = { walletId, amount: 3n, idempotencyKey: "unheard" };
    const error = await rejection(OutcomeUnknownError, hasty.charge(charge));
    expect(error).toMatchObject({ walletId, idempotencyKey: "unheard" });
    expect(error.message).toMatch(/unheard.*same idempotency key/);
    network.release();
    expect(await hasty.charge(charge)).toMatchObject({ replayed: true, amount: 3n });
    expect(await events()).toEqual(["charged", "charged"]);
  });

  test.each(["charge", "withdraw"] as const)(
    "a %s that may have arrived is unknown, if the server cannot be reached afterwards",
    async (name) => {
      const url = network.through(urlOf(database, "operator"));
      await using hasty = createLedger(url, { retryFor: 1 });
      await hasty[name]({ walletId, amount: 1n });
      network.hold("answers");
      const outcome = rejection(OutcomeUnknownError, hasty[name]({ walletId, amount: 1n }));
      await until("it is done", async () => (await events()).length === 2);
      await network.refuse(true);
      expect((await outcome).cause).toMatchObject({ code: "ECONNREFUSED" });
    },
  );

  test("the same goes for a sweep, which has no key", async () => {
    const url = network.through(urlOf(database, "worker"));
    await using hasty = createLedger(url, { retryFor: 1 });
    await hasty.expireDue();
    network.hold("answers");
    const outcome = rejection(OutcomeUnknownError, hasty.expireDue());
    await until("it is answered", () => network.held > 0);
    await network.refuse(true);
    expect(await outcome).toMatchObject({
      walletId: null,
      idempotencyKey: null,
      cause: { code: "ECONNREFUSED" },
    });
  });

  test("the same goes for a single call", async () => {
    const url = network.through(urlOf(database, "operator"));
    await using hasty = createLedger(url, { retryFor: 2 });
    await hasty.credit({ walletId, amount: 1n });
    network.hold("answers");
    const withdraw = { walletId, amount: 3n, idempotencyKey: "out" };
    const error = await rejection(OutcomeUnknownError, hasty.withdraw(withdraw));
    expect(error).toMatchObject({ walletId, idempotencyKey: "out" });
    network.release();
    expect(await hasty.withdraw(withdraw)).toMatchObject({ replayed: true, amount: 3n });
    await network.refuse(true);
    await failure(hasty.balance({ walletId }));
    const later = hasty.withdraw({ ...withdraw, idempotencyKey: "later" });
    expect(await rejection(UnavailableError, later)).toMatchObject({ idempotencyKey: "later" });
  });

  test("a settlement that is unknown is settled again through its handle, once", async () => {
    await using hasty = connect(1);
    const reservation = await hasty.hold({ walletId, amount: 5n });
    network.hold("answers");
    await rejection(OutcomeUnknownError, reservation.settle(3n));
    network.release();
    expect(await reservation.settle()).toMatchObject({ replayed: true, amount: 3n });
    expect(await events()).toEqual(["reserved", "settled"]);
  });
});
