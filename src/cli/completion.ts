import { Argument, Command } from "commander";
import { printAll } from "../terminal/index.ts";
import { makeCommands } from "./commands.ts";
import {
  bashScript,
  type CommandWords,
  fishScript,
  type Values,
  zshScript,
} from "./completion-scripts.ts";

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;
type Shell = keyof typeof SCRIPTS;

/** `baseledger completion`: what a shell needs to complete the words of this program. */
export function completionCommand(): Command {
  return new Command("completion")
    .addArgument(new Argument("<shell>", "which one").choices(Object.keys(SCRIPTS)))
    .addHelpText(
      "after",
      "\nCompletes commands, options, and files where one is wanted. The script contains all of them:" +
        "\nno key press starts a program or asks the database. Make it again after an upgrade." +
        "\n\nExamples:" +
        "\n  baseledger completion bash > ~/.local/share/bash-completion/completions/baseledger" +
        "\n  baseledger completion zsh > ~/.zfunc/_baseledger     with ~/.zfunc in fpath" +
        "\n  baseledger completion fish > ~/.config/fish/completions/baseledger.fish" +
        "\n  source <(baseledger completion bash)     for this session only; zsh takes it, too",
    )
    .action(async (shell: Shell) => {
      const commands = (await makeCommands()).map(wordsOf);
      await printAll([SCRIPTS[shell](commands)]);
    });
}

/**
 * Reads what can be completed from a command's definition. One that consists of others completes
 * their names, and all their options.
 */
function wordsOf(command: Command): CommandWords {
  if (command.commands.length === 0) return wordsOfOne(command);
  const parts = command.commands.map(wordsOfOne);
  const options = new Map(
    parts.flatMap((part) => part.options).map((option) => [option.flags.join(), option]),
  );
  return {
    name: command.name(),
    about: command.description(),
    options: [...options.values()],
    arguments: [
      { name: "command", values: parts.map(({ name }) => name) },
      ...Array.from(
        { length: Math.max(...parts.map((part) => part.arguments.length)) },
        (_, i) => ({
          name: parts.find((part) => part.arguments[i])?.arguments[i]?.name ?? "",
          values: null,
        }),
      ),
    ],
  };
}

function wordsOfOne(command: Command): CommandWords {
  return {
    name: command.name(),
    about: command.description(),
    options: command
      .createHelp()
      .visibleOptions(command)
      .map(({ short, long, description, required, optional, argChoices, flags }) => {
        const [, valueName = ""] = /[<[]([^>\].]+)/.exec(flags) ?? [];
        return {
          flags: [short, long].filter((flag) => flag !== undefined),
          about: description,
          values: required || optional ? valuesOf(valueName, argChoices) : undefined,
          valueName,
        };
      }),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      values: valuesOf(argument.name(), argument.argChoices),
    })),
  };
}

function valuesOf(name: string, choices: readonly string[] | undefined): Values {
  return name === "file" ? "files" : (choices ?? null);
}
