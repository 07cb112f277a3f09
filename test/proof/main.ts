// `npm run proof`: looks for what does not hold, for as long as one likes.
import { randomInt } from "node:crypto";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { Command, CommanderError, Option } from "commander";
import { EXIT, parsedBy } from "../../src/cli/failure.ts";
import { wholeNumber } from "../../src/cli/numbers.ts";
import { runToTheEnd } from "./exit.ts";
import { faultParts } from "./faults/index.ts";
import { field } from "./field/index.ts";
import { fuzzPart } from "./fuzz/index.ts";
import type { Part } from "./part.ts";
import { prove } from "./prove.ts";
import { createReport } from "./report.ts";
import { exhaustivePart, modelPart } from "./sequences/index.ts";

interface Options {
  readonly minutes?: number;
  readonly runs?: number;
  readonly seed: number;
  readonly only?: readonly string[];
  readonly report?: string;
}

/** The parts, in the order in which they run. */
const PARTS: readonly Part[] = [exhaustivePart(5), modelPart, ...faultParts, field, fuzzPart];

const MINUTES = 5;
const SEEDS = 2 ** 31;

const HELP = `
Parts:
${PARTS.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join("\n")}

The parts share the time: one that is done early leaves the rest of its share to the others.
Ctrl-C ends the run early, but not the report; a second one ends it at once.
What is found is kept in a file as soon as it is found: its name is the last line of the output.
Exit codes: 0 nothing found, 1 something found, 2 usage.

Examples:
  npm run proof
  npm run proof -- --minutes 60 --report reports
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
  .addOption(
    new Option("--report <folder>", "keep a report there, also of a run that finds nothing")
      .argParser(folder)
      .default(undefined, "the system's folder for what is temporary, if something is found"),
  )
  .addHelpText("after", HELP)
  .exitOverride()
  .action(start);

function minutes(text: string): number {
  return parsedBy((given: string) => {
    const value = /^\d{1,6}(\.\d{1,3})?$/.test(given) ? Number(given) : 0;
    if (value <= 0) throw new RangeError("It is not a number above 0.");
    return value;
  })(text);
}

function folder(text: string): string {
  return parsedBy((given: string) => {
    mkdirSync(given, { recursive: true });
    return resolve(given);
  })(text);
}

function start(options: Options): void {
  const { only, seed, runs = Number.POSITIVE_INFINITY } = options;
  const parts = PARTS.filter(({ name }) => only?.includes(name) ?? true);
  const endless = options.runs === undefined ? MINUTES : Number.POSITIVE_INFINITY;
  const { minutes = endless } = options;
  const report = createReport({
    seed,
    command: commandOf(options),
    folder: options.report ?? tmpdir(),
    always: options.report !== undefined,
  });
  runToTheEnd({ report, run: (asked) => prove(parts, { seed, runs, minutes }, report, asked) });
}

/** What does the same again. */
function commandOf({ only, seed, runs, minutes }: Options): string {
  const given = [
    ...(only ? ["--only", ...only.map((name) => (name.includes(" ") ? `"${name}"` : name))] : []),
    ...(runs === undefined ? [] : ["--runs", runs]),
    ...(minutes === undefined ? [] : ["--minutes", minutes]),
    "--seed",
    seed,
  ];
  return `npm run proof -- ${given.join(" ")}`;
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? EXIT.fine : EXIT.usage;
}
