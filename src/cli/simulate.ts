import { Command, InvalidArgumentError, Option } from "commander";
import { type Assumptions, simulate, sufficientCredit } from "../simulate/index.ts";
import { optionParser, printJson, wholeNumber } from "../terminal/index.ts";
import {
  loadTrace,
  longestAnswer,
  type NanoDollars,
  parseDollars,
  parsePrice,
  type TracedCall,
} from "../trace/index.ts";
import { printSimulation } from "./simulate-print.ts";

interface Options {
  readonly trace: string;
  readonly credit: NanoDollars;
  readonly priceIn: NanoDollars;
  readonly priceOut: NanoDollars;
  readonly maxOutput?: number;
  readonly overhead: number;
  readonly ttl: number;
  readonly tokensPerSecond: number;
  readonly json?: true;
}

/** `baseledger simulate`: what a log of calls would have done to a budget. */
export function simulateCommand(): Command {
  return new Command("simulate")
    .requiredOption("--trace <file>", "CSV of calls: TIMESTAMP,ContextTokens,GeneratedTokens")
    .addOption(
      new Option("--credit <dollars>", "the budget, like 50 or 12.50")
        .argParser(optionParser(parseDollars))
        .makeOptionMandatory(),
    )
    .addOption(priceOption("--price-in <dollars>", "of a million input tokens", "2.50"))
    .addOption(priceOption("--price-out <dollars>", "of a million output tokens", "10.00"))
    .option(
      "--max-output <n>",
      "output tokens a call may use (default: most in the log)",
      wholeNumber(0, 999_999_999),
    )
    .option(
      "--overhead <percent>",
      "reserve so much more than that may cost",
      wholeNumber(0, 999_999_999),
      0,
    )
    .option("--ttl <seconds>", "how long a reservation lives", positive, 600)
    .option("--tokens-per-second <n>", "how fast the model writes: what calls last", positive, 30)
    .option("--json", "print the result as JSON: amounts in nano-dollars, as strings")
    .addHelpText(
      "after",
      "\nNo database is needed: a model of the ledger's rules runs by the clock of the log. The log" +
        "\ndoes not tell how long calls lasted; that is taken from their output and" +
        "\n--tokens-per-second. Refused calls are left out, as if their agents had given up." +
        "\nExits with 0 whatever the outcome." +
        "\n\nExamples:\n  baseledger simulate --trace calls.csv --credit 50" +
        "\n  baseledger simulate --trace calls.csv --credit 50 --max-output 500 --ttl 20" +
        "\n  baseledger simulate --trace calls.csv --credit 50 --json | jq .refused",
    )
    .action(runSimulation);
}

function priceOption(flags: string, what: string, price: string): Option {
  return new Option(flags, what)
    .argParser(optionParser(parsePrice))
    .default(parsePrice(price), price);
}

function positive(text: string): number {
  const value = /^\d{1,9}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (value <= 0) throw new InvalidArgumentError("It is not a number above 0.");
  return value;
}

async function runSimulation(options: Options): Promise<void> {
  const calls = await loadTrace(options.trace);
  const assumptions = assume(options, calls);
  const simulation = simulate(calls, options.credit, assumptions);
  const sufficient = sufficientCredit(calls, assumptions);
  if (options.json) {
    const { points, ...result } = simulation;
    printJson({ ...result, sufficientCredit: sufficient, assumptions });
  } else {
    printSimulation(simulation, sufficient, assumptions);
  }
}

function assume(options: Options, calls: readonly TracedCall[]): Assumptions {
  return {
    price: { input: options.priceIn, output: options.priceOut },
    maxOutput: options.maxOutput ?? longestAnswer(calls),
    overhead: options.overhead,
    ttlMs: options.ttl * 1000,
    tokensPerSecond: options.tokensPerSecond,
  };
}
