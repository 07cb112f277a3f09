import type { Queryable } from "../wire/call.ts";

const LONG_MS = 5_000;

/** Since when transactions have kept their first wallet locked, by `performance.now()`. */
const locked = new WeakMap<Queryable, number>();
let warned = false;

/**
 * Notes that a command was carried out in a transaction of the caller's, and warns, once in a
 * program, when the transaction has kept a wallet locked for long by then. Nothing is sent and no
 * timer set: nobody says when the transaction ends, only that it has not when it is used again.
 */
export function noteCommand(connection: Queryable): void {
  // Of a pool, or of a connection, it is not known whether there is a transaction.
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
