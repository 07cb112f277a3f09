import { Command } from "commander";
import { startWorker, type WorkerLogger } from "../worker.ts";
import { addDatabaseOptions, type DatabaseOptions, open } from "./database.ts";
import { printError } from "./output.ts";
import { untilAskedToEnd } from "./signals.ts";

/** `baseledger worker`: the expiry job, until it is asked to end. */
export function workerCommand(): Command {
  const command = new Command("worker")
    .description("run the expiry job, which returns the funds of reservations past their deadline")
    .addHelpText(
      "after",
      "\nThe login must be a member of baseledger_worker. On its first start it makes the schema" +
        "\nbaseledger_worker for graphile-worker's tables, and needs create on the database for" +
        "\nthat. Several workers may run, with one login." +
        "\n\nExample:\n  DATABASE_URL=postgres://worker@localhost/app baseledger worker",
    )
    .action(runWorker);
  return addDatabaseOptions(command);
}

/** Tells a person what the expiry job does, with the time, on standard error. */
export const timedLogger: WorkerLogger = {
  info: (message) => printError(`${new Date().toISOString()} ${message}`),
  warn: (message) => printError(`${new Date().toISOString()} ${message}`),
};

async function runWorker(options: DatabaseOptions): Promise<void> {
  const asked = untilAskedToEnd();
  const database = await open(options);
  try {
    const worker = await startWorker({ url: database.url, logger: timedLogger });
    await asked;
    await worker.stop();
  } finally {
    await database.stop();
  }
  timedLogger.info("expiry job stopped");
}
