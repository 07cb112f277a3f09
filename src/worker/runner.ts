import { EventEmitter } from "node:events";
import {
  makeWorkerUtils,
  type Runner,
  type RunnerOptions,
  run,
  type SharedOptions,
  type Task,
  type WorkerEvents,
} from "graphile-worker";
import type { Pool } from "pg";
import type { Trouble } from "./health.ts";
import { graphileLogger, messageOf, type WorkerLogger } from "./logger.ts";
import { createPool } from "./pool.ts";
import { requireDirect } from "./pooler.ts";
import { LONGEST_WAIT_MS, SWEEP, SWEEP_KEY } from "./sweep.ts";

/** A runner of graphile-worker, and the means to clear up behind it. */
export interface Running {
  readonly runner: Runner;
  /** Frees the jobs it still holds, after it has ended in whatever way. */
  tidy(): Promise<void>;
}

/** What {@link startRunner} needs. */
export interface RunnerNeeds {
  readonly url: string;
  readonly schema: string;
  readonly task: Task;
  readonly logger: WorkerLogger;
  /**
   * What jobs are locked by, of all runners there were: one that gave up may lock a job with its
   * last breath. The new one is added.
   */
  readonly pools: string[];
  /** Told of what keeps it from finding jobs. */
  readonly onTrouble: (trouble: Trouble) => void;
}

const POLL_MS = 100;
const REMIND_EVERY_MS = 2 * LONGEST_WAIT_MS;
const DEAF_FOR_MS = 3_000;

/** Installs graphile-worker's tables if need be, and starts a runner with the sweep put on. */
export async function startRunner(needs: RunnerNeeds): Promise<Running> {
  const { url, logger, pools, onTrouble } = needs;
  await requireDirect(url, logger);
  await tidy(needs, []);
  const pgPool = createPool(url, logger);
  const close = () => void pgPool.end();
  const running = run(runnerOptions(needs, pgPool));
  running.then(({ promise }) => promise).then(close, close);
  const runner = await running;
  keepSweepOn(runner, logger);
  endWhenDeaf(runner, onTrouble);
  return { runner, tidy: () => tidy(needs, pools) };
}

function runnerOptions(needs: RunnerNeeds, pgPool: Pool): RunnerOptions {
  const events: WorkerEvents = new EventEmitter();
  events.on("pool:create", ({ workerPool }) => needs.pools.push(workerPool.id));
  return {
    ...sharedOptions(needs, pgPool),
    events,
    taskList: { [SWEEP]: needs.task },
    concurrency: 1,
    pollInterval: POLL_MS,
    noHandleSignals: true,
    // Without these, a job that ends while the runner stops keeps its lock (0.18.0).
    preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
  };
}

function sharedOptions({ schema, logger }: RunnerNeeds, pgPool: Pool): SharedOptions {
  return { pgPool, schema, logger: graphileLogger(logger) };
}

/**
 * Puts the sweep on now, and again whenever this worker has not swept for a while: another one
 * does then, or has died with the job locked, or the database has lost it, or it was put on while
 * the clock was ahead. The key keeps it single.
 */
function keepSweepOn(runner: Runner, logger: WorkerLogger): void {
  let idleSince = performance.now();
  runner.events.on("job:start", () => {
    idleSince = performance.now();
  });
  const reminder = setInterval(() => {
    if (performance.now() - idleSince > REMIND_EVERY_MS) {
      void putSweepOn(runner, logger);
    }
  }, REMIND_EVERY_MS);
  runner.events.once("stop", () => clearInterval(reminder));
  void putSweepOn(runner, logger);
}

/**
 * Ends a runner that cannot get a job for a while, so that another takes over: one whose first
 * look for jobs fails, because the database goes away just then, never finds any (0.18.0).
 */
function endWhenDeaf(runner: Runner, onTrouble: RunnerNeeds["onTrouble"]): void {
  let deafSince: number | undefined;
  const heard = (): void => {
    deafSince = undefined;
  };
  runner.events.on("job:start", heard);
  runner.events.on("worker:getJob:empty", heard);
  runner.events.on("worker:getJob:error", ({ error }) => {
    onTrouble({ at: new Date(), reason: messageOf(error) });
    deafSince ??= performance.now();
    if (performance.now() - deafSince > DEAF_FOR_MS) {
      runner.stop().catch(() => undefined);
    }
  });
}

async function putSweepOn(runner: Runner, logger: WorkerLogger): Promise<void> {
  try {
    await runner.addJob(SWEEP, {}, { jobKey: SWEEP_KEY });
  } catch (error) {
    logger.warn(`the next sweep could not be put on: ${messageOf(error)}`);
  }
}

async function tidy(needs: RunnerNeeds, pools: readonly string[]): Promise<void> {
  const pgPool = createPool(needs.url, needs.logger);
  try {
    const utils = await makeWorkerUtils(sharedOptions(needs, pgPool));
    await utils.forceUnlockWorkers([...pools]);
    // A job that lost its key to a newer one is of no use any more; no other kind fails for good.
    await utils.cleanup({ tasks: ["DELETE_PERMAFAILED_JOBS"] });
    await utils.release();
  } finally {
    void pgPool.end();
  }
}
