import type { Bench } from "./bench.ts";
import { load, vacuumAndCheckpoint } from "./load.ts";
import { openLoad } from "./loads.ts";
import { type Figure, figureOf } from "./measure.ts";
import { naive } from "./naive.ts";
import { type BenchDatabase, connectAs } from "./server.ts";
import { sweepOnce } from "./statements.ts";

/** The result of a sweep. */
export interface SweepResult {
  readonly name: string;
  readonly reservations: number;
  readonly wallets: number;
  /** Reservations a second. */
  readonly rate: Figure;
  /** Divided by the operations a second of the naive statement right before. */
  readonly ratio: Figure;
}

/** How due reservations are distributed: so many in each of so many wallets. */
interface Layout {
  readonly name: string;
  readonly wallets: number;
  readonly each: number;
}

/** Ten a wallet; the worst case, with a goal of its own; and the best. */
function layoutsOf({ reservations, quick }: Pick<Bench, "reservations" | "quick">): Layout[] {
  const goals = [
    { name: "10 due in each wallet", wallets: Math.ceil(reservations / 10), each: 10 },
    { name: "1 due in each wallet", wallets: Math.ceil(reservations / 5), each: 1 },
  ];
  return quick
    ? goals
    : [...goals, { name: "all due in one wallet", wallets: 1, each: reservations }];
}

/** How many measurements the sweep takes. */
export function sweepSteps(bench: Pick<Bench, "reservations" | "quick" | "rounds">): number {
  return bench.rounds * layoutsOf(bench).length;
}

/** Sweeps what is due, as the worker does but without pauses, until nothing is. */
export async function measureSweeps(bench: Bench): Promise<SweepResult[]> {
  const database = await bench.server.createDatabase("bench_sweep");
  const baseline = await openLoad(bench, naive("spread"));
  const layouts = layoutsOf(bench);
  const rates = layouts.map((): { readonly rate: number; readonly naive: number }[] => []);
  for (let round = 1; round <= bench.rounds; round += 1) {
    for (const [index, layout] of layouts.entries()) {
      bench.progress.begin(`round ${round} of ${bench.rounds}: sweep, ${layout.name}`);
      await makeDue(bench, database, layout, `${round}-${index}`);
      const { rate: besides } = await baseline.measure(bench.seconds);
      const rate = await sweep(database, layout.wallets * layout.each);
      rates[index]?.push({ rate, naive: besides });
      bench.progress.end(`${Math.round(rate)} reservations/s`);
    }
  }
  return layouts.map(({ name, wallets, each }, index) => ({
    name: `expire_due, ${name}`,
    reservations: wallets * each,
    wallets,
    rate: figureOf((rates[index] ?? []).map(({ rate }) => rate)),
    ratio: figureOf((rates[index] ?? []).map(({ rate, naive: besides }) => rate / besides)),
  }));
}

async function makeDue(
  { calls }: Bench,
  database: BenchDatabase,
  { wallets, each }: Layout,
  name: string,
): Promise<void> {
  const walletIds = Array.from({ length: wallets }, (_, index) => `due-${name}-${index}`);
  await load(database, calls, [{ walletIds, calls: 0, due: each }]);
  await vacuumAndCheckpoint(database.admin);
  // As in a new ledger: after a pause the sweep would wait, in case the clock has jumped.
  await database.admin`delete from baseledger.sweeps`;
}

async function sweep({ urls }: BenchDatabase, expected: number): Promise<number> {
  await using worker = connectAs(urls.worker);
  // Connects and plans first: a worker does so once, and then sweeps for weeks.
  await worker.sql`select baseledger.next_due()`;
  const start = performance.now();
  let swept = 0;
  for (let some = -1; some !== 0; swept += some) some = await sweepOnce(worker.sql);
  const seconds = (performance.now() - start) / 1000;
  if (swept !== expected) throw new Error(`${swept} of ${expected} reservations have expired`);
  return swept / seconds;
}
