import type { SweepStatus } from "../generated/index.ts";
import type { Swept } from "./sweep.ts";

/** What kept a worker from sweeping, and when. */
export interface Trouble {
  readonly at: Date;
  readonly reason: string;
}

/** The state of a worker, and of the sweep that it shares with others. */
export interface Condition {
  /** Whether it has started, and was not asked to stop. */
  readonly running: boolean;
  /** Null if the database does not answer. */
  readonly status: SweepStatus | null;
  /** Sweeps of this worker that failed since the last one that succeeded. */
  readonly failures: number;
  readonly trouble: Trouble | null;
}

/** The answer of `/health/ready`. */
export interface Health {
  readonly status: "ready" | "not ready";
  /** Why it is not ready. */
  readonly reasons?: readonly string[];
  readonly sweep_lag_seconds: number | null;
  /** When a sweep of any worker last succeeded. */
  readonly last_sweep: Date | null;
  /** The last failure; it may be over. */
  readonly last_failure: Trouble | null;
}

/** The longest time without a sweep, and since a deadline that is not swept, before it is not ready. */
const PATIENCE_SECONDS = 30;
/** A single failure is repaired by the next sweep, within a second or two. */
const FAILURES_IN_A_ROW = 3;

/** Decides whether due reservations are being swept. */
export function judge(condition: Condition): Health {
  const { status, trouble } = condition;
  const reasons = findReasons(condition);
  return {
    status: reasons.length === 0 ? "ready" : "not ready",
    ...(reasons.length > 0 ? { reasons } : {}),
    sweep_lag_seconds: status && lagOf(status),
    last_sweep: status?.lastSweep ?? null,
    last_failure: trouble,
  };
}

function findReasons({ running, status, failures, trouble }: Condition): string[] {
  if (!running) return ["the worker is starting or ending"];
  if (!status) return ["the database does not answer"];
  const reasons: string[] = [];
  const { asOf, lastSweep } = status;
  const idle = lastSweep && secondsBetween(lastSweep, asOf);
  // Another worker may have swept meanwhile.
  const isOver = lastSweep !== null && trouble !== null && lastSweep > trouble.at;
  if (failures >= FAILURES_IN_A_ROW && !isOver) {
    reasons.push(`the last ${failures} sweeps have failed`);
  }
  if (idle === null) reasons.push("no sweep has worked yet");
  else if (idle > PATIENCE_SECONDS) reasons.push(`no sweep has worked for ${idle.toFixed(0)} s`);
  const lag = lagOf(status);
  if (lag > PATIENCE_SECONDS) {
    reasons.push(`a deadline that passed ${lag.toFixed(0)} s ago is not swept`);
  }
  return reasons;
}

/** The seconds since the earliest deadline that has passed; 0 if none has. */
export function lagOf({ asOf, nextDue }: SweepStatus): number {
  return nextDue === null ? 0 : Math.max(0, secondsBetween(nextDue, asOf));
}

function secondsBetween(from: Date, to: Date): number {
  return (to.getTime() - from.getTime()) / 1000;
}

/** Records the sweeps and failures of a worker. */
export interface HealthRecord {
  /** For `onSweep` of the worker. */
  noteSweep(swept: Swept): void;
  /** For `onTrouble` of the worker. */
  noteTrouble(trouble: Trouble): void;
  noteRunning(running: boolean): void;
  /** The recorded state, together with what the database has answered. */
  condition(status: SweepStatus | null): Condition;
}

/** Creates an empty record. */
export function createHealthRecord(): HealthRecord {
  let running = false;
  let failures = 0;
  let trouble: Trouble | null = null;
  return {
    noteSweep: ({ expired }) => {
      failures = expired === null ? failures + 1 : 0;
    },
    noteTrouble: (latest) => {
      trouble = latest;
    },
    noteRunning: (now) => {
      running = now;
    },
    condition: (status) => ({ running, status, failures, trouble }),
  };
}
