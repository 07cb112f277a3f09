import type { Command } from "commander";
import { commandGroup } from "./command-group.ts";
import { exportCommand } from "./prices-export.ts";
import { importCommand } from "./prices-import.ts";
import { listCommand } from "./prices-list.ts";
import { setCommand } from "./prices-set.ts";

/** `baseledger prices`: what models cost. */
export function pricesCommand(): Command {
  return commandGroup("prices", [importCommand(), listCommand(), setCommand(), exportCommand()]);
}
