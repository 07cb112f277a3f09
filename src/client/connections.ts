import postgres from "postgres";
import { isStatementLost } from "../errors/index.ts";
import type { Queryable } from "../wire/index.ts";
import { createHolders, type Holders } from "./holders.ts";
import { createSlots, type Slots } from "./slots.ts";

/** The pool that statements are sent on. */
export interface Pool {
  readonly sql: Queryable;
  /** How many queries it can run at once; null if it does not say. */
  readonly size: number | null;
  /** Closes what was opened for this client, and nothing else. */
  close(): Promise<void>;
}

const CONNECT_WITHIN_S = 10;
// By then everything has its answer; the driver would wait for ever for a connection that broke.
const CLOSE_WITHIN_S = 0.25;

/** Opens a pool for an address, or takes the pool that the caller has opened. */
export function connect(target: string | Queryable, size: number, prepare: boolean): Pool {
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
    // No array is ever read, and a pooler need not answer this query for each connection.
    fetch_types: false,
    // One query a connection: a batch must not queue behind a long `verify`. (Missing in the types.)
    max_pipeline: 0,
    connect_timeout: CONNECT_WITHIN_S,
    // `retry` has a back-off of its own.
    backoff: () => 0,
    onnotice: () => undefined,
    connection: { application_name: "baseledger" },
  };
  return options;
}

/** How statements get to the server. */
export interface Connections {
  readonly sql: Queryable;
  readonly slots: Slots;
  readonly holders: Holders;
  /**
   * Tries for an error that may be permanent, or may pass in another session: enough for every
   * session to have had one.
   */
  readonly maxSessionTries: number;
  /** A server that takes no writes may answer reads. */
  readonly readOnly: boolean;
  /** Secret that statements are sent with. */
  readonly key: string | undefined;
  /** Ends the pool's sessions that take no writes, so that the driver opens new ones. */
  endReadOnlySessions(): Promise<void>;
  /** Stops preparing statements if the error shows that a pooler loses them. */
  checkPrepared(error: unknown): void;
}

/** Options of {@link createConnections}. */
export interface ConnectionsOptions {
  readonly sql: Queryable;
  /** How many connections there are. */
  readonly size: number;
  readonly prepare: boolean;
  readonly readOnly: boolean;
  readonly key: string | undefined;
}

const END_SESSIONS_WITHIN_MS = 2_000;
// While a server stays read-only, its sessions are not ended again and again.
const END_SESSIONS_AGAIN_AFTER_MS = 500;

// On any driver, and behind a pooler, where a session outlives its connection.
const END_READ_ONLY_SESSION =
  "select pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid()) " +
  "where pg_catalog.current_setting('transaction_read_only') = 'on'";

/** Makes the connections that all requests of a client share. */
export function createConnections(options: ConnectionsOptions): Connections {
  const { sql, size, prepare, readOnly, key } = options;
  const slots = createSlots(size);
  let isPreparing = prepare;
  let ending: Promise<void> | undefined;
  let endAgainAt = 0;

  const adapted: Queryable = {
    unsafe: (query, parameters, { prepare }) =>
      sql.unsafe(query, parameters, { prepare: prepare && isPreparing }),
  };

  // As many statements at once as there are connections, so that each connection gets one.
  async function endSessions(): Promise<void> {
    const statements = Array.from({ length: size }, () =>
      sql.unsafe(END_READ_ONLY_SESSION, [], { prepare: false }).raw(),
    );
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(timeout.resolve, END_SESSIONS_WITHIN_MS);
    await Promise.race([Promise.allSettled(statements), timeout.promise]);
    clearTimeout(timer);
    endAgainAt = performance.now() + END_SESSIONS_AGAIN_AFTER_MS;
    ending = undefined;
  }

  return {
    sql: adapted,
    slots,
    holders: createHolders(adapted, slots),
    maxSessionTries: size + 2,
    readOnly,
    key,
    async endReadOnlySessions() {
      if (ending === undefined && performance.now() < endAgainAt) return;
      ending ??= endSessions();
      await ending;
    },
    checkPrepared(error) {
      if (!isPreparing || !isStatementLost(error)) return;
      isPreparing = false;
      warnUnprepared();
    },
  };
}

function warnUnprepared(): void {
  process.emitWarning(
    "statements are not prepared any more, as there is a pooler in between that does not keep " +
      "them. Give createLedger the option prepare: false, or let the pooler keep them " +
      "(PgBouncer from 1.21: max_prepared_statements)",
    { type: "BaseLedgerWarning", code: "BASELEDGER_UNPREPARED" },
  );
}
