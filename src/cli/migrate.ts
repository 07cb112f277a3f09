import { Command } from "commander";
import { migrate } from "../migrate.ts";
import { addDatabaseOptions, type DatabaseOptions, open } from "./database.ts";
import { printLine } from "./output.ts";

/** `baseledger migrate`: installs the schema, or brings it up to date. */
export function migrateCommand(): Command {
  const command = new Command("migrate")
    .addHelpText(
      "after",
      "\nMay be run at any time, also twice at once." +
        "\n\nExample:\n  baseledger migrate --url postgres://owner@localhost/app",
    )
    .action(runMigrate);
  return addDatabaseOptions(command);
}

async function runMigrate(options: DatabaseOptions): Promise<void> {
  const database = await open(options);
  try {
    const applied = await migrate(database.url);
    for (const name of applied) {
      printLine(`applied ${name}`);
    }
    printLine(applied.length > 0 ? "BaseLedger is up to date now" : "BaseLedger is up to date");
  } finally {
    await database.stop();
  }
}
