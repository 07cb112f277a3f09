import { Command, Option } from "commander";
import { formatAmount } from "../amounts/index.ts";
import {
  columnsOf,
  csvText,
  pagedTable,
  printCsv,
  printJsonArray,
  printLines,
  type Row,
  type SafeText,
  shortened,
  text,
  wholeNumber,
} from "../terminal/index.ts";
import { decimalsFor } from "./amounts.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { type ListedWallet, listWallets, type WalletRange } from "./views.ts";
import { stateOf } from "./wallet-state.ts";

interface Options extends DatabaseOptions {
  readonly after: string;
  readonly unit?: string;
  readonly frozen?: true;
  readonly closed?: true;
  readonly all?: true;
  readonly limit?: number;
  readonly csv?: true;
  readonly json?: true;
}

const PAGE = 1_000;
const LINES_FOR_A_PERSON = 100;

/** `baseledger wallets`: the list of wallets. */
export function walletsCommand(): Command {
  const command = new Command("wallets")
    .argument("[prefix]", "only those whose id begins with this", "")
    .option("--unit <name>", "only those of this unit")
    .option("--frozen", "only frozen ones")
    .addOption(new Option("--closed", "only closed ones, which are left out else").conflicts("all"))
    .option("--all", "closed ones, too")
    .option("--after <id>", "continue after this wallet", "")
    .option(
      "--limit <n>",
      `how many (default: ${LINES_FOR_A_PERSON} for a person, all in CSV and JSON)`,
      wholeNumber(1, 1_000_000_000),
    )
    .addOption(new Option("--csv", "print CSV: amounts in the wallet's unit").conflicts("json"))
    .option("--json", "print JSON: amounts in the wallet's smallest step, as strings")
    .addHelpText(
      "after",
      "\nIn the order of their ids. Due is held by reservations past their deadline that no sweep has" +
        "\nbooked yet; it counts as available all the same. Needs baseledger_auditor. Those that" +
        "\nspend most: baseledger top." +
        "\n\nExamples:\n  baseledger wallets\n  baseledger wallets customer-\n  baseledger wallets --frozen\n  baseledger wallets --csv > wallets.csv" +
        "\n  baseledger wallets --json | jq -r '.[] | select(.frozen).walletId'",
    )
    .action(showWallets);
  return addDatabaseOptions(command);
}

async function showWallets(prefix: string, options: Options): Promise<void> {
  const { after, all, closed, csv, frozen, json, limit, unit } = options;
  const filter = {
    prefix,
    after,
    unit: unit ?? null,
    frozen: frozen ?? null,
    closed: all ? null : (closed ?? false),
  };
  await withConnection(options, async (sql) => {
    const pages = (most: number) =>
      inPages((range) => listWallets(sql, range), { ...filter, limit: most });
    if (json) await printJsonArray(pages(limit ?? Number.POSITIVE_INFINITY));
    else if (csv) await printWalletsAsCsv(pages(limit ?? Number.POSITIVE_INFINITY));
    else await printWallets(pages((limit ?? LINES_FOR_A_PERSON) + 1), limit ?? LINES_FOR_A_PERSON);
  });
}

/** Reads page by page, each after the last id of the page before. */
async function* inPages(
  readPage: (range: WalletRange) => Promise<ListedWallet[]>,
  { after, limit, ...filter }: WalletRange,
): AsyncGenerator<readonly ListedWallet[]> {
  let behind = after;
  for (let left = limit; left > 0; ) {
    const asked = Math.min(left, PAGE);
    const page = await readPage({ ...filter, after: behind, limit: asked });
    if (page.length > 0) yield page;
    if (page.length < asked) return;
    left -= page.length;
    behind = page.at(-1)?.walletId ?? "";
  }
}

type Pages = AsyncIterable<readonly ListedWallet[]>;

const NUMBERS = ["available", "reserved", "spent", "due"] as const;
const COLUMNS = columnsOf(["wallet", "unit", ...NUMBERS, "state"], NUMBERS);
const WIDEST_ID = 60;

/** Prints wallets for a person, `limit` of them at most; one more means that there are more. */
async function printWallets(pages: Pages, limit: number): Promise<void> {
  await printLines(linesOf(pages, limit));
}

async function* linesOf(pages: Pages, limit: number): AsyncGenerator<SafeText> {
  const table = pagedTable(COLUMNS);
  let shown = 0;
  let last: ListedWallet | undefined;
  let more = false;
  for await (const page of pages) {
    const wallets = page.slice(0, limit - shown);
    more = page.length > wallets.length;
    if (wallets.length > 0) yield table.page(rowsOf(wallets));
    shown += wallets.length;
    last = wallets.at(-1) ?? last;
  }
  if (shown === 0) yield text`no wallets`;
  else yield table.end();
  if (more && last) yield text`There are more; continue with: --after ${last.walletId}`;
}

/** Writes all amounts of a unit with the same number of decimals, so that they line up. */
function rowsOf(wallets: readonly ListedWallet[]): Row[] {
  const decimals = new Map<string, number>();
  const kindOf = ({ scale, unit }: ListedWallet): string => `${scale} ${unit}`;
  for (const wallet of wallets) {
    const needed = decimalsFor(
      NUMBERS.map((name) => wallet[name]),
      wallet.scale,
    );
    decimals.set(kindOf(wallet), Math.max(needed, decimals.get(kindOf(wallet)) ?? 0));
  }
  return wallets.map((wallet) => {
    const format = { grouping: true, decimals: decimals.get(kindOf(wallet)) };
    const show = (amount: bigint): string => formatAmount(amount, wallet.scale, format);
    return {
      wallet: shortened(wallet.walletId, WIDEST_ID),
      unit: wallet.unit,
      available: show(wallet.available),
      reserved: show(wallet.reserved),
      spent: show(wallet.spent),
      due: wallet.due === 0n ? "" : show(wallet.due),
      state: stateOf(wallet),
    };
  });
}

const HEADER = [
  "wallet_id",
  "unit",
  "available",
  "reserved",
  "spent",
  "due",
  "overdraft_limit",
  "frozen",
  "events",
  "last_event_at",
  "closed",
  "restricted",
  "limited",
];

/** Prints wallets as CSV. */
async function printWalletsAsCsv(pages: Pages): Promise<void> {
  await printCsv(csvRows(pages));
}

async function* csvRows(pages: Pages): AsyncGenerator<readonly string[]> {
  yield HEADER;
  for await (const page of pages) {
    for (const wallet of page) {
      const show = (amount: bigint): string => formatAmount(amount, wallet.scale);
      yield [
        csvText(wallet.walletId),
        csvText(wallet.unit),
        ...NUMBERS.map((name) => show(wallet[name])),
        wallet.overdraftLimit === null ? "" : show(wallet.overdraftLimit),
        String(wallet.frozen),
        wallet.events.toString(),
        wallet.lastEventAt.toISOString(),
        ...[wallet.closed, wallet.restricted, wallet.limited].map(String),
      ];
    }
  }
}
