/*
 * The worker: a process that runs the expiry job, sends alerts to webhooks, clears old counters of
 * limits, and serves its health and metrics. Each run of the expiry job is a sweep: it calls
 * `expire_due` until nothing is due, queues a job for each alert that is to be sent to a webhook, and
 * then the next sweep.
 *
 * graphile-worker runs the jobs, not an interval in each process: the sweep has one key, so that of any
 * number of workers one sweeps at a time, and another one goes on when it dies; so has each delivery.
 *
 *   worker.ts         startWorker: connects, starts, stops
 *   detect-pooler.ts  refuses a pooler in transaction mode, with which graphile-worker fails
 *   runner.ts         one runner of graphile-worker: one sweeps, one delivers
 *   supervise.ts      starts another runner when one gives up
 *   sweep.ts          the sweep
 *   chores.ts         what else it does, and queues after each sweep
 *   clear.ts          deletes what limits counted in windows that are over
 *   deliver.ts        queues and sends alerts; post.ts is the request, addresses.ts where it may go
 *   pool.ts           connections for graphile-worker; logger.ts its log
 *   monitor.ts        collects what health.ts judges and metrics.ts counts (both also from the
 *                     database: database-status.ts, money-status.ts); http.ts serves them
 */

export { PoolerError } from "./detect-pooler.ts";
export type { Trouble } from "./health.ts";
export { type HealthServer, serveHealth } from "./http.ts";
export type { WorkerLogger } from "./logger.ts";
export { createMonitor, type Monitor } from "./monitor.ts";
export type { Swept } from "./sweep.ts";
export { startWorker, type Worker, type WorkerOptions } from "./worker.ts";
