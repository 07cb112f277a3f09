// Migrations while others use the ledger: they wait briefly, name the blocker, and leave nothing.
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startPostgres } from "../../src/embedded/index.ts";
import { BlockedError, installSql, migrate, type Waiting } from "../../src/migrate/index.ts";
import { start } from "../support/cli.ts";
import { command, createLedger, openWallet, type TestLedger } from "../support/ledger.ts";
import { releaseOnTop } from "../support/release.ts";
import { until } from "../support/until.ts";

// Needs ACCESS EXCLUSIVE on the journal, as most changes of a table do.
const ALTER = "alter table baseledger.events add constraint later check (seq > 0) not valid;";

let directory: string;
let options: { directory: string };
let ledger: TestLedger;
let url: string;

beforeEach(async () => {
  directory = fs.mkdtempSync(join(tmpdir(), "migrate-locks-"));
  options = releaseOnTop(directory, [ALTER]);
  ledger = await createLedger();
  await openWallet(ledger, "w", 1_000_000_000n);
  const [row] = await ledger.admin<{ port: number }[]>`
    select current_setting('port')::int as port`;
  const { host, user, pass } = ledger.admin.options;
  url = `postgres://${user}:${pass}@${host[0]}:${row?.port}/${ledger.name}`;
});

afterEach(async () => {
  await ledger[Symbol.asyncDispose]();
  fs.rmSync(directory, { recursive: true });
});

/** A dump or report: a transaction that has read the journal, and stays open. */
async function report(): Promise<{ sql: postgres.Sql; pid: number; end(): Promise<void> }> {
  const { sql, pid } = await ledger.session("admin", { application_name: "report" });
  await sql`begin`;
  await sql`select count(*) from baseledger.events`;
  return {
    sql,
    pid,
    async end() {
      await sql`commit`;
      await sql.end();
    },
  };
}

async function isAltered(): Promise<boolean> {
  const rows = await ledger.admin`
    select from pg_constraint
      where conrelid = 'baseledger.events'::regclass and conname = 'later'`;
  return rows.length > 0;
}

/** Sessions of migrations that wait on the server. */
async function waiting(): Promise<number> {
  const [row] = await ledger.admin<{ n: number }[]>`
    select count(*)::int as n from pg_stat_activity
      where datname = ${ledger.name} and application_name = 'baseledger migrate'
        and state <> 'idle' and wait_event_type = 'Lock'`;
  return row?.n ?? 0;
}

let keys = 0;
async function charge(): Promise<void> {
  const key = `k${keys++}`;
  await command(ledger.agent, "charge", { wallet_id: "w", amount: 1n, idempotency_key: key });
}

describe("behind an open report", () => {
  test("commands continue, the blocker is named, and it succeeds when the blocker ends", async () => {
    const blocker = await report();
    const waits: Waiting[] = [];
    const done = migrate(url, { ...options, onWait: (state) => void waits.push(state) });
    let answered = 0;
    let ended = false;
    const load = (async () => {
      while (!ended) {
        await charge();
        answered++;
      }
    })();
    await until("it has tried three times", () => waits.length >= 3);
    const before = answered;
    await until("commands are answered meanwhile", () => answered > before + 5);
    expect(await isAltered()).toBe(false);
    await blocker.end();
    expect(await done).toEqual([expect.stringMatching(/some-step$/)]);
    ended = true;
    await load;
    expect(await isAltered()).toBe(true);
    expect(waits.at(1)?.blockers).toContainEqual({
      pid: blocker.pid,
      application: "report",
      login: "postgres",
      state: "idle in transaction",
      transactionAge: expect.any(Number),
    });
  });

  test("it gives up after its time, names the blocker, and changes nothing", async () => {
    const blocker = await report();
    const error = await migrate(url, { ...options, waitFor: 1000 }).catch((reason) => reason);
    expect(error).toBeInstanceOf(BlockedError);
    expect(error.message).toMatch(
      new RegExp(`pid ${blocker.pid} \\(report, login postgres, idle in transaction, .* open for`),
    );
    expect(error.blockers).toContainEqual(expect.objectContaining({ pid: blocker.pid }));
    expect(await isAltered()).toBe(false);
    await blocker.end();
    expect(await migrate(url, options)).toHaveLength(1);
  });

  test("a signal ends it, and nothing waits on the server", async () => {
    const blocker = await report();
    const abort = new AbortController();
    const done = migrate(url, { ...options, signal: abort.signal });
    const failed = expect(done).rejects.toThrow("enough");
    await until("it waits for the lock", async () => (await waiting()) === 1);
    abort.abort(new Error("enough"));
    await failed;
    expect(await waiting()).toBe(0);
    await blocker.end();
    expect(await isAltered()).toBe(false);
  });

  test("a connection of the caller is usable after a signal", async () => {
    const blocker = await report();
    const { sql } = await ledger.session("admin", { application_name: "baseledger migrate" });
    const abort = new AbortController();
    const done = migrate(sql, { ...options, signal: abort.signal });
    const failed = expect(done).rejects.toThrow("enough");
    await until("it waits for the lock", async () => (await waiting()) === 1);
    abort.abort(new Error("enough"));
    await failed;
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
    await sql.end();
    await blocker.end();
  });

  test("the install script fails soon, and leaves lock_timeout as it was", async () => {
    const blocker = await report();
    const { sql } = await ledger.session("admin");
    const script = await installSql(options);
    await expect(sql.unsafe(script)).rejects.toMatchObject({ code: "55P03" });
    await charge();
    await blocker.end();
    await sql.begin(async (tx) => {
      await tx.unsafe(script);
      expect(await tx`show lock_timeout`).toEqual([{ lock_timeout: "0" }]);
    });
    expect(await isAltered()).toBe(true);
    await sql.end();
  });
});

