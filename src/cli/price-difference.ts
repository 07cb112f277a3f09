import {
  type PriceChange,
  type PriceDifference,
  type PriceRow,
  priceFields,
} from "../prices/index.ts";
import { formatCount, formatNumber, printLine, text } from "../terminal/index.ts";
import { describeChange, describePrice, describeScope } from "./price-words.ts";

/** How many names of a sort are shown; of those that change, all are. */
const MOST_NAMES = 10;

/** Prints how a file of prices differs from the catalogue. */
export function printDifference(difference: PriceDifference, source: string): void {
  const { added, changed, impossible, kept, missing, unchanged } = difference;
  const counts = [
    `${formatNumber(added.length)} added`,
    `${formatNumber(changed.length)} changed`,
    `${formatNumber(unchanged.length)} unchanged`,
    `${formatNumber(kept.length)} left as an operator set them`,
  ];
  printLine(text`${source}: ${counts.join(", ")}`);
  printSome("added", added, (change) => printChange(change));
  for (const change of changed) printChange(change);
  printSome("left", kept, (name) => printLine(text`  ${name}: left as an operator set it`));
  printSome("left", impossible, (name) =>
    printLine(text`  ${name}: left, as a model never becomes an alias, nor an alias a model`),
  );
  if (missing.length > 0) {
    printLine(text`  ${formatCount(missing.length, "name")} of an earlier seed left as they are`);
  }
}

function printSome<T>(what: string, items: readonly T[], print: (item: T) => void): void {
  for (const item of items.slice(0, MOST_NAMES)) print(item);
  const more = items.length - MOST_NAMES;
  if (more > 0) printLine(text`  and ${formatNumber(more)} more ${what}`);
}

function printChange({ before, name, rows }: PriceChange): void {
  for (const row of rows) {
    const isCurrent = row.above === 0 && row.validFrom === null;
    const said =
      before && isCurrent ? describeChange(before, row) : `${describePrice(row)}${isNew(before)}`;
    printLine(text`  ${describeScope(name, row)}: ${said}`);
  }
}

function isNew(before: PriceRow | undefined): string {
  return before === undefined ? ", new" : "";
}

/** The difference for a program: rows as the columns of a file. */
export function toJsonDifference(
  { added, changed, impossible, kept, missing, unchanged }: PriceDifference,
  source: string,
  applied: boolean,
): object {
  const rowsOf = ({ name, rows }: PriceChange): object => ({ name, rows: rows.map(priceFields) });
  return {
    source,
    applied,
    added: added.map(rowsOf),
    changed: changed.map(rowsOf),
    unchanged: unchanged.length,
    kept,
    impossible,
    missing,
  };
}
