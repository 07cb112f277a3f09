import { Command, Option } from "commander";
import {
  BlockedError,
  formatBlocker,
  formatDifference,
  formatDuration,
  migrate,
  type Waiting,
} from "../migrate/index.ts";
import { printError, printLine, wholeNumber } from "../terminal/index.ts";
import { addDatabaseOptions, type DatabaseOptions, open } from "./database.ts";
import { UncheckedError } from "./failure.ts";
import { untilAskedToEnd } from "./signals.ts";

interface Options extends DatabaseOptions {
  readonly wait: number;
}

/** `baseledger migrate`: installs the schema, or brings it up to date. */
export function migrateCommand(): Command {
  const command = new Command("migrate")
    .addOption(
      new Option("--wait <seconds>", "how long to wait for locks that others hold")
        .argParser(wholeNumber(0, 86_400))
        .default(300),
    )
    .addHelpText(
      "after",
      "\nMay be run at any time, also twice at once, and under load: it never keeps commands waiting" +
        "\nfor more than some 2 seconds. It also repairs owners and rights that are wrong." +
        "\nExits with 4 if it did not get a lock in time, or at Ctrl-C." +
        "\n\nExample:\n  baseledger migrate --url postgres://owner@localhost/app",
    )
    .action(runMigrate);
  return addDatabaseOptions(command);
}

async function runMigrate(options: Options): Promise<void> {
  const database = await open(options);
  const interrupt = new AbortController();
  void untilAskedToEnd().then(() =>
    interrupt.abort(new UncheckedError("interrupted; what was applied before stays, no more was")),
  );
  try {
    const applied = await migrate(database.url, {
      waitFor: options.wait * 1000,
      signal: interrupt.signal,
      onWait: waitReporter(),
      onRepaired: (repaired) => {
        for (const difference of repaired) printError(`repaired: ${formatDifference(difference)}`);
      },
    });
    for (const name of applied) {
      printLine(`applied ${name}`);
    }
    printLine(applied.length > 0 ? "BaseLedger is up to date now" : "BaseLedger is up to date");
  } catch (error) {
    throw error instanceof BlockedError ? new UncheckedError(error.message) : error;
  } finally {
    await database.stop();
  }
}

const REMIND_MS = 10_000;

/** Prints who blocks: at once when that changes, and otherwise from time to time. */
function waitReporter(): (waiting: Waiting) => void {
  let printed = "";
  let next = 0;
  return ({ blockers, waited }) => {
    const pids = blockers.map(({ pid }) => pid).join();
    if (pids === printed && waited < next) return;
    printed = pids;
    next = waited + REMIND_MS;
    const who = blockers.map(formatBlocker).join(", ") || "a lock that somebody holds";
    printError(`waiting for ${who}; ${formatDuration(waited / 1000)} so far`);
  };
}
