import { setTimeout as delay } from "node:timers/promises";
import type { SweepStatus, WalletsAhead } from "../generated/index.ts";

/** The queries for {@link DatabaseStatus}. */
export interface StatusSources {
  sweepStatus(): Promise<SweepStatus>;
  /** Reads every wallet's row, so it is called at most once a minute. */
  walletsAhead(): Promise<WalletsAhead>;
  /** Events written since the server's statistics were reset; null if not known. */
  eventsWritten(): Promise<number | null>;
}

/** What the database knows of the sweep. */
export interface DatabaseStatus {
  readonly sweep: SweepStatus;
  readonly events: number | null;
  /** Wallets whose time is ahead, when last counted; null if not known yet. */
  readonly walletsAhead: number | null;
}

// A probe that waited for a lost database would time out, and report nothing.
const ANSWER_WITHIN_MS = 2_000;
const COUNT_EVERY_MS = 60_000;

/**
 * Makes the function that reads the status. Calls at the same time share one query; the result is
 * null if the database does not answer, and `onError` is called if it fails.
 */
export function createStatusReader(
  sources: StatusSources,
  onError: (error: unknown) => void,
): () => Promise<DatabaseStatus | null> {
  const countAhead = createCount(sources);
  let pending: Promise<DatabaseStatus | null> | undefined;
  return () => {
    pending ??= Promise.all([sources.sweepStatus(), sources.eventsWritten(), countAhead()])
      .then(([sweep, events, walletsAhead]) => ({ sweep, events, walletsAhead }))
      .catch((error: unknown) => {
        onError(error);
        return null;
      })
      .finally(() => {
        pending = undefined;
      });
    return Promise.race([pending, delay(ANSWER_WITHIN_MS, null, { ref: false })]);
  };
}

/** Counts the wallets that are ahead once a minute; only the first count is waited for. */
function createCount(sources: StatusSources): () => Promise<number | null> {
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
