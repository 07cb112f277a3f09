import { Command, Option } from "commander";
import { type SpendingLine, spending } from "../generated/index.ts";
import { readTime } from "../prices/index.ts";
import { canvasOf, optionParser, printJsonArray, printLine } from "../terminal/index.ts";
import { denominationOf } from "./amounts.ts";
import { listOption } from "./change-command.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { inPages } from "./pages.ts";
import { plotSpending } from "./spending-plot.ts";
import { printSpending, printSpendingAsCsv } from "./spending-print.ts";
import { toReport, toSpending, WINDOWS, type Window } from "./spending-report.ts";
import { readZonedTime } from "./zoned-time.ts";

interface Options extends DatabaseOptions {
  readonly by?: readonly string[];
  readonly per?: Window;
  readonly from?: string;
  readonly to?: string;
  readonly zone: string;
  readonly csv?: true;
  readonly json?: true;
  readonly plot?: true;
}

const WINDOW_OF_A_PLOT = "day";

/** `baseledger spending`: who has spent what, with which model, when. */
export function spendingCommand(): Command {
  const command = new Command("spending")
    .argument("<wallet>", "id of the wallet")
    .option(
      "--by <labels>",
      "a line for each combination of these labels, such as user,model; at most 4",
      listOption(),
    )
    .addOption(
      new Option("--per <window>", "a line for each window in which something happened").choices(
        WINDOWS,
      ),
    )
    .option("--from <time>", "from this time on, as in 2026-01-31 or 2026-01-31T12:00Z", time())
    .option("--to <time>", "before this time", time())
    .option("--zone <name>", "where days begin, such as Europe/Berlin", "UTC")
    .addOption(new Option("--csv", "print CSV: amounts in the wallet's unit").conflicts("json"))
    .option("--json", "print JSON: amounts in the wallet's smallest step, as strings")
    .addOption(
      new Option("--plot", "draw amounts over time, by default each day").conflicts([
        "csv",
        "json",
      ]),
    )
    .addHelpText(
      "after",
      "\nCalls, tokens and other usage by kind, and amounts, from the journal: it takes some seconds" +
        "\nfor a million events. An event counts when it happened, with the labels of the opening of" +
        "\nits reservation; model is that of its usage. Refunds are subtracted: without --from and --to" +
        "\nthe amounts add up to what the wallet has spent. A date without a time is midnight in the" +
        "\nzone. Needs baseledger_operator or baseledger_auditor." +
        "\n\nExamples:\n  baseledger spending acme --by user,model --from 2026-01-01 --to 2026-02-01" +
        "\n  baseledger spending acme --per day --zone Europe/Berlin --csv > days.csv" +
        "\n  baseledger spending acme --by model --per hour --from 2026-01-31 --plot",
    )
    .action(showSpending);
  return addDatabaseOptions(command);
}

/** A time whose zone another option says: it is only checked here. */
function time(): (text: string) => string {
  return optionParser((text) => {
    readTime(text);
    return text;
  });
}

async function showSpending(walletId: string, options: Options): Promise<void> {
  const { by = [], csv, json, plot, zone: timeZone } = options;
  const per = options.per ?? (plot ? WINDOW_OF_A_PLOT : undefined);
  const [from, to] = [options.from, options.to].map(
    (text) => text && readZonedTime(text, timeZone),
  );
  await withConnection(options, async (sql) => {
    const denomination = await denominationOf(sql, walletId);
    const pages = inPages(sql, (page) => spending(page, { walletId, by, per, timeZone, from, to }));
    if (json) {
      await printJsonArray(pages);
      return;
    }
    const report = await toReport({ walletId, by, per, timeZone }, denomination, parsed(pages));
    if (plot) printLine(await plotSpending(report, canvasOf(process.stdout)));
    else await (csv ? printSpendingAsCsv(report) : printSpending(report));
  });
}

function parsed(pages: AsyncIterable<readonly SpendingLine[]>) {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const page of pages) yield page.map(toSpending);
    },
  };
}
