import { EventEmitter } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import {
  Logger,
  makeWorkerUtils,
  type Runner,
  type RunnerOptions,
  run,
  type SharedOptions,
  type Task,
  type WorkerEvents,
} from "graphile-worker";
import postgres from "postgres";
import { expireDue, nextDue } from "./generated/baseledger.ts";

/** Where a worker tells what happens to it; `console` will do. */
export interface WorkerLogger {
  info(message: string): void;
  warn(message: string): void;
}

/** How {@link startWorker} connects. */
export interface WorkerOptions {
  /**
   * A direct connection (no transaction pooler) of a login that is a member of
   * `baseledger_worker`. The first start makes the schema of {@link WorkerOptions.schema} and
   * needs `create` on the database for that; all workers use the login that made it.
   */
  readonly url: string;
  /** The schema of graphile-worker's tables; all workers of a database share one. */
  readonly schema?: string;
  /** Reservations to sweep in one transaction. */
  readonly batch?: number;
  /** Silent without one. */
  readonly logger?: WorkerLogger;
}

/** A running worker. */
export interface Worker {
  /** Ends after the sweep under way; leaves no job locked. */
  stop(): Promise<void>;
}

const TASK = "baseledger_expire_due";
// One key for all workers of a database: between them there is one next sweep.
const JOB_KEY = TASK;
const DEFAULT_SCHEMA = "baseledger_worker";
const DEFAULT_BATCH = 1_000;

const LONGEST_WAIT_MS = 1_000;
// What is due but locked by a command just now is not asked for again at once.
const SHORTEST_WAIT_MS = 20;
const POLL_MS = 100;
const RESTART_AFTER_MS = 500;
const STOP_WITHIN_MS = 5_000;
const NOTEWORTHY: readonly string[] = ["error", "warning"];

/**
 * Starts the expiry job: sweeps what is due, then sleeps until the next deadline or for a second,
 * whichever is sooner.
 *
 * Rejects when it cannot connect; from then on it outlives restarts of the database. Any number
 * of workers may run on one database.
 */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const logger = options.logger ?? { info: () => undefined, warn: () => undefined };
  const sql = postgres(options.url, {
    max: 1,
    onnotice: () => undefined,
    connection: { application_name: "baseledger worker" },
  });
  const ending: Ending = { asked: new AbortController(), forced: new AbortController() };
  const task = sweepTask(sql, options.batch ?? DEFAULT_BATCH, logger, ending.asked.signal);
  const pools: string[] = [];
  const start = (): Promise<Running> => startRunner(options, task, logger, pools);
  try {
    const first = await start();
    logger.info("expiry job started");
    const ended = keepRunning(first, start, logger, ending);
    return { stop: () => stop(ending, ended, sql, logger) };
  } catch (error) {
    await sql.end({ timeout: 0 });
    throw error;
  }
}

/** How a worker is told to end. */
interface Ending {
  readonly asked: AbortController;
  /** Sent when it was asked in vain. */
  readonly forced: AbortController;
}

/** A runner of graphile-worker, and the means to clear up behind it. */
interface Running {
  readonly runner: Runner;
  /** Frees the jobs it still holds, after it has ended in whatever way. */
  tidy(): Promise<void>;
}

function sweepTask(
  sql: postgres.Sql,
  batch: number,
  logger: WorkerLogger,
  stopping: AbortSignal,
): Task {
  return async (_payload, { addJob, job }) => {
    const began = performance.now();
    // The database's clock, which deadlines go by; this machine's may differ.
    const databaseNow = (): number =>
      (job.locked_at?.getTime() ?? Date.now()) + performance.now() - began;
    const due = await sweep(sql, batch, stopping).catch((error: unknown) => {
      logger.warn(`sweep failed, trying again: ${messageOf(error)}`);
      return null;
    });
    const now = databaseNow();
    const wait = due === null ? LONGEST_WAIT_MS : due.getTime() - now;
    const bounded = Math.min(Math.max(wait, SHORTEST_WAIT_MS), LONGEST_WAIT_MS);
    await addJob(TASK, {}, { jobKey: JOB_KEY, runAt: new Date(now + bounded) });
  };
}

async function sweep(
  sql: postgres.Sql,
  limit: number,
  stopping: AbortSignal,
): Promise<Date | null> {
  let swept = 0;
  do {
    swept = Number(await expireDue(sql, { limit }));
  } while (swept > 0 && !stopping.aborted);
  return nextDue(sql);
}

