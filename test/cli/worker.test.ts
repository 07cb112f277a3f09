import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { credit, openWallet, reserve } from "../../src/generated/index.ts";
import type { Health } from "../../src/worker/health.ts";
import { baseledger, type Started, start } from "../support/cli.ts";
import { skipped, startPooler } from "../support/pooler.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let sql: postgres.Sql;
/** Address as a login that has no more rights than a worker needs. */
let url: string;
let login: string;
let running: Started[] = [];

beforeAll(async () => {
  database = await createDatabase();
  sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  login = `worker_of_${database.name}`;
  await sql.unsafe(`
    create role ${login} login password 'secret' in role baseledger_worker;
    grant create on database ${database.name} to ${login}`);
  const address = new URL(database.url);
  address.username = login;
  address.password = "secret";
  url = address.href;
});

afterEach(async () => {
  for (const { child, ended } of running) {
    child.kill("SIGKILL");
    await ended;
  }
  running = [];
});

afterAll(async () => {
  await sql.unsafe(`drop owned by ${login} cascade; drop role ${login}`);
  await sql.end();
  await database.drop();
});

async function startService(...args: string[]): Promise<Started & { readonly base: string }> {
  const service = start(["worker", "--port", "0", "--host", "127.0.0.1", ...args], {
    DATABASE_URL: url,
  });
  running.push(service);
  const port = await until("it serves", () => /on port (\d+)/.exec(service.said())?.[1]);
  await until("it has started", () => service.said().includes("expiry job started"));
  return { ...service, base: `http://127.0.0.1:${port}` };
}

/** What `/health/ready` says, once it answers with this status. */
async function answerOf(base: string, status: number): Promise<Health | undefined> {
  const response = await fetch(`${base}/health/ready`);
  const body = (await response.json()) as Health;
  return response.status === status ? body : undefined;
}

async function metric(base: string, name: string): Promise<number> {
  const text = await (await fetch(`${base}/metrics`)).text();
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.split(" ")[1]);
}

test("serves health and metrics, and ends in order at SIGTERM", async () => {
  const { base, child, ended } = await startService();
  const ready = await until("it is ready", () => answerOf(base, 200));
  expect(ready).toEqual({
    status: "ready",
    sweep_lag_seconds: 0,
    last_sweep: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    last_failure: null,
  });
  const live = await fetch(`${base}/health/live`);
  expect([live.status, await live.json()]).toEqual([200, { status: "live" }]);
  expect((await fetch(`${base}/`)).status).toBe(404);
  expect((await fetch(`${base}/metrics`, { method: "POST" })).status).toBe(405);

  const walletId = "acme";
  await openWallet(sql, { walletId });
  await credit(sql, { walletId, amount: 10n, idempotencyKey: "c" });
  for (const key of ["a", "b", "c2"]) {
    await reserve(sql, { walletId, amount: 1n, idempotencyKey: key, ttl: 1 });
  }
  await until("all three are expired", async () => {
    return (await metric(base, "baseledger_expired_total")) === 3;
  });
  expect(await metric(base, "baseledger_sweep_lag_seconds")).toBe(0);
  expect(await metric(base, "baseledger_database_up")).toBe(1);
  expect(await metric(base, "baseledger_ready")).toBe(1);
  expect(await metric(base, "baseledger_wallets_ahead")).toBe(0);
  expect(await metric(base, "baseledger_sweep_failures_in_a_row")).toBe(0);
  expect(await metric(base, 'baseledger_sweeps_total{outcome="failed"}')).toBe(0);
  const lastSweep = await metric(base, "baseledger_last_sweep_timestamp_seconds");
  expect(Math.abs(Date.now() / 1000 - lastSweep)).toBeLessThan(30);
  const ofAny = await metric(base, "baseledger_last_sweep_of_any_timestamp_seconds");
  expect(Math.abs(Date.now() / 1000 - ofAny)).toBeLessThan(30);
  const { headers } = await fetch(`${base}/metrics`);
  expect(headers.get("content-type")).toContain("version=0.0.4");

  child.kill("SIGTERM");
  const { code, stdout, stderr } = await ended;
  expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  expect(stderr).toMatch(/expiry job stopped\n$/);
});

