import { isUnprepared } from "../errors/classify.ts";
import type { Queryable } from "../wire/call.ts";
import { PreparedStatementLostError } from "./errors.ts";

/** What postgres.js (3.4.9) tells of a query; other drivers do not name statements. */
interface Prepared {
  readonly prepare?: boolean;
  readonly statement?: { readonly name?: string } | null;
  /** Of its connection: always the same object, with the process that the server has named. */
  readonly state?: { readonly pid?: number | null } | null;
}

const CHECK =
  "select pg_catalog.pg_backend_pid()::text, " +
  "exists (select from pg_catalog.pg_prepared_statements where name = $1::text)::text";

/**
 * Makes sure that what is prepared on connections of the caller's is still there when it is used,
 * with one statement more when a connection is used first.
 *
 * Behind a pooler that gives each transaction any session it may not be. postgres.js prepares its
 * `commit`, too: in a session that does not know it, that is refused, and what the driver then
 * repeats ends a transaction that has failed: as a rollback, of which nobody is told.
 */
export function createPreparedCheck(): (connection: Queryable) => Queryable {
  /** Connections that are safe, with the process when that was seen. */
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
        // A whole pool commits by itself.
        if (!("begin" in connection)) await check(connection, sent as Prepared);
        return rows;
      };
      return { raw };
    },
  });
}

function explain(error: unknown): never {
  throw isUnprepared(error) ? new PreparedStatementLostError(error) : error;
}

/** Says once that a client does not prepare statements any more. */
export function warnUnprepared(): void {
  process.emitWarning(
    "statements are not prepared any more, as there is a pooler in between that does not keep " +
      "them. Give createLedger the option prepare: false, or let the pooler keep them " +
      "(PgBouncer from 1.21: max_prepared_statements)",
    { type: "BaseLedgerWarning", code: "BASELEDGER_UNPREPARED" },
  );
}
