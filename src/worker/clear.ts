import type { AddJobsFunction, Task } from "graphile-worker";
import type postgres from "postgres";
import { clearCounters } from "../generated/index.ts";

/** The name of the graphile-worker task, and the key of its only job. */
export const CLEAR = "baseledger_clear_counters";

const EVERY_MS = 3_600_000;
/** Counters to delete in one transaction. */
const BATCH = 1_000;
/** It is queued again an hour later in any case. */
const ATTEMPTS = 3;

/** Deletes what limits counted in windows that are over. */
export function clearTask(sql: postgres.Sql, stopping: AbortSignal): Task {
  return async () => {
    while ((await clearCounters(sql, { limit: BATCH })) === BATCH && !stopping.aborted);
  };
}

/** Makes the function that queues it, at first and then once an hour. */
export function createClearQueue(): (addJobs: AddJobsFunction) => Promise<void> {
  let dueAt = Number.NEGATIVE_INFINITY;
  return async (addJobs) => {
    if (performance.now() < dueAt) return;
    await addJobs([{ identifier: CLEAR, payload: {}, jobKey: CLEAR, maxAttempts: ATTEMPTS }]);
    dueAt = performance.now() + EVERY_MS;
  };
}
