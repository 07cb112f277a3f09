// `npm run proof`: looks for what does not hold, for as long as one likes.
import { randomInt } from "node:crypto";
import { inspect } from "node:util";
import { Command, CommanderError, Option } from "commander";
import { EXIT, parsedBy } from "../../src/cli/failure.ts";
import { wholeNumber } from "../../src/cli/numbers.ts";
import { printError, printLine } from "../../src/cli/output.ts";
import { untilAskedToEnd } from "../../src/cli/signals.ts";
import { renderTable } from "../../src/cli/table.ts";
import { copyTemplate, startTemplateServer } from "../support/template.ts";
import type { Budget, Outcome, Part } from "./part.ts";
import { PARTS } from "./parts.ts";

interface Options {
  readonly minutes?: number;
  readonly runs?: number;
  readonly seed: number;
  readonly only?: readonly string[];
}

interface Ran extends Outcome {
  readonly part: Part;
  readonly seconds: number;
}

const MINUTES = 5;
const SEEDS = 2 ** 31;

const HELP = `
Parts:
${PARTS.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join("\n")}

The parts share the time: one that is done early leaves the rest of its share to the others.
Ctrl-C ends the run early, but not the report.
Exit codes: 0 nothing found, 1 something found, 2 usage.

Examples:
  npm run proof
  npm run proof -- --minutes 60
  npm run proof -- --only model --runs 100000 --seed 1`;

const program = new Command("npm run proof --")
  .description("Looks for what does not hold, on a PostgreSQL of its own.")
  .option(
    "--minutes <n>",
    `for so long in all (default: ${MINUTES}, or no end with --runs)`,
    minutes,
  )
  .option("--runs <n>", "sequences, or what else a part counts", wholeNumber(1, 1_000_000_000))
  .addOption(
    new Option("--seed <n>", "does what another run with this seed did")
      .argParser(wholeNumber(0, SEEDS - 1))
      .default(randomInt(SEEDS), "another one each time"),
  )
  .addOption(
    new Option("--only <part...>", "these parts only").choices(PARTS.map(({ name }) => name)),
  )
  .addHelpText("after", HELP)
  .exitOverride()
  .action(prove);

function minutes(text: string): number {
  return parsedBy((given: string) => {
    const value = /^\d{1,6}(\.\d{1,3})?$/.test(given) ? Number(given) : 0;
    if (value <= 0) throw new RangeError("It is not a number above 0.");
    return value;
  })(text);
}

async function prove({ only, seed, ...options }: Options): Promise<void> {
  const parts = PARTS.filter(({ name }) => only?.includes(name) ?? true);
  const runs = options.runs ?? Number.POSITIVE_INFINITY;
  const share =
    options.minutes ?? (options.runs === undefined ? MINUTES : Number.POSITIVE_INFINITY);
  let end = performance.now() + share * 60_000;
  // Who has seen enough is told what there was to see.
  void untilAskedToEnd().then(() => {
    end = 0;
  });
  printError(`seed ${seed}`);
  const server = await startTemplateServer();
  const ran: Ran[] = [];
  try {
    for (const [i, part] of parts.entries()) {
      const now = performance.now();
      const until = now + (end - now) / (parts.length - i);
      const budget: Budget = {
        seed,
        runs,
        get until() {
          return Math.min(until, end);
        },
        log: (line: string) => printError(`${part.name}: ${line}`),
        createDatabase: () => copyTemplate(server),
      };
      ran.push(await runPart(part, budget));
    }
  } finally {
    await server.stop();
  }
  report(ran, seed);
}

async function runPart(part: Part, budget: Budget): Promise<Ran> {
  const began = performance.now();
  // A part that cannot go on must not keep the others from running.
  const outcome = await part.run(budget).catch((error: unknown): Outcome => {
    return { ran: {}, failure: tell(error) };
  });
  if (outcome.failure) budget.log(`found a failure\n${outcome.failure}`);
  return { part, seconds: (performance.now() - began) / 1000, ...outcome };
}

/** What went wrong first, and then what could not be cleared up after it. */
function tell(error: unknown): string {
  if (!(error instanceof SuppressedError)) return inspect(error);
  return `${tell(error.suppressed)}\n${tell(error.error)}`;
}

function report(all: readonly Ran[], seed: number): void {
  const columns = [
    { name: "part", alignment: "left" },
    { name: "seconds", alignment: "right" },
    { name: "found", alignment: "left" },
    { name: "count", alignment: "right" },
    { name: "of", alignment: "left" },
  ] as const;
  printLine(renderTable(columns, all.flatMap(rowsOf)));
  printLine(`seed ${seed}`);
  for (const { part, failure } of all) {
    if (failure) printLine(`\n${part.name} found:\n${failure}`);
  }
  process.exitCode = all.some(({ failure }) => failure) ? EXIT.refused : EXIT.fine;
}

/** A line for each of its counts; the first tells what came of it, too. */
function rowsOf({ part, ran, seconds, failure }: Ran): Record<string, string>[] {
  const outcome = {
    part: part.name,
    seconds: seconds.toFixed(0),
    found: failure ? "a failure" : "nothing",
  };
  const counts = Object.entries(ran).map(([what, count]) => ({
    count: count.toLocaleString("en-US"),
    of: what.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
  }));
  const [first, ...rest] = counts;
  return [{ ...outcome, ...first }, ...rest];
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? EXIT.fine : EXIT.usage;
}
