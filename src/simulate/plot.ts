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
/** The widest label of the vertical axis, and the axis. */
const MARGIN = 12;
const HEIGHT = 14;
const MARKS = 5;

/** Draws the funds over time, to fit a width. */
export function plotFunds(simulation: Simulation, width: number, coloured: boolean): string {
  const columns = Math.max(width - MARGIN, 20);
  const points = thinOut(simulation, columns);
  const minutes = (at: number): number => (at - simulation.from) / 60_000;
  const series = SERIES.map(({ name }) =>
    points.map((point): Dot => [minutes(point.at), toDollars(point[name])]),
  );
  const chart = plot(series, {
    width: columns,
    height: HEIGHT,
    customXAxisTicks: marks(0, minutes(simulation.to)),
    customYAxisTicks: marks(Math.min(...series.flat().map(([, y]) => y)), highest(series)),
    formatter: (value, { axis }) => (axis === "y" ? dollars(value) : round(value)),
    ...(coloured
      ? { color: SERIES.map(({ color }) => color) }
      : { lineFormatter: createLetters() }),
  });
  const body = chart.replace(/[ \t]+$/gm, "").replace(/^\n+|\n+$/g, "");
  return `${body}\n${"minutes".padStart(width / 2)}`;
}

/** What stands for which series. */
export function plotLegend(coloured: boolean): string {
  return SERIES.map(({ name, color, letter }) =>
    coloured
      ? styleText(STYLES[color], `━ ${name}`, { validateStream: false })
      : `${letter} ${name}`,
  ).join("   ");
}

/** The series come one after the other, each with all its points. */
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

function highest(series: readonly (readonly Dot[])[]): number {
  return Math.max(...series.flat().map(([, y]) => y));
}

function marks(from: number, to: number): number[] {
  return Array.from({ length: MARKS + 1 }, (_, i) => from + ((to - from) * i) / MARKS);
}

// For drawing only: the numbers that are told are exact.
function toDollars(nano: bigint): number {
  return Number(nano) / 1e9;
}

function dollars(value: number): string {
  return `${value <= -0.005 ? "-" : ""}$${Math.abs(value).toFixed(2)}`;
}

function round(value: number): string {
  return value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1);
}
