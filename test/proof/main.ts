// `npm run proof`: looks for mistakes, for as long as one likes.
//
//   model.ts, requests.ts  the model: the rules in TypeScript, from docs/architecture.md
//   model/                 access, limits and their windows, changes of settings, look-ups
//   ledger.ts              a ledger of such wallets, called like the SQL functions
//   invariants.ts          checks of the model itself
//   prove.ts               runs the parts, which share the time; part.ts has their type
//   report.ts              what is kept of a run; exit.ts and servers.ts: how it ends
//
// Each part is in a folder:
//
//   sequences/  exhaustive, model, groupings: the same commands in the database and in the model
//   faults/     histories, faults, disk full, restore: many clients, and what the journal has of them
//   field/      field: callers of clients go on while servers fail over, poolers die, clocks jump
//   fuzz/       fuzz: strange arguments for every function
//
// `npm test` runs them for some seconds (*.test.ts here). test/field/ is no part: each of its tests sets
// up one situation (a standby, a wrong clock, JIT, Docker Compose) and expects fixed results.
import { randomInt } from "node:crypto";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { Command, CommanderError, Option } from "commander";
import { EXIT, optionParser, wholeNumber } from "../../src/terminal/index.ts";
import { runAndExit } from "./exit.ts";
import { faultParts } from "./faults/index.ts";
import { field } from "./field/index.ts";
import { fuzzPart } from "./fuzz/index.ts";
import type { Part } from "./part.ts";
import { prove } from "./prove.ts";
import { createReport } from "./report.ts";
import { exhaustivePart, groupingsPart, modelPart } from "./sequences/index.ts";

interface Options {
  readonly minutes?: number;
  readonly runs?: number;
  readonly seed: number;
  readonly only?: readonly string[];
  readonly report?: string;
}

/** The parts, in the order in which they run. */
const PARTS: readonly Part[] = [
  exhaustivePart(5),
  modelPart,
  groupingsPart,
  ...faultParts,
  field,
  fuzzPart,
];

const MINUTES = 5;
const SEEDS = 2 ** 31;

const HELP = `
Parts:
${PARTS.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join("\n")}

The parts share the time: a part that ends early leaves the rest of its share to the others.
Ctrl-C ends the run early, with its report; a second Ctrl-C ends it at once.
What is found is saved in a file at once: its name is the last line of the output.
Exit codes: 0 nothing found, 1 something found, 2 usage.

Examples:
  npm run proof
  npm run proof -- --minutes 60 --report reports
  npm run proof -- --only model --runs 100000 --seed 1`;

const program = new Command("npm run proof --")
  .description("Looks for mistakes in the ledger, on a PostgreSQL server of its own.")
  .option(
    "--minutes <n>",
    `the time for all parts (default: ${MINUTES}, or no limit with --runs)`,
    minutes,
  )
  .option(
    "--runs <n>",
    "how many sequences, or what else a part counts",
    wholeNumber(1, 1_000_000_000),
  )
  .addOption(
    new Option("--seed <n>", "repeats a run with this seed")
      .argParser(wholeNumber(0, SEEDS - 1))
      .default(randomInt(SEEDS), "another one each time"),
  )
  .addOption(
    new Option("--only <part...>", "only these parts").choices(PARTS.map(({ name }) => name)),
  )
  .addOption(
    new Option("--report <folder>", "write a report there, even if nothing is found")
      .argParser(folder)
      .default(undefined, "the system's temporary folder, if something is found"),
  )
  .addHelpText("after", HELP)
  .exitOverride()
  .action(start);

function minutes(text: string): number {
  return optionParser((given: string) => {
    const value = /^\d{1,6}(\.\d{1,3})?$/.test(given) ? Number(given) : 0;
    if (value <= 0) throw new RangeError("It must be a number above 0.");
    return value;
  })(text);
}

function folder(text: string): string {
  return optionParser((given: string) => {
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
  runAndExit({ report, run: (stop) => prove(parts, { seed, runs, minutes }, report, stop) });
}

/** The command that does the same again. */
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
