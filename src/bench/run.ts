import { cpus, release, totalmem, type } from "node:os";
import { createRandom } from "../trace/index.ts";
import type { Bench, BenchOptions, Part } from "./bench.ts";
import { inTurn } from "./calls.ts";
import { weigh } from "./disk.ts";
import { figuresOf } from "./figures.ts";
import { judge } from "./goals.ts";
import { growthSteps, measureGrowth } from "./growth.ts";
import { fillWithPast, touchAll } from "./ledgers.ts";
import { measureMixed, mixedSteps } from "./mixed.ts";
import type { BenchResult, DiskResult, Machine } from "./results.ts";
import { type BenchDatabase, type BenchServer, startBenchServer } from "./server.ts";
import { fillNaiveTables, touchNaiveTables } from "./statements.ts";
import { measureSweeps, sweepSteps } from "./sweep.ts";
import { measureThroughput, throughputSteps } from "./throughput.ts";
import { measureVerify, verifyAll } from "./verify.ts";

// The same draws in each run: what differs between two runs is not the wallets.
const SEED = 1;
const GIB = 2 ** 30;
// Events that are there before anything is measured: in an empty ledger, each event of a wallet
// would split a page of an index, which is over after its first week.
const PAST = 500_000;
const QUICK_PAST = 100_000;

type Parts = Omit<BenchResult, "goals" | "machine" | "discrepancies" | "seconds">;

/** Measures the ledger on a server of its own, beside what people do today. */
export async function runBench(options: BenchOptions): Promise<BenchResult> {
  const began = performance.now();
  options.progress.start(stepsOf(options));
  options.progress.begin("starting a PostgreSQL server and filling it");
  await using server = await startBenchServer();
  const bench = await prepare(options, server);
  options.progress.end("done");
  const parts = await runParts(bench);
  options.progress.begin("verifying everything that was written");
  const found = await Promise.all(server.databases().map(verifyAll));
  const discrepancies = found.reduce((sum, each) => sum + each, 0);
  options.progress.end(`${discrepancies} discrepancies`);
  return {
    ...parts,
    goals: judge(figuresOf(parts)),
    machine: await machineOf(bench),
    discrepancies,
    seconds: (performance.now() - began) / 1000,
  };
}

async function prepare(options: BenchOptions, server: BenchServer): Promise<Bench> {
  const nextCall = inTurn(options.calls);
  const { wallets, quick } = options;
  const most = quick ? wallets : Math.max(wallets, options.zipfWallets);
  const byStatement = await server.createDatabase("bench_by_statement");
  const throughClient = await server.createDatabase("bench_through_client");
  const past = quick ? QUICK_PAST : PAST;
  await fillNaiveTables(byStatement.admin, most);
  await fillWithPast(byStatement, wallets, past, nextCall);
  if (asks(options, "client", "mixed")) {
    await fillWithPast(throughClient, most, past, nextCall);
    await touchAll(throughClient, { wallets, nextCall });
  }
  await touchAll(byStatement, { wallets, nextCall });
  await touchNaiveTables(byStatement.admin);
  const sized = new Map<number, BenchDatabase>();
  const makeSized = async (events: number): Promise<BenchDatabase> => {
    const database = await server.createDatabase(`bench_${events}_events`);
    await fillWithPast(database, wallets, events, nextCall);
    return database;
  };
  return {
    ...options,
    server,
    byStatement,
    throughClient,
    sized: async (events) => {
      const database = sized.get(events) ?? (await makeSized(events));
      sized.set(events, database);
      return database;
    },
    nextCall,
    random: createRandom(SEED),
  };
}

async function runParts(bench: Bench): Promise<Parts> {
  const workloads = await measureThroughput(bench);
  const sweeps = asks(bench, "sweep") ? await measureSweeps(bench) : [];
  const mixed = asks(bench, "mixed") ? await measureMixed(bench) : [];
  const disk = await weighAll(bench);
  const growth = asks(bench, "growth") ? await measureGrowth(bench) : [];
  const verify = asks(bench, "verify") ? await measureVerify(bench) : null;
  const { quick, trace, rounds, seconds: secondsEach } = bench;
  return { quick, trace, rounds, secondsEach, workloads, sweeps, mixed, disk, growth, verify };
}

async function weighAll(bench: Bench): Promise<DiskResult[]> {
  const weighed: DiskResult[] = [];
  if (asks(bench, "single", "batch")) {
    weighed.push(await weigh("short", bench.byStatement));
  }
  if (asks(bench, "client")) {
    weighed.push(await weigh("client", bench.throughClient));
  }
  return weighed;
}

function asks({ parts }: Pick<BenchOptions, "parts">, ...any: readonly Part[]): boolean {
  return any.some((part) => parts.includes(part));
}

function stepsOf(options: BenchOptions): number {
  const { rounds } = options;
  const others = [
    asks(options, "sweep") ? sweepSteps(options) : 0,
    asks(options, "mixed") ? mixedSteps(options) : 0,
    asks(options, "growth") ? growthSteps(options) : 0,
    asks(options, "verify") ? rounds : 0,
  ];
  const preparing = 1;
  const verifying = 1;
  return others.reduce((sum, each) => sum + each, preparing + throughputSteps(options) + verifying);
}

async function machineOf({ byStatement }: Bench): Promise<Machine> {
  const [row] = await byStatement.admin`select current_setting('server_version') as version`;
  return {
    processors: cpus().length,
    model: cpus()[0]?.model.trim() ?? "",
    memoryGiB: Math.round(totalmem() / GIB),
    system: `${type()} ${release()}`,
    node: process.versions.node,
    postgres: String(row?.version),
  };
}
