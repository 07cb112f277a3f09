import { formatAmount } from "../amounts/index.ts";
import {
  type Column,
  csvText,
  formatNumber,
  pagedTable,
  printCsv,
  printLines,
  type Row,
  type SafeText,
  shortened,
  text,
} from "../terminal/index.ts";
import type { Report, Spending } from "./spending-report.ts";
import { windowWriter, zonedTimeWriter } from "./zoned-time.ts";

const WIDEST_VALUE = 40;

/** Prints a report as a table for a person, with the sums below it. */
export async function printSpending(report: Report): Promise<void> {
  await printLines(linesOf(report));
}

async function* linesOf(report: Report): AsyncGenerator<SafeText> {
  if (report.lines === 0) {
    yield text`nothing was spent in this time`;
    return;
  }
  yield titleOf(report);
  const table = pagedTable(columnsFor(report));
  const write = report.per === undefined ? undefined : windowWriter(report.per, report.timeZone);
  // A single line without windows or labels is the sum.
  const total = write || report.by.length > 0 ? [totalRow(report)] : [];
  let left = report.lines;
  for await (const page of report.pages) {
    left -= page.length;
    const rows = page.map((line) => toRow(report, line, write));
    yield table.page(left === 0 ? [...rows, ...total] : rows);
  }
  yield table.end();
}

/** What the amounts are of, and where windows begin. */
export function titleOf({ by, per, timeZone, unit, walletId }: Report): SafeText {
  const windows = per === undefined ? text`` : text` each ${per}, times in ${timeZone}`;
  const labels = by.length === 0 ? text`` : text` by ${by.join(", ")}`;
  return text`Spending of ${walletId} in ${unit}${labels}${windows}`;
}

// Labels and kinds may have the names of other columns, so their places identify them.
const label = (place: number): string => `label ${place}`;
const kindOf = (kind: string): string => `kind ${kind}`;

function columnsFor({ by, kinds, per }: Report): Column[] {
  const left = (name: string, title: string): Column => ({ name, title, alignment: "left" });
  const right = (name: string, title: string): Column => ({ name, title, alignment: "right" });
  return [
    ...(per === undefined ? [] : [left("window", per)]),
    ...by.map((name, place) => left(label(place), shortened(name, WIDEST_VALUE))),
    right("calls", "calls"),
    ...kinds.map((kind) => right(kindOf(kind), kind)),
    right("amount", "amount"),
  ];
}

function toRow(
  report: Report,
  line: Spending,
  writeWindow: ((time: Date) => string) | undefined,
): Row {
  const values = line.labelValues.map((value, place) => [
    label(place),
    value === "" ? text`(none)` : shortened(value, WIDEST_VALUE),
  ]);
  return {
    ...(line.startsAt && writeWindow && { window: writeWindow(line.startsAt) }),
    ...Object.fromEntries(values),
    ...sumsOf(report, line),
  };
}

function totalRow(report: Report): Row {
  const first = report.per === undefined ? label(0) : "window";
  return { [first]: "total", ...sumsOf(report, report.total) };
}

function sumsOf(
  { decimals, kinds, scale }: Report,
  { amount, calls, tokens }: Omit<Spending, "startsAt" | "labelValues">,
): Row {
  const counts = kinds.map((kind) => {
    const count = tokens.get(kind);
    return [kindOf(kind), count === undefined ? "" : formatNumber(count)];
  });
  return {
    calls: formatNumber(calls),
    ...Object.fromEntries(counts),
    amount: formatAmount(amount, scale, { grouping: true, decimals }),
  };
}

/** Prints a report as CSV: a column for each label, and for each kind of usage that there is. */
export async function printSpendingAsCsv(report: Report): Promise<void> {
  await printCsv(rowsOf(report));
}

async function* rowsOf(report: Report): AsyncGenerator<readonly string[]> {
  const { by, kinds, pages, per, scale, timeZone } = report;
  const [unit, write] = [csvText(report.unit), zonedTimeWriter(timeZone)];
  const fixed = ["starts_at", "calls", "amount", "unit", ...kinds];
  // A program finds columns by their names.
  const names = by.map((name) => csvText(fixed.includes(name) ? `label ${name}` : name));
  yield [
    ...(per === undefined ? [] : ["starts_at"]),
    ...names,
    "calls",
    ...kinds,
    "amount",
    "unit",
  ];
  for await (const page of pages) {
    for (const { amount, calls, labelValues, startsAt, tokens } of page) {
      yield [
        ...(startsAt === null ? [] : [write(startsAt)]),
        ...labelValues.map(csvText),
        calls.toString(),
        ...kinds.map((kind) => (tokens.get(kind) ?? 0n).toString()),
        formatAmount(amount, scale),
        unit,
      ];
    }
  }
}