async function startRunner(
  options: WorkerOptions,
  task: Task,
  logger: WorkerLogger,
  pools: string[],
): Promise<Running> {
  const shared: SharedOptions = {
    connectionString: options.url,
    schema: options.schema ?? DEFAULT_SCHEMA,
    maxPoolSize: 3,
    logger: graphileLogger(logger),
  };
  await tidy(shared, []);
  const events: WorkerEvents = new EventEmitter();
  // Of all runners there were: one that gave up may lock a job with its last breath.
  events.on("pool:create", ({ workerPool }) => pools.push(workerPool.id));
  const runner = await run(runnerOptions(shared, events, task));
  const putOn = (): void => void putOnNextSweep(runner, logger);
  // At each connecting, because a database that went away may have lost the next sweep, and one
  // that a dead worker holds stays locked for hours. The key keeps it single.
  events.on("pool:listen:success", putOn);
  putOn();
  return { runner, tidy: () => tidy(shared, pools) };
}

async function putOnNextSweep(runner: Runner, logger: WorkerLogger): Promise<void> {
  try {
    await runner.addJob(TASK, {}, { jobKey: JOB_KEY });
  } catch (error) {
    logger.warn(`the next sweep could not be put on: ${messageOf(error)}`);
  }
}

function runnerOptions(shared: SharedOptions, events: WorkerEvents, task: Task): RunnerOptions {
  return {
    ...shared,
    events,
    taskList: { [TASK]: task },
    concurrency: 1,
    pollInterval: POLL_MS,
    noHandleSignals: true,
    // Without these, a job that ends while the runner stops keeps its lock (0.18.0).
    preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
  };
}

async function tidy(shared: SharedOptions, pools: readonly string[]): Promise<void> {
  const utils = await makeWorkerUtils(shared);
  try {
    await utils.forceUnlockWorkers([...pools]);
    // A job that lost its key to a newer one is of no use any more; no other kind fails for good.
    await utils.cleanup({ tasks: ["DELETE_PERMAFAILED_JOBS"] });
  } finally {
    await utils.release();
  }
}

/** A runner whose database goes away at the wrong moment gives up; then another takes over. */
async function keepRunning(
  first: Running,
  start: () => Promise<Running>,
  logger: WorkerLogger,
  ending: Ending,
): Promise<void> {
  let running: Running | undefined = first;
  while (running) {
    await untilEnded(running, ending);
    if (ending.asked.signal.aborted) {
      return running.tidy();
    }
    logger.warn("expiry job interrupted, starting it again");
    running = await startAgain(running, start, ending.asked.signal);
  }
}

async function untilEnded({ runner }: Running, { asked, forced }: Ending): Promise<void> {
  const stopListening = [
    whenAborted(asked.signal, () => runner.stop()),
    whenAborted(forced.signal, () => runner.kill()),
  ];
  await runner.promise.catch(() => undefined);
  for (const stopOne of stopListening) {
    stopOne();
  }
}

function whenAborted(signal: AbortSignal, act: () => Promise<void>): () => void {
  const listener = (): void => void act().catch(() => undefined);
  if (signal.aborted) {
    listener();
  }
  signal.addEventListener("abort", listener, { once: true });
  return () => signal.removeEventListener("abort", listener);
}

async function startAgain(
  ended: Running,
  start: () => Promise<Running>,
  stopping: AbortSignal,
): Promise<Running | undefined> {
  while (!stopping.aborted) {
    try {
      await ended.tidy();
      return await start();
    } catch {
      await delay(RESTART_AFTER_MS, undefined, { signal: stopping }).catch(() => undefined);
    }
  }
  return undefined;
}

async function stop(
  { asked, forced }: Ending,
  running: Promise<void>,
  sql: postgres.Sql,
  logger: WorkerLogger,
): Promise<void> {
  asked.abort();
  const ended = running.catch((error: unknown) => {
    logger.warn(`expiry job did not end cleanly: ${messageOf(error)}`);
  });
  if (!(await within(STOP_WITHIN_MS, ended))) {
    logger.warn("expiry job still busy, cutting it off");
    forced.abort();
    await sql.end({ timeout: 0 });
    await within(STOP_WITHIN_MS, ended);
  }
  await sql.end({ timeout: 0 });
}

async function within(ms: number, ended: Promise<void>): Promise<boolean> {
  const patience = new AbortController();
  const late = delay(ms, false, { signal: patience.signal }).catch(() => false);
  const inTime = await Promise.race([ended.then(() => true), late]);
  patience.abort();
  return inTime;
}

function graphileLogger(logger: WorkerLogger): Logger {
  return new Logger(() => (level, message) => {
    // It tells each completed job, ten times a second, as information.
    if (NOTEWORTHY.includes(level)) {
      logger.warn(firstLine(message));
    }
  });
}

function messageOf(error: unknown): string {
  return firstLine(error instanceof Error ? error.message || error.name : String(error));
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}
