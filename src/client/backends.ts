import type { Queryable } from "../wire/call.ts";
import { withoutHoles } from "../wire/holes.ts";
import { isLeftover, leftoverError } from "./leftover.ts";

/**
 * A view of `sql` that notes which processes of the server worked on queries that have failed, where
 * the driver tells.
 */
export function observe(sql: Queryable): {
  readonly observed: Queryable;
  readonly backends: readonly number[];
} {
  const backends: number[] = [];
  const observed: Queryable = {
    unsafe(query, parameters, options) {
      const sent = sql.unsafe(query, parameters, options);
      return {
        raw: () =>
          sent.raw().then(undefined, (error: unknown) => {
            // Read at once: the driver puts another process there when it connects anew.
            const { state } = sent as { readonly state?: { readonly pid?: number | null } | null };
            if (state?.pid) backends.push(state.pid);
            throw isLeftover(error, parameters) ? leftoverError(error) : error;
          }),
      };
    },
  };
  return { observed, backends };
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
  const { observed } = observe(sql);
  const answer = await observed
    .unsafe(
      "select pid, pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity " +
        "where pid = any ($1::text::bigint[]) and usename = session_user",
      [`{${backends.join(",")}}`],
      { prepare: true },
    )
    .raw();
  return withoutHoles(answer).map(([pid]) => Number(pid?.toString("utf8")));
}
