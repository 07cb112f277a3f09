import type { Queryable } from "../wire/call.ts";

/**
 * A view of `sql` that notes which processes of the server had queries whose connection broke, where
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
            throw error;
          }),
      };
    },
  };
  return { observed, backends };
}

/** Those of some processes of the server that still run. */
export async function findRunning(
  sql: Queryable,
  backends: readonly number[],
): Promise<readonly number[]> {
  const rows = await sql
    .unsafe(
      "select pid from pg_catalog.pg_stat_activity where pid = any ($1::text::integer[])",
      [`{${backends.join(",")}}`],
      { prepare: true },
    )
    .raw();
  return rows.map(([pid]) => Number(pid?.toString("utf8")));
}