test("is not ready, but alive, while the database does not let it in; then it is again", async () => {
  const { base, child, ended } = await startService("--log-format", "json");
  const status = async (path: string) => (await fetch(`${base}${path}`)).status;
  await sql.unsafe(`alter role ${login} nologin`);
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${login}`;
  await until("it is not ready", async () => (await status("/health/ready")) === 503);
  expect(await status("/health/live")).toBe(200);
  expect(await metric(base, "baseledger_database_up")).toBe(0);
  expect(await metric(base, "baseledger_sweep_lag_seconds")).toBeNaN();
  await sql.unsafe(`alter role ${login} login`);
  await until("it is ready", async () => (await status("/health/ready")) === 200);
  child.kill("SIGTERM");
  const { code, stderr } = await ended;
  expect(code).toBe(0);
  const lines = stderr.trim().split("\n");
  for (const line of lines) {
    expect(JSON.parse(line)).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      level: expect.stringMatching(/^(info|warn)$/),
      message: expect.any(String),
    });
  }
  expect(lines.at(-1)).toContain("expiry job stopped");
});

test("is not ready, but alive, while its sweeps fail, and says why; then it is again", async () => {
  const { base } = await startService();
  await until("it is ready", () => answerOf(base, 200));
  await sql`revoke execute on function baseledger.expire_due from baseledger_worker`;
  const body = await until("it is not ready", () => answerOf(base, 503));
  expect(body).toMatchObject({
    status: "not ready",
    reasons: [expect.stringMatching(/^the last \d+ sweeps have failed$/)],
    last_failure: { reason: expect.stringContaining("expire_due") },
  });
  expect((await fetch(`${base}/health/live`)).status).toBe(200);
  expect(await metric(base, "baseledger_ready")).toBe(0);
  expect(await metric(base, "baseledger_database_up")).toBe(1);
  expect(await metric(base, "baseledger_sweep_failures_in_a_row")).toBeGreaterThanOrEqual(3);
  expect(await metric(base, 'baseledger_sweeps_total{outcome="failed"}')).toBeGreaterThan(0);
  await sql`grant execute on function baseledger.expire_due to baseledger_worker`;
  await until("it is ready", () => answerOf(base, 200));
  expect(await metric(base, "baseledger_sweep_failures_in_a_row")).toBe(0);
});

test("is not ready while what was due long ago is not swept", async () => {
  const { base } = await startService();
  await until("it is ready", () => answerOf(base, 200));
  const walletId = "stuck";
  await openWallet(sql, { walletId });
  await credit(sql, { walletId, amount: 10n, idempotencyKey: "c" });
  await reserve(sql, { walletId, amount: 1n, idempotencyKey: "r", ttl: 60 });
  await sql.begin(async (tx) => {
    await tx`select tap.travel_back(${walletId}, '10 minutes')`;
    // Its next event is there already, so it cannot be swept.
    await tx`update baseledger.wallets set seq = seq - 1 where wallet_id = ${walletId}`;
  });
  const body = await until("it is not ready", () => answerOf(base, 503));
  expect(body.reasons).toEqual([expect.stringMatching(/^a deadline that passed \d+ s ago is not/)]);
  expect(body.sweep_lag_seconds).toBeGreaterThan(500);
  await sql`update baseledger.wallets set seq = seq + 1 where wallet_id = ${walletId}`;
  await until("it is swept, and ready", () => answerOf(base, 200));
});

test("reports how far behind the sweep is", async () => {
  const { base } = await startService();
  const walletId = "locked";
  await openWallet(sql, { walletId });
  await credit(sql, { walletId, amount: 10n, idempotencyKey: "c" });
  await reserve(sql, { walletId, amount: 1n, idempotencyKey: "r", ttl: 1 });
  const holder = postgres(database.url, { max: 1, onnotice: () => undefined });
  await holder.begin(async (tx) => {
    await tx`select from baseledger.wallets where wallet_id = ${walletId} for no key update`;
    await until("it lags behind", async () => {
      return (await metric(base, "baseledger_sweep_lag_seconds")) > 0.5;
    });
  });
  await holder.end();
  await until("it has caught up", async () => {
    return (await metric(base, "baseledger_sweep_lag_seconds")) === 0;
  });
});

test.each([
  [["--port", "70000"], /--port.*from 0 to 65535/],
  [["--log-format", "xml"], /--log-format.*text, json/],
])("%j exits with 2", async (args, message) => {
  const { code, stdout, stderr } = await baseledger(["worker", ...args], { DATABASE_URL: url });
  expect(stderr).toMatch(message);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
});

test("a port that is taken exits with 2, and says so", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  const { port } = other.address() as AddressInfo;
  const args = ["worker", "--port", String(port), "--host", "127.0.0.1"];
  expect(await baseledger(args, { DATABASE_URL: url })).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^baseledger: cannot serve on .*EADDRINUSE/),
  });
  other.close();
});

test("a database that cannot be reached exits with 3, also with a port", async () => {
  const args = ["worker", "--port", "0", "--url", "postgres://nobody@127.0.0.1:1/nothing"];
  expect(await baseledger(args)).toMatchObject({ code: 3 });
});

test.skipIf(skipped)(
  `a pooler in transaction mode exits with 2, and says so${skipped}`,
  async () => {
    await using pooler = await startPooler(database.url);
    const args = ["worker", "--port", "0", "--host", "127.0.0.1"];
    const { code, stderr } = await baseledger(args, { DATABASE_URL: pooler.url });
    expect(code).toBe(2);
    expect(stderr.trim().split("\n").at(-1)).toMatch(/^baseledger: .* needs a direct connection/);
  },
);
