import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startPostgres } from "../../src/embedded/index.ts";
import { migrate } from "../../src/migrate/index.ts";
import { findInstalled } from "../support/installed.ts";
import {
  call,
  createLedger,
  failure,
  holdLock,
  loginOf,
  openWallet,
  post,
  type TestLedger,
  travelBack,
  untilCrowd,
} from "../support/ledger.ts";
import { PRIMARY_SETTINGS, startStandby } from "../support/standby.ts";
import { until } from "../support/until.ts";

interface Diagnosis {
  readonly check: string;
  readonly status: string;
  readonly found: string;
  readonly expected: string | null;
  readonly advice: string | null;
}

let ledger: TestLedger;

beforeEach(async () => {
  ledger = await createLedger();
});
afterEach(async () => {
  await ledger[Symbol.asyncDispose]();
});

/** The result of a check for an auditor who connects now. */
async function diagnose(check: string): Promise<Diagnosis> {
  await using auditor = await ledger.session("auditor");
  const rows = await call<Diagnosis>(auditor.sql, "doctor", {});
  const found = rows.find((row) => row.check === check);
  if (!found) throw new Error(`the doctor has no check ${check}`);
  return found;
}

/** Expects a check to be fine, then to report what `spoil` does, and to be fine again after `mend`. */
async function expectDiagnosis(
  check: string,
  status: string,
  found: RegExp,
  spoil: () => Promise<unknown>,
  mend: () => Promise<unknown>,
): Promise<void> {
  expect(await diagnose(check)).toMatchObject({ status: "fine", advice: null });
  await spoil();
  expect(await diagnose(check)).toMatchObject({
    status,
    found: expect.stringMatching(found),
    expected: expect.any(String),
    advice: expect.any(String),
  });
  await mend();
  expect(await diagnose(check)).toMatchObject({ status: "fine", advice: null });
}

/** Alters settings in this database only, as other tests share the server. */
async function alter(what: string, action: string): Promise<void> {
  const scope =
    what === "all" ? `database ${ledger.name}` : `role ${what} in database ${ledger.name}`;
  await ledger.admin.unsafe(`alter ${scope} ${action}`);
}

test("the doctor returns one row for each check, to auditors and operators only", async () => {
  const rows = await call<Diagnosis>(ledger.operator, "doctor", {});
  expect(rows.map(({ check }) => check)).toEqual([
    "schema",
    "rights",
    "server",
    "jit",
    "planner",
    "durability",
    "autovacuum",
    "time-outs",
    "worker",
    "sweep lag",
    "wallets ahead",
    "time zones",
    "replication",
    "dead rows",
    "open transactions",
    "prepared transactions",
  ]);
  for (const { status, advice } of rows) {
    expect(["fine", "warning", "wrong"]).toContain(status);
    if (status === "fine") expect(advice).toBeNull();
  }
  expect((await diagnose("server")).status).toBe("fine");
  for (const role of [ledger.agent, ledger.worker, ledger.outsider]) {
    expect((await failure(call(role, "doctor", {}))).code).toBe("42501");
  }
});

test("an excess right is wrong", async () => {
  await expectDiagnosis(
    "rights",
    "wrong",
    /1 that differ, the first: .*_execute/,
    () => ledger.admin`grant execute on function baseledger._execute to public`,
    () => ledger.admin`revoke execute on function baseledger._execute from public`,
  );
});

test("a missing right is a warning", async () => {
  await expectDiagnosis(
    "rights",
    "warning",
    /1 that differ, the first: .*settle/,
    () => ledger.admin`revoke execute on function baseledger.settle from baseledger_agent`,
    () => ledger.admin`grant execute on function baseledger.settle to baseledger_agent`,
  );
});

test("a switched-off planner setting is a warning, for the database or for a login", async () => {
  await expectDiagnosis(
    "planner",
    "warning",
    new RegExp(`^enable_indexscan = off for ${loginOf("agent")}, enable_sort = off for all roles$`),
    async () => {
      await alter("all", "set enable_sort = off");
      await alter(loginOf("agent"), "set enable_indexscan = no");
    },
    async () => {
      await alter("all", "reset enable_sort");
      await alter(loginOf("agent"), "reset enable_indexscan");
    },
  );
});

