import type postgres from "postgres";
import type { Queryable } from "../wire/call.ts";

const ROWS = 500;
const NO_SUCH_CURSOR = "34000";

/**
 * Reads a function's rows page by page, through its generated wrapper: `read` is called with what
 * takes the place of its connection, until there are no more rows. All pages are of one snapshot,
 * and neither side holds more than a page in memory; the server keeps the rest in a file.
 *
 * The cursor is SQL's own. That of postgres.js (3.4.9) ends as if there were no more rows when the
 * connection breaks while nobody waits for a page; and sql.begin would send a rollback then, whose
 * failure nobody can catch. So `sql` must be of one connection, which nobody else uses: the
 * transaction ends with it.
 */
export async function* inPages<T>(
  sql: postgres.Sql,
  read: (sql: Queryable) => Promise<readonly T[]>,
): AsyncGenerator<readonly T[]> {
  const options = { prepare: false };
  const fetchPage = () => sql.unsafe(`fetch ${ROWS} from pages`, [], options).raw();
  const next: Queryable = { unsafe: () => ({ raw: fetchPage }) };
  const first: Queryable = {
    unsafe: (query, values) => ({
      raw: async () => {
        await sql.unsafe("begin read only");
        await sql.unsafe(`declare pages no scroll cursor for ${query}`, values, options);
        return fetchPage();
      },
    }),
  };
  let rows = await read(first);
  while (rows.length > 0) {
    yield rows;
    rows = rows.length < ROWS ? [] : await read(next).catch(toConnectionClosed);
  }
}

/** The driver has connected anew, where there is neither transaction nor cursor. */
function toConnectionClosed(error: { readonly code?: unknown }): never {
  if (error.code !== NO_SUCH_CURSOR) throw error;
  throw Object.assign(new Error("it was closed"), { code: "CONNECTION_CLOSED" });
}
