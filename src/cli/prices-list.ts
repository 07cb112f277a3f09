import { Command, Option } from "commander";
import { listPrices, type Price } from "../generated/index.ts";
import { formatRate, type PriceRow, toPriceRow } from "../prices/index.ts";
import {
  formatNumber,
  printJson,
  printLine,
  printTable,
  type Row,
  shortened,
  text,
  wholeNumber,
} from "../terminal/index.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { readTimeOption } from "./price-arguments.ts";
import { ratesInWords } from "./price-words.ts";
import { printPriceFile } from "./prices-export.ts";

interface Options extends DatabaseOptions {
  readonly at?: string;
  readonly history?: true;
  readonly limit?: number;
  readonly csv?: true;
  readonly json?: true;
}

const LINES_FOR_A_PERSON = 100;
const WIDEST_NAME = 60;

/** `baseledger prices list`: what counts now, or did, or will. */
export function listCommand(): Command {
  const command = new Command("list")
    .description("show what models cost, in the currency per million")
    .argument("[prefix]", "only names that begin with this, such as openai/", "")
    .addOption(readTimeOption("--at <time>", "as of when; it may be a time to come"))
    .addOption(new Option("--history", "every price that was ever set").conflicts("at"))
    .option(
      "--limit <n>",
      `how many (default: ${LINES_FOR_A_PERSON} for a person, all in CSV and JSON)`,
      wholeNumber(1, 1_000_000_000),
    )
    .addOption(new Option("--csv", "print CSV, which import --file takes").conflicts("json"))
    .option("--json", "print JSON: rates in nano-units (10^-9) per million")
    .addHelpText(
      "after",
      "\nA row with a number in above holds for the whole request when its input exceeds so many" +
        "\ntokens. Of rows for the same name and tier, the one with the latest time counts. Any role" +
        "\nof the ledger but baseledger_worker may look." +
        "\n\nExamples:\n  baseledger prices list openai/gpt-5\n  baseledger prices list deepseek/ --at 2026-08-01" +
        "\n  baseledger prices list anthropic/ --history --json",
    )
    .action(showPrices);
  return addDatabaseOptions(command);
}

async function showPrices(prefix: string, options: Options): Promise<void> {
  const { at, csv, history, json, limit } = options;
  const found = await withConnection(options, (sql) => listPrices(sql, { prefix, at, history }));
  const most = limit ?? (csv || json ? found.length : LINES_FOR_A_PERSON);
  const shown = found.slice(0, most);
  if (json) printJson(shown);
  else if (csv) await printPriceFile(shown.map(toPriceRow));
  else print(shown, found.length - shown.length);
}

function print(prices: readonly Price[], more: number): void {
  if (prices.length === 0) {
    printLine(text`no prices`);
    return;
  }
  printTable(withoutEmptyColumns(prices.map(toRow)), [...NUMBERS]);
  if (more > 0) printLine(text`There are ${formatNumber(more)} more: give a prefix, or --limit`);
}

const NUMBERS = ["above", "input", "cache read", "output"] as const;
const SHOWN_KINDS = ["input", "cache_read", "output"];

function toRow(price: Price): Row {
  const row = toPriceRow(price);
  const show = (kind: string): string => showRate(row, kind);
  const others = Object.keys(row.rates).filter((kind) => !SHOWN_KINDS.includes(kind));
  const alias = row.aliasOf === null ? "" : text`is ${shortened(row.aliasOf, WIDEST_NAME)}`;
  return {
    model: shortened(price.model, WIDEST_NAME),
    variant: row.variant === "standard" ? "" : row.variant,
    above: row.above === 0 ? "" : formatNumber(row.above),
    from: row.validFrom?.slice(0, 19).replace("T", " ") ?? "",
    input: show("input"),
    "cache read": show("cache_read"),
    output: show("output"),
    others: row.aliasOf === null ? ratesInWords(row, others) : alias,
    currency: price.currency === "USD" ? "" : (price.currency ?? ""),
    source: price.source ?? "",
  };
}

function showRate({ rates }: PriceRow, kind: string): string {
  const rate = rates[kind];
  return rate === undefined ? "" : formatRate(rate);
}

function withoutEmptyColumns(rows: readonly Row[]): Row[] {
  const names = Object.keys(rows[0] ?? {}).filter((name) => rows.some((row) => row[name] !== ""));
  return rows.map((row) => Object.fromEntries(names.map((name) => [name, row[name] ?? ""])));
}