test("a setting that can lose commits is wrong", async () => {
  // The server of the tests runs without fsync.
  const { status, found } = await diagnose("durability");
  expect([status, found]).toEqual(["wrong", "fsync = off, full_page_writes = off"]);
  await alter(loginOf("agent"), "set synchronous_commit = off");
  expect((await diagnose("durability")).found).toContain(
    `synchronous_commit = off for ${loginOf("agent")}`,
  );
  await alter(loginOf("agent"), "reset synchronous_commit");
});

test("switched-off autovacuum of a table is a warning", async () => {
  await expectDiagnosis(
    "autovacuum",
    "warning",
    /^autovacuum_enabled = off of reservations$/,
    () => ledger.admin`alter table baseledger.reservations set (autovacuum_enabled = off)`,
    () => ledger.admin`alter table baseledger.reservations reset (autovacuum_enabled)`,
  );
});

test("a time-out that is too short for a sweep is a warning, for a worker's login only", async () => {
  await alter(loginOf("agent"), "set statement_timeout = '1s'");
  await expectDiagnosis(
    "time-outs",
    "warning",
    new RegExp(`^statement_timeout = 2s for ${loginOf("worker")}$`),
    () => alter(loginOf("worker"), "set statement_timeout = '2s'"),
    () => alter(loginOf("worker"), "set statement_timeout = 30000"),
  );
});

test("a worker that has never swept, or not recently, is a warning", async () => {
  expect(await diagnose("worker")).toMatchObject({
    status: "warning",
    found: "no sweep ever; 0 connections of workers",
  });
  await call(ledger.worker, "expire_due", {});
  await expectDiagnosis(
    "worker",
    "warning",
    /^last sweep 4\d s ago/,
    () => ledger.admin`update baseledger.sweeps set looked_at = looked_at - interval '40 seconds'`,
    () => call(ledger.worker, "expire_due", {}),
  );
});

test("an unswept deadline is a warning", async () => {
  await openWallet(ledger, "w", 10n);
  await expectDiagnosis(
    "sweep lag",
    "warning",
    /^59 min$/,
    async () => {
      await post(ledger.agent, "w", [{ op: "reserve", amount: 1, ttl: 60, idempotency_key: "r" }]);
      await travelBack(ledger, "w", "1 hour");
    },
    () => call(ledger.worker, "expire_due", {}),
  );
});

test("a wallet ahead of the clock is a warning", async () => {
  await openWallet(ledger, "w", 10n);
  await expectDiagnosis(
    "wallets ahead",
    "warning",
    /^1; w by 26 h$/,
    () => travelBack(ledger, "w", "-26 hours"),
    () => travelBack(ledger, "w", "26 hours"),
  );
});

test("dead rows without a vacuum are a warning", async () => {
  await expectDiagnosis(
    "dead rows",
    "warning",
    /^sweeps: 2\d{4} dead, 0 live, last vacuum never$/,
    async () => {
      await ledger.admin`alter table baseledger.sweeps set (autovacuum_enabled = off)`;
      await ledger.admin.begin(async (tx) => {
        await tx`insert into baseledger.sweeps
          select now() - n * interval '1 second' from generate_series(1, 20000) n`;
        await tx`delete from baseledger.sweeps`;
        await tx`select pg_stat_force_next_flush()`;
      });
      await until("the statistics count the dead rows", async () => {
        const [row] = await ledger.admin<{ dead: string }[]>`
          select n_dead_tup as dead from pg_stat_all_tables
            where schemaname = 'baseledger' and relname = 'sweeps'`;
        return Number(row?.dead) >= 20_000;
      });
    },
    () => ledger.admin`vacuum baseledger.sweeps`,
  );
});

test("an open transaction that holds a wallet is a warning, with the sessions that wait for it", async () => {
  await openWallet(ledger, "w", 10n);
  let letGo = async (): Promise<void> => undefined;
  let waiting: Promise<unknown> = Promise.resolve();
  await expectDiagnosis(
    "open transactions",
    "warning",
    /^pid \d+, login postgres, application admin, since when is hidden, 1 waiting$/,
    async () => {
      letGo = await holdLock(ledger, "w");
      waiting = post(ledger.agent, "w", [{ op: "charge", amount: 1, idempotency_key: "c" }]);
      await untilCrowd(ledger, "agent", 1);
    },
    async () => {
      await letGo();
      await waiting;
    },
  );
});