test("a prepared transaction, which has no session, is named", async () => {
  const other = process.env.TEST_POSTGRES;
  const settings = { max_prepared_transactions: "2" };
  await using server = await startPostgres({ settings, ...(other && { package: other }) });
  await migrate(server.url);
  const sql = postgres(server.url, { max: 1 });
  await sql.unsafe(
    "begin; lock table baseledger.events in share mode; prepare transaction 'stuck'",
  );
  const failed = migrate(server.url, { ...options, waitFor: 1 });
  await expect(failed).rejects.toThrow(
    /prepared transaction stuck \(login postgres, transaction open/,
  );
  await sql`rollback prepared 'stuck'`;
  expect(await migrate(server.url, options)).toHaveLength(1);
  await sql.end();
});

describe("another migration", () => {
  test("is waited for and named, and a signal ends the waiting", async () => {
    const other = await ledger.session("admin", { application_name: "baseledger migrate" });
    await other.sql`select pg_advisory_lock(hashtextextended('baseledger.migrations', 0))`;
    const waits: Waiting[] = [];
    const abort = new AbortController();
    const first = migrate(url, { ...options, signal: abort.signal });
    const failed = expect(first).rejects.toThrow("enough");
    const second = migrate(url, { ...options, onWait: (state) => void waits.push(state) });
    await until("it has tried twice", () => waits.length >= 2);
    abort.abort(new Error("enough"));
    await failed;
    expect(waits[1]?.blockers).toContainEqual(
      expect.objectContaining({ pid: other.pid, application: "baseledger migrate" }),
    );
    await other.sql`select pg_advisory_unlock_all()`;
    expect(await second).toHaveLength(1);
    await other.sql.end();
  });
});

describe("the command", () => {
  // The migrations of the package are applied already: the command only reads their table.
  async function blockCommand(): Promise<postgres.Sql> {
    const { sql } = await ledger.session("admin", { application_name: "report" });
    await sql`begin`;
    await sql`lock table baseledger.migrations in access exclusive mode`;
    return sql;
  }

  test("names the blocker on stderr, and continues when that ends", async () => {
    const blocker = await blockCommand();
    const program = start(["migrate", "--url", url], {});
    await until("it names the blocker", () =>
      /waiting for pid \d+ \(report, login/.test(program.said()),
    );
    await blocker`commit`;
    const { code, stdout, stderr } = await program.ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: "BaseLedger is up to date\n" });
    expect(stderr).toMatch(
      /^waiting for pid \d+ \(report, login postgres, idle in transaction, .*\n$/,
    );
    await blocker.end();
  });

  test("exits with 4 after --wait, and names the blocker", async () => {
    const blocker = await blockCommand();
    const { code, stderr } = await start(["migrate", "--url", url, "--wait", "1"], {}).ended;
    expect(code).toBe(4);
    expect(stderr).toMatch(/baseledger: Waited \d+ s for a lock that is held by pid \d+ \(report/);
    await blocker`rollback`;
    await blocker.end();
  });

  test.each(["SIGINT", "SIGTERM"] as const)("%s ends it, and its backend", async (signal) => {
    const blocker = await blockCommand();
    const program = start(["migrate", "--url", url], {});
    await until("it waits for the lock", async () => (await waiting()) === 1);
    program.child.kill(signal);
    const { code, stderr } = await program.ended;
    expect(code).toBe(4);
    expect(stderr).toContain("interrupted");
    expect(await waiting()).toBe(0);
    await blocker`rollback`;
    await blocker.end();
  });

  test("kill -9 leaves nothing waiting for long", async () => {
    const blocker = await blockCommand();
    const program = start(["migrate", "--url", url], {});
    await until("it waits for the lock", async () => (await waiting()) === 1);
    const exit = once(program.child, "exit");
    program.child.kill("SIGKILL");
    await exit;
    await until("nothing waits", async () => (await waiting()) === 0, 10_000);
    await blocker`rollback`;
    await blocker.end();
  });
});
