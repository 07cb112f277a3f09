import { randomInt } from "node:crypto";
import { Command, Option } from "commander";
import {
  type Connections,
  type Credit,
  connectToForeign,
  connectToOwn,
  createDemoProgress,
  type DemoProgress,
  introduce,
  report,
  runDemo,
} from "../demo/index.ts";
import { migrate } from "../migrate/index.ts";
import {
  EXIT,
  exitOnInterrupt,
  optionParser,
  printError,
  printJson,
  printLine,
  wholeNumber,
} from "../terminal/index.ts";
import {
  createRandom,
  generateTrace,
  loadTrace,
  parseDollars,
  type TracedCall,
} from "../trace/index.ts";
import { addOwnDatabaseOptions, type DatabaseOptions, isEmbedded, open } from "./database.ts";
import { explainUnpriced, modelOption } from "./model-option.ts";

interface Options extends DatabaseOptions {
  readonly trace?: string;
  readonly seed: number;
  readonly customers: number;
  readonly agents: number;
  readonly calls?: number;
  readonly credit: Credit;
  readonly model: string;
  readonly speed: number;
  readonly json?: true;
}

/** `baseledger demo`: what BaseLedger is for, in about 20 seconds. */
export function demoCommand(): Command {
  const command = new Command("demo")
    .option("--trace <file>", "CSV of calls: TIMESTAMP,ContextTokens,GeneratedTokens")
    .option(
      "--calls <n>",
      "calls to make (default: the whole trace, or 5,000)",
      wholeNumber(1, 10_000_000),
    )
    .addOption(
      new Option("--seed <n>", "repeats the random choices of an earlier run")
        .argParser(wholeNumber(0, 2 ** 32 - 1))
        .default(randomInt(2 ** 32 - 1), "random"),
    )
    .option("--customers <n>", "customers with a wallet each", wholeNumber(1, 1_000), 5)
    .option("--agents <n>", "agents at work at the same time", wholeNumber(1, 1_000), 50)
    .addOption(
      new Option("--credit <amount>", "for each customer in dollars, or of what all calls cost")
        .argParser(optionParser(parseCredit))
        .default({ percent: 70 }, "70%"),
    )
    .addOption(modelOption())
    .option("--speed <n>", "times faster than the trace's clock", wholeNumber(1, 1_000_000), 100)
    .option("--json", "print the result as JSON: amounts in nano-dollars, as strings")
    .addHelpText(
      "after",
      "\nIt runs on a server of its own with the list prices, which it removes" +
        "\nafterwards. With --url it works in that database, by the prices there: the" +
        "\nschema is installed, and the wallets of each run stay, as nothing can delete a" +
        "\nwallet. A trace may have columns of usage: see simulate --help." +
        "\n\nExamples:\n  baseledger demo\n  baseledger demo --trace calls.csv --credit 12.50" +
        "\n  baseledger demo --seed 42 --calls 1000 --json",
    )
    .action(runDemoCommand);
  return addOwnDatabaseOptions(command, "a server of its own");
}

function parseCredit(text: string): Credit {
  const percent = /^(\d{1,4})%$/.exec(text)?.[1];
  const credit = percent ? { percent: Number(percent) } : { each: parseDollars(text) };
  if (Object.values(credit).every((amount) => amount <= 0)) {
    throw new RangeError("A customer without credit can do nothing.");
  }
  return credit;
}

// 15 minutes of the traffic that the generator imitates.
const GENERATED_CALLS = 5_000;
const INSUFFICIENT_PRIVILEGE = "42501";

async function runDemoCommand(options: Options): Promise<void> {
  const began = performance.now();
  const progress = await createDemoProgress(outputOfProgress(options));
  const trace = await traceFor(options);
  progress.step(introduce({ ...options, trace }));
  const result = await withServer(options, progress, (connections) =>
    runDemo({
      ...options,
      connections,
      trace,
      traceFile: options.trace,
      progress,
      logger: { info: () => undefined, warn: printError },
    }),
  ).catch((error: unknown) => {
    throw explainUnpriced(error, trace, options);
  });
  if (options.json) {
    printJson(result);
  } else {
    const seconds = (performance.now() - began) / 1000;
    printLine(report(result, seconds, process.stdout));
  }
  process.exitCode = result.sound ? EXIT.fine : EXIT.refused;
}

function outputOfProgress({ json }: Options): NodeJS.WriteStream | undefined {
  if (!json) return process.stdout;
  return process.stderr.isTTY ? process.stderr : undefined;
}

async function withServer<T>(
  options: Options,
  progress: DemoProgress,
  use: (connections: Connections) => Promise<T>,
): Promise<T> {
  const own = isEmbedded(options);
  // The watchdog of an embedded server stops it then.
  const stopListening = exitOnInterrupt(progress.stop);
  progress.step(own ? "Starting a PostgreSQL of its own …" : "Connecting …");
  const database = await open(options, { persistent: false });
  try {
    await install(database.url, own);
    const connect = own ? connectToOwn : connectToForeign;
    const connections = await connect(database.url, options.agents);
    try {
      return await use(connections);
    } finally {
      await connections.end();
    }
  } finally {
    stopListening();
    await database.stop();
  }
}

async function install(url: string, own: boolean): Promise<void> {
  try {
    await migrate(url);
  } catch (error) {
    // On the server of --url, another login may own the schema.
    if (own || (error as { code?: unknown }).code !== INSUFFICIENT_PRIVILEGE) throw error;
  }
}

async function traceFor({ trace, calls, seed }: Options): Promise<TracedCall[]> {
  // A separate random stream: faults must not change the calls.
  return trace
    ? loadTrace(trace, calls)
    : [...generateTrace(createRandom(~seed), calls ?? GENERATED_CALLS)];
}
