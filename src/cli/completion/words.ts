import type { Command } from "commander";

/** What may stand where a value is wanted; null: nothing that a shell could know. */
export type Values = "files" | readonly string[] | null;

/** An option, as a shell completes it. */
export interface OptionWords {
  /** Like `-h` and `--help`. */
  readonly flags: readonly string[];
  readonly about: string;
  /** Undefined: it takes no value. */
  readonly values: Values | undefined;
  /** What its value is called. */
  readonly valueName: string;
}

/** A command, as a shell completes it. */
export interface CommandWords {
  readonly name: string;
  readonly about: string;
  readonly options: readonly OptionWords[];
  readonly arguments: readonly { readonly name: string; readonly values: Values }[];
}

/** Reads what there is to complete from a command's own definition. */
export function wordsOf(command: Command): CommandWords {
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
