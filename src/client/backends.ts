import type { Queryable } from "../wire/call.ts";
import { withoutHoles } from "../wire/holes.ts";
import { isLeftover, leftoverError } from "./leftover.ts";

/** One statement, as far as the driver tells. */
export interface Observed {
  /** Sends the statement. */
  readonly sql: Queryable;
  /** False if it is certain that the statement was not sent: it waits for a connection. */
  wasSent(): boolean;
  /** Whether it was sent, and nothing has come back yet. */
  isRunning(): boolean;
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
  let isAnswered = false;

  const observed: Queryable = {
    unsafe(query, parameters, options) {
      const given = sql.unsafe(query, parameters, options);
      sent = given as Sent;
      return {
        raw: () =>
          given.raw().then(onAnswer, (error: unknown) => {
            // Read at once: the driver puts another process there when it connects anew.
            failedOn = backendOf(sent);
            isAnswered = true;
            throw isLeftover(error, parameters) ? leftoverError(error) : error;
          }),
      };
    },
  };
  function onAnswer<T>(rows: T): T {
    isAnswered = true;
    return rows;
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
