import type { AddJobsFunction, TaskList } from "graphile-worker";
import type postgres from "postgres";
import { CLEAR, clearTask, createClearQueue } from "./clear.ts";
import { DELIVER, deliverTask, queueAlerts } from "./deliver.ts";
import { messageOf, type WorkerLogger } from "./logger.ts";

/** What a worker does besides the sweep. */
export interface Chores {
  readonly tasks: TaskList;
  /** Queues what there is to do. It does not fail, but reports a failure, and not again and again. */
  readonly queue: (addJobs: AddJobsFunction) => Promise<void>;
}

/** Sends alerts, and clears counters. */
export function createChores(
  sql: postgres.Sql,
  logger: WorkerLogger,
  stopping: AbortSignal,
): Chores {
  const queueClearing = createClearQueue();
  let lastReason = "";
  return {
    tasks: {
      [DELIVER]: deliverTask({ sql, logger, stopping }),
      [CLEAR]: clearTask(sql, stopping),
    },
    queue: async (addJobs) => {
      if (stopping.aborted) return;
      try {
        await queueAlerts(sql, addJobs);
        await queueClearing(addJobs);
        lastReason = "";
      } catch (error) {
        const reason = messageOf(error);
        if (reason !== lastReason) logger.warn(`alerts could not be queued: ${reason}`);
        lastReason = reason;
      }
    },
  };
}
