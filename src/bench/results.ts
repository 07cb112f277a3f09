import type { Outcome } from "./goals.ts";
import type { Figure } from "./statistics.ts";
import type { Workload } from "./workload.ts";

/** Latencies in milliseconds, by percentile. */
export interface Latencies {
  readonly p50: Figure;
  readonly p95: Figure;
  readonly p99: Figure;
}

/** How a workload came out. */
export interface WorkloadResult
  extends Pick<Workload, "name" | "family" | "wallets" | "clients" | "line"> {
  /** Operations a second of the naive statement, right before and after. */
  readonly naive: Figure;
  /** Operations a second. */
  readonly rate: Figure;
  /** The latter by the former. */
  readonly ratio: Figure;
  readonly latency: Latencies;
}

/** How a sweep came out. */
export interface SweepResult {
  readonly name: string;
  readonly reservations: number;
  readonly wallets: number;
  /** Reservations a second. */
  readonly rate: Figure;
  /** By the operations a second of the naive statement right before. */
  readonly ratio: Figure;
}

/** How verification came out. */
export interface VerifyResult {
  readonly events: number;
  /** Events a second. */
  readonly rate: Figure;
}

/** How the rate of a workload hangs on the size of the ledger. */
export interface GrowthResult {
  readonly name: string;
  /** Operations a second with so many events, from the least to the most. */
  readonly sizes: readonly { readonly events: number; readonly rate: Figure }[];
  /** What an operation costs in the largest, by what it costs in the smallest. */
  readonly cost: Figure;
}

/** What the tables take on disk. */
export interface DiskResult {
  /** Idempotency keys and reservation ids: some 12 characters, or the client's own of 22. */
  readonly keys: "short" | "client";
  readonly events: number;
  /** Of the journal with its indexes, by its events. */
  readonly bytesAnEvent: number;
  /** Of the wallets and the open reservations, with their indexes. */
  readonly otherBytes: number;
}

/** How callers fare while others are at work, too. */
export interface MixedResult {
  readonly beside: string;
  readonly rate: Figure;
  /** The rate by that of the callers alone. */
  readonly ratio: Figure;
  readonly latency: Latencies;
  /** Reservations that the worker has expired meanwhile, in all. */
  readonly swept: number;
}

/** What it all ran on. */
export interface Machine {
  readonly processors: number;
  readonly model: string;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly postgres: string;
}

/** The outcome of a bench; empty where a part was not asked for. */
export interface BenchResult {
  readonly quick: boolean;
  readonly trace: string | null;
  readonly rounds: number;
  readonly secondsEach: number;
  readonly machine: Machine;
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
