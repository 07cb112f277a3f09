import { formatNumber } from "../terminal/index.ts";
import { batches } from "./batches.ts";
import type { Bench } from "./bench.ts";
import { countEvents, touchWallets, vacuumAndCheckpoint } from "./load.ts";
import { type Load, openLoad } from "./loads.ts";
import { type Figure, figureOf } from "./measure.ts";
import type { BenchDatabase } from "./server.ts";
import { singles } from "./single-calls.ts";
import type { WireWorkload } from "./workload.ts";

/** How the rate of a workload depends on the size of the ledger. */
export interface GrowthResult {
  readonly name: string;
  /** Operations a second with so many events, from the least to the most. */
  readonly sizes: readonly { readonly events: number; readonly rate: Figure }[];
  /** The cost of an operation in the largest, divided by that in the smallest. */
  readonly cost: Figure;
}

const COMPARED: readonly WireWorkload[] = [
  ...singles,
  ...batches.filter(({ name }) => name.startsWith("batches of 100, ") && !name.includes("within")),
];

interface Sized {
  readonly database: BenchDatabase;
  readonly events: number;
}

/** How many measurements the comparison takes, the loading of each ledger included. */
export function growthSteps({ sizes, rounds }: Pick<Bench, "sizes" | "rounds">): number {
  return sizes.length + rounds * COMPARED.length * sizes.length;
}

/**
 * Measures the same workloads in ledgers of several sizes on one server, in turn: they differ only
 * in how much is in the tables.
 */
export async function measureGrowth(bench: Bench): Promise<GrowthResult[]> {
  const ledgers: Sized[] = [];
  for (const size of bench.sizes) {
    bench.progress.begin(`loading ${formatNumber(size)} events`);
    const database = await bench.sized(size);
    const events = await countEvents(database);
    ledgers.push({ database, events });
    bench.progress.end(`${formatNumber(events)} events`);
  }
  // After all of them are loaded: a checkpoint is the server's, so each undoes the touching.
  for (const { database } of ledgers) await vacuumAndCheckpoint(database.admin);
  for (const { database } of ledgers) await touchWallets(database, bench);
  const results: GrowthResult[] = [];
  for (const workload of COMPARED) results.push(await compare(bench, workload, ledgers));
  return results;
}

async function compare(
  bench: Bench,
  workload: WireWorkload,
  ledgers: readonly Sized[],
): Promise<GrowthResult> {
  const { rounds, seconds, progress } = bench;
  const loads: Load[] = [];
  for (const { database } of ledgers) loads.push(await openLoad(bench, workload, database));
  const rates = ledgers.map((): number[] => []);
  const measureOne = async (load: Load, index: number, round: number) => {
    const events = formatNumber(ledgers[index]?.events ?? 0);
    progress.begin(`round ${round} of ${rounds}: ${workload.name}, ${events} events`);
    const { rate } = await load.measure(seconds);
    rates[index]?.push(rate);
    progress.end(`${Math.round(rate)}/s`);
  };
  for (let round = 1; round <= rounds; round += 1) {
    for (const [index, load] of loads.entries()) await measureOne(load, index, round);
  }
  const [smallest = [], largest = []] = [rates[0], rates.at(-1)];
  return {
    name: workload.name,
    sizes: ledgers.map(({ events }, index) => ({ events, rate: figureOf(rates[index] ?? []) })),
    cost: figureOf(smallest.map((rate, round) => rate / (largest[round] ?? Number.NaN))),
  };
}
