import { Command, Option } from "commander";
import type postgres from "postgres";
import { statement } from "../generated/index.ts";
import { optionParser, printJsonArray } from "../terminal/index.ts";
import type { Queryable } from "../wire/index.ts";
import { toAccount } from "./account.ts";
import { printAccount, printAccountAsCsv } from "./account-print.ts";
import { denominationOf } from "./amounts.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";

interface Options extends DatabaseOptions {
  readonly from?: Date;
  readonly to?: Date;
  readonly csv?: true;
  readonly json?: true;
}

/** `baseledger statement`: the account of a wallet. */
export function statementCommand(): Command {
  const command = new Command("statement")
    .argument("<wallet>", "id of the wallet")
    .option("--from <time>", "from this time on, as in 2026-01-31 or 2026-01-31T12:00Z", instant())
    .option("--to <time>", "before this time", instant())
    .addOption(new Option("--csv", "print CSV: amounts in the wallet's unit").conflicts("json"))
    .option("--json", "print JSON: amounts in the wallet's smallest step, as strings")
    .addHelpText(
      "after",
      "\nThe balance is what has come in less what went out; a part of it may be held by open" +
        "\nreservations, the rest is available. A date without a time is midnight UTC. The table cuts" +
        "\nlong names off; --csv and --json have them in full, the spending and the metadata. In" +
        "\nCSV, a name that a spreadsheet would run has a ' before it, and what cannot be printed" +
        "\nis escaped, like \\x1b; in JSON all names are exact." +
        "\n\nExamples:\n  baseledger statement acme --from 2026-01-01 --to 2026-02-01" +
        "\n  baseledger statement acme --csv > acme.csv",
    )
    .action(showStatement);
  return addDatabaseOptions(command);
}

function instant(): (text: string) => Date {
  return optionParser((text) => {
    const time = new Date(text);
    if (Number.isNaN(time.getTime())) {
      throw new RangeError("It is not a time like 2026-01-31 or 2026-01-31T12:00Z.");
    }
    return time;
  });
}

async function showStatement(walletId: string, options: Options): Promise<void> {
  const { from, to, csv, json } = options;
  await withConnection(options, async (sql) => {
    const denomination = await denominationOf(sql, walletId);
    const pages = inPages(sql, (page) => statement(page, { walletId, from, to }));
    if (json) {
      await printJsonArray(pages);
      return;
    }
    const account = toAccount(walletId, denomination, pages);
    await (csv ? printAccountAsCsv(account) : printAccount(account));
  });
}

const ROWS = 500;
const NO_SUCH_CURSOR = "34000";

/**
 * Reads a function's rows page by page through its generated wrapper: `read` is called with a
 * stand-in for its connection until there are no more rows. All pages are of one snapshot, and
 * neither side holds more than a page in memory; the server keeps the rest in a file.
 *
 * It declares a cursor in SQL. That of postgres.js (3.4.9) ends as if there were no more rows when
 * the connection breaks while nobody waits for a page; and sql.begin would then send a rollback
 * whose failure nobody can catch. So `sql` must have one connection, which nobody else uses: the
 * transaction ends with it.
 */
async function* inPages<T>(
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

/** The driver has reconnected: the new connection has neither the transaction nor the cursor. */
function toConnectionClosed(error: { readonly code?: unknown }): never {
  if (error.code !== NO_SUCH_CURSOR) throw error;
  throw Object.assign(new Error("it was closed"), { code: "CONNECTION_CLOSED" });
}
