import type { AddJobsFunction, Task } from "graphile-worker";
import type postgres from "postgres";
import { classifyError } from "../errors/index.ts";
import { expireDue, nextDue } from "../generated/index.ts";
import type { Trouble } from "./health.ts";
import { messageOf, type WorkerLogger } from "./logger.ts";

/** The name of the graphile-worker task. */
export const SWEEP = "baseledger_expire_due";
/** One key for all workers of a database, so that only one next sweep is queued. */
export const SWEEP_KEY = SWEEP;

/** The longest pause between two sweeps. */
export const LONGEST_WAIT_MS = 1_000;
// A due reservation that a command has locked is not tried again at once.
const SHORTEST_WAIT_MS = 20;

/** The result of a sweep. */
export interface Swept {
  /** Reservations that it expired. Null if it failed. */
  readonly expired: number | null;
  readonly seconds: number;
  /** When it ended, by the database's clock. */
  readonly at: Date;
}

/** What {@link sweepTask} needs. */
export interface SweepOptions {
  readonly sql: postgres.Sql;
  /** Reservations to sweep in one transaction. */
  readonly batch: number;
  readonly logger: WorkerLogger;
  readonly stopping: AbortSignal;
  readonly onSweep: (swept: Swept) => void;
  readonly onTrouble: (trouble: Trouble) => void;
  /** Queues what else is to be done, after each sweep; does not fail. */
  readonly queueOthers: (addJobs: AddJobsFunction) => Promise<void>;
}

/** Sweeps until nothing is due, then queues the next sweep for the next deadline. */
export function sweepTask(options: SweepOptions): Task {
  const sweep = createSweep(options);
  return async (_payload, { addJob, addJobs, job }) => {
    const began = performance.now();
    // By the database's clock, which decides on deadlines; this machine's may differ.
    const databaseNow = (): number =>
      (job.locked_at?.getTime() ?? Date.now()) + performance.now() - began;
    const { expired, due } = await sweep((error) => {
      const reason = messageOf(error);
      options.logger.warn(`sweep failed, trying again: ${reason}`);
      options.onTrouble({ at: new Date(databaseNow()), reason });
    });
    const swept = databaseNow();
    const seconds = (performance.now() - began) / 1000;
    options.onSweep({ expired, seconds, at: new Date(swept) });
    await options.queueOthers(addJobs);
    const now = databaseNow();
    const wait = due === null ? LONGEST_WAIT_MS : due.getTime() - now;
    const bounded = Math.min(Math.max(wait, SHORTEST_WAIT_MS), LONGEST_WAIT_MS);
    await addJob(SWEEP, {}, { jobKey: SWEEP_KEY, runAt: new Date(now + bounded) });
  };
}

interface Outcome {
  /** Null if it failed before it expired anything. */
  readonly expired: number | null;
  /** The next deadline; null if that is not known, or nothing is open. */
  readonly due: Date | null;
}

/**
 * Sweeps in batches. After one that was undone, by a time-out for instance, the next is smaller, so
 * that there is progress however short the time-out is.
 */
function createSweep({ sql, batch, stopping }: SweepOptions) {
  let limit = batch;
  return async (onError: (error: unknown) => void): Promise<Outcome> => {
    let expired = 0;
    try {
      let swept = 0;
      do {
        swept = Number(await expireDue(sql, { limit }));
        expired += swept;
        limit = Math.min(Math.ceil(limit * 1.2), batch);
      } while (swept > 0 && !stopping.aborted);
      return { expired, due: await nextDue(sql) };
    } catch (error) {
      onError(error);
      if (classifyError(error) === "undone") limit = Math.ceil(limit / 4);
      return expired > 0 ? { expired, due: new Date(0) } : { expired: null, due: null };
    }
  };
}
