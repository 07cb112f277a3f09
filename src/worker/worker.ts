import { setTimeout as delay } from "node:timers/promises";
import postgres from "postgres";
import { createChores } from "./chores.ts";
import { DELIVER_AT_ONCE } from "./deliver.ts";
import type { Trouble } from "./health.ts";
import { messageOf, silence, type WorkerLogger } from "./logger.ts";
import { type RunnerOptions, type Running, startRunner } from "./runner.ts";
import { type Ending, keepRunning } from "./supervise.ts";
import { SWEEP, SWEEP_KEY, type Swept, sweepTask } from "./sweep.ts";

/** How {@link startWorker} connects. */
export interface WorkerOptions {
  /**
   * A direct connection (no transaction pooler) of a login that is a member of
   * `baseledger_worker`. The first start creates the schema of {@link WorkerOptions.schema} and
   * needs `create` on the database for that; all workers use the login that created it.
   */
  readonly url: string;
  /** The schema of graphile-worker's tables; all workers of a database share one. */
  readonly schema?: string;
  /** Reservations to sweep in one transaction. */
  readonly batch?: number;
  /** Silent without one. */
  readonly logger?: WorkerLogger;
  /** Called after each sweep of this worker. */
  readonly onSweep?: (swept: Swept) => void;
  /** Called when something keeps this worker from sweeping; it retries by itself. */
  readonly onTrouble?: (trouble: Trouble) => void;
}

/** A running worker. */
export interface Worker {
  /** Stops after the sweep under way; leaves no job locked. */
  stop(): Promise<void>;
}

const DEFAULT_SCHEMA = "baseledger_worker";
const DEFAULT_BATCH = 1_000;
const STOP_WITHIN_MS = 5_000;
const ignore = (): void => undefined;

/**
 * Starts the expiry job: sweeps what is due, then sleeps until the next deadline or for a second,
 * whichever is sooner. After each sweep, alerts are sent to their webhooks.
 *
 * Rejects when it cannot connect, and with {@link PoolerError} when a pooler in transaction mode
 * answers; from then on it survives restarts of the database. Any number of workers may run on one
 * database.
 */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { url, schema = DEFAULT_SCHEMA, batch = DEFAULT_BATCH, logger = silence } = options;
  const sql = postgres(url, {
    // One for the sweep, which may wait for a lock, and one for the others.
    max: 2,
    // A connection that breaks while it fetches types is an unhandled rejection (postgres.js 3.4.9).
    fetch_types: false,
    onnotice: () => undefined,
    connection: { application_name: "baseledger worker" },
  });
  const ending: Ending = { asked: new AbortController(), forced: new AbortController() };
  const { onSweep = ignore, onTrouble = ignore } = options;
  const stopping = ending.asked.signal;
  const { tasks, queue: queueOthers } = createChores(sql, logger, stopping);
  const sweep = sweepTask({ sql, batch, logger, stopping, onSweep, onTrouble, queueOthers });
  const shared = { url, schema, logger, onTrouble };
  // Runners of their own, so that a sweep never waits for receivers that are slow.
  const runners: RunnerOptions[] = [
    {
      ...shared,
      tasks: { [SWEEP]: sweep },
      concurrency: 1,
      pollMs: 100,
      always: { task: SWEEP, jobKey: SWEEP_KEY },
      pools: [],
    },
    {
      ...shared,
      tasks,
      concurrency: DELIVER_AT_ONCE,
      pollMs: 1_000,
      pools: [],
    },
  ];
  const running: Promise<void>[] = [];
  try {
    for (const runner of runners) {
      const start = (): Promise<Running> => startRunner(runner);
      running.push(keepRunning(await start(), start, { logger, onTrouble }, ending));
    }
    logger.info("expiry job started");
    return { stop: () => stop(ending, Promise.all(running), sql, logger) };
  } catch (error) {
    ending.asked.abort();
    await Promise.allSettled(running);
    await sql.end({ timeout: 0 });
    throw error;
  }
}

async function stop(
  { asked, forced }: Ending,
  running: Promise<unknown>,
  sql: postgres.Sql,
  logger: WorkerLogger,
): Promise<void> {
  asked.abort();
  const ended = running.catch((error: unknown) => {
    logger.warn(`expiry job did not end cleanly: ${messageOf(error)}`);
  });
  // graphile-worker waits for its task without limit, and the task may wait for a lost database.
  if (!(await within(STOP_WITHIN_MS, ended))) {
    logger.warn("expiry job still busy, cutting it off");
    forced.abort();
    await sql.end({ timeout: 0 });
    await within(STOP_WITHIN_MS, ended);
  }
  await sql.end({ timeout: 0 });
}

async function within(ms: number, ended: Promise<unknown>): Promise<boolean> {
  const patience = new AbortController();
  const late = delay(ms, false, { signal: patience.signal }).catch(() => false);
  const inTime = await Promise.race([ended.then(() => true), late]);
  patience.abort();
  return inTime;
}
