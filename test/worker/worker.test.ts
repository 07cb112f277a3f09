import { Logger, runMigrations } from "graphile-worker";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startPostgres } from "../../src/embedded/index.ts";
import { balance, credit, openWallet, reserve, statement } from "../../src/generated/index.ts";
import { migrate } from "../../src/migrate/index.ts";
import {
  PoolerError,
  startWorker,
  type Worker,
  type WorkerOptions,
} from "../../src/worker/index.ts";
import { createPool } from "../../src/worker/pool.ts";
import { skipped, startPooler } from "../support/pooler.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";
import { until } from "../support/until.ts";

const WALLETS = 10;
const IN_EACH = 20;

let database: TestDatabase;
let url: string;
let sql: postgres.Sql;
let workers: Worker[];
let run = 0;

const walletId = (index: number): string => `run-${run}/wallet-${index}`;

beforeAll(async () => {
  database = await createDatabase();
  url = database.url;
  sql = postgres(url, { max: 10, onnotice: () => undefined });
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

beforeEach(() => {
  run += 1;
  workers = [];
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
});

async function start(options: Partial<WorkerOptions> = {}): Promise<Worker> {
  const worker = await startWorker({ url, ...options });
  workers.push(worker);
  return worker;
}

async function stop(worker: Worker): Promise<void> {
  workers = workers.filter((other) => other !== worker);
  await worker.stop();
}

/** Opens a wallet that holds so many reservations of 1, for a second each. */
async function reserveSome(client: postgres.Sql, index: number, count: number): Promise<void> {
  await openWallet(client, { walletId: walletId(index) });
  await credit(client, { walletId: walletId(index), amount: 1_000n, idempotencyKey: "credit" });
  await Promise.all(
    Array.from({ length: count }, (_, at) =>
      reserve(client, {
        walletId: walletId(index),
        amount: 1n,
        idempotencyKey: `reserve-${at}`,
        ttl: 1,
      }),
    ),
  );
}

async function expiries(client: postgres.Sql, index: number) {
  const lines = await statement(client, { walletId: walletId(index) });
  return lines.filter(({ event }) => event === "expired");
}

async function untilExpired(client: postgres.Sql, index: number, count: number): Promise<void> {
  await until(`${count} reservations of ${walletId(index)} have expired`, async () => {
    return (await expiries(client, index)).length >= count;
  });
}

async function jobs(client: postgres.Sql) {
  return client<{ locked: boolean; key: string | null; attempts: number }[]>`
    select locked_at is not null as locked, key, attempts
    from baseledger_worker._private_jobs`;
}

async function sweeps(client: postgres.Sql) {
  return (await jobs(client)).filter(({ key }) => key !== "baseledger_clear_counters");
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("returns the funds of due reservations without any command", async () => {
  await start();
  await reserveSome(sql, 0, 3);
  await untilExpired(sql, 0, 3);
  for (const { occurredAt, expiresAt, actor } of await expiries(sql, 0)) {
    // At most a second and a poll by design; the rest is for a busy machine.
    expect(occurredAt.getTime() - (expiresAt?.getTime() ?? 0)).toBeLessThan(2_000);
    expect(actor).toBe(new URL(url).username);
  }
  const { available, reserved } = await balance(sql, { walletId: walletId(0) });
  expect({ available, reserved }).toEqual({ available: 1_000n, reserved: 0n });
});

test("sweeps more than fits one transaction", async () => {
  await start({ batch: 3 });
  await reserveSome(sql, 0, IN_EACH);
  await untilExpired(sql, 0, IN_EACH);
});

test("makes progress even with a short statement_timeout", async () => {
  await reserveSome(sql, 0, 1);
  await sql`
    select count(*) from baseledger.post(${walletId(0)}, (
      select jsonb_agg(jsonb_build_object(
          'op', 'reserve', 'amount', 1, 'ttl', 1, 'idempotency_key', 'more ' || n
        ))
        from generate_series(1, 399) as n
    ))`;
  // 400 together would take four seconds.
  await sql.unsafe(`
    create function public.slow() returns trigger language plpgsql as $$
      begin
        perform pg_sleep(0.01);
        return new;
      end $$;
    create trigger slow before insert on baseledger.events
      for each row when (new.event = 'expired') execute function public.slow()`);
  await until("all are due", async () => {
    return (await balance(sql, { walletId: walletId(0) })).reserved === 0n;
  });
  const troubles: string[] = [];
  const hurried = `${url}?statement_timeout=1000`;
  await start({ url: hurried, onTrouble: ({ reason }) => void troubles.push(reason) });
  await untilExpired(sql, 0, 400);
  expect(troubles).toContainEqual(expect.stringContaining("statement timeout"));
  await sql.unsafe("drop trigger slow on baseledger.events");
});

test("sweeps what came due while no worker ran", async () => {
  await reserveSome(sql, 0, 1);
  await until("the deadline has passed", async () => {
    return (await balance(sql, { walletId: walletId(0) })).reserved === 0n;
  });
  expect(await expiries(sql, 0)).toEqual([]);
  await start();
  await untilExpired(sql, 0, 1);
});

test("three workers share the work: each reservation expires once", async () => {
  await Promise.all([start(), start(), start()]);
  const indexes = Array.from({ length: WALLETS }, (_, index) => index);
  await Promise.all(indexes.map((index) => reserveSome(sql, index, IN_EACH)));
  await Promise.all(indexes.map((index) => untilExpired(sql, index, IN_EACH)));
  for (const index of indexes) {
    const ids = (await expiries(sql, index)).map(({ reservationId }) => reservationId);
    expect(new Set(ids).size).toBe(IN_EACH);
    expect(ids).toHaveLength(IN_EACH);
  }
  expect((await sweeps(sql)).filter(({ key }) => key !== null).length).toBeLessThanOrEqual(1);
});

test("the others continue when one of them stops", async () => {
  const [one] = await Promise.all([start(), start()]);
  await stop(one);
  await reserveSome(sql, 0, 1);
  await untilExpired(sql, 0, 1);
});

test("stopping leaves no job locked, at any time", async () => {
  for (let round = 0; round < 5; round += 1) {
    await reserveSome(sql, round, IN_EACH);
    const worker = await start({ batch: 1 });
    // First in the middle of a sweep of many transactions, then between sweeps.
    await untilExpired(sql, round, round < 3 ? 1 : IN_EACH);
    await stop(worker);
    expect((await jobs(sql)).filter(({ locked }) => locked)).toEqual([]);
    expect((await sweeps(sql)).length).toBeLessThanOrEqual(1);
  }
});

test("takes over from a worker that died with its job locked", async () => {
  await start();
  await reserveSome(sql, 0, 1);
  await untilExpired(sql, 0, 1);
  await until("the next sweep is locked by a dead worker", async () => {
    const { count } = await sql`
      update baseledger_worker._private_jobs
      set locked_at = now(), locked_by = 'pool-of-the-dead'
      where key is not null and locked_at is null`;
    return count === 1;
  });
  await reserveSome(sql, 1, 1);
  await untilExpired(sql, 1, 1);
  await sql`delete from baseledger_worker._private_jobs where locked_by = 'pool-of-the-dead'`;
});

test("recovers when its first look for jobs fails", async () => {
  const schema = "deaf_jobs";
  await runMigrations({ connectionString: url, schema, logger: new Logger(() => () => undefined) });
  await sql.unsafe(`alter table ${schema}._private_tasks rename to hidden`);
  const warnings: string[] = [];
  const logger = { info: () => undefined, warn: (text: string) => void warnings.push(text) };
  await start({ schema, logger });
  // By the second attempt to queue the sweep, the runner has looked for jobs many times.
  await until("it has failed for a while", () => warnings.length >= 2);
  await sql.unsafe(`alter table ${schema}.hidden rename to _private_tasks`);
  await reserveSome(sql, 0, 1);
  await untilExpired(sql, 0, 1);
});

test("rejects with the cause when it cannot connect", async () => {
  const nowhere = startWorker({ url: "postgres://nobody@127.0.0.1:1/nothing" });
  await expect(nowhere).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("needs no more than the worker's role, and create on the database once", async () => {
  // Roles belong to the server, which other tests share.
  const login = `sweeper_of_${database.name}`;
  await sql.unsafe(`create role ${login} login password 'secret' in role baseledger_worker`);
  const least = Object.assign(new URL(url), { username: login, password: "secret" });
  const options = { url: least.href, schema: "sweepers_jobs" };
  await expect(startWorker(options)).rejects.toMatchObject({ code: "42501" });
  await sql.unsafe(`grant create on database ${database.name} to ${login}`);
  await stop(await start(options));
  await sql.unsafe(`revoke create on database ${database.name} from ${login}`);
  const worker = await start(options);
  await reserveSome(sql, 0, 1);
  await untilExpired(sql, 0, 1);
  expect((await expiries(sql, 0))[0]?.actor).toBe(login);
  await stop(worker);
  await sql.unsafe(`drop owned by ${login}; drop role ${login}`);
});

describe.skipIf(skipped)(`behind a pooler${skipped}`, () => {
  test.each([1, 3])("in transaction mode with %i connections it does not start", async (size) => {
    await using pooler = await startPooler(url, { size });
    await expect(startWorker({ url: pooler.url })).rejects.toBeInstanceOf(PoolerError);
  });

  test("in session mode it works", async () => {
    await using pooler = await startPooler(url, { mode: "session", size: 10 });
    await start({ url: pooler.url });
    await reserveSome(sql, 0, 1);
    await untilExpired(sql, 0, 1);
  });

  test("that replaces the server later, it reports that, and continues when the pooler is gone", async () => {
    const troubles: string[] = [];
    await using pooler = await startPooler(url, { mode: "session", size: 10 });
    const worker = await start({
      url: pooler.url,
      onTrouble: ({ reason }) => void troubles.push(reason),
    });
    await pooler.kill();
    await pooler.start("transaction");
    await until("it reports that", () =>
      troubles.some((text) => text.includes("direct connection")),
    );
    await pooler.kill();
    await pooler.start("session");
    await reserveSome(sql, 0, 1);
    await untilExpired(sql, 0, 1);
    await stop(worker);
  });
});

describe("a database that goes away", () => {
  test("is no error to a pool that is closing", async () => {
    const warnings: string[] = [];
    const logger = { info: () => undefined, warn: (text: string) => void warnings.push(text) };
    const pool = createPool(url, logger);
    const { rows } = await pool.query<{ pid: number }>("select pg_backend_pid() as pid");
    const pid = rows[0]?.pid ?? 0;
    process.kill(pid, "SIGTERM");
    // Without a pause, so that the pool gets the error only after it has begun to close.
    while (isAlive(pid));
    await pool.end();
    await until("it has reported it", () => warnings.length > 0);
  });

  test.each(["SIGKILL", "SIGINT", "SIGQUIT"] as const)(
    "by %s and comes back is waited for",
    async (signal) => {
      await using server = await startPostgres();
      await migrate(server.url);
      const client = postgres(server.url, { max: 2, onnotice: () => undefined });
      const warnings: string[] = [];
      const logger = { info: () => undefined, warn: (text: string) => void warnings.push(text) };
      const worker = await startWorker({ url: server.url, logger, batch: 1 });
      for (let round = 0; round < 2; round += 1) {
        await reserveSome(client, round, IN_EACH);
        await untilExpired(client, round, 1);
        await server.kill(signal);
        await server.start();
        await untilExpired(client, round, IN_EACH);
      }
      await worker.stop();
      expect(warnings.length).toBeGreaterThan(0);
      expect((await jobs(client)).filter(({ locked }) => locked)).toEqual([]);
      await client.end();
    },
  );

  test("permanently does not keep a worker from stopping", async () => {
    const server = await startPostgres();
    await migrate(server.url);
    const worker = await startWorker({ url: server.url });
    await server.stop();
    await worker.stop();
  });
});
