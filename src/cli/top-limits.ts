import {
  drawBar,
  fitted,
  formatSpan,
  fundsBar,
  joined,
  type SafeText,
  styled,
  trusted,
  visible,
  widthOf,
} from "../terminal/index.ts";
import { combinationOf } from "./limit-words.ts";
import type { Sample, SampledLimit } from "./top-sample.ts";
import { type AmountWriter, rounded, type Screen, short } from "./top-wallets.ts";

const NAME = { least: 12, most: 60 };
const LEAST_BAR = 10;
const MOST_BAR = 40;

/** Draws a line for each limit, the most used first; nothing where there are none. */
export function drawLimits({ at, limits }: Sample, screen: Screen): SafeText[] {
  if (limits.length === 0) return [];
  const now = Date.parse(at);
  const wide = layOut(limits, now, rounded);
  const fits = screen.columns - wide.width >= NAME.least * 2;
  return drawLines(limits, fits ? wide : layOut(limits, now, short), screen);
}

/** The columns behind the name, as text. */
interface Columns {
  readonly titles: readonly [string, string];
  readonly rows: readonly (readonly [used: string, resets: string])[];
  readonly widths: readonly [number, number];
  readonly width: number;
}

function layOut(limits: readonly SampledLimit[], now: number, write: AmountWriter): Columns {
  const titles = ["USED", "RESETS"] as const;
  const rows = limits.map((limit) => [usedOf(limit, write), resetsOf(limit, now)] as const);
  const widthAt = (i: 0 | 1): number =>
    Math.max(titles[i].length, ...rows.map((row) => widthOf(row[i])));
  const widths = [widthAt(0), widthAt(1)] as const;
  return { titles, rows, widths, width: widths[0] + widths[1] + 4 };
}

function usedOf({ amount, of, scale, unit, used }: SampledLimit, write: AmountWriter): string {
  const decimals = of === "amount" ? scale : 0;
  const numbers = `${write(used, decimals)}/${write(amount, decimals)}`;
  const what = of === "amount" ? unit : of;
  return what === "USD" ? numbers : `${numbers} ${visible(what)}`;
}

function resetsOf({ resetsAt }: SampledLimit, now: number): string {
  if (resetsAt === null) return "";
  return formatSpan(Math.max(Date.parse(resetsAt) - now, 0) / 1000);
}

function drawLines(limits: readonly SampledLimit[], all: Columns, screen: Screen): SafeText[] {
  const { columns, stream } = screen;
  const names = limits.map(nameOf);
  const longest = Math.max(NAME.least, ...names.map(widthOf));
  // The time until it resets is the first to go.
  const hasResets = columns - all.width >= NAME.least;
  const taken = hasResets ? all.width : all.widths[0] + 2;
  const name = Math.max(Math.min(longest, NAME.most, columns - taken), 1);
  const bar = Math.min(columns - taken - name - 2, MOST_BAR);
  const hasBar = bar >= LEAST_BAR;
  const line = (first: string, [used, resets]: readonly [string, string]): SafeText => {
    const cells = [fitted(first, name), padStart(used, all.widths[0])];
    if (hasResets) cells.push(padStart(resets, all.widths[1]));
    const drawn = cells.join("  ");
    return trusted(hasBar ? drawn : fitted(drawn, columns).trimEnd());
  };
  return [
    trusted(""),
    styled("bold", line("LIMIT", all.titles), stream),
    ...limits.map((limit, i) => {
      const drawn = line(names[i] ?? "", all.rows[i] ?? ["", ""]);
      return hasBar ? joined([drawn, drawUse(limit, bar, stream)], "  ") : drawn;
    }),
  ];
}

function padStart(text: string, width: number): string {
  return " ".repeat(Math.max(width - widthOf(text), 0)) + text;
}

function nameOf({ by, hard, limitId, values, walletId }: SampledLimit): string {
  const combination = combinationOf(values, by);
  const name = combination === "" ? limitId : `${limitId} (${combination})`;
  return `${visible(walletId)}: ${visible(name)}${hard ? "" : " soft"}`;
}

function drawUse({ amount, held, used }: SampledLimit, width: number, stream: Stream): SafeText {
  const spent = BigInt(used) - BigInt(held);
  return drawBar(fundsBar(spent, BigInt(held), BigInt(amount) - BigInt(used)), width, stream);
}

type Stream = NodeJS.WriteStream;
