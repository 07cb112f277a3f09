import type { CommandWords, Values } from "./words.ts";

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
${commands.flatMap(valueCases).join("\n")}
    *) case $command in
      ""|help) words="${names(commands)}"; [[ $command || $word != -* ]] || words="--help --version" ;;
${commands.map(wordCase).join("\n")}
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

function names(commands: readonly CommandWords[]): string {
  return [...commands.map(({ name }) => name), "help"].join(" ");
}

/** What follows an option that takes a value: nothing, files, or words. */
function valueCases({ name, options }: CommandWords): string[] {
  const cases = Map.groupBy(
    options.filter(({ values }) => values !== undefined),
    ({ values }) => wordsFor(values ?? null),
  );
  return [...cases].map(([words, group]) => {
    const flags = group.flatMap((option) => option.flags.map((flag) => `${name}:${flag}`));
    return `    ${flags.join("|")}) words="${words}" ;;`;
  });
}

/** What else may follow a command: its first argument, or an option. */
function wordCase({ name, options, arguments: [argument] }: CommandWords): string {
  const flags = options.flatMap((option) => option.flags.filter((flag) => flag.startsWith("--")));
  const values = wordsFor(argument?.values ?? null);
  const instead = values ? `; [[ $word == -* ]] || words="${values}"` : "";
  return `      ${name}) words="${flags.join(" ")}"${instead} ;;`;
}

function wordsFor(values: Values): string {
  return values === "files" ? "@files" : (values ?? []).join(" ");
}
