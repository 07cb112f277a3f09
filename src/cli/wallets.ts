import { Command, Option } from "commander";
import { wholeNumber } from "../terminal/index.ts";
import { printJsonArray } from "./account-json.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { type ListedWallet, listWallets, type WalletRange } from "./wallet-views.ts";
import { printWallets, printWalletsAsCsv } from "./wallets-print.ts";

interface Options extends DatabaseOptions {
  readonly after: string;
  readonly limit?: number;
  readonly csv?: true;
  readonly json?: true;
}

const PAGE = 1_000;
const LINES_OF_A_PERSON = 100;

/** `baseledger wallets`: the list of wallets. */
export function walletsCommand(): Command {
  const command = new Command("wallets")
    .argument("[prefix]", "only those whose id begins with this", "")
    .option("--after <id>", "go on behind this wallet", "")
    .option(
      "--limit <n>",
      `how many (default: ${LINES_OF_A_PERSON} for a person, all in CSV and JSON)`,
      wholeNumber(1, 1_000_000_000),
    )
    .addOption(new Option("--csv", "print CSV: amounts in the wallet's unit").conflicts("json"))
    .option("--json", "print JSON: amounts in the wallet's smallest step, as strings")
    .addHelpText(
      "after",
      "\nIn the order of their ids. Due is held by reservations past their deadline that no sweep has" +
        "\nbooked yet; it counts as available all the same. Needs baseledger_auditor. Those that" +
        "\nspend most: baseledger top." +
        "\n\nExamples:\n  baseledger wallets\n  baseledger wallets customer-\n  baseledger wallets --csv > wallets.csv" +
        "\n  baseledger wallets --json | jq -r '.[] | select(.frozen).walletId'",
    )
    .action(showWallets);
  return addDatabaseOptions(command);
}

async function showWallets(prefix: string, options: Options): Promise<void> {
  const { after, csv, json, limit } = options;
  await withConnection(options, async (sql) => {
    const pages = (most: number) =>
      inPages((range) => listWallets(sql, range), { after, limit: most, prefix });
    if (json) await printJsonArray(pages(limit ?? Number.POSITIVE_INFINITY));
    else if (csv) await printWalletsAsCsv(pages(limit ?? Number.POSITIVE_INFINITY));
    else await printWallets(pages((limit ?? LINES_OF_A_PERSON) + 1), limit ?? LINES_OF_A_PERSON);
  });
}

/** Reads page by page, each behind the last id of the one before. */
async function* inPages(
  readPage: (range: WalletRange) => Promise<ListedWallet[]>,
  { after, limit, prefix }: WalletRange,
): AsyncGenerator<readonly ListedWallet[]> {
  let behind = after;
  for (let left = limit; left > 0; ) {
    const asked = Math.min(left, PAGE);
    const page = await readPage({ after: behind, limit: asked, prefix });
    if (page.length > 0) yield page;
    if (page.length < asked) return;
    left -= page.length;
    behind = page.at(-1)?.walletId ?? "";
  }
}
