import type { Task } from "graphile-worker";
import type postgres from "postgres";
import { classifyError } from "../errors/index.ts";
import { expireDue, nextDue } from "../generated/index.ts";
import type { Trouble } from "./health.ts";
import { messageOf, type WorkerLogger } from "./logger.ts";

/** The task of graphile-worker that sweeps. */
export const SWEEP = "baseledger_expire_due";
/** One key for all workers of a database: between them there is one next sweep. */
export const SWEEP_KEY = SWEEP;

/** The longest that a sweep is put off. */
export const LONGEST_WAIT_MS = 1_000;
// What is due but locked by a command just now is not asked for again at once.
const SHORTEST_WAIT_MS = 20;

/** What a sweep has done. */
export interface Swept {
  /** Reservations that it expired: those that were due. Null if it failed. */
  readonly expired: number | null;
  readonly seconds: number;
  /** When it ended, by the database's clock. */
  readonly at: Date;
}

/** What {@link sweepTask} needs. */
export interface SweepNeeds {
  readonly sql: postgres.Sql;
  /** Reservations to sweep in one transaction. */
  readonly batch: number;
  readonly logger: WorkerLogger;
  readonly stopping: AbortSignal;
  readonly onSweep: (swept: Swept) => void;
  readonly onTrouble: (trouble: Trouble) => void;
}

/** Sweeps until nothing is due, then puts itself on again for when something will be. */
export function sweepTask(needs: SweepNeeds): Task {
  const sweep = createSweep(needs);
  return async (_payload, { addJob, job }) => {
    const began = performance.now();
    // The database's clock, which deadlines go by; this machine's may differ.
    const databaseNow = (): number =>
      (job.locked_at?.getTime() ?? Date.now()) + performance.now() - began;
    const { expired, due } = await sweep((error) => {
      const reason = messageOf(error);
      needs.logger.warn(`sweep failed, trying again: ${reason}`);
      needs.onTrouble({ at: new Date(databaseNow()), reason });
    });
    const now = databaseNow();
    needs.onSweep({ expired, seconds: (performance.now() - began) / 1000, at: new Date(now) });
    const wait = due === null ? LONGEST_WAIT_MS : due.getTime() - now;
    const bounded = Math.min(Math.max(wait, SHORTEST_WAIT_MS), LONGEST_WAIT_MS);
    await addJob(SWEEP, {}, { jobKey: SWEEP_KEY, runAt: new Date(now + bounded) });
  };
}

interface Outcome {
  /** Null if it has failed before it had expired anything. */
  readonly expired: number | null;
  /** When there is something to do again; null if that is not known, or nothing is open. */
  readonly due: Date | null;
}

/**
 * Sweeps in batches. One that was undone, by a time-out for instance, is tried with less next time,
 * so that there is progress however short the time is.
 */
function createSweep({ sql, batch, stopping }: SweepNeeds) {
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
