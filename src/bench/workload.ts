import type { NextCall } from "./calls.ts";
import type { Operation } from "./measure.ts";
import type { BenchDatabase } from "./server.ts";
import type { Distribution, PickWallet } from "./wallets.ts";

/** What the operations of a workload are made of. */
export interface Field {
  readonly database: BenchDatabase;
  readonly nextCall: NextCall;
}

/** Something to measure beside the naive statement. */
export interface Workload {
  readonly name: string;
  readonly family: Family;
  readonly wallets: Distribution;
  /** How many do it at once. */
  readonly clients: number;
  /** Whether a goal hangs on it, so that a quick run measures it, too. */
  readonly isGoal?: true;
  /** The line of the picture that it is a point of. */
  readonly line?: string;
  /** Makes the operation of one of its clients, counted from 0. */
  readonly create: (field: Field, pick: PickWallet, client: number) => Operation;
}

/** Workloads of one kind. */
export type Family = "single" | "batch" | "client" | "comparators";
