import { Command } from "commander";
import { installSql } from "../migrate/index.ts";
import { printAll } from "../terminal/index.ts";

/** `baseledger sql`: the install script, for people with another migration tool. */
export function sqlCommand(): Command {
  return new Command("sql")
    .addHelpText("after", "\nExample:\n  baseledger sql > migrations/0042_baseledger.sql")
    .action(async () => printAll([await installSql()]));
}
