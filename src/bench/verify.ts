import { formatNumber } from "../terminal/index.ts";
import type { Bench } from "./bench.ts";
import { countEvents } from "./load.ts";
import { type Figure, figureOf } from "./measure.ts";
import { type BenchDatabase, connectAs } from "./server.ts";

/** The result of verification. */
export interface VerifyResult {
  readonly events: number;
  /** Events a second. */
  readonly rate: Figure;
}

/** Verifies the smallest of the ledgers that are compared by size, in one call, repeatedly. */
export async function measureVerify(bench: Bench): Promise<VerifyResult> {
  const { sizes, rounds, progress } = bench;
  const database = await bench.sized(sizes[0] ?? 0);
  const events = await countEvents(database);
  const rates: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    progress.begin(`round ${round} of ${rounds}: verify ${formatNumber(events)} events`);
    const start = performance.now();
    const discrepancies = await countDiscrepancies(database);
    const rate = events / ((performance.now() - start) / 1000);
    if (discrepancies > 0) throw new Error("the ledger to verify is not sound");
    rates.push(rate);
    progress.end(`${Math.round(rate)} events/s`);
  }
  return { events, rate: figureOf(rates) };
}

/** How many discrepancies `verify` finds in a database, as an auditor. */
export async function countDiscrepancies({ urls }: Pick<BenchDatabase, "urls">): Promise<number> {
  await using auditor = connectAs(urls.auditor);
  const [row] = await auditor.sql<{ found: string }[]>`
    select count(*) as found from baseledger.verify()`;
  return Number(row?.found);
}
