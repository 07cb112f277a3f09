import { randomInt } from "node:crypto";
import { Command, Option } from "commander";
import type { Credit } from "../demo/index.ts";
import { optionParser, wholeNumber } from "../terminal/index.ts";
import { parseDollars, parsePrice } from "../trace/index.ts";
import { addOwnDatabaseOptions, type DatabaseOptions } from "./database.ts";

/** What one can ask of the demo. */
export interface DemoOptions extends DatabaseOptions {
  readonly trace?: string;
  readonly seed: number;
  readonly customers: number;
  readonly agents: number;
  readonly calls?: number;
  readonly credit: Credit;
  readonly priceIn: bigint;
  readonly priceOut: bigint;
  readonly speed: number;
  readonly json?: true;
}

/** The command `demo`, without what it does. */
export function demoOptions(): Command {
  const command = new Command("demo")
    .option("--trace <file>", "CSV of calls: TIMESTAMP,ContextTokens,GeneratedTokens")
    .option("--calls <n>", "calls to make (default: the whole trace, or 5,000)", atLeastOne())
    .addOption(
      new Option("--seed <n>", "repeats the chance of an earlier run")
        .argParser(wholeNumber(0, 2 ** 32 - 1))
        .default(randomInt(2 ** 32 - 1), "by chance"),
    )
    .option("--customers <n>", "customers with a wallet each", wholeNumber(1, 1_000), 5)
    .option("--agents <n>", "agents at work at the same time", wholeNumber(1, 1_000), 50)
    .addOption(
      new Option("--credit <amount>", "for each customer in dollars, or of what all calls cost")
        .argParser(optionParser(parseCredit))
        .default({ percent: 70 }, "70%"),
    )
    .addOption(priceOption("--price-in <dollars>", "of a million input tokens", "2.50"))
    .addOption(priceOption("--price-out <dollars>", "of a million output tokens", "10.00"))
    .option("--speed <n>", "times faster than the trace's clock", wholeNumber(1, 1_000_000), 100)
    .option("--json", "print the result as JSON: amounts in nano-dollars, as strings")
    .addHelpText(
      "after",
      "\nIt runs on a server of its own, which is gone afterwards. With --url it works in that" +
        "\ndatabase: the schema is installed there, and the wallets of each run stay, as nothing" +
        "\ncan delete a wallet." +
        "\n\nExamples:\n  baseledger demo\n  baseledger demo --trace calls.csv --credit 12.50" +
        "\n  baseledger demo --seed 42 --calls 1000 --json",
    );
  return addOwnDatabaseOptions(command, "a server of its own");
}

function priceOption(flags: string, what: string, price: string): Option {
  return new Option(flags, what)
    .argParser(optionParser(parsePrice))
    .default(parsePrice(price), price);
}

function atLeastOne(): (text: string) => number {
  return wholeNumber(1, 10_000_000);
}

function parseCredit(text: string): Credit {
  const percent = /^(\d{1,4})%$/.exec(text)?.[1];
  const credit = percent ? { percent: Number(percent) } : { each: parseDollars(text) };
  if (Object.values(credit).every((amount) => amount <= 0)) {
    throw new RangeError("A customer without credit can do nothing.");
  }
  return credit;
}
