import { EventEmitter } from "node:events";
import {
  type RunnerOptions as GraphileOptions,
  makeWorkerUtils,
  type Runner,
  run,
  type SharedOptions,
  type TaskList,
  type WorkerEvents,
} from "graphile-worker";
import type { Pool } from "pg";
import { requireDirect } from "./detect-pooler.ts";
import type { Trouble } from "./health.ts";
import { graphileLogger, messageOf, type WorkerLogger } from "./logger.ts";
import { createPool } from "./pool.ts";
import { LONGEST_WAIT_MS } from "./sweep.ts";

/** A runner of graphile-worker. */
export interface Running {
  readonly runner: Runner;
  /** Unlocks the jobs it still holds, after it has ended in any way. */
  unlock(): Promise<void>;
}

/** What {@link startRunner} needs. */
export interface RunnerOptions {
  readonly url: string;
  readonly schema: string;
  readonly tasks: TaskList;
  /** Jobs at the same time. */
  readonly concurrency: number;
  /** The longest time between two looks for jobs; a job that is added wakes a runner. */
  readonly pollMs: number;
  /** A job that there must always be one of: a task, and its only key. */
  readonly always?: { readonly task: string; readonly jobKey: string };
  readonly logger: WorkerLogger;
  /**
   * The ids that jobs are locked by, of all runners so far: one that gave up may still lock a job
   * while stopping. The new one is added.
   */
  readonly pools: string[];
  /** Called when something keeps it from finding jobs. */
  readonly onTrouble: (trouble: Trouble) => void;
}

const IDLE_FOR_MS = 2 * LONGEST_WAIT_MS;
const FAILING_FOR_MS = 3_000;

/** Installs graphile-worker's tables where they are missing, and starts a runner. */
export async function startRunner(options: RunnerOptions): Promise<Running> {
  const { url, logger, concurrency, pools, onTrouble } = options;
  await requireDirect(url, logger);
  await unlockJobs(options, []);
  // One for its LISTEN, and one to queue jobs.
  const pgPool = createPool(url, logger, concurrency + 2);
  const close = () => void pgPool.end();
  const running = run(graphileOptions(options, pgPool));
  running.then(({ promise }) => promise).then(close, close);
  const runner = await running;
  if (options.always) keepQueued(runner, options.always, logger);
  stopWhenFailing(runner, onTrouble);
  return { runner, unlock: () => unlockJobs(options, pools) };
}

function graphileOptions(options: RunnerOptions, pgPool: Pool): GraphileOptions {
  const events: WorkerEvents = new EventEmitter();
  events.on("pool:create", ({ workerPool }) => options.pools.push(workerPool.id));
  return {
    ...sharedOptions(options, pgPool),
    events,
    taskList: options.tasks,
    concurrency: options.concurrency,
    pollInterval: options.pollMs,
    noHandleSignals: true,
    // Without these, a job that ends while the runner stops keeps its lock (0.18.0).
    preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
  };
}

function sharedOptions({ schema, logger }: RunnerOptions, pgPool: Pool): SharedOptions {
  return { pgPool, schema, logger: graphileLogger(logger) };
}

/**
 * Queues the job now, and again whenever this runner has not run it for a while: either another
 * worker does, or it died with the job locked, or the job was lost, or was queued while the clock was
 * ahead. Because of its key there is never more than one.
 */
function keepQueued(runner: Runner, job: Always, logger: WorkerLogger): void {
  let idleSince = performance.now();
  runner.events.on("job:start", () => {
    idleSince = performance.now();
  });
  const timer = setInterval(() => {
    if (performance.now() - idleSince > IDLE_FOR_MS) {
      void queue(runner, job, logger);
    }
  }, IDLE_FOR_MS);
  runner.events.once("stop", () => clearInterval(timer));
  void queue(runner, job, logger);
}

/**
 * Stops a runner that cannot look for jobs for a while, so that another takes over: one whose first
 * look fails, because the database goes away just then, never finds any (0.18.0).
 */
function stopWhenFailing(runner: Runner, onTrouble: RunnerOptions["onTrouble"]): void {
  let failingSince: number | undefined;
  const looked = (): void => {
    failingSince = undefined;
  };
  runner.events.on("job:start", looked);
  runner.events.on("worker:getJob:empty", looked);
  runner.events.on("worker:getJob:error", ({ error }) => {
    onTrouble({ at: new Date(), reason: messageOf(error) });
    failingSince ??= performance.now();
    if (performance.now() - failingSince > FAILING_FOR_MS) {
      runner.stop().catch(() => undefined);
    }
  });
}

type Always = NonNullable<RunnerOptions["always"]>;

async function queue(runner: Runner, { task, jobKey }: Always, logger: WorkerLogger) {
  try {
    await runner.addJob(task, {}, { jobKey });
  } catch (error) {
    logger.warn(`the next sweep could not be queued: ${messageOf(error)}`);
  }
}

async function unlockJobs(options: RunnerOptions, pools: readonly string[]): Promise<void> {
  const pgPool = createPool(options.url, options.logger);
  try {
    const utils = await makeWorkerUtils(sharedOptions(options, pgPool));
    await utils.forceUnlockWorkers([...pools]);
    // Only a job that lost its key to a newer one fails permanently, and is no longer needed.
    await utils.cleanup({ tasks: ["DELETE_PERMAFAILED_JOBS"] });
    await utils.release();
  } finally {
    void pgPool.end();
  }
}
