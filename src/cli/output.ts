import { renderTable } from "./table.ts";

/** Prints a value for a program: amounts, which JSON numbers cannot hold, become strings. */
export function printJson(value: unknown): void {
  const text = JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === "bigint" ? item.toString() : item),
    2,
  );
  process.stdout.write(`${text}\n`);
}

/** Prints a line for a person. */
export function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Tells a person about trouble, or what a script does not want to read, in one line. */
export function printError(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Prints rows as a table; the columns named in `numbers` are flush right. */
export function printTable(
  rows: readonly Readonly<Record<string, string>>[],
  numbers: readonly string[] = [],
): void {
  const columns = Object.keys(rows[0] ?? {}).map((name) => ({
    name,
    alignment: numbers.includes(name) ? ("right" as const) : ("left" as const),
  }));
  printLine(renderTable(columns, rows));
}

/** How many decimals show all these amounts exactly: two, where the scale has them, or more. */
export function decimalsFor(amounts: readonly bigint[], scale: number): number {
  const least = Math.min(2, scale);
  return amounts.reduce((most, amount) => {
    const idle = /0*$/.exec(amount.toString())?.[0].length ?? 0;
    return amount === 0n ? most : Math.max(most, scale - idle);
  }, least);
}
