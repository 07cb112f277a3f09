/** The values that a shell can complete; null if it knows none. */
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

/** The script for bash, 3.2 and later. */
export function bashScript(commands: readonly CommandWords[]): string {
  return `# Completion of baseledger for bash; made by: baseledger completion bash
_baseledger() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} command= words= i found
  # --option=value: bash makes three words of it.
  if [[ $word == = ]]; then
    word=
  elif [[ $before == = ]]; then
    before=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ \${COMP_WORDS[i]} != -* ]]; then
      command=\${COMP_WORDS[i]}
      break
    fi
  done
  COMPREPLY=()
  case $command:$before in
${commands.flatMap(bashValueCases).join("\n")}
    *) case $command in
      ""|help) words="${namesOf(commands)}"; [[ $command || $word != -* ]] || words="--help --version" ;;
${commands.map(bashCase).join("\n")}
    esac ;;
  esac
  if [[ $words == @files ]]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r found; do COMPREPLY+=("$found"); done < <(compgen -f -- "$word")
  else
    while IFS= read -r found; do COMPREPLY+=("$found"); done < <(compgen -W "$words" -- "$word")
  fi
}
complete -F _baseledger baseledger
`;
}

function namesOf(commands: readonly CommandWords[]): string {
  return [...commands.map(({ name }) => name), "help"].join(" ");
}

/** What follows an option that takes a value: nothing, files, or words. */
function bashValueCases({ name, options }: CommandWords): string[] {
  const cases = Map.groupBy(
    options.filter(({ values }) => values !== undefined),
    ({ values }) => bashWords(values ?? null),
  );
  return [...cases].map(([words, group]) => {
    const flags = group.flatMap((option) => option.flags.map((flag) => `${name}:${flag}`));
    return `    ${flags.join("|")}) words="${words}" ;;`;
  });
}

/** What may follow a command: its first argument, or an option. */
function bashCase({ name, options, arguments: [argument] }: CommandWords): string {
  const flags = options.flatMap((option) => option.flags.filter((flag) => flag.startsWith("--")));
  const values = bashWords(argument?.values ?? null);
  const instead = values ? `; [[ $word == -* ]] || words="${values}"` : "";
  return `      ${name}) words="${flags.join(" ")}"${instead} ;;`;
}

function bashWords(values: Values): string {
  return values === "files" ? "@files" : (values ?? []).join(" ");
}

/** The script for fish. */
export function fishScript(commands: readonly CommandWords[]): string {
  return [
    "# Completion of baseledger for fish; made by: baseledger completion fish",
    "complete -c baseledger -f",
    "complete -c baseledger -n __fish_use_subcommand -s h -l help -d 'display help'",
    "complete -c baseledger -n __fish_use_subcommand -s V -l version -d 'output the version'",
    "complete -c baseledger -n __fish_use_subcommand -a help -d 'display help for command'",
    ...commands.flatMap((command) => [
      `complete -c baseledger -n '__fish_use_subcommand; or __fish_seen_subcommand_from help' ` +
        `-a ${command.name} -d ${fishQuoted(command.about)}`,
      ...fishLines(command),
    ]),
    "",
  ].join("\n");
}

function fishLines({ name, options, arguments: given }: CommandWords): string[] {
  const start = `complete -c baseledger -n '__fish_seen_subcommand_from ${name}'`;
  return [
    ...options.map((option) => `${start} ${fishFlags(option)} -d ${fishQuoted(option.about)}`),
    ...given.flatMap(({ values }) => (values ? [`${start} ${fishWords(values)}`] : [])),
  ];
}

function fishFlags({ flags, values }: OptionWords): string {
  const named = flags.map((flag) =>
    flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
  );
  if (values !== undefined) named.push(values ? `-r ${fishWords(values)}` : "-x");
  return named.join(" ");
}

function fishWords(values: NonNullable<Values>): string {
  return values === "files" ? "-F" : `-f -a ${fishQuoted(values.join(" "))}`;
}

function fishQuoted(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}

/** The script for zsh: to be found in its fpath, or to be sourced. */
export function zshScript(commands: readonly CommandWords[]): string {
  return `#compdef baseledger
# Completion of baseledger for zsh; made by: baseledger completion zsh
_baseledger() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  local -a commands=(
${commands.map(({ name, about }) => `    ${zshQuoted(`${name}:${about}`)}`).join("\n")}
    'help:display help for command'
  )
  _arguments -C '(- *)'{-h,--help}'[display help]' '(- *)'{-V,--version}'[output the version]' \\
    '1: :->command' '*:: :->words'
  case $state in
    command) _describe command commands ;;
    words) case $words[1] in
      help) _describe command commands ;;
${commands.map(zshCase).join("\n")}
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

function zshCase({ name, options, arguments: given }: CommandWords): string {
  const specs = [
    ...options.map(zshOption),
    ...given.map((argument) => zshQuoted(`:${argument.name}:${zshAction(argument.values)}`)),
  ];
  return `      ${name}) _arguments ${specs.join(" \\\n        ")} ;;`;
}

function zshOption({ flags, about, values, valueName }: OptionWords): string {
  const value = values === undefined ? "" : `:${valueName}:${zshAction(values)}`;
  const text = `[${zshEscaped(about)}]${value}`;
  const [only = "", ...others] = flags;
  if (others.length === 0) return zshQuoted(`${only}${text}`);
  return `'(${flags.join(" ")})'{${flags.join(",")}}${zshQuoted(text)}`;
}

function zshAction(values: Values): string {
  if (values === "files") return "_files";
  return values ? `(${values.join(" ")})` : " ";
}

function zshEscaped(text: string): string {
  return text.replace(/[\\[\]:]/g, "\\$&");
}

function zshQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
