import { styleText } from "node:util";
import { type Point as Dot, plot, type Settings } from "simple-ascii-chart";
import type { Funds } from "./model.ts";
import type { Point, Simulation } from "./simulate.ts";

const STYLES = { ansiGreen: "green", ansiCyan: "cyan", ansiYellow: "yellow" } as const;

interface Series {
  readonly name: keyof Funds;
  readonly color: keyof typeof STYLES;
  /** What it is drawn with where there are no colours. */
  readonly letter: string;
}

const SERIES: readonly Series[] = [
  { name: "available", color: "ansiGreen", letter: "a" },
  { name: "spent", color: "ansiCyan", letter: "s" },
  { name: "reserved", color: "ansiYellow", letter: "r" },
];
/** The columns that the vertical axis and the space around it take, besides its labels. */
const AXIS = 3;
const LEAST_LABEL = 9;
const HEIGHT = 14;
const MARKS = 5;

/** Draws the funds over time, to fit a width. */
export function plotFunds(simulation: Simulation, width: number, coloured: boolean): string {
  const amounts = marks(...rangeOf(simulation));
  const dollars = formatterFor(amounts, 2, DECIMALS_OF_A_DOLLAR, "$");
  const times = marks(0, (simulation.to - simulation.from) / 60_000);
  const time = formatterFor(times, times.every((at) => at === 0 || at >= 10) ? 0 : 1, 4);
  const label = Math.max(LEAST_LABEL, ...amounts.map((amount) => dollars(amount).length));
  const columns = Math.max(width - AXIS - label, 20);
  const points = thinOut(simulation, columns);
  const minutes = (at: number): number => (at - simulation.from) / 60_000;
  const series = SERIES.map(({ name }) =>
    points.map((point): Dot => [minutes(point.at), toDollars(point[name])]),
  );
  const chart = plot(series, {
    width: columns,
    height: HEIGHT,
    customXAxisTicks: times,
    customYAxisTicks: amounts,
    formatter: (value, { axis }) => (axis === "y" ? dollars(value) : time(value)),
    ...(coloured
      ? { color: SERIES.map(({ color }) => color) }
      : { lineFormatter: createLetters() }),
  });
  const body = chart.replace(/[ \t]+$/gm, "").replace(/^\n+|\n+$/g, "");
  return `${body}\n${"minutes".padStart(width / 2)}`;
}

/** The legend of the series. */
export function plotLegend(coloured: boolean): string {
  return SERIES.map(({ name, color, letter }) =>
    coloured
      ? styleText(STYLES[color], `━ ${name}`, { validateStream: false })
      : `${letter} ${name}`,
  ).join("   ");
}

/** Called for all points of one series after the other. */
function createLetters(): Required<Settings>["lineFormatter"] {
  let series = -1;
  return ({ index, plotX, plotY }) => {
    if (index === 0) series += 1;
    return { x: plotX, y: plotY, symbol: SERIES[series]?.letter ?? "·" };
  };
}

/** One point a column: the last of its time, with the most that was held in it. */
function thinOut({ points, from, to, credit }: Simulation, columns: number): Point[] {
  const step = (to - from) / columns || 1;
  let last: Point = { at: from, available: credit, reserved: 0n, spent: 0n };
  let next = 0;
  return Array.from({ length: columns }, (_, column) => {
    const at = from + column * step;
    let held = last.reserved;
    while (next < points.length && (points[next] as Point).at < at + step) {
      last = points[next] as Point;
      held = last.reserved > held ? last.reserved : held;
      next += 1;
    }
    return { ...last, at, reserved: held };
  });
}

/** The least and the greatest value of all series. */
function rangeOf({ points, credit }: Simulation): [least: number, most: number] {
  let [least, most] = [0n, credit];
  for (const point of points) {
    for (const { name } of SERIES) {
      if (point[name] < least) least = point[name];
      if (point[name] > most) most = point[name];
    }
  }
  return [toDollars(least), toDollars(most)];
}

function marks(from: number, to: number): number[] {
  return Array.from({ length: MARKS + 1 }, (_, i) => from + ((to - from) * i) / MARKS);
}

// For drawing only: the numbers that are printed are exact.
function toDollars(nano: bigint): number {
  return Number(nano) / 1e9;
}

const DECIMALS_OF_A_DOLLAR = 9;

/** Formats the marks of an axis, with enough decimals to distinguish them and not to mislead. */
function formatterFor(
  values: readonly number[],
  least: number,
  most: number,
  sign = "",
): (value: number) => string {
  const write = (value: number, decimals: number): string => {
    const size = Math.abs(value).toFixed(decimals);
    return `${value < 0 && Number(size) > 0 ? "-" : ""}${sign}${size}`;
  };
  const tolerance = Math.abs((values[1] ?? 0) - (values[0] ?? 0)) / 10;
  const off = (value: number, decimals: number): number =>
    Math.abs(Number(value.toFixed(decimals)) - value);
  let decimals = least;
  while (decimals < most && values.some((value) => off(value, decimals) > tolerance)) {
    decimals += 1;
  }
  return (value) => write(value, decimals);
}
