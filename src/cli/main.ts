#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { makeCommands } from "./commands.ts";
import { EXIT, failureOf } from "./failure.ts";
import { printError } from "./output.ts";

async function createProgram(words: readonly string[]): Promise<Command> {
  const program = new Command("baseledger")
    .description("A budget firewall for AI agents that lives inside PostgreSQL.")
    .version(version())
    .addHelpText(
      "after",
      "\nExit codes: 0 fine, 1 refused or not sound, 2 usage, 3 no connection, 4 could not check",
    )
    .exitOverride();
  for (const command of await makeCommands(words)) {
    command.copyInheritedSettings(program);
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
    await (await createProgram(process.argv.slice(2))).parseAsync();
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
