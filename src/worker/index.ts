/*
 * The worker: a process that runs one job, the expiry job, and serves its health and metrics. Each run
 * of the job is a sweep: it calls `expire_due` until nothing is due, and queues the next sweep.
 *
 * graphile-worker runs the job, not an interval in each process: the job has one key, so that of any
 * number of workers one sweeps at a time, and another one goes on when it dies.
 *
 *   worker.ts         startWorker: connects, starts, stops
 *   detect-pooler.ts  refuses a pooler in transaction mode, with which graphile-worker fails
 *   runner.ts         one runner of graphile-worker, with a sweep queued
 *   supervise.ts      starts another runner when one gives up
 *   sweep.ts          the job itself
 *   pool.ts           connections for graphile-worker; logger.ts its log
 *   monitor.ts        collects what health.ts judges and metrics.ts counts (both also from the
 *                     database: database-status.ts); http.ts serves them
 */

export { PoolerError } from "./detect-pooler.ts";
export type { Trouble } from "./health.ts";
export { type HealthServer, serveHealth } from "./http.ts";
export type { WorkerLogger } from "./logger.ts";
export { createMonitor, type Monitor } from "./monitor.ts";
export type { Swept } from "./sweep.ts";
export { startWorker, type Worker, type WorkerOptions } from "./worker.ts";
