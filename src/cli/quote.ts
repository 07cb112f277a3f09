import { Command } from "commander";
import { formatAmount } from "../amounts/index.ts";
import { quote } from "../generated/index.ts";
import { formatNumber, printJson, printLine, text, wholeNumber } from "../terminal/index.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { readPairs, readTimeOption } from "./price-arguments.ts";

interface Options extends DatabaseOptions {
  readonly variant?: string;
  readonly at?: string;
  readonly scale?: number;
  readonly json?: true;
}

/** `baseledger quote`: what a call costs. */
export function quoteCommand(): Command {
  const command = new Command("quote")
    .argument("<model>", "as provider/model, or an alias")
    .argument("<usage...>", "what is used, such as input=1200 output=500")
    .option("--variant <name>", "batch, flex, priority … (default: standard)")
    .addOption(readTimeOption("--at <time>", "by the prices of which instant (default: now)"))
    .option("--scale <digits>", "decimals of the smallest step (default: 9)", wholeNumber(6, 18))
    .option("--json", "print JSON: the amount in the smallest step, as a string")
    .addHelpText(
      "after",
      "\nWhat reserve, settle and charge would take for this usage. Counts are disjoint: input is what" +
        "\nwas neither read from a cache nor written to it. Any role of the ledger but" +
        "\nbaseledger_worker may ask." +
        "\n\nExamples:\n  baseledger quote openai/gpt-5 input=1200 output=500" +
        "\n  baseledger quote anthropic/claude-sonnet-4-5 input=30 cache_write_1h=20000 output=700",
    )
    .action(showQuote);
  return addDatabaseOptions(command);
}

async function showQuote(model: string, words: readonly string[], options: Options): Promise<void> {
  const { at, json, scale, variant } = options;
  const counts = readPairs(words, "input=1200", readCount);
  const usage = { ...counts, model, ...(variant !== undefined && { variant }) };
  const quoted = await withConnection(options, (sql) => quote(sql, { usage, at, scale }));
  if (json) {
    printJson(quoted);
    return;
  }
  const { amount, currency } = quoted;
  printLine(text`${formatAmount(amount, quoted.scale, { grouping: true })} ${currency}`);
  const name = quoted.variant === "standard" ? quoted.model : `${quoted.model} ${quoted.variant}`;
  const limits = [
    quoted.contextWindow === null ? "" : `, window ${formatNumber(quoted.contextWindow)}`,
    quoted.maxOutput === null ? "" : `, most output ${formatNumber(quoted.maxOutput)}`,
  ];
  printLine(text`  ${name}, price ${quoted.priceId}${limits.join("")}`);
}

function readCount(text: string): number {
  if (!/^\d{1,13}$/.test(text)) throw new RangeError(`"${text}" is not a whole number`);
  return Number(text);
}
