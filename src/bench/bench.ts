import type { Random } from "../trace/index.ts";
import type { Generator } from "./generator.ts";
import type { BenchProgress } from "./progress.ts";
import type { BenchDatabase, BenchServer } from "./server.ts";
import type { Call, Family, NextCall } from "./workload.ts";

/** What can be measured alone. */
export type Part = Family | "sweep" | "verify" | "growth" | "mixed";

export const PARTS: readonly Part[] = [
  "single",
  "batch",
  "client",
  "comparators",
  "sweep",
  "mixed",
  "growth",
  "verify",
];

/** How much is measured. */
export interface BenchOptions {
  readonly parts: readonly Part[];
  /** Only what the goals name. */
  readonly quick: boolean;
  /** How often each measurement is repeated. */
  readonly rounds: number;
  /** How long one lasts. */
  readonly seconds: number;
  /** Over how many wallets commands are spread. */
  readonly wallets: number;
  /** Over how many they are distributed by Zipf's law. */
  readonly zipfWallets: number;
  /** Reservations of a sweep. */
  readonly reservations: number;
  /** Events in the ledgers that are compared by size, ascending. */
  readonly sizes: readonly number[];
  readonly calls: readonly Call[];
  /** The file that they came from. */
  readonly trace: string | null;
  readonly progress: BenchProgress;
}

/** What all parts work with. */
export interface Bench extends BenchOptions {
  readonly server: BenchServer;
  readonly generator: Generator;
  /** A database with wallets that have funds and a past. */
  readonly byStatement: BenchDatabase;
  /** The same for what goes through the client: its keys are longer, and so are its events. */
  readonly throughClient: BenchDatabase;
  /** The ledger of a size that is compared by size; loaded when it is first asked for. */
  readonly sized: (events: number) => Promise<BenchDatabase>;
  readonly nextCall: NextCall;
  readonly random: Random;
  /** What `random` was made from, for the load generator. */
  readonly seed: number;
}
