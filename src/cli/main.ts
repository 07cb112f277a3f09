#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { EXIT, endWithOutput, hasPrinted, printError, printJson, text } from "../terminal/index.ts";
import { makeCommands } from "./commands.ts";
import type { Failure } from "./failure.ts";

async function createProgram(words: readonly string[]): Promise<Command> {
  const program = new Command("baseledger")
    .description("A budget firewall for AI agents that lives inside PostgreSQL.")
    .version(version())
    .addHelpText(
      "after",
      "\nExit codes: 0 fine, 1 refused or not sound, 2 usage, 3 no connection, 4 could not check" +
        '\nWith --json, a command that fails prints {"error": {"code", "message", "detail", "hint"}}.',
    )
    .exitOverride()
    .helpCommand(false);
  for (const command of await makeCommands(words)) {
    program.addCommand(adopt(command, program, `baseledger ${command.name()}`));
  }
  program.addCommand(helpCommand(program));
  return complainInOneLine(program, "baseledger");
}

/** Gives a command, and those that it consists of, the settings of the program. */
function adopt(command: Command, parent: Command, name: string): Command {
  command.copyInheritedSettings(parent).helpCommand(false);
  for (const one of command.commands) adopt(one, command, `${name} ${one.name()}`);
  return complainInOneLine(command, name);
}

/** Replaces commander's own, which prints the whole help for an unknown command. */
function helpCommand(program: Command): Command {
  return new Command("help")
    .description("display help for a command")
    .argument("[command...]")
    .action((names: readonly string[]) => {
      let found = program;
      for (const name of names) {
        const command = found.commands.find((one) => one.name() === name);
        if (!command) program.error(`error: unknown command '${names.join(" ")}'`);
        else found = command;
      }
      found.help();
    });
}

function complainInOneLine(command: Command, name: string): Command {
  return command.configureOutput({
    outputError: (complaint) => {
      const line = complaint
        .replace(/^error: /, "")
        .replace(/\s+/g, " ")
        .trim();
      printError(text`${name}: ${line} (see: ${name} --help)`);
    },
  });
}

function version(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

async function main(): Promise<void> {
  const program = await createProgram(process.argv.slice(2));
  let json = false;
  program.hook("preAction", (_, asked) => {
    json = asked.opts().json === true;
  });
  endWithOutput();
  // Errors that no command awaits end the program, too.
  process.on("uncaughtException", (error) => {
    void fail(error, json).finally(() => process.exit());
  });
  try {
    await program.parseAsync();
  } catch (error) {
    await fail(error, json);
  }
}

let failing: Promise<void> | undefined;

/** Ends the program with the first error; what fails as a consequence is not reported. */
function fail(error: unknown, json: boolean): Promise<void> {
  failing ??= end(error, json);
  return failing;
}

async function end(error: unknown, json: boolean): Promise<void> {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.fine : EXIT.usage;
    return;
  }
  // Loaded only now, so that help is quick.
  const { failureOf } = await import("./failure.ts");
  const failure = failureOf(error);
  if (failure) report(failure, json);
  process.exitCode = failure?.code ?? EXIT.usage;
}

function report({ error, line }: Failure, json: boolean): void {
  // After a part of an answer, it would only make that invalid.
  if (json && !hasPrinted()) printJson({ error });
  printError(text`baseledger: ${line}`);
}

await main();
