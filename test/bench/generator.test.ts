import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Generator, startGenerator } from "../../src/bench/generator.ts";
import { load } from "../../src/bench/load.ts";
import { type BenchDatabase, type BenchServer, startBenchServer } from "../../src/bench/server.ts";
import { fillNaiveTables } from "../../src/bench/statements.ts";
import { countDiscrepancies } from "../../src/bench/verify.ts";
import { connectWire, type Execution, type WireConnection } from "../../src/bench/wire.ts";
import { wireWorkloads } from "../../src/bench/wire-workloads.ts";
import { HOT, walletId } from "../../src/bench/workload.ts";
import { openWallet } from "../../src/generated/index.ts";

// Enough for each client to have some of its own.
const WALLETS = 40;
const CALLS = [{ hold: "20", cost: "7" }];
const JOB = { wallets: { spread: WALLETS, zipf: WALLETS }, calls: CALLS, seed: 1 };

let server: BenchServer;
let database: BenchDatabase;
/** One for all: another would begin with the same keys. */
let generator: Generator;

beforeAll(async () => {
  server = await startBenchServer();
  generator = startGenerator();
  database = await server.createDatabase("generated");
  await fillNaiveTables(database.admin, WALLETS);
  const walletIds = [HOT, ...Array.from({ length: WALLETS }, (_, index) => walletId(index))];
  await load(database, [{ hold: 1n, cost: 1n }], [{ walletIds, calls: 0, due: 0 }]);
});
afterAll(async () => {
  await generator[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

describe("the load generator", () => {
  test.each([...wireWorkloads.map(({ name }) => name), "naive, spread", "naive, hot"])(
    "sends %s",
    async (workload) => {
      const measure = await generator.open({ ...JOB, workload, url: database.urls.agent });
      const before = await countRows();
      const cpu = server.cpuSeconds();
      const run = await measure(0.1);
      const rows = (await countRows()) - before;
      // A journal counts each operation as an event, and the log of the naive tables as a row.
      expect(rows).toBe(run.operations);
      expect(run.operations).toBeGreaterThan(0);
      expect(run.clientCpu).toBeGreaterThan(0);
      expect(run.latency.p50).toBeLessThanOrEqual(run.latency.p99);
      if (cpu !== null) expect(server.cpuSeconds()).toBeGreaterThanOrEqual(cpu);
    },
  );

  test("leaves a sound ledger", async () => {
    expect(await countDiscrepancies(database)).toBe(0);
  });

  test.each([
    ["single calls, hot", /^LGWNF: /],
    ["batches of 10, hot", /^LGWNF: /],
    ["naive, hot", /expected INSERT 0 1, and the server did INSERT 0 0/],
  ])("ends with what went wrong in %s", async (workload, message) => {
    const empty = await server.createDatabase(`empty_${workload.replaceAll(/\W/g, "_")}`);
    const job = { ...JOB, workload, url: empty.urls.agent };
    await expect(generator.open(job)).rejects.toThrow(message);
  });

  test("ends with a refusal in a batch", async () => {
    const poor = await server.createDatabase("poor");
    await openWallet(poor.admin, { walletId: HOT, unit: "USD" });
    const job = { ...JOB, workload: "batches of 100, hot", url: poor.urls.agent };
    await expect(generator.open(job)).rejects.toThrow("the ledger refused a command: LGNSF");
  });
});

describe("a connection over the wire", () => {
  test("sends and reads messages that are larger than its buffers", async () => {
    const connection = await connectWire(database.urls.agent);
    const text = "é".repeat(1_000_000);
    const statement = { text: "select $1::text || $1 from generate_series(1, 3)", tag: "SELECT 3" };
    for (const values of [[text], ["short"], [text]]) {
      expect(await execute(connection, { statement, values })).toBeUndefined();
    }
    connection.close();
  });

  test("can be used after an error", async () => {
    const connection = await connectWire(database.urls.agent);
    const statement = { text: "select 1 / $1::integer", tag: "SELECT 1" };
    expect(await execute(connection, { statement, values: ["1"] })).toBeUndefined();
    const error = await execute(connection, { statement, values: ["0"] });
    expect(error?.message).toMatch(/^22012: /);
    expect(await execute(connection, { statement, values: ["1"] })).toBeUndefined();
    connection.close();
  });

  test("reports that the server has closed it", async () => {
    const connection = await connectWire(database.urls.agent);
    const statement = { text: "select pg_terminate_backend(pg_backend_pid())", tag: "SELECT 1" };
    expect(await execute(connection, { statement, values: [] })).toBeInstanceOf(Error);
    expect(await execute(connection, { statement, values: [] })).toBeInstanceOf(Error);
  });

  test("reports a wrong password", async () => {
    const url = new URL(database.urls.agent);
    url.password = "wrong";
    await expect(connectWire(url.href)).rejects.toMatchObject({ code: "28P01" });
  });
});

function execute(connection: WireConnection, ...all: Execution[]): Promise<Error | undefined> {
  return new Promise((resolve) => connection.execute(all, resolve));
}

async function countRows(): Promise<number> {
  const [row] = await database.admin<{ rows: string }[]>`
    select (select count(*) from baseledger.events) + (select count(*) from balance_log) as rows`;
  return Number(row?.rows);
}
