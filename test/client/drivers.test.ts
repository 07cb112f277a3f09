import { sql as drizzleSql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { CompiledQuery, Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fromPg, queryable } from "../../src/client/drivers.ts";
import { createLedger, type Ledger } from "../../src/client/ledger.ts";
import { InsufficientFundsError } from "../../src/errors/index.ts";
import type { Json } from "../../src/json/index.ts";
import type { Queryable } from "../../src/wire/call.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  createLedger as createTestLedger,
  history,
  holdLock,
  openWallet,
  type Session,
  type TestLedger,
  untilWaiting,
} from "../support/ledger.ts";
import { countPosts, createClient, rejection, urlOf } from "./support.ts";

let database: TestLedger;
let ledger: Ledger;
let pool: pg.Pool;
let wallets = 0;

// Parsers that a program may have set for itself, and that would alter amounts.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);
pg.types.setTypeParser(pg.types.builtins.BOOL, (text) => `bool ${text}`);

beforeAll(async () => {
  database = await createTestLedger();
  ledger = createClient(database);
  pool = new pg.Pool({ connectionString: urlOf(database), max: 3 });
  await database.admin.unsafe("create table jobs (name text); grant all on jobs to public");
});
afterAll(async () => {
  await Promise.all([ledger.close(), pool.end()]);
  await checkInvariants(database);
  await database[Symbol.asyncDispose]();
});

/** What runs in a transaction of a driver, with a function that writes a row of the caller's in it. */
type Work = (connection: Queryable, insertJob: (name: string) => Promise<unknown>) => Promise<void>;

const drivers: Record<string, (work: Work) => Promise<unknown>> = {
  async pg(work) {
    const client = await pool.connect();
    try {
      await client.query("begin");
      await work(fromPg(client), (name) => client.query("insert into jobs values ($1)", [name]));
      await client.query("commit");
    } catch (error) {
      await client.query("rollback");
      throw error;
    } finally {
      client.release();
    }
  },
  Kysely(work) {
    const db = new Kysely<{ jobs: { name: string } }>({ dialect: new PostgresDialect({ pool }) });
    return db.transaction().execute((trx) =>
      work(
        queryable(({ text, values }) => trx.executeQuery(CompiledQuery.raw(text, values))),
        (name) => trx.insertInto("jobs").values({ name }).execute(),
      ),
    );
  },
  Drizzle(work) {
    return drizzle(pool).transaction((tx) =>
      work(
        queryable(({ strings, values }) => tx.execute(drizzleSql(strings, ...values))),
        (name) => tx.execute(drizzleSql`insert into jobs values (${name})`),
      ),
    );
  },
};

/** As Prisma: takes a text, and gives the bare rows. */
function plain(): Queryable {
  return queryable(async ({ text, values }) => (await pool.query(text, values)).rows);
}

const jobs = async () => (await database.admin`select name from jobs`).map(({ name }) => name);

