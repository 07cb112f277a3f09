import { styleText } from "node:util";
import type { Point, Settings } from "simple-ascii-chart";
import { joined, type SafeText, text, trusted } from "./safe-text.ts";

/** Where a chart is drawn. */
export interface Canvas {
  readonly width: number;
  /** Whether the lines have colours; else they consist of letters. */
  readonly coloured: boolean;
}

/** A line of a chart; from each of its points it is level up to the next. */
export interface Series {
  readonly name: string;
  readonly color: "green" | "cyan" | "yellow" | "magenta";
  /** What it is drawn with where there are no colours. */
  readonly letter: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** An axis: where it has marks, and what stands there. */
export interface Axis {
  readonly marks: readonly number[];
  readonly write: (value: number) => string;
}

/** The columns that the vertical axis and the space around it take, besides its labels. */
const AXIS = 3;
const LEAST_LABEL = 9;
const LEAST_COLUMNS = 20;
const HEIGHT = 14;
const MARKS = 5;
const MOST_COLUMNS = 110;
const COLUMNS_IN_A_FILE = 100;
const ANSI = {
  green: "ansiGreen",
  cyan: "ansiCyan",
  yellow: "ansiYellow",
  magenta: "ansiMagenta",
} as const;

/** The canvas that a stream is: as wide as the terminal, but not too wide to read. */
export function canvasOf(out: NodeJS.WriteStream): Canvas {
  return {
    width: Math.min(out.columns ?? COLUMNS_IN_A_FILE, MOST_COLUMNS),
    coloured: Boolean(out.isTTY) && out.hasColors(),
  };
}

/** The columns that are left for lines beside the labels of a vertical axis. */
export function plotColumns({ width }: Canvas, { marks, write }: Axis): number {
  const label = Math.max(LEAST_LABEL, ...marks.map((mark) => write(mark).length));
  return Math.max(width - AXIS - label, LEAST_COLUMNS);
}

/** Draws lines over their axes, and what the horizontal axis counts below them. */
export async function drawChart(
  series: readonly Series[],
  { x, y, below }: { readonly x: Axis; readonly y: Axis; readonly below: string },
  canvas: Canvas,
): Promise<SafeText> {
  const { plot } = await import("simple-ascii-chart");
  const lines = series.map(({ points }) => points.map(([left, up]): Point => [left, up]));
  const chart = plot(lines, {
    width: plotColumns(canvas, y),
    height: HEIGHT,
    // All of the axis, also where no line is.
    yRange: [y.marks[0] ?? 0, y.marks.at(-1) ?? 0],
    customXAxisTicks: [...x.marks],
    customYAxisTicks: [...y.marks],
    formatter: (value, { axis }) => (axis === "y" ? y : x).write(value),
    ...(canvas.coloured
      ? { color: series.map(({ color }) => ANSI[color]) }
      : { lineFormatter: createLetters(series) }),
  });
  const body = chart.replace(/[ \t]+$/gm, "").replace(/^\n+|\n+$/g, "");
  return joined([trusted(body), text`${trusted(below.padStart(canvas.width / 2))}`]);
}

/** The legend of lines. */
export function drawLegend(series: readonly Series[], { coloured }: Canvas): SafeText {
  const parts = series.map(({ name, color, letter }) => {
    if (!coloured) return text`${letter} ${name}`;
    return text`${trusted(styleText(color, "━", { validateStream: false }))} ${name}`;
  });
  return joined(parts, "   ");
}

/** Called for all points of one series after the other. */
function createLetters(series: readonly Series[]): Required<Settings>["lineFormatter"] {
  let current = -1;
  return ({ index, plotX, plotY }) => {
    if (index === 0) current += 1;
    return { x: plotX, y: plotY, symbol: series[current]?.letter ?? "·" };
  };
}

/** Marks at equal distances, from one value to another. */
export function marksBetween(from: number, to: number): number[] {
  return Array.from({ length: MARKS + 1 }, (_, i) => from + ((to - from) * i) / MARKS);
}

/** An axis of numbers, with enough decimals to distinguish its marks and not to mislead. */
export function numberAxis(
  marks: readonly number[],
  {
    least,
    most,
    sign = "",
  }: { readonly least: number; readonly most: number; readonly sign?: string },
): Axis {
  const write = (value: number, decimals: number): string => {
    const size = Math.abs(value).toFixed(decimals);
    return `${value < 0 && Number(size) > 0 ? "-" : ""}${sign}${size}`;
  };
  const tolerance = Math.abs((marks[1] ?? 0) - (marks[0] ?? 0)) / 10;
  const off = (value: number, decimals: number): number =>
    Math.abs(Number(value.toFixed(decimals)) - value);
  let decimals = least;
  while (decimals < most && marks.some((mark) => off(mark, decimals) > tolerance)) {
    decimals += 1;
  }
  return { marks, write: (value) => write(value, decimals) };
}
