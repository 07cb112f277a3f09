import { Command, Option } from "commander";
import type postgres from "postgres";
import { migrate } from "../migrate/index.ts";
import { importSeed } from "../prices/index.ts";
import {
  type Assumptions,
  type ModelCost,
  type PricedTrace,
  type Pricing,
  plotFunds,
  priceCalls,
  type Simulation,
  type Sum,
  simulate,
  sufficientCredit,
} from "../simulate/index.ts";
import {
  canvasOf,
  createProgress,
  exitOnInterrupt,
  formatCount,
  formatNumber,
  formatTime,
  joined,
  optionParser,
  positiveNumber,
  printJson,
  printLine,
  type SafeText,
  styled,
  text,
  trusted,
  wholeNumber,
} from "../terminal/index.ts";
import {
  formatDollars,
  type LoggedCall,
  loadTrace,
  longestAnswer,
  type NanoDollars,
  parseDollars,
} from "../trace/index.ts";
import {
  addDatabaseOptions,
  type DatabaseOptions,
  isEmbedded,
  withConnection,
} from "./database.ts";
import { explainUnpriced, modelOption } from "./model-option.ts";

interface Options extends DatabaseOptions {
  readonly trace: string;
  readonly credit: NanoDollars;
  readonly model: string;
  readonly variant?: string;
  readonly maxOutput?: number;
  readonly overhead: number;
  readonly ttl: number;
  readonly tokensPerSecond: number;
  readonly json?: true;
}

/** `baseledger simulate`: what a log of calls would have done to a budget. */
export function simulateCommand(): Command {
  const command = new Command("simulate")
    .requiredOption("--trace <file>", "CSV of calls: TIMESTAMP,ContextTokens,GeneratedTokens")
    .addOption(
      new Option("--credit <dollars>", "the budget, like 50 or 12.50")
        .argParser(optionParser(parseDollars))
        .makeOptionMandatory(),
    )
    .addOption(modelOption())
    .option("--variant <name>", "batch, flex, priority … of those calls (default: standard)")
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
    .addHelpText("after", HELP)
    .action(runSimulation);
  return addDatabaseOptions(command, "a server that is started with the list prices");
}

const HELP = `
A model of the ledger's rules runs by the clock of the log. A database is needed
only for its prices, and nothing is changed there. The log may have columns of
usage, beside ContextTokens and GeneratedTokens or in place of them: model,
variant, and kinds such as input, cache_read, output, web_searches. It does not
have how long calls lasted; that is estimated from their output and
--tokens-per-second. Refused calls are left out, as if their agents had given
up. Exits with 0 whatever the outcome.

Examples:
  baseledger simulate --trace calls.csv --credit 50
  baseledger simulate --trace calls.csv --credit 50 --model anthropic/claude-sonnet-4-5
  baseledger simulate --trace calls.csv --credit 50 --max-output 500 --ttl 20
  baseledger simulate --trace calls.csv --credit 50 --json | jq .refused`;

async function runSimulation(options: Options): Promise<void> {
  const log = await loadTrace(options.trace);
  const pricing = {
    model: options.model,
    variant: options.variant,
    maxOutput: options.maxOutput ?? longestAnswer(log),
    overhead: options.overhead,
  };
  const time = { ttlMs: options.ttl * 1000, tokensPerSecond: options.tokensPerSecond };
  const { calls, models } = await price(options, log, pricing);
  const simulation = simulate(calls, options.credit, time);
  const sufficient = sufficientCredit(calls, time);
  const assumptions = { ...pricing, ...time };
  if (options.json) {
    const { points, ...result } = simulation;
    printJson({ ...result, models, sufficientCredit: sufficient, assumptions });
  } else {
    await printSimulation(simulation, models, sufficient, assumptions);
  }
}

