import type { CommandWords, OptionWords, Values } from "./words.ts";

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
        `-a ${command.name} -d ${quoted(command.about)}`,
      ...linesOf(command),
    ]),
    "",
  ].join("\n");
}

function linesOf({ name, options, arguments: given }: CommandWords): string[] {
  const start = `complete -c baseledger -n '__fish_seen_subcommand_from ${name}'`;
  return [
    ...options.map((option) => `${start} ${flagsOf(option)} -d ${quoted(option.about)}`),
    ...given.flatMap(({ values }) => (values ? [`${start} ${wordsFor(values)}`] : [])),
  ];
}

function flagsOf({ flags, values }: OptionWords): string {
  const named = flags.map((flag) =>
    flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
  );
  if (values !== undefined) named.push(values ? `-r ${wordsFor(values)}` : "-x");
  return named.join(" ");
}

function wordsFor(values: NonNullable<Values>): string {
  return values === "files" ? "-F" : `-f -a ${quoted(values.join(" "))}`;
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
