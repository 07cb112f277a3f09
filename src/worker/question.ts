import { setTimeout as delay } from "node:timers/promises";
import type { SweepStatus, WalletsAhead } from "../generated/index.ts";

/** What a worker asks the database for when somebody looks after it. */
export interface Sources {
  sweepStatus(): Promise<SweepStatus>;
  /** Reads every wallet's row, so it is asked for once a minute at most. */
  walletsAhead(): Promise<WalletsAhead>;
  /** Events written since the server's statistics were reset; null if not known. */
  eventsWritten(): Promise<number | null>;
}

/** What the database has answered. */
export interface Answer {
  readonly status: SweepStatus;
  readonly events: number | null;
  /** Wallets whose time lies ahead, when last counted; null if not known yet. */
  readonly walletsAhead: number | null;
}

// A probe that waits for a database that is gone would be cut off, and tell nothing.
const ANSWER_WITHIN_MS = 2_000;
const COUNT_EVERY_MS = 60_000;

/**
 * Asks one question at a time: probes that come meanwhile share its answer. Null in vain, and then
 * `onError` hears why.
 */
export function createQuestion(
  sources: Sources,
  onError: (error: unknown) => void,
): () => Promise<Answer | null> {
  const countAhead = createCount(sources);
  let asked: Promise<Answer | null> | undefined;
  return () => {
    asked ??= Promise.all([sources.sweepStatus(), sources.eventsWritten(), countAhead()])
      .then(([status, events, walletsAhead]) => ({ status, events, walletsAhead }))
      .catch((error: unknown) => {
        onError(error);
        return null;
      })
      .finally(() => {
        asked = undefined;
      });
    return Promise.race([asked, delay(ANSWER_WITHIN_MS, null, { ref: false })]);
  };
}

/** Counts wallets that are ahead now and then, and waits for the first count only. */
function createCount(sources: Sources): () => Promise<number | null> {
  let last: number | null = null;
  let first: Promise<void> | undefined;
  let countAt = Number.NEGATIVE_INFINITY;
  return async () => {
    if (performance.now() >= countAt) {
      countAt = performance.now() + COUNT_EVERY_MS;
      const counted = sources.walletsAhead().then(
        ({ wallets }) => {
          last = Number(wallets);
        },
        () => {
          last = null;
          countAt = Number.NEGATIVE_INFINITY;
        },
      );
      first ??= counted;
    }
    await first;
    return last;
  };
}
