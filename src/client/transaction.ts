/*
 * What `ledger.with` does for a connection or a transaction of the caller's, besides sending on it.
 */

import { isStatementLost, PreparedStatementLostError } from "../errors/index.ts";
import type { Queryable } from "../wire/index.ts";

/** What postgres.js (3.4.9) reports about a query; other drivers do not name statements. */
interface Prepared {
  readonly prepare?: boolean;
  readonly statement?: { readonly name?: string } | null;
  /** Its connection, always the same object, with the process that the server has named. */
  readonly state?: { readonly pid?: number | null } | null;
}

const CHECK =
  "select pg_catalog.pg_backend_pid()::text, " +
  "exists (select from pg_catalog.pg_prepared_statements where name = $1::text)::text";

/**
 * Makes sure that the statements prepared on connections of the caller's are kept, with one extra
 * statement when a connection is first used.
 *
 * A pooler that gives each transaction any session may lose them. postgres.js prepares its `commit`,
 * too: a session that lacks it refuses it, the driver repeats it, and the repeated one ends a
 * transaction that has failed by then: as a rollback, without an error.
 */
export function createPreparedCheck(): (connection: Queryable) => Queryable {
  /** Connections that are safe, with the server process at that time. */
  const safe = new WeakMap<object, number>();

  async function check(connection: Queryable, { prepare, statement, state }: Prepared) {
    if (!prepare || !statement?.name || !state?.pid || safe.get(state) === state.pid) return;
    const { pid } = state;
    const asked = connection.unsafe(CHECK, [statement.name], { prepare: false });
    const [row] = await asked.raw();
    if (state.pid !== pid) return;
    const [backend, isKept] = (row ?? []).map((value) => value?.toString("utf8"));
    const isDirect = Number(backend) === pid;
    // A pooler that keeps statements gives them names of its own.
    if (!isDirect && isKept === "true") throw new PreparedStatementLostError(undefined);
    safe.set(state, pid);
  }

  return (connection) => ({
    unsafe(query, parameters, options) {
      const sent = connection.unsafe(query, parameters, options);
      const raw = async () => {
        const rows = await sent.raw().then(undefined, explain);
        // A pool has no transaction that the driver would commit.
        if (!("begin" in connection)) await check(connection, sent as Prepared);
        return rows;
      };
      return { raw };
    },
  });
}

function explain(error: unknown): never {
  throw isStatementLost(error) ? new PreparedStatementLostError(error) : error;
}

const LONG_MS = 5_000;

/** When each transaction locked its first wallet, by `performance.now()`. */
const locked = new WeakMap<Queryable, number>();
let warned = false;

/**
 * Notes that a transaction of the caller's has locked a wallet, and warns, once in a program, when
 * it has had one locked for long by now. No timer is set: the client does not learn when the
 * transaction ends, only that it has not when it is used again.
 */
export function noteLock(connection: Queryable): void {
  // A pool or a plain connection may have no transaction.
  if (!("savepoint" in connection)) return;
  const since = locked.get(connection);
  if (since === undefined) locked.set(connection, performance.now());
  else warnIfLong(performance.now() - since);
}

function warnIfLong(ms: number): void {
  if (warned || ms < LONG_MS) return;
  warned = true;
  process.emitWarning(
    `A transaction has kept a wallet locked for ${Math.round(ms / 1000)} s: nobody else could use ` +
      "it meanwhile. Commit the hold, then make the call; see `ledger.with`.",
    { code: "BASELEDGER_LONG_TRANSACTION" },
  );
}
