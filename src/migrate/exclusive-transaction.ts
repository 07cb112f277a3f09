import pRetry from "p-retry";
import type postgres from "postgres";
import { type Blocker, formatBlocker, formatDuration, watchBlockers } from "./blockers.ts";
import { lock, plainNames } from "./install-script.ts";

/** Options of what waits for locks. */
export interface WaitOptions {
  /** The longest time to wait for locks, in milliseconds; by default 5 minutes. */
  readonly waitFor?: number;
  /** Called after each try that did not get its locks in time. */
  readonly onWait?: (waiting: Waiting) => void;
  /** Ends the waiting, also on the server: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Why nothing is done yet. */
export interface Waiting {
  /** The sessions that hold the locks; empty where they could not be seen. */
  readonly blockers: readonly Blocker[];
  /** The time waited so far, in milliseconds. */
  readonly waited: number;
}

/** Locks were not granted in time. The step that needed them was undone. */
export class BlockedError extends Error {
  override readonly name = "BlockedError";
  readonly blockers: readonly Blocker[];

  constructor({ blockers, waited }: Waiting, cause: unknown) {
    const who = blockers.map(formatBlocker).join(", ") || "somebody who could not be seen";
    super(
      `Waited ${formatDuration(waited / 1000)} for a lock that is held by ${who}. ` +
        "Wait for that to end, or end it, and migrate again.",
      { cause },
    );
    this.blockers = blockers;
  }
}

/** What a migration runs on. */
export interface Connections {
  readonly sql: postgres.Sql;
  /** Another connection, to see what the first waits for, and to cancel it. */
  readonly beside: postgres.Sql;
}

/** A transaction of a migration. */
export interface Transaction {
  /** Runs SQL, which may be several statements. */
  run<Row>(text: string): Promise<readonly Row[]>;
}

/** Reads as another role; afterwards, the transaction is as it was. */
export async function readAside<T>(tx: Transaction, read: () => Promise<T>): Promise<T> {
  await tx.run("savepoint aside");
  const result = await read();
  await tx.run("rollback to savepoint aside");
  return result;
}

type Work<T> = (tx: Transaction) => Promise<T>;

/** Runs work in a transaction of its own, while no other program migrates this database. */
export type Exclusively = <T>(work: Work<T>) => Promise<T>;

const WAIT_FOR_MS = 300_000;
// All commands queue behind a lock request, so each try waits only briefly, with longer pauses
// between. Each waits longer than the one before, for longer transactions, and in the end longer
// than deadlock_timeout, after which PostgreSQL cancels an autovacuum that blocks.
const FIRST_LOCK_MS = 500;
const LONGEST_LOCK_MS = 2000;
const GROWTH = 1.5;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 4000;

/**
 * Makes the function that runs work exclusively, independent of the settings that the user or the
 * database have. A transaction that does not get its locks in a short time is undone and retried.
 */
export function createExclusively(connections: Connections, options: WaitOptions): Exclusively {
  const { waitFor = WAIT_FOR_MS, onWait, signal } = options;
  let waitedBefore = 0;

  return async (work) => {
    const start = performance.now();
    let waited = waitedBefore;
    const result = await pRetry(
      (attempt) => {
        const longest = Math.min(FIRST_LOCK_MS * GROWTH ** (attempt - 1), LONGEST_LOCK_MS);
        return tryOnce(connections, Math.round(longest), signal, work);
      },
      {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: FIRST_PAUSE_MS,
        maxTimeout: LONGEST_PAUSE_MS,
        factor: GROWTH,
        randomize: true,
        ...(signal && { signal }),
        shouldRetry: ({ error }) => error instanceof LockTimeoutError,
        onFailedAttempt: ({ error }) => {
          if (!(error instanceof LockTimeoutError)) return;
          waited = waitedBefore + performance.now() - start;
          const waiting = { blockers: error.blockers, waited };
          if (waited >= waitFor) throw new BlockedError(waiting, error.cause);
          onWait?.(waiting);
        },
      },
    );
    waitedBefore = waited;
    return result;
  };
}

/** A lock was not granted in the time of one try. */
class LockTimeoutError extends Error {
  readonly blockers: readonly Blocker[];

  constructor(blockers: readonly Blocker[], cause: unknown) {
    super("a lock was not granted in time", { cause });
    this.blockers = blockers;
  }
}

async function tryOnce<T>(
  { sql, beside }: Connections,
  longest: number,
  signal: AbortSignal | undefined,
  work: Work<T>,
): Promise<T> {
  // Read committed: a snapshot from before the wait for the lock would be out of date.
  const result = await sql.begin("isolation level read committed read write", async (tx) => {
    const run = runner(tx, signal);
    const [session] = await run<{ pid: number }>("select pg_catalog.pg_backend_pid() as pid");
    const watch = watchBlockers(beside, session?.pid ?? 0, signal);
    try {
      await run(limits(longest));
      await run(`select ${lock}; ${plainNames}`);
      return { value: await work({ run }) };
    } catch (error) {
      throw isBlocked(error) ? new LockTimeoutError(await watch.stop(), error) : error;
    } finally {
      // Before the end of the transaction: behind a pooler, others may then get its session.
      await watch.stop();
    }
  });
  return result.value;
}

// Settings of the user or the database that would end a migration midway are overridden; a shorter
// lock_timeout of theirs is kept.
function limits(longest: number): string {
  return `
    select pg_catalog.set_config(name, '0', true) from pg_catalog.pg_settings
      where name in ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout');
    select pg_catalog.set_config('lock_timeout', least(nullif(setting::int, 0), ${longest})::text, true)
      from pg_catalog.pg_settings where name = 'lock_timeout'`;
}

/** Runs statements until the signal is aborted. */
function runner(tx: postgres.TransactionSql, signal?: AbortSignal): Transaction["run"] {
  return async <Row>(text: string) => {
    signal?.throwIfAborted();
    return (await tx.unsafe(text)) as unknown as readonly Row[];
  };
}

/**
 * Lock time-out, or a deadlock with a command. Not all that `classifyError` calls undone: a
 * migration that an administrator cancels must not start again.
 */
function isBlocked(error: unknown): boolean {
  const { code, cause } = (error ?? {}) as { readonly code?: unknown; readonly cause?: unknown };
  return code === "55P03" || code === "40P01" || (cause !== undefined && isBlocked(cause));
}
