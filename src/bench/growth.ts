import { batches } from "./batch.ts";
import type { Bench } from "./bench.ts";
import { eventsOf, settleDown, touchAll } from "./ledgers.ts";
import { measure, type Operation, warmUp } from "./measure.ts";
import type { GrowthResult } from "./results.ts";
import type { BenchDatabase } from "./server.ts";
import { singles } from "./single.ts";
import { figureOf } from "./statistics.ts";
import { operationsOf } from "./throughput.ts";
import type { Workload } from "./workload.ts";

const COMPARED: readonly Workload[] = [
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
 * Measures the same workloads in ledgers of several sizes on one server, in turn: what differs is
 * how much lies in the tables.
 */
export async function measureGrowth(bench: Bench): Promise<GrowthResult[]> {
  const ledgers: Sized[] = [];
  for (const size of bench.sizes) {
    bench.progress.begin(`loading ${size.toLocaleString("en-US")} events`);
    const database = await bench.sized(size);
    const events = await eventsOf(database);
    ledgers.push({ database, events });
    bench.progress.end(`${events.toLocaleString("en-US")} events`);
  }
  // After all of them are loaded: to settle one down makes the pages of the others new again.
  for (const { database } of ledgers) await settleDown(database.admin);
  for (const { database } of ledgers) await touchAll(database, bench);
  const results: GrowthResult[] = [];
  for (const workload of COMPARED) results.push(await compare(bench, workload, ledgers));
  return results;
}

async function compare(
  bench: Bench,
  workload: Workload,
  ledgers: readonly Sized[],
): Promise<GrowthResult> {
  const { rounds, seconds, progress } = bench;
  const operations = ledgers.map(({ database }) => operationsOf(bench, workload, () => database));
  for (const clients of operations) await warmUp(clients);
  const rates = ledgers.map((): number[] => []);
  const measureOne = async (clients: readonly Operation[], index: number, round: number) => {
    const events = ledgers[index]?.events.toLocaleString("en-US");
    progress.begin(`round ${round} of ${rounds}: ${workload.name}, ${events} events`);
    const { rate } = await measure(clients, seconds);
    rates[index]?.push(rate);
    progress.end(`${Math.round(rate)}/s`);
  };
  for (let round = 1; round <= rounds; round += 1) {
    for (const [index, clients] of operations.entries()) await measureOne(clients, index, round);
  }
  const [smallest = [], largest = []] = [rates[0], rates.at(-1)];
  return {
    name: workload.name,
    sizes: ledgers.map(({ events }, index) => ({ events, rate: figureOf(rates[index] ?? []) })),
    cost: figureOf(smallest.map((rate, round) => rate / (largest[round] ?? Number.NaN))),
  };
}
