import { Command } from "commander";
import { migrate } from "../migrate/index.ts";
import { createLogger, joined, printLine, type SafeText, text } from "../terminal/index.ts";
import { startWorker } from "../worker/index.ts";
import { addOwnDatabaseOptions, type DatabaseOptions, isEmbedded, open } from "./database.ts";
import { untilAskedToEnd } from "./signals.ts";

/** `baseledger dev`: a ledger to develop against, until Ctrl-C. */
export function devCommand(): Command {
  const command = new Command("dev")
    .addHelpText(
      "after",
      "\nThe data is kept in .baseledger, or where BASELEDGER_DATA says." +
        "\n\nExample:\n  baseledger dev",
    )
    .action(runDev);
  return addOwnDatabaseOptions(command, "the embedded server of this directory");
}

async function runDev(options: DatabaseOptions): Promise<void> {
  const asked = untilAskedToEnd();
  const database = await open(options);
  try {
    await migrate(database.url);
    const worker = await startWorker({ url: database.url, logger: createLogger("text") });
    printLine(greeting(database.url, isEmbedded(options)));
    await asked;
    await worker.stop();
  } finally {
    await database.stop();
  }
  printLine(isEmbedded(options) ? "Stopped; the data is kept." : "Stopped.");
}

function greeting(url: string, embedded: boolean): SafeText {
  return joined([
    "",
    embedded ? "BaseLedger runs, on a PostgreSQL of its own:" : "BaseLedger runs:",
    "",
    text`  DATABASE_URL=${url}`,
    "",
    "Try it:",
    "",
    text`  psql "${url}"`,
    text`  select * from baseledger.open_wallet('acme');`,
    text`  select * from baseledger.credit('acme', 10000000000, 'first-credit');  -- 10 dollars`,
    text`  select * from baseledger.reserve('acme', 250000000, 'call-1');`,
    text`  select * from baseledger.balance('acme');`,
    "",
    "Ctrl-C ends it.",
    "",
  ]);
}
