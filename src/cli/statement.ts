import { Command, Option } from "commander";
import { statement } from "../generated/index.ts";
import { optionParser, printJsonArray } from "../terminal/index.ts";
import { toAccount } from "./account.ts";
import { printAccount, printAccountAsCsv } from "./account-print.ts";
import { denominationOf } from "./amounts.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { inPages } from "./pages.ts";

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