describe("on separate servers", () => {
  const folder = mkdtempSync(join(tmpdir(), "doctor-test-"));
  const installed = findInstalled(folder);
  beforeAll(() => chmodSync(folder, 0o755));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function diagnoseOn(sql: postgres.Sql, check: string): Promise<Diagnosis | undefined> {
    return (await call<Diagnosis>(sql, "doctor", {})).find((row) => row.check === check);
  }

  test("a prepared transaction that holds a wallet is a warning", async () => {
    await using server = await startPostgres({ settings: { max_prepared_transactions: "2" } });
    await migrate(server.url);
    const sql = postgres(server.url, { max: 1, onnotice: () => undefined });
    await sql`select baseledger.open_wallet('w')`;
    await sql.unsafe(
      "begin; select baseledger.credit('w', 1, 'c'); prepare transaction 'forgotten'",
    );
    const check = "prepared transactions";
    await until(
      "the check reports it",
      async () => (await diagnoseOn(sql, check))?.status === "warning",
    );
    expect((await diagnoseOn(sql, check))?.found).toMatch(/^forgotten by postgres, since /);
    await sql.unsafe("commit prepared 'forgotten'");
    expect((await diagnoseOn(sql, check))?.status).toBe("fine");
    await sql.end();
  });

  const none = installed ? "" : " (skipped: no PostgreSQL is installed here with its tools)";

  test.skipIf(none)(
    `compilation of cheap plans is a warning, and of commands wrong${none}`,
    async () => {
      await using server = await startPostgres({ package: installed?.package ?? "" });
      await migrate(server.url);
      const sql = postgres(server.url, { max: 1, onnotice: () => undefined });
      const [llvm] = await sql<{ found: boolean }[]>`select pg_jit_available() as found`;
      await sql.unsafe("alter database postgres set jit_above_cost = 10");
      await sql.unsafe("alter function baseledger._execute set jit = off");
      const fresh = postgres(server.url, { max: 1, onnotice: () => undefined });
      expect(await diagnoseOn(fresh, "jit")).toMatchObject(
        llvm?.found
          ? { status: "warning", found: "on above a cost of 10; off in commands" }
          : { status: "fine", found: "off" },
      );
      await sql.unsafe("alter function baseledger._execute reset jit");
      expect((await diagnoseOn(fresh, "jit"))?.status).toBe(llvm?.found ? "wrong" : "fine");
      await sql.end();
      await fresh.end();
    },
  );

  test.skipIf(none)(`a standby without its primary is a warning${none}`, async () => {
    if (!installed) return;
    await using primary = await startPostgres({
      package: installed.package,
      settings: PRIMARY_SETTINGS,
    });
    await migrate(primary.url);
    await using standby = await startStandby(installed, primary, folder);
    const sql = postgres(standby.url, { max: 1, onnotice: () => undefined });
    const found = async () => (await diagnoseOn(sql, "replication"))?.found;
    await until("it follows", async () => (await found()) === "a standby that is 0 s behind");
    await primary.kill("SIGINT");
    await until("it reports it", async () => /without its primary/.test((await found()) ?? ""));
    expect((await diagnoseOn(sql, "replication"))?.status).toBe("warning");
    await sql.end();
  });
});

describe("time zones", () => {
  test("are known, or their limits are named", async () => {
    await openWallet(ledger, "w", 100n);
    await openWallet(ledger, "v", 100n);
    for (const id of ["w", "v"]) {
      await ledger.operator`
        select baseledger.set_limit(${id}, 'day', 5, 'day', p_time_zone => 'Europe/Berlin')`;
    }
    const move = (zone: string) => ledger.admin`update baseledger.limits set time_zone = ${zone}`;
    await expectDiagnosis(
      "time zones",
      "warning",
      /^Europe\/Atlantis of limit day of v and 1 more$/,
      () => move("Europe/Atlantis"),
      () => move("Europe/Berlin"),
    );
  });
});
