import pRetry from "p-retry";
import { classifyError, type ErrorClass } from "../classify-error.ts";
import type { Queryable } from "../wire/call.ts";
import { endBackends, observe } from "./backends.ts";

/** Something to be sent until it has an answer. */
export interface Errand<T> {
  readonly send: (sql: Queryable) => Promise<T>;
  /** Whether anybody still waits for the answer. */
  readonly isWanted: () => boolean;
  /** Told about each failure that another try may mend. */
  readonly onTrouble: (trouble: ErrorClass, error: unknown) => void;
}

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;

/**
 * Sends something, with the same keys, until there is an answer: again after a lost connection, with
 * a pause that grows.
 *
 * The server may not have got to what was sent on a connection that broke. If the next sending were
 * refused, which leaves the key free, the first could then be granted, and the caller told wrong. So
 * the process at the other end of that connection is ended before anything is sent again. (Behind a
 * pooler it is not known which one that is: there, a refusal after a lost connection may be
 * overtaken, if the server takes its time.)
 */
export function persist<T>(sql: Queryable, errand: Errand<T>): Promise<T> {
  let lingering: readonly number[] = [];

  async function attempt(): Promise<T> {
    if (lingering.length > 0) lingering = await endBackends(sql, lingering);
    if (lingering.length > 0) throw new LingeringError();
    const { observed, backends } = observe(sql);
    try {
      return await errand.send(observed);
    } catch (error) {
      if (classifyError(error) === "unknown") lingering = backends;
      throw error;
    }
  }

  return pRetry(attempt, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: FIRST_PAUSE_MS,
    // p-retry's jitter ends at this limit, so the limit itself differs from one errand to the next.
    maxTimeout: LONGEST_PAUSE_MS * (1 + Math.random()),
    randomize: true,
    shouldRetry: ({ error }) => {
      const trouble = error instanceof LingeringError ? "unsent" : classifyError(error);
      if (trouble === "final") return false;
      errand.onTrouble(trouble, error);
      return errand.isWanted();
    },
  });
}

/** A process that was sent this before has not ended yet. */
class LingeringError extends Error {
  override readonly message = "the server has not ended the connection that broke";
}
