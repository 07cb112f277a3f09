import type { Command } from "commander";
import {
  type Connections,
  connectToForeign,
  connectToOwn,
  createDemoProgress,
  type DemoProgress,
  introduce,
  report,
  runDemo,
} from "../demo/index.ts";
import { migrate } from "../migrate/index.ts";
import { EXIT, printError, printJson, printLine } from "../terminal/index.ts";
import { createRandom, generateTrace, loadTrace, type TracedCall } from "../trace/index.ts";
import { isEmbedded, open } from "./database.ts";
import { type DemoOptions, demoOptions } from "./demo-options.ts";

// A quarter of an hour of the traffic that the generator is made after.
const GENERATED_CALLS = 5_000;
// What shells report of a program that Ctrl-C has ended.
const INTERRUPTED = 130;
const INSUFFICIENT_PRIVILEGE = "42501";

/** `baseledger demo`: what BaseLedger is for, in half a minute. */
export function demoCommand(): Command {
  return demoOptions().action(runDemoCommand);
}

async function runDemoCommand(options: DemoOptions): Promise<void> {
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
      price: { input: options.priceIn, output: options.priceOut },
      progress,
      logger: { info: () => undefined, warn: printError },
    }),
  );
  if (options.json) {
    printJson(result);
  } else {
    const seconds = (performance.now() - began) / 1000;
    printLine(report(result, seconds, process.stdout));
  }
  process.exitCode = result.sound ? EXIT.fine : EXIT.refused;
}

function outputOfProgress({ json }: DemoOptions): NodeJS.WriteStream | undefined {
  if (!json) return process.stdout;
  return process.stderr.isTTY ? process.stderr : undefined;
}

async function withServer<T>(
  options: DemoOptions,
  progress: DemoProgress,
  use: (connections: Connections) => Promise<T>,
): Promise<T> {
  const own = isEmbedded(options);
  const interrupt = (): void => {
    progress.stop();
    // A server of ours goes with us: its watchdog sees to that.
    process.exit(INTERRUPTED);
  };
  process.once("SIGINT", interrupt);
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
    process.off("SIGINT", interrupt);
    await database.stop();
  }
}

async function install(url: string, own: boolean): Promise<void> {
  try {
    await migrate(url);
  } catch (error) {
    // On somebody else's server the schema may be looked after by another login than ours.
    if (own || (error as { code?: unknown }).code !== INSUFFICIENT_PRIVILEGE) throw error;
  }
}

async function traceFor({ trace, calls, seed }: DemoOptions): Promise<TracedCall[]> {
  // A separate random stream: faults must not change the calls.
  return trace
    ? loadTrace(trace, calls)
    : [...generateTrace(createRandom(~seed), calls ?? GENERATED_CALLS)];
}
