/*
 * The expiry job, which sweeps reservations past their deadline, and what watches it: health and
 * metrics over HTTP.
 */

export { PoolerError } from "./detect-pooler.ts";
export type { Trouble } from "./health.ts";
export { type HealthServer, serveHealth } from "./http.ts";
export type { WorkerLogger } from "./logger.ts";
export { createMonitor, type Monitor } from "./monitor.ts";
export type { Swept } from "./sweep.ts";
export { startWorker, type Worker, type WorkerOptions } from "./worker.ts";
