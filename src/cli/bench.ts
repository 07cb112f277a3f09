import { Command, Option } from "commander";
import {
  type BenchOptions,
  type Call,
  callsOf,
  createBenchProgress,
  PARTS,
  type Part,
  printBench,
  runBench,
} from "../bench/index.ts";
import { decimalNumber, EXIT, exitOnInterrupt, printJson, wholeNumber } from "../terminal/index.ts";
import { createRandom, generateTrace, loadTrace } from "../trace/index.ts";

interface Options {
  readonly quick?: true;
  readonly only?: Part[];
  readonly rounds?: number;
  readonly seconds?: number;
  readonly wallets: number;
  readonly reservations?: number;
  readonly growth?: number;
  readonly trace?: string;
  readonly json?: true;
}

/** `baseledger bench`: how fast it is, beside what people do today. */
export function benchCommand(): Command {
  return new Command("bench")
    .option("--quick", "what the goals name only, and small: about a minute")
    .addOption(new Option("--only <part...>", "these parts only").choices(PARTS))
    .option(
      "--rounds <n>",
      "repetitions of each measurement (default: 3; 2 if quick)",
      wholeNumber(1, 100),
    )
    .option("--seconds <n>", "of each of them (default: 1; 0.4 if quick)", decimalNumber(0.1, 600))
    .option(
      "--wallets <n>",
      "that calls are spread over, at least 8",
      wholeNumber(8, 100_000),
      10_000,
    )
    .option(
      "--reservations <n>",
      "to sweep (default: 100,000; 10,000 if quick)",
      wholeNumber(10, 10_000_000),
    )
    .option(
      "--growth <millions>",
      "events in the largest ledger, up to 1,000 (default: 10; 0.1 if quick)",
      decimalNumber(0.01, 1000),
    )
    .option("--trace <file>", "CSV of calls to use: TIMESTAMP,ContextTokens,GeneratedTokens")
    .option("--json", "print the result as JSON")
    .addHelpText("after", HELP)
    .action(benchmark);
}

const HELP = `
Runs on a PostgreSQL of its own with fsync on, which is removed afterwards. Client and server
share the machine, and nothing else should run on it. An operation is one command. The naive
statement takes an amount off a balance if it is there and logs that; each workload is measured
between two measurements of it over the same wallets. Figures are medians of the rounds, with the
least and the most.

SQL is sent, for both, by a program of its own that speaks PostgreSQL's protocol over 8 connections
and costs about as much as pgbench. Callers of the TypeScript client (--only client) are compared
with as many callers of the naive statement in the same program. On Linux the CPU time that the
server's processes have used is shown beside, in microseconds an operation.

Ledgers of 1 million, 10 million and --growth million events are compared, as far as that goes: a
million takes 0.3 GB in the temporary directory and 8 s to load. The calls of --trace are taken in
their order, as fast as they go, for what they reserve and cost; without it, they are generated.

Exits with 0 if all that was written is sound, whether or not the goals are met.

Examples:
  baseledger bench --quick
  baseledger bench --json > bench.json
  baseledger bench --only single batch --rounds 5
  baseledger bench --only growth --growth 50
  baseledger bench --trace calls.csv`;

async function benchmark(options: Options): Promise<void> {
  const progress = await createBenchProgress(process.stderr);
  // The watchdog of the server stops it when this program exits.
  const ignoreInterrupt = exitOnInterrupt(progress.stop);
  try {
    const calls = await callsToMake(options.trace);
    const result = await runBench({ ...sizesOf(options), calls, progress });
    progress.stop();
    if (options.json) printJson(result);
    else printBench(result);
    process.exitCode = result.discrepancies === 0 ? EXIT.fine : EXIT.refused;
  } finally {
    progress.stop();
    ignoreInterrupt();
  }
}

const GENERATED = { calls: 5_000, seed: 1 };
const MILLION = 1_000_000;
const MOST_ZIPF_WALLETS = 100_000;
const GOAL_PARTS: readonly Part[] = ["single", "batch", "client", "sweep", "growth", "verify"];

async function callsToMake(file: string | undefined): Promise<Call[]> {
  const trace =
    file === undefined
      ? [...generateTrace(createRandom(GENERATED.seed), GENERATED.calls)]
      : await loadTrace(file);
  return callsOf(trace);
}

function sizesOf(options: Options): Omit<BenchOptions, "calls" | "progress"> {
  const quick = options.quick ?? false;
  const largest = (options.growth ?? (quick ? 0.1 : 10)) * MILLION;
  return {
    quick,
    parts: options.only ?? (quick ? GOAL_PARTS : PARTS),
    rounds: options.rounds ?? (quick ? 2 : 3),
    seconds: options.seconds ?? (quick ? 0.4 : 1),
    wallets: options.wallets,
    zipfWallets: quick ? options.wallets : MOST_ZIPF_WALLETS,
    reservations: options.reservations ?? (quick ? 10_000 : 100_000),
    sizes: largest > MILLION ? stepsTo(largest) : [largest / 10, largest],
    trace: options.trace ?? null,
  };
}

function stepsTo(largest: number): number[] {
  return [...[MILLION, 10 * MILLION].filter((size) => size < largest), largest];
}
