#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { balanceCommand } from "./balance.ts";
import { benchCommand } from "./bench.ts";
import { creditCommand } from "./credit.ts";
import { demoCommand } from "./demo.ts";
import { devCommand } from "./dev.ts";
import { doctorCommand } from "./doctor.ts";
import { EXIT, failureOf } from "./failure.ts";
import { freezeCommand, unfreezeCommand } from "./freeze.ts";
import { generateCommand } from "./generate.ts";
import { migrateCommand } from "./migrate.ts";
import { openCommand } from "./open-wallet.ts";
import { printError } from "./output.ts";
import { simulateCommand } from "./simulate.ts";
import { sqlCommand } from "./sql.ts";
import { statementCommand } from "./statement.ts";
import { topCommand } from "./top.ts";
import { verifyCommand } from "./verify.ts";
import { workerCommand } from "./worker.ts";

const COMMANDS = [
  demoCommand,
  devCommand,
  migrateCommand,
  workerCommand,
  openCommand,
  creditCommand,
  freezeCommand,
  unfreezeCommand,
  balanceCommand,
  statementCommand,
  topCommand,
  verifyCommand,
  doctorCommand,
  simulateCommand,
  benchCommand,
  generateCommand,
  sqlCommand,
];

function createProgram(): Command {
  const program = new Command("baseledger")
    .description("A budget firewall for AI agents that lives inside PostgreSQL.")
    .version(version())
    .addHelpText(
      "after",
      "\nExit codes: 0 fine, 1 refused or not sound, 2 usage, 3 no connection, 4 could not check",
    )
    .exitOverride();
  for (const make of COMMANDS) {
    const command = make().copyInheritedSettings(program);
    program.addCommand(complainInOneLine(command, `baseledger ${command.name()}`));
  }
  return complainInOneLine(program, "baseledger");
}

function complainInOneLine(command: Command, name: string): Command {
  return command.configureOutput({
    outputError: (text, write) => {
      const complaint = text.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
      write(`${name}: ${complaint.trim()} (see: ${name} --help)\n`);
    },
  });
}

function version(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

async function main(): Promise<void> {
  // A reader that has seen enough, like head, is no failure of ours.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT.fine);
    throw error;
  });
  try {
    await createProgram().parseAsync();
  } catch (error) {
    const failure = failureOf(error);
    if (failure) {
      printError(`baseledger: ${failure.line}`);
      process.exitCode = failure.code;
    } else {
      const asked = error instanceof CommanderError && error.exitCode === 0;
      process.exitCode = asked ? EXIT.fine : EXIT.usage;
    }
  }
}

await main();
