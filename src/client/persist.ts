import pRetry from "p-retry";
import { LedgerError } from "../errors.ts";
import type { Queryable } from "../wire/call.ts";
import { findRunning, observe } from "./backends.ts";
import { type Trouble, troubleOf } from "./transient.ts";

/** Something to be sent until it has an answer. */
export interface Errand<T> {
  /**
   * Sends it once. When `isLast`, no earlier sending of it can still take effect, so that the
   * answer stands whatever it is.
   */
  readonly send: (sql: Queryable, isLast: boolean) => Promise<T>;
  /** Whether there is a refusal in the answer. */
  readonly isRefused: (answer: T) => boolean;
  /** Whether anybody still waits for the answer. */
  readonly isWanted: () => boolean;
  /** Told about each failure that another try may mend. */
  readonly onTrouble: (trouble: Trouble, error: unknown) => void;
}

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;

/**
 * Sends something, with the same keys, until there is an answer that stands: again after a lost
 * connection, with a pause that grows.
 *
 * A grant stands at once, as its key is taken. A refusal leaves the key free: should the server be
 * about to carry out an earlier sending, whose connection broke, that could be granted after all.
 * So a refusal counts only when the server has let go of those connections.
 */
export function persist<T>(sql: Queryable, errand: Errand<T>): Promise<T> {
  let running: readonly number[] = [];

  async function attempt(): Promise<T> {
    if (running.length > 0) running = await findRunning(sql, running);
    const isLast = running.length === 0;
    const { observed, backends } = observe(sql);
    try {
      const answer = await errand.send(observed, isLast);
      if (!isLast && errand.isRefused(answer)) throw new OvertakableError();
      return answer;
    } catch (error) {
      if (troubleOf(error) === "lost") running = [...running, ...backends];
      if (!isLast && error instanceof LedgerError) throw new OvertakableError();
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
      if (error instanceof OvertakableError) return errand.isWanted();
      const trouble = troubleOf(error);
      if (trouble === "final") return false;
      errand.onTrouble(trouble, error);
      return errand.isWanted();
    },
  });
}

/** A refusal that an earlier sending may overtake. */
class OvertakableError extends Error {}