/** Prices the calls by a database, or by a server that is started for it. */
async function price(
  options: Options,
  log: readonly LoggedCall[],
  pricing: Pricing,
): Promise<PricedTrace> {
  let step = isEmbedded(options) ? "Starting a PostgreSQL for the prices" : "Connecting";
  const progress = await createProgress(process.stderr, {
    lines: (seconds) => [`${step} … ${seconds.toFixed(0)} s`],
    summary: () => undefined,
  });
  const stopListening = exitOnInterrupt(progress.stop);
  const run = async (sql: postgres.Sql, url: string): Promise<PricedTrace> => {
    if (isEmbedded(options)) {
      await migrate(url);
      step = "Importing the list prices";
      await importSeed(sql);
    }
    return priceCalls(sql, log, pricing, (done, all) => {
      step = `Pricing ${formatNumber(done)} of ${formatNumber(all)} different usages`;
    });
  };
  progress.start();
  try {
    return await withConnection(options, run, { persistent: false });
  } catch (error) {
    throw explainUnpriced(error, log, options);
  } finally {
    progress.stop();
    stopListening();
  }
}

/** Prints a simulation for a person. */
async function printSimulation(
  simulation: Simulation,
  models: readonly ModelCost[],
  sufficient: bigint,
  assumptions: Pricing & Assumptions,
): Promise<void> {
  const { calls, credit, from, to } = simulation;
  printLine(
    `${formatNumber(calls)} calls from ${formatTime(from)} to ${formatTime(to)} UTC, ` +
      `on a credit of ${formatDollars(credit)}`,
  );
  printLine(joined(describeAssumptions(models, assumptions)));
  printLine("");
  printLine(await plotFunds(simulation, canvasOf(process.stdout)));
  printLine("");
  for (const [name, fact] of facts(simulation, models, sufficient)) {
    printLine(text`${styled("bold", trusted(name.padEnd(20)))} ${fact}`);
  }
}

function describeAssumptions(
  models: readonly ModelCost[],
  { maxOutput, overhead, ttlMs, tokensPerSecond }: Pricing & Assumptions,
): SafeText[] {
  const more = overhead > 0 ? ` and ${overhead} % more` : "";
  const [first] = models;
  const prices = models.length === 1 && first ? nameOf(first) : `${models.length} models`;
  return [
    text`Priced as ${prices}. Each call reserves for ${formatNumber(maxOutput)} output tokens${more},`,
    text`for at most ${ttlMs / 1000} s, and writes ${tokensPerSecond} tokens a second: assumed.`,
  ];
}

function nameOf({ model, variant }: ModelCost): string {
  return variant === "standard" ? model : `${model} (${variant})`;
}

function facts(
  simulation: Simulation,
  models: readonly ModelCost[],
  sufficient: bigint,
): (readonly [name: string, text: string])[] {
  const { granted, refused, firstRefused, peak, late, over, end } = simulation;
  const costs = models.map((sum) => `${nameOf(sum)}: ${describeSum(sum)}`);
  return [
    ...(costs.length > 1 ? costs : []).map((cost, n) => [n === 0 ? "all cost" : "", cost] as const),
    ["granted", `${describeSum(granted)} spent`],
    ["refused", refused.calls > 0 ? `${describeSum(refused)} not spent` : "none"],
    ...(firstRefused ? describeFirst(simulation, firstRefused) : []),
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
): (readonly [name: string, text: string])[] {
  const minutes = ((at - from) / 60_000).toFixed(1);
  return [
    ["  the first", `call ${formatNumber(call)} at ${formatTime(at)}, after ${minutes} minutes`],
    ["  asked for", `${formatDollars(requested)}, with ${formatDollars(available)} available`],
    ["  held by others", formatDollars(reserved)],
  ];
}

function describeExpired({ expired, longestCallMs }: Simulation): string {
  if (expired.calls > 0) return describeSum(expired);
  return `none: the longest call lasts ${(longestCallMs / 1000).toFixed(1)} s`;
}

function describeSum({ amount, calls }: Sum): string {
  return `${formatCount(calls, "call")}, ${formatDollars(amount)}`;
}
