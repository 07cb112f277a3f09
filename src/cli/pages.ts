import type postgres from "postgres";
import type { Queryable } from "../wire/call.ts";

const ROWS = 500;

/**
 * Reads a function's rows page by page, through its generated wrapper: `read` is called with what
 * takes the place of its connection, until there are no more rows. All pages are of one snapshot,
 * and neither side holds more than a page in memory; the server keeps the rest in a file.
 *
 * The cursor is SQL's own. That of postgres.js (3.4.9) ends as if there were no more rows when the
 * connection breaks while nobody waits for a page.
 */
export async function* inPages<T>(
  tx: postgres.ISql,
  read: (sql: Queryable) => Promise<readonly T[]>,
): AsyncGenerator<readonly T[]> {
  const options = { prepare: false };
  let page: Queryable = {
    unsafe: (query, values) => ({
      raw: async () => {
        await tx.unsafe(`declare pages no scroll cursor for ${query}`, values, options);
        page = rest;
        return fetchPage();
      },
    }),
  };
  const fetchPage = () => tx.unsafe(`fetch ${ROWS} from pages`, [], options).raw();
  const rest: Queryable = { unsafe: () => ({ raw: fetchPage }) };
  for (;;) {
    const rows = await read(page);
    if (rows.length > 0) yield rows;
    if (rows.length < ROWS) return;
  }
}
