import { formatAmount } from "../amounts/index.ts";
import {
  type Axis,
  type Canvas,
  drawChart,
  drawLegend,
  joined,
  marksBetween,
  numberAxis,
  plotColumns,
  type SafeText,
  type Series,
  shortened,
  text,
} from "../terminal/index.ts";
import { combinationOf } from "./limit-words.ts";
import { titleOf } from "./spending-print.ts";
import type { Report, Spending, Window } from "./spending-report.ts";
import { windowWriter } from "./zoned-time.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/**
 * How long windows usually are, though clocks change and months differ; and how far into one an
 * instant is in it, on its first day, whatever the ones before were like.
 */
const USUAL = {
  hour: { usual: HOUR_MS, into: 0 },
  day: { usual: DAY_MS, into: DAY_MS / 2 },
  week: { usual: 7 * DAY_MS, into: DAY_MS / 2 },
  month: { usual: 30.436875 * DAY_MS, into: 15 * DAY_MS },
} as const;
const STYLES = [
  { color: "green", letter: "a" },
  { color: "cyan", letter: "b" },
  { color: "yellow", letter: "c" },
  { color: "magenta", letter: "d" },
] as const satisfies readonly Pick<Series, "color" | "letter">[];
const WIDEST_NAME = 40;
const OTHERS = "others";

/** What one line of the chart stands for: amounts by the place of their windows, from 0. */
interface Group {
  readonly name: string;
  readonly total: bigint;
  readonly amounts: Map<number, bigint>;
}

/** Draws what was spent in each window, in a line for each of the labels that spent most. */
export async function plotSpending(report: Report, canvas: Canvas): Promise<SafeText> {
  const { per = "day", scale, timeZone, unit } = report;
  const { first, windows, groups } = await gather(report);
  if (groups.length === 0) return text`nothing was spent in this time`;
  const values = groups.map(({ amounts }) => valuesOf(amounts, windows, scale));
  const y = amountAxis(values.flat(), scale);
  const series = groups.map(({ name }, i): Series => {
    const points = pointsOf(values[i] ?? [], plotColumns(canvas, y));
    return { ...(STYLES[i] ?? STYLES[0]), name: shortened(name, WIDEST_NAME), points };
  });
  const x = windowAxis(first, windows, per, timeZone);
  const chart = await drawChart(series, { x, y, below: `${unit} each ${per}` }, canvas);
  const legend = groups.map(({ total }, i) => {
    const sum = formatAmount(total, scale, { grouping: true });
    return text`${drawLegend(series.slice(i, i + 1), canvas)} ${sum}`;
  });
  return joined([titleOf(report), text``, chart, text``, joined(legend, "   ")]);
}

/** Sums up lines: first which combinations spent most, then what these did in each window. */
async function gather({ by, pages, per = "day" }: Report) {
  const totals = new Map<string, bigint>();
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for await (const page of pages) {
    for (const line of page) {
      const name = nameOf(line, by);
      totals.set(name, (totals.get(name) ?? 0n) + line.amount);
      const at = line.startsAt?.getTime() ?? 0;
      [first, last] = [Math.min(first, at), Math.max(last, at)];
    }
  }
  const { usual } = USUAL[per];
  const place = (at: number): number => Math.round((at - first) / usual);
  const groups = chooseGroups(totals);
  const rest = groups.get(OTHERS);
  for await (const page of pages) {
    for (const line of page) {
      const amounts = (groups.get(nameOf(line, by)) ?? rest)?.amounts;
      const at = place(line.startsAt?.getTime() ?? 0);
      amounts?.set(at, (amounts.get(at) ?? 0n) + line.amount);
    }
  }
  return { first, windows: place(last) + 1, groups: [...groups.values()] };
}

function nameOf({ labelValues }: Spending, by: readonly string[]): string {
  return by.length === 0 ? "amount" : combinationOf(labelValues, by);
}

/** The combinations that spent most, and one for all others if there are too many. */
function chooseGroups(totals: ReadonlyMap<string, bigint>): Map<string, Group> {
  const sorted = [...totals].sort(([, a], [, b]) => (a === b ? 0 : a < b ? 1 : -1));
  const most = sorted.length > STYLES.length ? STYLES.length - 1 : STYLES.length;
  const named = sorted.slice(0, most);
  if (sorted.length > most) {
    const rest = sorted.slice(most).reduce((sum, [, total]) => sum + total, 0n);
    named.push([OTHERS, rest]);
  }
  return new Map(named.map(([name, total]) => [name, { name, total, amounts: new Map() }]));
}

// For drawing only: the numbers that are printed are exact.
function valuesOf(amounts: ReadonlyMap<number, bigint>, windows: number, scale: number): number[] {
  return Array.from({ length: windows }, (_, at) => Number(amounts.get(at) ?? 0n) / 10 ** scale);
}

/** A point for each column: the window it is in, or of several the one with the most. */
function pointsOf(values: readonly number[], columns: number): [x: number, y: number][] {
  return Array.from({ length: columns }, (_, column) => {
    const from = Math.floor((column * values.length) / columns);
    const to = Math.max(Math.floor(((column + 1) * values.length) / columns), from + 1);
    let most = values[from] ?? 0;
    for (let at = from + 1; at < to; at += 1) most = Math.max(most, values[at] ?? 0);
    return [(column * values.length) / columns, most];
  });
}

function amountAxis(values: readonly number[], scale: number): Axis {
  let [least, most] = [0, 0];
  for (const value of values) [least, most] = [Math.min(least, value), Math.max(most, value)];
  const marks = marksBetween(least, most > least ? most : least + 1);
  return numberAxis(marks, { least: Math.min(2, scale), most: scale });
}

const MOST_MARKS = 5;

function windowAxis(first: number, windows: number, per: Window, timeZone: string): Axis {
  const write = windowWriter(per, timeZone);
  const step = Math.ceil(windows / MOST_MARKS);
  const marks = Array.from({ length: Math.ceil(windows / step) }, (_, i) => i * step);
  const { usual, into } = USUAL[per];
  const inWindow = (at: number): Date => new Date(first + at * usual + into);
  // Of an hour the day and the time; the year would take too many columns.
  const part: [from?: number, to?: number] = per === "hour" ? [5, 16] : [];
  return { marks, write: (at) => write(inWindow(at)).slice(...part) };
}
