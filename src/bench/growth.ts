import { batches } from "./batch.ts";
import type { Bench } from "./bench.ts";
import { nextKey } from "./calls.ts";
import { eventsOf, settleDown } from "./ledgers.ts";
import { measure, type Operation, warmUp } from "./measure.ts";
import type { GrowthResult } from "./results.ts";
import { type BenchDatabase, clientOf } from "./server.ts";
import { singles } from "./single.ts";
import { postBatch } from "./statements.ts";
import { figureOf } from "./statistics.ts";
import { operationsOf } from "./throughput.ts";
import { walletId } from "./wallets.ts";
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
    await touchAll(bench, database);
    ledgers.push({ database, events });
    bench.progress.end(`${events.toLocaleString("en-US")} events`);
  }
  const results: GrowthResult[] = [];
  for (const workload of COMPARED) results.push(await compare(bench, workload, ledgers));
  return results;
}

/**
 * A page that is changed for the first time after a checkpoint goes into the log whole, once. In a
 * minute that is over for the few pages where a wallet's next event goes, whatever the size of the
 * ledger; so it is over before anything is measured.
 */
async function touchAll(bench: Bench, database: BenchDatabase): Promise<void> {
  await settleDown(database.admin);
  const touch = async (client: number): Promise<void> => {
    const sql = clientOf(database, client);
    for (let index = client; index < bench.wallets; index += database.clients.length) {
      const [key, hold] = [nextKey(), `${bench.nextCall().hold}`];
      await postBatch(sql, walletId(index), [
        { op: "reserve", idempotency_key: key, amount: hold, ttl: 3600 },
        { op: "settle", idempotency_key: `${key}-cost`, reservation_id: key, amount: hold },
      ]);
    }
  };
  await Promise.all(database.clients.map((_, client) => touch(client)));
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
