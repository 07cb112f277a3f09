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
  text,
} from "../terminal/index.ts";
import type { Funds } from "./model.ts";
import type { Point, Simulation } from "./simulate.ts";

const FUNDS = [
  { name: "available", color: "green", letter: "a" },
  { name: "spent", color: "cyan", letter: "s" },
  { name: "reserved", color: "yellow", letter: "r" },
] as const satisfies readonly (Omit<Series, "points"> & { readonly name: keyof Funds })[];

/** Draws the funds over time, to fit a canvas, and the legend below. */
export async function plotFunds(simulation: Simulation, canvas: Canvas): Promise<SafeText> {
  const { from, to } = simulation;
  const y = numberAxis(marksBetween(...rangeOf(simulation)), {
    ...{ least: 2, most: DECIMALS_OF_A_DOLLAR },
    sign: "$",
  });
  const points = thinOut(simulation, plotColumns(canvas, y));
  const minutes = (at: number): number => (at - from) / 60_000;
  const series = FUNDS.map(
    (funds): Series => ({
      ...funds,
      points: points.map((point) => [minutes(point.at), toDollars(point[funds.name])]),
    }),
  );
  const x = minuteAxis(marksBetween(0, minutes(to)));
  const chart = await drawChart(series, { x, y, below: "minutes" }, canvas);
  return joined([chart, text``, drawLegend(series, canvas)]);
}

function minuteAxis(marks: readonly number[]): Axis {
  const areLong = marks.every((at) => at === 0 || at >= 10);
  return numberAxis(marks, { least: areLong ? 0 : 1, most: 4 });
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
    for (const { name } of FUNDS) {
      if (point[name] < least) least = point[name];
      if (point[name] > most) most = point[name];
    }
  }
  return [toDollars(least), toDollars(most)];
}

// For drawing only: the numbers that are printed are exact.
function toDollars(nano: bigint): number {
  return Number(nano) / 1e9;
}

const DECIMALS_OF_A_DOLLAR = 9;