describe.each(["pg", "Kysely", "Drizzle"])("a transaction of %s", (name) => {
  const run = drivers[name] as (work: Work) => Promise<unknown>;
  let walletId: string;
  beforeAll(async () => {
    walletId = await openWallet(database, `driver-${++wallets}`, 2n ** 62n + 1n);
  });

  test("commits a command with the caller's row", async () => {
    await run(async (connection, insertJob) => {
      await insertJob(`${name} kept`);
      const held = await ledger.with(connection).reserve({ walletId, amount: 2n ** 61n + 1n });
      expect(held).toMatchObject({
        event: "reserved",
        amount: 2n ** 61n + 1n,
        available: 2n ** 61n,
        replayed: false,
      });
      expect(held.expiresAt.getTime()).toBeGreaterThan(held.occurredAt.getTime());
    });
    expect(await jobs()).toContain(`${name} kept`);
    expect(await history(database, walletId)).toHaveLength(3);
  });

  test("rolls both back", async () => {
    const attempt = run(async (connection, insertJob) => {
      await insertJob(`${name} gone`);
      await ledger.with(connection).charge({ walletId, amount: 1n });
      throw new Error("changed my mind");
    });
    await expect(attempt).rejects.toThrow("changed my mind");
    expect(await jobs()).not.toContain(`${name} gone`);
    expect(await history(database, walletId)).toHaveLength(3);
  });

  test("rolls back on a refusal, which has its class and its detail", async () => {
    const attempt = run(async (connection, insertJob) => {
      await insertJob(`${name} refused`);
      await ledger.with(connection).reserve({ walletId, amount: 2n ** 61n + 5n });
    });
    const error = await rejection(InsufficientFundsError, attempt);
    expect(error).toMatchObject({ shortfall: 5n, reason: "held", retryAt: expect.any(Date) });
    expect(error.hint).toBeTruthy();
    expect(await jobs()).not.toContain(`${name} refused`);
  });

  test("passes lists, nulls and every character", async () => {
    const key = `${name} , ( ) "quoted" \\back\\ 'x' $1 ünïcødé\n🙂`;
    const metadata: Json = { "a,b": ['"', "\\", "", null, 2n ** 62n + 1n, { c: "(d)" }] };
    await run(async (connection) => {
      const own = ledger.with(connection);
      const receipts = await own.post({
        walletId,
        commands: [
          { op: "charge", amount: 1n, idempotency_key: key, metadata },
          { op: "cancel", reservation_id: "nowhere", idempotency_key: `${key} 2` },
        ],
      });
      expect(receipts[0]).toMatchObject({ idempotencyKey: key, reservationId: key, refused: null });
      expect(receipts[1]).toMatchObject({
        seq: null,
        refused: "LGRNF",
        idempotencyKey: `${key} 2`,
      });
      expect(receipts[1]?.detail).toEqual({ reservation_id: "nowhere" });
    });
    await database.admin.unsafe("grant baseledger_auditor to ledger_test_agent");
    try {
      await run(async (connection) => {
        const lines = await ledger.with(connection).statement({ walletId });
        const line = lines.find(({ idempotencyKey }) => idempotencyKey === key);
        expect(line?.metadata).toEqual(metadata);
        expect(line?.details).toBeNull();
      });
    } finally {
      await database.admin.unsafe("revoke baseledger_auditor from ledger_test_agent");
    }
  });
});

test("a refusal has its class when it is wrapped as Prisma 7 does", async () => {
  const cause = { code: "LGNSF", message: "short", detail: '{"shortfall": 5}', hint: "credit" };
  const wrapped = Object.assign(new Error("Raw query failed"), {
    code: "P2010",
    meta: { driverAdapterError: Object.assign(new Error(), { cause }) },
  });
  const own = ledger.with(queryable(() => Promise.reject(wrapped)));
  const error = await rejection(InsufficientFundsError, own.charge({ walletId: "x", amount: 1n }));
  expect(error).toMatchObject({ message: "short", shortfall: 5n, hint: "credit" });
  const bare = new Error("something else");
  const other = ledger.with(queryable(() => Promise.reject(bare)));
  await expect(other.balance({ walletId: "x" })).rejects.toBe(bare);
});

describe("a client on a pool of another driver", () => {
  const pools: Record<string, () => Queryable> = { fromPg: () => fromPg(pool), queryable: plain };

  test.each(Object.keys(pools))("batches through %s, too", async (name) => {
    const walletId = await openWallet(database, `driver-${++wallets}`, 1_000n);
    const counted = countPosts(pools[name]?.() as Queryable);
    await using client = createLedger(counted.sql, { connections: 3 });
    const commands = Array.from({ length: 40 }, () => client.charge({ walletId, amount: 1n }));
    const receipts = await Promise.all(commands);
    expect(counted.posts).toBe(1);
    expect(receipts.at(-1)).toMatchObject({ available: 960n, spent: 40n });
    const short = client.charge({ walletId, amount: 961n });
    expect(await rejection(InsufficientFundsError, short)).toMatchObject({ shortfall: 1n });
  });

  test("retries when a connection of pg breaks", async () => {
    const walletId = await openWallet(database, `driver-${++wallets}`, 1_000n);
    const own = new pg.Pool({ connectionString: urlOf(database), max: 1 });
    own.on("error", () => undefined);
    await using client = createLedger(fromPg(own));
    const { rows } = await own.query<{ pid: number }>("select pg_backend_pid() as pid");
    const letGo = await holdLock(database, walletId);
    const charging = client.charge({ walletId, amount: 1n });
    await untilWaiting(database, rows[0] as Session);
    await database.admin`select pg_terminate_backend(${rows[0]?.pid ?? 0})`;
    await letGo();
    expect(await charging).toMatchObject({ event: "charged", available: 999n });
    await client.close();
    await own.end();
  });
});
