import type postgres from "postgres";
import type { Queryable } from "../wire/index.ts";

const ROWS = 500;
const NO_SUCH_CURSOR = "34000";

/**
 * Reads a function's rows page by page through its generated wrapper: `read` is called with a
 * stand-in for its connection until there are no more rows. All pages are of one snapshot, and
 * neither side holds more than a page in memory; the server keeps the rest in a file. Iterated
 * again, the result reads the same rows again, without calling the function again.
 *
 * It declares a cursor in SQL. That of postgres.js (3.4.9) ends as if there were no more rows when
 * the connection breaks while nobody waits for a page; and sql.begin would then send a rollback
 * whose failure nobody can catch. So `sql` must have one connection, which nobody else uses: the
 * transaction ends with it.
 */
export function inPages<T>(
  sql: postgres.Sql,
  read: (sql: Queryable) => Promise<readonly T[]>,
): AsyncIterable<readonly T[]> {
  const options = { prepare: false };
  const fetchPage = () => sql.unsafe(`fetch ${ROWS} from pages`, [], options).raw();
  const next: Queryable = { unsafe: () => ({ raw: fetchPage }) };
  const declare: Queryable = {
    unsafe: (query, values) => ({
      raw: async () => {
        await sql.unsafe("begin read only");
        await sql.unsafe(`declare pages scroll cursor for ${query}`, values, options);
        return fetchPage();
      },
    }),
  };
  const rewind: Queryable = {
    unsafe: () => ({
      raw: async () => {
        await sql.unsafe("move absolute 0 in pages");
        return fetchPage();
      },
    }),
  };
  let first = declare;
  async function* iterate(): AsyncGenerator<readonly T[]> {
    let rows = await read(first).catch(toConnectionClosed);
    first = rewind;
    while (rows.length > 0) {
      yield rows;
      rows = rows.length < ROWS ? [] : await read(next).catch(toConnectionClosed);
    }
  }
  return { [Symbol.asyncIterator]: iterate };
}

/** The driver has reconnected: the new connection has neither the transaction nor the cursor. */
function toConnectionClosed(error: { readonly code?: unknown }): never {
  if (error.code !== NO_SUCH_CURSOR) throw error;
  throw Object.assign(new Error("it was closed"), { code: "CONNECTION_CLOSED" });
}
