import type { CommandWords, OptionWords, Values } from "./words.ts";

/** The script for zsh: to be found in its fpath, or to be sourced. */
export function zshScript(commands: readonly CommandWords[]): string {
  return `#compdef baseledger
# Completion of baseledger for zsh; made by: baseledger completion zsh
_baseledger() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  local -a commands=(
${commands.map(({ name, about }) => `    ${quoted(`${name}:${about}`)}`).join("\n")}
    'help:display help for command'
  )
  _arguments -C '(- *)'{-h,--help}'[display help]' '(- *)'{-V,--version}'[output the version]' \\
    '1: :->command' '*:: :->words'
  case $state in
    command) _describe command commands ;;
    words) case $words[1] in
      help) _describe command commands ;;
${commands.map(commandCase).join("\n")}
    esac ;;
  esac
}
if [[ $funcstack[1] == _baseledger ]]; then
  _baseledger "$@"
else
  compdef _baseledger baseledger
fi
`;
}

function commandCase({ name, options, arguments: given }: CommandWords): string {
  const specs = [
    ...options.map(optionSpec),
    ...given.map((argument) => quoted(`:${argument.name}:${actionFor(argument.values)}`)),
  ];
  return `      ${name}) _arguments ${specs.join(" \\\n        ")} ;;`;
}

function optionSpec({ flags, about, values, valueName }: OptionWords): string {
  const value = values === undefined ? "" : `:${valueName}:${actionFor(values)}`;
  const told = `[${escaped(about)}]${value}`;
  const [only = "", ...others] = flags;
  if (others.length === 0) return quoted(`${only}${told}`);
  return `'(${flags.join(" ")})'{${flags.join(",")}}${quoted(told)}`;
}

function actionFor(values: Values): string {
  if (values === "files") return "_files";
  return values ? `(${values.join(" ")})` : " ";
}

function escaped(text: string): string {
  return text.replace(/[\\[\]:]/g, "\\$&");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
