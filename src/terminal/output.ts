import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EXIT } from "./exit.ts";
import {
  printable,
  printableJson,
  type SafeText,
  styled,
  terminalText,
  text,
  trusted,
} from "./safe-text.ts";
import { columnsOf, type Row, renderTable } from "./table.ts";

/*
 * The only way to standard output and standard error. A plain string counts as untrusted here, and
 * is escaped: lines are made with `text` of safe-text.ts.
 */

let printed = false;

/** Whether anything has gone to standard output: what a program reads there has begun. */
export function hasPrinted(): boolean {
  return printed;
}

function print(text: string): void {
  printed = true;
  process.stdout.write(text);
}

/** Prints a value for a program: amounts, which JSON numbers cannot hold, become strings. */
export function printJson(value: unknown): void {
  print(`${toJson(value)}\n`);
}

/** The text of {@link printJson}: indented, and nothing in it that a terminal would obey. */
export function toJson(value: unknown): string {
  const text = JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === "bigint" ? item.toString() : item),
    2,
  );
  return printableJson(text);
}

/** Prints a line for a person. */
export function printLine(line: SafeText | string): void {
  print(`${terminalText(line)}\n`);
}

/** Prints a line for a person to standard error: trouble, or what a script does not read. */
export function printError(line: SafeText | string): void {
  process.stderr.write(`${terminalText(line)}\n`);
}

/** Writes text that a program reads, piece by piece, as fast as its reader takes it. */
export async function printAll(pieces: AsyncIterable<string> | Iterable<string>): Promise<void> {
  printed = true;
  await pipeline(Readable.from(pieces), process.stdout, { end: false });
}

/** Prints items as a JSON array, as {@link printJson} would if they were all there at once. */
export async function printJsonArray(pages: AsyncIterable<readonly unknown[]>): Promise<void> {
  await printAll(arrayPieces(pages));
}

async function* arrayPieces(pages: AsyncIterable<readonly unknown[]>): AsyncGenerator<string> {
  let begun = false;
  for await (const page of pages) {
    // Without the brackets around it.
    const items = toJson(page).slice(2, -2);
    yield `${begun ? ",\n" : "[\n"}${items}`;
    begun = true;
  }
  yield begun ? "\n]\n" : "[]\n";
}

/** Prints lines for a person, as they come. */
export async function printLines(lines: AsyncIterable<SafeText>): Promise<void> {
  await printAll(withLineBreaks(lines));
}

async function* withLineBreaks(lines: AsyncIterable<SafeText>): AsyncGenerator<string> {
  for await (const line of lines) yield `${terminalText(line)}\n`;
}

/** Resolves when all that was printed has been taken. */
export function printedAll(): Promise<void> {
  return new Promise((resolve) => process.stdout.write("", () => resolve()));
}

/**
 * Ends the program when its output cannot be written. A reader that has seen enough, like head, is
 * no failure of ours; a full disk is. A command whose exit code is its answer has set that before.
 */
export function endWithOutput(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(process.exitCode ?? EXIT.fine);
    printError(text`baseledger: cannot write the output: ${error.message}`);
    process.exit(process.exitCode || EXIT.unchecked);
  });
  // There is nowhere left to say that nobody reads what goes wrong.
  process.stderr.on("error", () => undefined);
}

/** Prints rows as a table; the columns named in `numbers` are aligned to the right. */
export function printTable(rows: readonly Row[], numbers: readonly string[] = []): void {
  printLine(renderTable(columnsOf(Object.keys(rows[0] ?? {}), numbers), rows));
}

/**
 * An untrusted name as a field of CSV: a spreadsheet executes what begins like a formula, so that
 * gets a quote before it. What cannot be printed is escaped, as a file ends up on a terminal.
 */
export function csvText(name: string): string {
  return /^[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/.test(name)
    ? `'${printable(name)}`
    : printable(name);
}

/** Prints rows as CSV, as fast as the reader takes them. */
export async function printCsv(rows: AsyncIterable<readonly string[]>): Promise<void> {
  const { stringify } = await import("csv-stringify");
  // As the source of a pipe it is pulled from, so that it holds no more than the reader takes.
  await printAll(Readable.from(rows).compose(stringify()));
}

/** What a service logs: lines for a person, or JSON, one object a line. */
export type LogFormat = "text" | "json";

/** Takes what a service reports. */
export interface Logger {
  info(message: string): void;
  warn(message: string): void;
}

/** A logger to standard error, with the time. */
export function createLogger(format: LogFormat): Logger {
  const write = format === "json" ? writeJson : writeText;
  return { info: (message) => write("info", message), warn: (message) => write("warn", message) };
}

function writeJson(level: string, message: string): void {
  const entry = JSON.stringify({ time: new Date().toISOString(), level, message });
  printError(trusted(printableJson(entry)));
}

function writeText(level: "info" | "warn", message: string): void {
  const stream = process.stderr;
  const time = styled("gray", new Date().toISOString(), stream);
  printError(text`${time} ${level === "warn" ? styled("yellow", message, stream) : message}`);
}
