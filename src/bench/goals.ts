import type { Figure } from "./statistics.ts";

/** What a goal is measured by; see `figures` in results.ts for where each comes from. */
export type Measure =
  | "singles"
  | "batches"
  | "hotBatches"
  | "hotCallers"
  | "hotCallersP99"
  | "sweep"
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
 * statement that takes an amount off a balance if it is there and logs that, by 8 clients, in the
 * same run and over the same wallets.
 */
export const GOALS: readonly Goal[] = [
  {
    id: "singles",
    measure: "single reserve and settle calls, many wallets",
    unit: "× naive",
    bound: { atLeast: 0.6 },
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
    id: "hotCallers",
    measure: "200 callers of the client, one hot wallet",
    unit: "× naive",
    bound: { atLeast: 5 },
  },
  {
    id: "hotCallersP99",
    measure: "their latency, 99th percentile",
    unit: "ms",
    bound: { atMost: 50 },
  },
  {
    id: "sweep",
    measure: "expire_due",
    unit: "reservations/s",
    bound: { atLeast: 20_000 },
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

/** How a goal came out; null where the run did not measure it. */
export interface Outcome extends Goal {
  readonly measured: Figure | null;
  readonly met: boolean | null;
}

/** Holds each goal against what was measured, by the median. */
export function judge(measured: Partial<Readonly<Record<Measure, Figure>>>): Outcome[] {
  return GOALS.map((goal) => {
    const figure = measured[goal.id];
    return { ...goal, measured: figure ?? null, met: figure ? isMet(goal, figure.median) : null };
  });
}

function isMet({ bound }: Goal, value: number): boolean {
  return "atLeast" in bound ? value >= bound.atLeast : value <= bound.atMost;
}
