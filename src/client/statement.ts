import type { Queryable } from "../wire/index.ts";

/** What limits a statement. */
export interface Bounds {
  /** How long it may wait for a lock, in milliseconds. */
  readonly lockTimeoutMs: number;
  /** Run only in a session that takes writes; otherwise the statement fails with 25006. */
  readonly writable: boolean;
  readonly prepare: boolean;
}

// Conditions without a column are evaluated once, before anything else.
const LOCK_TIMEOUT = "(select pg_catalog.set_config('lock_timeout', $n, true)) <> ''";
// Fails with 25001 in a transaction that takes no writes; in any other it changes nothing.
const WRITABLE = "(select pg_catalog.set_config('transaction_read_only', 'off', true)) = 'off'";
const NOT_WRITABLE = "25001";

// A secret that is not in the session's settings: whoever uses the session next does not have it.
const KEY = "(select pg_catalog.set_config('baseledger.key', $n, true)) <> ''";

/** Sends statements with the secret of a key, as {@link bound} sets its bounds. */
export function withKey(sql: Queryable, key: string | undefined): Queryable {
  if (key === undefined) return sql;
  return {
    unsafe(query, parameters, options) {
      const values = [...parameters, key];
      const condition = KEY.replace("$n", `$${values.length}::text`);
      return sql.unsafe(`select q.* from (${query}) as q where ${condition}`, values, options);
    },
  };
}

/**
 * Sets bounds inside the statement itself: no extra round trip, the same on every driver and behind
 * every pooler, and nothing is left behind in the session.
 */
export function bound(sql: Queryable, { lockTimeoutMs, writable, prepare }: Bounds): Queryable {
  return {
    unsafe(query, parameters, options) {
      const values = [...parameters, `${Math.max(1, Math.round(lockTimeoutMs))}ms`];
      const lockTimeout = LOCK_TIMEOUT.replace("$n", `$${values.length}::text`);
      const conditions = writable ? `${lockTimeout} and ${WRITABLE}` : lockTimeout;
      const bounded = `select q.* from (${query}) as q where ${conditions}`;
      const sent = sql.unsafe(bounded, values, { prepare: options.prepare && prepare });
      return { raw: () => sent.raw().then(undefined, explainReadOnly) };
    },
  };
}

function explainReadOnly(error: unknown): never {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  if (code !== NOT_WRITABLE) throw error;
  const explained = new Error(
    "the server takes no writes: it is a standby, or was the primary before a fail-over. Pass " +
      "`readOnly: true` to read from it all the same",
    { cause: error },
  );
  throw Object.assign(explained, { code: "25006", severity: "ERROR" });
}

/** One statement, as far as the driver reports about it. */
export interface Observed {
  /** Sends the statement. */
  readonly sql: Queryable;
  /** False if the statement was certainly not sent: it waits for a connection. */
  wasSent(): boolean;
  /** Whether it was sent, and nothing has come back yet. */
  isRunning(): boolean;
  /**
   * The server process that runs it, or ran it when it failed, by the number that the driver got
   * when it connected: a pooler makes one up.
   */
  backend(): number | undefined;
  /** The error after which the driver has repeated it by itself. */
  repeatedFor(): unknown;
  /** Asks the server to cancel it, where the driver can. */
  cancel(): void;
}

/** What postgres.js reports about a query, and `fromPg` for a pool, too; `queryable` nothing. */
interface Sent {
  readonly state?: { readonly pid?: number | null } | null;
  readonly retried?: unknown;
  cancel?(): PromiseLike<unknown> | null;
}

/** Observes one statement through `sql`. `onRows` is called before the rows are parsed. */
export function observe(sql: Queryable, onRows: () => void = () => undefined): Observed {
  let sent: Sent | undefined;
  let failedOn: number | undefined;
  let isAnswered = false;

  const observed: Queryable = {
    unsafe(query, parameters, options) {
      const given = sql.unsafe(query, parameters, options);
      sent = given as Sent;
      return { raw: () => given.raw().then(succeed, (error: unknown) => fail(error, parameters)) };
    },
  };

  function succeed<T>(rows: T): T {
    isAnswered = true;
    onRows();
    return rows;
  }

  function fail(error: unknown, parameters: readonly (string | null)[]): never {
    // Read at once: the driver replaces the process when it reconnects.
    failedOn = backendOf(sent);
    isAnswered = true;
    if (!belongsToEarlierQuery(error, parameters)) throw error;
    const broken = new Error("the connection broke before this was sent", { cause: error });
    throw Object.assign(broken, { code: "CONNECTION_CLOSED" });
  }

  const wasSent = () => sent !== undefined && sent.state !== null;
  return {
    sql: observed,
    wasSent,
    isRunning: () => wasSent() && !isAnswered,
    backend: () => failedOn ?? backendOf(sent),
    repeatedFor: () => sent?.retried,
    cancel() {
      // A statement that cannot be cancelled goes on; nobody waits for it.
      Promise.resolve(sent?.cancel?.()).catch(() => undefined);
    },
  };
}

function backendOf(sent: Sent | undefined): number | undefined {
  return sent?.state?.pid ?? undefined;
}

/**
 * Whether the error belongs to an earlier query. When a connection breaks between an error and the
 * end of its answer, postgres.js (3.4.9) keeps the error, and fails the first query of the next
 * connection with it, without sending that query.
 *
 * @param sent - the parameters of the query that failed
 */
export function belongsToEarlierQuery(error: unknown, sent: readonly (string | null)[]): boolean {
  const { severity, parameters } = (error ?? {}) as Readonly<Record<string, unknown>>;
  // The driver adds the parameters of its query to an error. Errors of a connection, FATAL ones
  // among them, concern every query on it, though they may carry the parameters of an earlier one.
  if (severity !== "ERROR" || !Array.isArray(parameters)) return false;
  return parameters.length !== sent.length || parameters.some((value, i) => value !== sent[i]);
}
