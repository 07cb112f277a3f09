import { Command, Option } from "commander";
import { parseAmount } from "../amounts/index.ts";
import { setPrice } from "../generated/index.ts";
import { RATE_SCALE, toPriceRow } from "../prices/index.ts";
import { printJson, printLine, text, wholeNumber } from "../terminal/index.ts";
import { addDatabaseOptions, type DatabaseOptions, withConnection } from "./database.ts";
import { UsageError } from "./failure.ts";
import { readPairs, readTimeOption } from "./price-arguments.ts";
import { describePrice, describeScope } from "./price-words.ts";

interface Options extends DatabaseOptions {
  readonly variant?: string;
  readonly above?: number;
  readonly from?: string;
  readonly currency?: string;
  readonly contextWindow?: number;
  readonly maxOutput?: number;
  readonly aliasOf?: string;
  readonly source?: string;
  readonly json?: true;
}

const HELP = `
Prices are of a million: tokens, or requests, searches, seconds … Name all kinds: one that is not
named has no price, and calls with it are refused. A call keeps the price of the instant at which it
was opened. Setting what holds already changes nothing. Needs baseledger_operator.

Examples:
  baseledger prices set acme/large input=1.25 cache_read=0.125 output=10 --max-output 32000
  baseledger prices set acme/large input=2.5 output=15 --above 200000
  baseledger prices set acme/large input=0.625 output=5 --variant batch
  baseledger prices set acme/large input=1 output=8 --from 2027-01-01
  baseledger prices set acme/large-latest --alias-of acme/large`;

/** `baseledger prices set`: one price by hand. */
export function setCommand(): Command {
  const tokens = wholeNumber(0, 1_000_000_000_000);
  const command = new Command("set")
    .description("set what a model costs, from now or later on, or what a name stands for")
    .argument("<model>", "as provider/model")
    .argument("[prices...]", "kinds of usage with their prices, such as input=1.25 output=10")
    .option("--variant <name>", "batch, flex, priority … (default: standard)")
    .option("--above <tokens>", "for requests whose input exceeds so many tokens", tokens)
    .addOption(readTimeOption("--from <time>", "from when on (default: now)"))
    .option("--currency <unit>", "what the prices are in (default: USD)")
    .option("--context-window <tokens>", "what a request may have, input and output", tokens)
    .option("--max-output <tokens>", "the longest output of a request", tokens)
    .addOption(
      new Option("--alias-of <model>", "the model that the name stands for").conflicts([
        ...["variant", "above", "currency", "contextWindow", "maxOutput"],
      ]),
    )
    .option("--source <text>", "where the price comes from, to keep on record")
    .option("--json", "print the price as JSON")
    .addHelpText("after", HELP)
    .action(set);
  return addDatabaseOptions(command);
}

async function set(model: string, words: readonly string[], options: Options): Promise<void> {
  const { above, aliasOf, contextWindow, currency, from, json, maxOutput, source, variant } =
    options;
  const rates = readPairs(words, "input=1.25", (price) => parseAmount(price, RATE_SCALE));
  const isAlias = aliasOf !== undefined;
  if (isAlias === Object.keys(rates).length > 0) {
    throw new UsageError(
      isAlias ? "an alias has no prices of its own" : "name the prices, such as input=1.25",
    );
  }
  const price = await withConnection(options, (sql) =>
    setPrice(sql, {
      model,
      rates: isAlias ? null : rates,
      ...{ variant, currency, aliasOf, source, validFrom: from },
      above: toBigInt(above),
      contextWindow: toBigInt(contextWindow),
      maxOutput: toBigInt(maxOutput),
    }),
  );
  if (json) {
    printJson(price);
    return;
  }
  const row = toPriceRow(price);
  const name = row.variant === "standard" || isAlias ? model : `${model} ${row.variant}`;
  printLine(text`${describeScope(name, row)}: ${describePrice(row)} (price ${price.priceId})`);
}

function toBigInt(number: number | undefined): bigint | undefined {
  return number === undefined ? undefined : BigInt(number);
}
