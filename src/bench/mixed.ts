import { startWorker } from "../worker/index.ts";
import type { Bench } from "./bench.ts";
import { type Load, openLoad } from "./loads.ts";
import { type Figure, figureOf, type Latencies, latenciesOf, type Sample } from "./measure.ts";
import { type BenchDatabase, connectAs } from "./server.ts";
import type { CallerWorkload } from "./workload.ts";

/** The result of callers beside others. */
export interface MixedResult {
  readonly beside: string;
  readonly rate: Figure;
  /** The rate divided by that of the callers alone. */
  readonly ratio: Figure;
  readonly latency: Latencies;
  /** Reservations that the worker has expired meanwhile, in all. */
  readonly swept: number;
}

const CALLERS = 200;
// One call in so many dies with its reservation, which expires after the shortest TTL.
const DIES = 20;
const SHORTEST_TTL = 1;

/** What else runs. */
interface Beside {
  readonly name: string;
  readonly sweeps: boolean;
  readonly audits: boolean;
}

const BESIDES: readonly Beside[] = [
  { name: "nobody", sweeps: false, audits: false },
  { name: "the expiry job", sweeps: true, audits: false },
  { name: "an auditor's verify", sweeps: false, audits: true },
  { name: "the expiry job and an auditor's verify", sweeps: true, audits: true },
];

interface Measured {
  readonly sample: Sample;
  readonly swept: number;
}

/** How many measurements the mixed run takes. */
export function mixedSteps({ rounds }: Pick<Bench, "rounds">): number {
  return rounds * BESIDES.length;
}

/** Callers of the client, some of whom die, alone and beside the expiry job and an auditor. */
export async function measureMixed(bench: Bench): Promise<MixedResult[]> {
  const load = await openLoad(bench, WORKLOAD);
  const measured = BESIDES.map((): Measured[] => []);
  for (let round = 1; round <= bench.rounds; round += 1) {
    for (const [index, beside] of BESIDES.entries()) {
      bench.progress.begin(`round ${round} of ${bench.rounds}: callers beside ${beside.name}`);
      const one = await measureBeside(bench, beside, load);
      measured[index]?.push(one);
      bench.progress.end(`${Math.round(one.sample.rate)}/s, ${one.swept} swept`);
    }
  }
  const alone = measured[0] ?? [];
  return BESIDES.map(({ name }, index) => {
    const ones = measured[index] ?? [];
    return {
      beside: name,
      rate: figureOf(ones.map(({ sample }) => sample.rate)),
      ratio: figureOf(
        ones.map(({ sample }, round) => sample.rate / (alone[round]?.sample.rate ?? Number.NaN)),
      ),
      latency: latenciesOf(ones.map(({ sample }) => sample)),
      swept: ones.reduce((sum, { swept }) => sum + swept, 0),
    };
  });
}

const WORKLOAD: CallerWorkload = {
  name: "callers of whom some die",
  family: "client",
  wallets: "spread",
  clients: CALLERS,
  create: ({ throughClient: { ledger }, nextCall }, pick, caller) => {
    let turn = caller;
    return async () => {
      turn += 1;
      const { hold, cost } = nextCall();
      const walletId = pick();
      const dies = turn % DIES === 0;
      const ttl = dies ? SHORTEST_TTL : 3600;
      const { reservationId } = await ledger.reserve({ walletId, amount: hold, ttl });
      if (dies) return 1;
      await ledger.settle({ walletId, reservationId, amount: cost });
      return 2;
    };
  },
};

async function measureBeside(
  { throughClient, seconds }: Bench,
  { sweeps, audits }: Beside,
  load: Load,
): Promise<Measured> {
  let swept = 0;
  const worker = sweeps
    ? await startWorker({
        url: throughClient.urls.worker,
        onSweep: ({ expired }) => {
          swept += expired ?? 0;
        },
      })
    : undefined;
  const over = new AbortController();
  const auditing = audits ? audit(throughClient, over.signal) : undefined;
  try {
    // Longer than elsewhere: it takes a while until the first reservations have expired.
    const sample = await load.measure(2 * seconds);
    return { sample, swept };
  } finally {
    over.abort();
    await auditing;
    await worker?.stop();
  }
}

/** Verifies repeatedly until `over` is aborted, which cancels the verification under way. */
async function audit({ urls }: BenchDatabase, over: AbortSignal): Promise<void> {
  await using auditor = connectAs(urls.auditor);
  while (!over.aborted) {
    const query = auditor.sql`select count(*) as found from baseledger.verify()`;
    const cancel = (): void => query.cancel();
    over.addEventListener("abort", cancel);
    try {
      await query;
    } catch (error) {
      if (!over.aborted || (error as { code?: unknown }).code !== QUERY_CANCELED) throw error;
    } finally {
      over.removeEventListener("abort", cancel);
    }
  }
}

const QUERY_CANCELED = "57014";
