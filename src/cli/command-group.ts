import { Command } from "commander";

/** Makes a command that only has commands of its own, such as `limit set`; each has its action. */
export function commandGroup(name: string, commands: readonly Command[]): Command {
  return commands.reduce((group, command) => group.addCommand(command), new Command(name));
}
