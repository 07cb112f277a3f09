import postgres from "postgres";
import type { Queryable } from "../wire/call.ts";

/** Where commands are sent. */
export interface Connection {
  readonly sql: Queryable;
  /** How many queries it can carry at once; null if it does not say. */
  readonly size: number | null;
  /** Closes what was opened for this client, and nothing else. */
  close(): Promise<void>;
}

const CONNECT_WITHIN_S = 10;
// By then everything has its answer; the driver would wait for ever for a connection that broke.
const CLOSE_WITHIN_S = 0.25;

/** Opens a pool for an address, or takes what the caller has opened. */
export function connect(target: string | Queryable, size: number, prepare: boolean): Connection {
  if (typeof target === "string") {
    const sql = postgres(target, settings(size, prepare));
    return { sql, size, close: () => sql.end({ timeout: CLOSE_WITHIN_S }) };
  }
  if ("savepoint" in target || "release" in target) {
    throw new TypeError("this is a single connection: give it to `ledger.with` instead");
  }
  const { options } = target as { readonly options?: { readonly max?: number } };
  return { sql: target, size: options?.max ?? null, close: async () => undefined };
}

function settings(size: number, prepare: boolean): postgres.Options<Record<string, never>> {
  const options = {
    max: size,
    prepare,
    // An array type is never read, and a pooler need not answer this for each connection.
    fetch_types: false,
    // One query a connection: a batch must not stand behind a long `verify`. (Not among the types.)
    max_pipeline: 0,
    connect_timeout: CONNECT_WITHIN_S,
    // What is sent again has a back-off of its own.
    backoff: () => 0,
    onnotice: () => undefined,
    connection: { application_name: "baseledger" },
  };
  return options;
}
