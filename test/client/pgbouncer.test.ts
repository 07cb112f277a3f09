import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLedger, type Ledger } from "../../src/client/ledger.ts";
import { InsufficientFundsError } from "../../src/errors.ts";
import { checkInvariants } from "../support/invariants.ts";
import {
  createLedger as createTestLedger,
  openWallet,
  type TestLedger,
} from "../support/ledger.ts";
import { until } from "../support/until.ts";
import { compare, startLoad } from "./load.ts";
import { rejection, urlOf } from "./support.ts";

const PROGRAM = "/usr/sbin/pgbouncer";
const isRoot = process.getuid?.() === 0;

/** A transaction pooler in front of a test's database, with few connections behind it. */
interface Pooler extends AsyncDisposable {
  readonly url: string;
  kill(): Promise<void>;
  start(): Promise<void>;
}

async function startPooler(target: string): Promise<Pooler> {
  const { hostname, port: targetPort, username, password, pathname } = new URL(target);
  const folder = mkdtempSync(join(tmpdir(), "pgbouncer-test-"));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const users = join(folder, "users.txt");
  const config = join(folder, "pgbouncer.ini");
  writeFileSync(users, `"${username}" "${password}"\n`);
  writeFileSync(
    config,
    `[databases]
    * = host=${hostname} port=${targetPort}
    [pgbouncer]
    listen_addr = 127.0.0.1
    listen_port = ${port}
    unix_socket_dir =
    auth_type = scram-sha-256
    auth_file = ${users}
    pool_mode = transaction
    default_pool_size = 3
    server_login_retry = 0.1
    log_connections = 0
    log_disconnections = 0
    `,
  );
  let child: ChildProcess;
  const url = `postgres://${username}:${password}@127.0.0.1:${port}${pathname}`;

  async function start(): Promise<void> {
    // It refuses to run as root.
    child = spawn(PROGRAM, isRoot ? ["-u", "nobody", config] : [config], { stdio: "ignore" });
    await until("the pooler answers", async () => {
      const sql = postgres(url, { max: 1, prepare: false, fetch_types: false });
      const answer = await sql`select 1 as one`.catch(() => undefined);
      await sql.end({ timeout: 0 });
      return answer !== undefined;
    });
  }
  async function kill(): Promise<void> {
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  await start();
  return {
    url,
    start,
    kill,
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(folder, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

const skipped = existsSync(PROGRAM) ? "" : ` (skipped: there is no ${PROGRAM})`;

describe.skipIf(skipped)(`behind PgBouncer in transaction mode${skipped}`, () => {
  let database: TestLedger;
  let pooler: Pooler;
  let ledger: Ledger;
  beforeAll(async () => {
    database = await createTestLedger();
    pooler = await startPooler(urlOf(database));
    ledger = createLedger(pooler.url, { prepare: false });
  });
  afterAll(async () => {
    await ledger.close();
    await checkInvariants(database);
    await pooler[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  test("commands travel in batches, refusals come with their facts", async () => {
    const walletId = await openWallet(database, "pooled", 100n);
    const charging = Array.from({ length: 50 }, () => ledger.charge({ walletId, amount: 1n }));
    expect((await Promise.all(charging)).at(-1)?.available).toBe(50n);
    const short = ledger.reserve({ walletId, amount: 51n });
    expect(await rejection(InsufficientFundsError, short)).toMatchObject({ shortfall: 1n });
  });

  test("a call is guarded, and a transaction of the caller's works", async () => {
    const walletId = await openWallet(database, "guarded", 100n);
    await ledger.guard({ walletId, amount: 10n, ttl: 60 }, (reservation) => reservation.spend(4n));
    const sql = postgres(pooler.url, { max: 1, prepare: false, fetch_types: false });
    await sql.begin((tx) => ledger.with(tx).charge({ walletId, amount: 1n }));
    await sql.end();
    expect(await ledger.balance({ walletId })).toMatchObject({ available: 95n, spent: 5n });
  });

  test("nothing is lost or doubled while it, and the connections behind it, are killed", async () => {
    await using own = await createTestLedger();
    await using between = await startPooler(urlOf(own));
    const walletIds = ["hot", "warm"];
    for (const walletId of walletIds) await openWallet(own, walletId, 10n ** 12n);
    const client = createLedger(between.url, { prepare: false, connections: 6 });
    const load = startLoad(client, walletIds, 50);
    for (let kill = 0; kill < 4; kill++) {
      const before = load.told.size;
      await until("callers are answered", () => load.told.size > before + 100);
      if (kill % 2 === 0) {
        await own.admin`
          select pg_terminate_backend(pid) from pg_stat_activity
            where datname = ${own.name} and usename = 'ledger_test_agent' and state = 'active'`;
      } else {
        await between.kill();
        await between.start();
      }
    }
    await load.stop();
    await client.close();
    expect(load.errors).toEqual([]);
    await compare(own, load.told);
    await checkInvariants(own);
  });
});
