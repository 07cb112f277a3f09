import { cpus, release, totalmem, type } from "node:os";
import { createRandom } from "../trace/index.ts";
import type { Bench, BenchOptions, Part } from "./bench.ts";
import { type DiskResult, measureDisk } from "./disk.ts";
import { type Generator, startGenerator } from "./generator.ts";
import { judge, type Outcome } from "./goals.ts";
import { type GrowthResult, growthSteps, measureGrowth } from "./growth.ts";
import { loadEvents, touchWallets } from "./load.ts";
import { type MixedResult, measureMixed, mixedSteps } from "./mixed.ts";
import { type BenchDatabase, type BenchServer, startBenchServer } from "./server.ts";
import { fillNaiveTables, touchNaiveTables } from "./statements.ts";
import { measureSweeps, type SweepResult, sweepSteps } from "./sweep.ts";
import { measureThroughput, throughputSteps, type WorkloadResult } from "./throughput.ts";
import { countDiscrepancies, measureVerify, type VerifyResult } from "./verify.ts";
import { CLIENTS, cycle } from "./workload.ts";

/** The result of a bench; empty where a part was not asked for. */
export interface BenchResult {
  readonly quick: boolean;
  readonly trace: string | null;
  readonly rounds: number;
  readonly secondsEach: number;
  readonly machine: Machine;
  /** What has sent the SQL: the bench's own, over the wire protocol. */
  readonly generator: { readonly kind: "wire"; readonly connections: number };
  readonly goals: readonly Outcome[];
  readonly workloads: readonly WorkloadResult[];
  readonly sweeps: readonly SweepResult[];
  readonly verify: VerifyResult | null;
  readonly growth: readonly GrowthResult[];
  readonly mixed: readonly MixedResult[];
  readonly disk: readonly DiskResult[];
  /** What `verify` has found in all that the bench has written. */
  readonly discrepancies: number;
  readonly seconds: number;
}

/** What the bench ran on. */
export interface Machine {
  readonly processors: number;
  readonly model: string;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly postgres: string;
}

// The same draws in each run: what differs between two runs is not the wallets.
const SEED = 1;
const GIB = 2 ** 30;
// Events that are there before anything is measured: in an empty ledger, each event of a wallet
// would split a page of an index, which is over after its first week.
const PAST = 500_000;
const QUICK_PAST = 100_000;

/** Measures the ledger on a server of its own, beside what people do today. */
export async function runBench(options: BenchOptions): Promise<BenchResult> {
  const began = performance.now();
  options.progress.start(countSteps(options));
  options.progress.begin("starting a PostgreSQL server and filling it");
  await using server = await startBenchServer();
  await using generator = startGenerator();
  const bench = await prepare(options, server, generator);
  options.progress.end("done");
  const parts = await runParts(bench);
  options.progress.begin("verifying everything that was written");
  const found = await Promise.all(server.databases().map(countDiscrepancies));
  const discrepancies = found.reduce((sum, each) => sum + each, 0);
  options.progress.end(`${discrepancies} discrepancies`);
  return {
    ...parts,
    goals: judge(parts),
    machine: await describeMachine(bench),
    generator: { kind: "wire", connections: CLIENTS },
    discrepancies,
    seconds: (performance.now() - began) / 1000,
  };
}

async function prepare(
  options: BenchOptions,
  server: BenchServer,
  generator: Generator,
): Promise<Bench> {
  const nextCall = cycle(options.calls);
  const { wallets, quick, calls } = options;
  const most = Math.max(wallets, options.zipfWallets);
  const byStatement = await server.createDatabase("bench_by_statement");
  const throughClient = await server.createDatabase("bench_through_client");
  const past = quick ? QUICK_PAST : PAST;
  await fillNaiveTables(byStatement.admin, most);
  await loadEvents(byStatement, calls, { wallets, events: past });
  if (asks(options, "client", "mixed")) {
    await loadEvents(throughClient, calls, { wallets: most, events: past });
    await touchWallets(throughClient, { wallets, nextCall });
  }
  await touchWallets(byStatement, { wallets, nextCall });
  await touchNaiveTables(byStatement.admin);
  const sized = new Map<number, BenchDatabase>();
  const makeSized = async (events: number): Promise<BenchDatabase> => {
    const database = await server.createDatabase(`bench_${events}_events`);
    await loadEvents(database, calls, { wallets, events });
    return database;
  };
  return {
    ...options,
    server,
    generator,
    byStatement,
    throughClient,
    sized: async (events) => {
      const database = sized.get(events) ?? (await makeSized(events));
      sized.set(events, database);
      return database;
    },
    nextCall,
    random: createRandom(SEED),
    seed: SEED,
  };
}

async function runParts(
  bench: Bench,
): Promise<Omit<BenchResult, "goals" | "machine" | "generator" | "discrepancies" | "seconds">> {
  const workloads = await measureThroughput(bench);
  const sweeps = asks(bench, "sweep") ? await measureSweeps(bench) : [];
  const mixed = asks(bench, "mixed") ? await measureMixed(bench) : [];
  const disk = await measureDisks(bench);
  const growth = asks(bench, "growth") ? await measureGrowth(bench) : [];
  const verify = asks(bench, "verify") ? await measureVerify(bench) : null;
  const { quick, trace, rounds, seconds: secondsEach } = bench;
  return { quick, trace, rounds, secondsEach, workloads, sweeps, mixed, disk, growth, verify };
}

async function measureDisks(bench: Bench): Promise<DiskResult[]> {
  const results: DiskResult[] = [];
  if (asks(bench, "single", "batch")) {
    results.push(await measureDisk("short", bench.byStatement));
  }
  if (asks(bench, "client")) {
    results.push(await measureDisk("client", bench.throughClient));
  }
  return results;
}

function asks({ parts }: Pick<BenchOptions, "parts">, ...any: readonly Part[]): boolean {
  return any.some((part) => parts.includes(part));
}

function countSteps(options: BenchOptions): number {
  const preparing = 1;
  const verifying = 1;
  const parts = [
    throughputSteps(options),
    asks(options, "sweep") ? sweepSteps(options) : 0,
    asks(options, "mixed") ? mixedSteps(options) : 0,
    asks(options, "growth") ? growthSteps(options) : 0,
    asks(options, "verify") ? options.rounds : 0,
  ];
  return parts.reduce((sum, each) => sum + each, preparing + verifying);
}

async function describeMachine({ byStatement }: Bench): Promise<Machine> {
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
