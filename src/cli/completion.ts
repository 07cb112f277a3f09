import { Argument, Command } from "commander";
import { printAll } from "../terminal/index.ts";
import { makeCommands } from "./commands.ts";
import { bashScript } from "./completion/bash.ts";
import { fishScript } from "./completion/fish.ts";
import { wordsOf } from "./completion/words.ts";
import { zshScript } from "./completion/zsh.ts";

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;
type Shell = keyof typeof SCRIPTS;

/** `baseledger completion`: what a shell needs to complete the words of this program. */
export function completionCommand(): Command {
  return new Command("completion")
    .addArgument(new Argument("<shell>", "which one").choices(Object.keys(SCRIPTS)))
    .addHelpText(
      "after",
      "\nCompletes commands, options, and files where one is wanted. The script has all that in it:" +
        "\nno key press starts a program, and none asks the database. Make it anew after an upgrade." +
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
