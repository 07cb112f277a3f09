import { Command, Option } from "commander";
import {
  type Assumptions,
  plotFunds,
  type Simulation,
  type Sum,
  simulate,
  sufficientCredit,
} from "../simulate/index.ts";
import {
  canvasOf,
  formatCount,
  formatNumber,
  formatTime,
  optionParser,
  positiveNumber,
  printJson,
  printLine,
  styled,
  text,
  trusted,
  wholeNumber,
} from "../terminal/index.ts";
import {
  formatDollars,
  loadTrace,
  longestAnswer,
  type NanoDollars,
  parseDollars,
  type TracedCall,
} from "../trace/index.ts";
import { priceInOption, priceOutOption } from "./price-options.ts";

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
    .addOption(priceInOption())
    .addOption(priceOutOption())
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
    .option("--ttl <seconds>", "how long a reservation lives", positiveNumber(), 600)
    .option(
      "--tokens-per-second <n>",
      "how fast the model writes: what calls last",
      positiveNumber(),
      30,
    )
    .option("--json", "print the result as JSON: amounts in nano-dollars, as strings")
    .addHelpText(
      "after",
      "\nNo database is needed: a model of the ledger's rules runs by the clock of the log. The log" +
        "\ndoes not have how long calls lasted; that is estimated from their output and" +
        "\n--tokens-per-second. Refused calls are left out, as if their agents had given up." +
        "\nExits with 0 whatever the outcome." +
        "\n\nExamples:\n  baseledger simulate --trace calls.csv --credit 50" +
        "\n  baseledger simulate --trace calls.csv --credit 50 --max-output 500 --ttl 20" +
        "\n  baseledger simulate --trace calls.csv --credit 50 --json | jq .refused",
    )
    .action(runSimulation);
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
    await printSimulation(simulation, sufficient, assumptions);
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

/** Prints a simulation for a person. */
async function printSimulation(
  simulation: Simulation,
  sufficient: bigint,
  assumptions: Assumptions,
): Promise<void> {
  const { calls, credit, from, to } = simulation;
  printLine(
    `${formatNumber(calls)} calls from ${formatTime(from)} to ${formatTime(to)} UTC, ` +
      `on a credit of ${formatDollars(credit)}`,
  );
  printLine(describeAssumptions(assumptions));
  printLine("");
  printLine(await plotFunds(simulation, canvasOf(process.stdout)));
  printLine("");
  for (const [name, fact] of facts(simulation, sufficient)) {
    printLine(text`${styled("bold", trusted(name.padEnd(20)))} ${fact}`);
  }
}

function describeAssumptions({ maxOutput, overhead, ttlMs, tokensPerSecond }: Assumptions): string {
  const more = overhead > 0 ? ` and ${overhead} % more` : "";
  return (
    `Assumed: each call reserves for ${formatNumber(maxOutput)} output tokens${more}, for at most ` +
    `${ttlMs / 1000} s, and writes ${tokensPerSecond} tokens a second.`
  );
}

function facts(
  simulation: Simulation,
  sufficient: bigint,
): (readonly [name: string, text: string])[] {
  const { granted, refused, firstRefused, peak, late, over, end } = simulation;
  return [
    ["granted", `${describeSum(granted)} spent`],
    ["refused", refused.calls > 0 ? `${describeSum(refused)} not spent` : "none"],
    ...(firstRefused ? [["  the first", describeFirst(simulation, firstRefused)] as const] : []),
    [
      "held at the peak",
      `${formatDollars(peak.amount)} by ${formatCount(peak.calls, "call")}, at ${formatTime(peak.at)}`,
    ],
    ["released by TTL", describeExpired(simulation)],
    ...(late.calls > 0 ? [["  settled late", describeSum(late)] as const] : []),
    ["overage", over.calls > 0 ? describeSum(over) : "none"],
    ["at the end", `${formatDollars(end.available)} available, ${formatDollars(end.spent)} spent`],
    ["enough would be", `${formatDollars(sufficient)}: with that credit nothing is refused`],
  ];
}

function describeFirst(
  { from }: Simulation,
  { at, call, available, requested, reserved }: NonNullable<Simulation["firstRefused"]>,
): string {
  const minutes = ((at - from) / 60_000).toFixed(1);
  return (
    `call ${formatNumber(call)} at ${formatTime(at)}, after ${minutes} minutes: ` +
    `asked for ${formatDollars(requested)}, ${formatDollars(available)} available, ` +
    `${formatDollars(reserved)} held by others`
  );
}

function describeExpired({ expired, longestCallMs }: Simulation): string {
  if (expired.calls > 0) return describeSum(expired);
  return `none: the longest call lasts ${(longestCallMs / 1000).toFixed(1)} s`;
}

function describeSum({ amount, calls }: Sum): string {
  return `${formatCount(calls, "call")}, ${formatDollars(amount)}`;
}
