import type { AddJobsFunction, Task } from "graphile-worker";
import type postgres from "postgres";
import {
  type DeliveryId,
  finishDelivery,
  queueDeliveries,
  startDelivery,
} from "../generated/index.ts";
import type { WorkerLogger } from "./logger.ts";
import { type PostOptions, postAlert } from "./post.ts";

/** The name of the graphile-worker task. */
export const DELIVER = "baseledger_deliver_alert";

/** Deliveries at the same time, in this worker. */
export const DELIVER_AT_ONCE = 4;
/** Deliveries to queue after one sweep. */
const BATCH = 200;
/**
 * As many as finish_delivery allows: with the back-off of graphile-worker between them, which ends at
 * six hours, the last one is 28 hours after the first.
 */
const ATTEMPTS = 14;

/** What {@link deliverTask} needs. */
export interface DeliverOptions extends PostOptions {
  readonly sql: postgres.Sql;
  readonly logger: WorkerLogger;
}

/** Sends one alert to one webhook. Fails if it is to be tried again. */
export function deliverTask({ sql, logger, ...options }: DeliverOptions): Task {
  return async (payload) => {
    const { seq, ...rest } = payload as Payload;
    const id: DeliveryId = { ...rest, seq: BigInt(seq) };
    const [delivery] = await startDelivery(sql, id);
    if (!delivery) return;
    const error = await postAlert(delivery, options);
    const state = await finishDelivery(sql, { ...id, error });
    if (error === null) return;
    const message = `an alert of ${id.walletId} was not received by ${id.webhookId}: ${error}`;
    if (state === "pending") throw new Error(message);
    logger.warn(`${message}; given up`);
  };
}

type Payload = Omit<DeliveryId, "seq"> & { readonly seq: string };

/** Queues a job for each new delivery. */
export async function queueAlerts(sql: postgres.Sql, addJobs: AddJobsFunction): Promise<void> {
  const found = await queueDeliveries(sql, { limit: BATCH });
  if (found.length > 0) await addJobs(found.map(jobOf), true);
}

function jobOf(id: DeliveryId) {
  const { walletId, seq, number, webhookId } = id;
  return {
    identifier: DELIVER,
    payload: { ...id, seq: String(seq) } satisfies Payload,
    // A job that is queued again takes the place of the first one.
    jobKey: `${DELIVER}/${webhookId}/${seq}/${number}/${walletId}`,
    maxAttempts: ATTEMPTS,
  };
}
