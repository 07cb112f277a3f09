import { Readable } from "node:stream";
import { printAll } from "./output.ts";
import { printable } from "./safe-text.ts";

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
