import { setTimeout as delay } from "node:timers/promises";
import type { WorkerLogger } from "./logger.ts";
import type { Running } from "./runner.ts";

/** How a worker is told to end. */
export interface Ending {
  readonly asked: AbortController;
  /** Sent when it was asked in vain. */
  readonly forced: AbortController;
}

const RESTART_AFTER_MS = 500;

/**
 * Waits until a worker has ended as it was asked to. A runner whose database goes away at the
 * wrong moment gives up by itself; then another takes over.
 */
export async function keepRunning(
  first: Running,
  start: () => Promise<Running>,
  logger: WorkerLogger,
  ending: Ending,
): Promise<void> {
  let running = first;
  for (;;) {
    await untilEnded(running, ending);
    const next = await startAgain(running, start, logger, ending.asked.signal);
    if (next === undefined) {
      return running.tidy();
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

// Undefined once the worker is asked to end.
async function startAgain(
  ended: Running,
  start: () => Promise<Running>,
  logger: WorkerLogger,
  stopping: AbortSignal,
): Promise<Running | undefined> {
  if (!stopping.aborted) {
    logger.warn("expiry job interrupted, starting it again");
  }
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
