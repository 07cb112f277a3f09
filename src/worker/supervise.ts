import { setTimeout as delay } from "node:timers/promises";
import type { Trouble } from "./health.ts";
import { messageOf, type WorkerLogger } from "./logger.ts";
import type { Running } from "./runner.ts";

/** The signals that stop a worker. */
export interface Ending {
  readonly asked: AbortController;
  /** Aborted when it has not stopped in time. */
  readonly forced: AbortController;
}

/** Who is informed of what happens. */
export interface Listeners {
  readonly logger: WorkerLogger;
  readonly onTrouble: (trouble: Trouble) => void;
}

const RESTART_AFTER_MS = 500;

/**
 * Resolves when a worker has stopped as asked. A runner whose database goes away at the wrong
 * moment gives up by itself; then another is started.
 */
export async function keepRunning(
  first: Running,
  start: () => Promise<Running>,
  listeners: Listeners,
  ending: Ending,
): Promise<void> {
  let running = first;
  for (;;) {
    await untilEnded(running, ending);
    const next = await startAgain(running, start, listeners, ending.asked.signal);
    if (next === undefined) {
      return running.unlock();
    }
    running = next;
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

// Undefined once the worker is asked to stop.
async function startAgain(
  ended: Running,
  start: () => Promise<Running>,
  { logger, onTrouble }: Listeners,
  stopping: AbortSignal,
): Promise<Running | undefined> {
  if (!stopping.aborted) {
    logger.warn("expiry job interrupted, starting it again");
  }
  let lastReason = "";
  while (!stopping.aborted) {
    try {
      await ended.unlock();
      return await start();
    } catch (error) {
      const reason = messageOf(error);
      onTrouble({ at: new Date(), reason });
      // A database that is down stays so for many tries.
      if (reason !== lastReason) logger.warn(`expiry job cannot start: ${reason}`);
      lastReason = reason;
      await delay(RESTART_AFTER_MS, undefined, { signal: stopping }).catch(() => undefined);
    }
  }
  return undefined;
}
