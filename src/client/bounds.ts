import type { Queryable } from "../wire/call.ts";

/** What a statement may do. */
export interface Bounds {
  /** Wait so long for a lock, in milliseconds. */
  readonly patience: number;
  /** Run in a session that takes writes only; else it fails with 25006. */
  readonly writable: boolean;
  readonly prepare: boolean;
}

// Evaluated once, before anything else is: conditions without a column are.
const PATIENT = "(select pg_catalog.set_config('lock_timeout', $n, true)) <> ''";
// A transaction that takes no writes cannot be made one that does: 25001. In another it does nothing.
const WRITABLE = "(select pg_catalog.set_config('transaction_read_only', 'off', true)) = 'off'";
const NOT_WRITABLE = "25001";

/**
 * Sets bounds to a statement, in the statement itself: that takes no round trip more, acts on any
 * driver and behind any pooler, and leaves nothing behind in the session.
 */
export function bound(sql: Queryable, { patience, writable, prepare }: Bounds): Queryable {
  return {
    unsafe(query, parameters, options) {
      const all = [...parameters, `${Math.max(1, Math.round(patience))}ms`];
      const patient = PATIENT.replace("$n", `$${all.length}::text`);
      const conditions = writable ? `${patient} and ${WRITABLE}` : patient;
      const whole = `select q.* from (${query}) as q where ${conditions}`;
      const sent = sql.unsafe(whole, all, { prepare: options.prepare && prepare });
      return { raw: () => sent.raw().then(undefined, explain) };
    },
  };
}

function explain(error: unknown): never {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  if (code !== NOT_WRITABLE) throw error;
  const told = new Error(
    "the server takes no writes: it is a standby, or was the primary before a fail-over. Say " +
      "`readOnly: true` to read from it all the same",
    { cause: error },
  );
  throw Object.assign(told, { code: "25006", severity: "ERROR" });
}
