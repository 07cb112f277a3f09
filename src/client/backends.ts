import type { Queryable } from "../wire/call.ts";
import { withoutHoles } from "../wire/holes.ts";
import type { Holder } from "./errors.ts";
import { isLeftover, leftoverError } from "./leftover.ts";

/** One statement, as far as the driver tells. */
export interface Observed {
  /** Sends the statement. */
  readonly sql: Queryable;
  /** False if it is certain that the statement was not sent: it waits for a connection. */
  wasSent(): boolean;
  /** The process of the server that works on it, or worked on it when it failed. */
  backend(): number | undefined;
  /** The error for which the driver has sent it again by itself. */
  repeatedFor(): unknown;
  /** Asks the server to give it up, where the driver can. */
  cancel(): void;
}

/** What postgres.js tells of a query; other drivers tell nothing. */
interface Sent {
  readonly state?: { readonly pid?: number | null } | null;
  readonly retried?: unknown;
  cancel?(): PromiseLike<unknown> | null;
}

/** Observes one statement through `sql`. */
export function observe(sql: Queryable): Observed {
  let sent: Sent | undefined;
  let failedOn: number | undefined;

  const observed: Queryable = {
    unsafe(query, parameters, options) {
      const given = sql.unsafe(query, parameters, options);
      sent = given as Sent;
      return {
        raw: () =>
          given.raw().then(undefined, (error: unknown) => {
            // Read at once: the driver puts another process there when it connects anew.
            failedOn = backendOf(sent);
            throw isLeftover(error, parameters) ? leftoverError(error) : error;
          }),
      };
    },
  };
  return {
    sql: observed,
    wasSent: () => sent !== undefined && sent.state !== null,
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
 * Ends processes of the server that worked for this login on connections that broke, so that what
 * they have been sent cannot take effect later.
 *
 * @returns those that were still there; empty when none can do anything any more
 */
export async function endBackends(
  sql: Queryable,
  backends: readonly number[],
): Promise<readonly number[]> {
  const answer = await observe(sql)
    .sql.unsafe(
      "select pid, pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity " +
        "where pid = any ($1::text::bigint[]) and usename = session_user",
      [`{${backends.join(",")}}`],
      { prepare: true },
    )
    .raw();
  return withoutHoles(answer).map(([pid]) => Number(pid?.toString("utf8")));
}

/** Who holds what a process of the server waits for, as far as this login may see it. */
export async function findHolders(sql: Queryable, backend: number): Promise<readonly Holder[]> {
  const answer = await observe(sql)
    .sql.unsafe(
      "with recursive ahead(pid) as (" +
        // Behind a pooler the number is not that of a process: then no one of this login waits.
        "select b.pid from pg_catalog.pg_stat_activity a " +
        "cross join lateral unnest(pg_catalog.pg_blocking_pids(a.pid)) as b(pid) " +
        "where a.pid = $1::text::integer and a.usename = session_user " +
        "and a.wait_event_type = 'Lock' " +
        "union " +
        "select b.pid from ahead a " +
        "cross join lateral unnest(pg_catalog.pg_blocking_pids(a.pid)) as b(pid)) " +
        "select h.pid, h.usename, h.application_name, to_json(h.xact_start) #>> '{}' " +
        "from ahead a join pg_catalog.pg_stat_activity h on h.pid = a.pid " +
        "where pg_catalog.cardinality(pg_catalog.pg_blocking_pids(a.pid)) = 0 " +
        "order by h.xact_start, h.pid limit 3",
      [String(backend)],
      { prepare: true },
    )
    .raw();
  return withoutHoles(answer).map((row) => {
    const [pid, user = null, application = null, since] = row.map(
      (value) => value?.toString("utf8") ?? null,
    );
    const at = since ? new Date(since) : null;
    return { pid: Number(pid), user, application, since: at };
  });
}
