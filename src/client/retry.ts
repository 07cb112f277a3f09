import pRetry from "p-retry";
import {
  classifyError,
  type ErrorKind,
  endedSession,
  type Holder,
  isReadOnly,
  mayPassInNewSession,
  wasInterrupted,
} from "../errors/index.ts";
import { call, type Queryable, read } from "../wire/index.ts";
import type { Connections } from "./connections.ts";
import type { Slot } from "./slots.ts";
import { bound, type Observed, observe, withKey } from "./statement.ts";

/** A request that is retried until it is answered. */
export interface Request<T> {
  /** See `SlotRequest`. */
  readonly lockKey: unknown;
  /** It changes nothing, so a server that takes no writes would answer it, with old data. */
  readonly isRead: boolean;
  /** It may run long without waiting for a lock. */
  readonly slow: boolean;
  /** Tries for an error that may pass in another session, if not enough for every session. */
  readonly sessionTries?: number;
  /** A slot for the first try, if the caller has one; from now on it is released here only. */
  readonly slot?: Slot;
  readonly send: (sql: Queryable) => Promise<T>;
  /** Called when the rows are there, before they are parsed; the slot is free by then. */
  readonly onRows?: () => void;
  /** How long the server may still wait for locks, in milliseconds; 0 when time is up. */
  readonly msLeft: () => number;
}

/** What is known about a request so far. */
export interface RequestState {
  /** Whether the server may have carried out an earlier try, or may still do so. */
  readonly mayBeDone: boolean;
  /** Whether the server may be working on it now. */
  isSent(): boolean;
  /** It is no longer retried, as time is up. */
  readonly gaveUp: boolean;
  readonly lastError: unknown;
  /** The sessions that were last seen blocking it. */
  readonly holders: readonly Holder[];
  /** Asks the server to cancel it. */
  cancel(): void;
}

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;

/**
 * Sends a request, with the same idempotency keys each time, until it is answered: again after
 * errors that are unsent, undone or unknown, after pauses that grow.
 *
 * What was sent on a connection that broke may still wait in the server. If the next try were
 * refused, which leaves the key free, the first could then be granted, though the caller got a
 * refusal. So the server process of the broken connection is ended before anything is sent again.
 * (`queryable` reports no process, and a pooler reports a number that it has made up: there, a slow
 * server may grant a command after a refusal.)
 */
export function retry<T>(
  connections: Connections,
  request: Request<T>,
): { readonly answer: Promise<T>; readonly state: RequestState } {
  const { lockKey, slow, msLeft } = request;
  const maxSessionTries = request.sessionTries ?? connections.maxSessionTries;
  let firstSlot = request.slot;
  let current: Observed | undefined;
  let lostBackends: readonly number[] = [];
  let mayBeDone = false;
  let lastError: unknown;
  let kind: ErrorKind = "final";
  let sessionTries = 0;
  let gaveUp = false;

  async function attempt(): Promise<T> {
    try {
      await prepareAttempt();
    } catch (error) {
      connections.checkPrepared(error);
      kind = error instanceof LostBackendError ? "unsent" : classifyError(error);
      throw error;
    }
    const slot = firstSlot ?? (await acquireSlot());
    firstSlot = undefined;
    const ms = msLeft();
    if (ms === 0) {
      slot.release("served");
      kind = "unsent";
      throw lastError instanceof Error ? lastError : new Error("there was no free connection");
    }
    return sendOnce(slot, Math.min(slot.lockTimeoutMs, ms));
  }

  /** Repairs what an earlier try has found broken; before the first try it does nothing. */
  async function prepareAttempt(): Promise<void> {
    if (lostBackends.length > 0) lostBackends = await endBackends(connections.sql, lostBackends);
    if (lostBackends.length > 0) throw new LostBackendError();
    if (isReadOnly(lastError) && !connections.readOnly) await connections.endReadOnlySessions();
  }

  function acquireSlot(): Promise<Slot> {
    return new Promise((start) => connections.slots.acquire({ lockKey, slow, start }));
  }

  async function sendOnce(slot: Slot, lockTimeoutMs: number): Promise<T> {
    const observed = observe(connections.sql, () => {
      slot.release("served");
      request.onRows?.();
    });
    current = observed;
    const bounds = {
      lockTimeoutMs,
      writable: request.isRead && !connections.readOnly,
      // Unprepared, a statement is planned with what an upgrade has changed.
      prepare: sessionTries === 0,
    };
    const stopWatching = connections.holders.watch(lockKey, observed, lockTimeoutMs);
    try {
      const sql = bound(withKey(observed.sql, connections.key), bounds);
      const answer = await request.send(sql);
      connections.holders.forget(lockKey);
      return answer;
    } catch (error) {
      classify(error, observed);
      slot.release(wasInterrupted(error) ? "blocked" : "served");
      throw error;
    } finally {
      connections.checkPrepared(observed.repeatedFor());
      stopWatching();
      slot.release("served");
      current = undefined;
    }
  }

  function classify(error: unknown, observed: Observed): void {
    kind = classifyError(error, observed.wasSent());
    connections.checkPrepared(error);
    const backend = observed.backend();
    if (kind === "unknown" && backend !== undefined && !endedSession(error)) {
      lostBackends = [backend];
    }
    if (kind === "unknown") mayBeDone = true;
    if (isReadOnly(error) && connections.readOnly) kind = "final";
    if (kind === "undone" && mayPassInNewSession(error)) {
      sessionTries += 1;
      if (sessionTries >= maxSessionTries) kind = "final";
    }
  }

  const answer = pRetry(attempt, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: FIRST_PAUSE_MS,
    // p-retry adds no jitter at this limit, so the limit itself differs between requests.
    maxTimeout: LONGEST_PAUSE_MS * (1 + Math.random()),
    randomize: true,
    shouldRetry: ({ error }) => {
      if (kind === "final") return false;
      // After a read-only server, the end of a session that was ended for it explains nothing.
      if (!(isReadOnly(lastError) && endedSession(error))) lastError = error;
      gaveUp = msLeft() === 0;
      return !gaveUp;
    },
  });
  const state: RequestState = {
    get mayBeDone() {
      return mayBeDone;
    },
    get gaveUp() {
      return gaveUp;
    },
    isSent: () => current?.wasSent() ?? false,
    get lastError() {
      return lastError;
    },
    get holders() {
      return connections.holders.of(lockKey);
    },
    cancel: () => current?.cancel(),
  };
  return { answer, state };
}

/** A server process that has the request of a broken connection has not ended yet. */
class LostBackendError extends Error {
  override readonly message = "the server has not ended the connection that broke";
}

/**
 * Ends server processes that worked for this login on connections that broke, so that what they
 * were sent cannot take effect later.
 *
 * @returns those that were still there; empty when all have ended
 */
function endBackends(sql: Queryable, backends: readonly number[]): Promise<readonly number[]> {
  const query =
    "select pid, pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity " +
    "where pid = any ($1::text::bigint[]) and usename = session_user";
  return call.many(observe(sql).sql, call.scalar(read.number), query, [`{${backends.join(",")}}`]);
}
