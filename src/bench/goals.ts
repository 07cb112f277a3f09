import type { DiskResult } from "./disk.ts";
import type { GrowthResult } from "./growth.ts";
import type { Figure } from "./measure.ts";
import type { SweepResult } from "./sweep.ts";
import type { WorkloadResult } from "./throughput.ts";
import type { VerifyResult } from "./verify.ts";

/** What a goal is measured by; `figuresOf` picks each from the results. */
export type Measure =
  | "singles"
  | "manyWallets"
  | "batches"
  | "hotBatches"
  | "callers"
  | "zipfCallers"
  | "hotCallers"
  | "hotCallersP99"
  | "sweep"
  | "sweepSpread"
  | "verify"
  | "growth"
  | "bytes";

/** A speed that the ledger must reach. */
export interface Goal {
  readonly id: Measure;
  readonly measure: string;
  readonly unit: string;
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
}

/*
 * The goals, on 2 cores with client and server on one machine and fsync on. `naive` is one prepared
 * statement that takes an amount off a balance if it is there and logs that, in the same run, over
 * the same wallets and sent in the same way: by the load generator where the goal is one of SQL, by
 * as many callers where it is one of the client.
 */
export const GOALS: readonly Goal[] = [
  {
    id: "singles",
    measure: "single reserve and settle calls, many wallets",
    unit: "× naive",
    bound: { atLeast: 0.5 },
  },
  {
    id: "manyWallets",
    measure: "batches of 100 in as many wallets through post_many",
    unit: "× naive",
    bound: { atLeast: 3 },
  },
  {
    id: "batches",
    measure: "batches of 100 through post, many wallets",
    unit: "× naive",
    bound: { atLeast: 5 },
  },
  {
    id: "hotBatches",
    measure: "batches of 100 through post, one hot wallet",
    unit: "× naive",
    bound: { atLeast: 10 },
  },
  {
    id: "callers",
    measure: "200 callers of the client, many wallets",
    unit: "× naive",
    bound: { atLeast: 1.2 },
  },
  {
    id: "zipfCallers",
    measure: "1,000 callers of the client, wallets by Zipf's law",
    unit: "× naive",
    bound: { atLeast: 2 },
  },
  {
    id: "hotCallers",
    measure: "200 callers of the client, one hot wallet",
    unit: "× naive",
    bound: { atLeast: 8 },
  },
  {
    id: "hotCallersP99",
    measure: "their latency, 99th percentile",
    unit: "ms",
    bound: { atMost: 50 },
  },
  {
    id: "sweep",
    measure: "expire_due, 10 due in each wallet",
    unit: "reservations/s",
    bound: { atLeast: 20_000 },
  },
  {
    id: "sweepSpread",
    measure: "expire_due, 1 due in each wallet",
    unit: "reservations/s",
    bound: { atLeast: 15_000 },
  },
  {
    id: "verify",
    measure: "verify with the hash chain",
    unit: "events/s",
    bound: { atLeast: 100_000 },
  },
  {
    id: "growth",
    measure: "cost of a command, largest ledger against smallest",
    unit: "×",
    bound: { atMost: 1.3 },
  },
  {
    id: "bytes",
    measure: "an event on disk, indexes included",
    unit: "bytes",
    bound: { atMost: 350 },
  },
];

/** A goal with its result; null where the run did not measure it. */
export interface Outcome extends Goal {
  readonly measured: Figure | null;
  readonly met: boolean | null;
}

/** The results that have goals. */
interface Results {
  readonly workloads: readonly WorkloadResult[];
  readonly sweeps: readonly SweepResult[];
  readonly verify: VerifyResult | null;
  readonly growth: readonly GrowthResult[];
  readonly disk: readonly DiskResult[];
}

/** Compares each goal with what was measured, by the median. */
export function judge(results: Results): Outcome[] {
  const figures = figuresOf(results);
  return GOALS.map((goal) => {
    const figure = figures[goal.id];
    return { ...goal, measured: figure ?? null, met: figure ? isMet(goal, figure.median) : null };
  });
}

function figuresOf(results: Results): Record<Measure, Figure | undefined> {
  const { workloads, sweeps, verify, growth, disk } = results;
  const workload = (wanted: string) => workloads.find(({ name }) => name === wanted);
  const sweep = (layout: string) => sweeps.find(({ name }) => name === `expire_due, ${layout}`);
  const hotCallers = workload("client, 200 callers, hot");
  const bytes = disk.find(({ keys }) => keys === "short")?.bytesAnEvent;
  return {
    singles: workload("single calls, spread")?.ratio,
    manyWallets: workload("batches of 100 in as many wallets, spread")?.ratio,
    batches: workload("batches of 100, spread")?.ratio,
    hotBatches: workload("batches of 100, hot")?.ratio,
    callers: workload("client, 200 callers, spread")?.ratio,
    zipfCallers: workload("client, 1000 callers, zipf")?.ratio,
    hotCallers: hotCallers?.ratio,
    hotCallersP99: hotCallers?.latency.p99,
    sweep: sweep("10 due in each wallet")?.rate,
    sweepSpread: sweep("1 due in each wallet")?.rate,
    verify: verify?.rate,
    // Of the workload that suffers most.
    growth: growth.map(({ cost }) => cost).sort((a, b) => b.median - a.median)[0],
    bytes: bytes === undefined ? undefined : { median: bytes, least: bytes, most: bytes },
  };
}

function isMet({ bound }: Goal, value: number): boolean {
  return "atLeast" in bound ? value >= bound.atLeast : value <= bound.atMost;
}
