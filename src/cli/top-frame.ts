import {
  flow,
  formatCount,
  formatNumber,
  formatSpan,
  joined,
  type Part,
  part,
  type SafeText,
  shortened,
  styled,
  text,
  trusted,
} from "../terminal/index.ts";
import { drawLimits } from "./top-limits.ts";
import type { Sample, SampledUnit } from "./top-sample.ts";
import { drawWallets, inFull, perMinute, type Screen } from "./top-wallets.ts";

const MOST_UNITS = 4;
const MOST_NAME = 30;

/** The lines of a head on a screen that is wide enough. */
const HEAD_LINES = 3 + MOST_UNITS;

/** Other lines: a blank one, the titles, and two at the foot. */
const LINES_BESIDES = 4;

const LEAST_WALLETS = 3;

/** How many wallets fit on a screen. */
export function roomFor({ rows }: Pick<Screen, "rows">): number {
  return Math.max(rows - LINES_BESIDES - HEAD_LINES, LEAST_WALLETS);
}

/** Draws a sample as the lines of a frame. */
export function drawFrame(sample: Sample, screen: Screen): SafeText[] {
  const head = drawHead(sample, screen);
  const limits = drawLimits(sample, screen);
  // Those that spend least give way to limits.
  const room = Math.max(screen.rows - LINES_BESIDES - head.length - limits.length, LEAST_WALLETS);
  return [
    ...head,
    trusted(""),
    ...drawWallets(sample.top.slice(0, room), sample.windowSeconds, screen),
    ...limits,
  ];
}

/** Draws what concerns all wallets together. */
function drawHead(sample: Sample, { columns, stream }: Screen): SafeText[] {
  const { at, events, open, units, wallets, windowSeconds } = sample;
  const recent = units.reduce((sum, unit) => sum + unit.events, 0);
  const speed = `${(recent / windowSeconds).toFixed(1)} events/s`;
  const time = `${new Date(at).toISOString().slice(11, 19)} UTC`;
  const window = `in the last ${windowSeconds} s`;
  const rest = units.length - MOST_UNITS;
  const about: Part[] = [
    part(`baseledger ${time}`, text`${styled("bold", "baseledger", stream)} ${time}`),
    part(formatCount(wallets, "wallet")),
    part(formatCount(events, "event")),
    part(`${speed} ${window}`, text`${styled("bold", speed, stream)} ${window}`),
  ];
  const held = [formatCount(open, "open reservation"), describeDue(units), describeLag(sample)];
  return [
    ...flow(about, "   ", columns),
    ...flow(
      held.map((line) => part(line)),
      "   ",
      columns,
    ),
    ...flow(describeAhead(sample, stream), ", ", columns),
    ...units
      .slice(0, MOST_UNITS)
      .flatMap((unit) => flow(describeUnit(unit, windowSeconds), ", ", columns)),
    ...(rest > 0 ? [text`and ${formatNumber(rest)} more units`] : []),
  ];
}

/** Names wallets whose last event lies ahead of the clock, where time stands still until then. */
function describeAhead({ ahead, walletsAhead }: Sample, stream: NodeJS.WriteStream): Part[] {
  if (walletsAhead === 0) return [];
  const title = `${formatCount(walletsAhead, "wallet")} ahead of the clock`;
  const names = ahead.map(({ bySeconds, walletId }) => {
    return part(text`${shortened(walletId, MOST_NAME)} by ${formatSpan(bySeconds)}`);
  });
  const unnamed = walletsAhead - ahead.length;
  return [
    part(title, styled("yellow", title, stream)),
    ...names,
    ...(unnamed > 0 ? [part(`and ${formatNumber(unnamed)} more`)] : []),
  ];
}

function describeDue(units: readonly SampledUnit[]): SafeText {
  if (units.some(({ dueWallets }) => dueWallets === null)) return text`due: see the wallets`;
  const due = units.filter(({ dueWallets }) => dueWallets !== null && dueWallets > 0);
  if (due.length === 0) return text`nothing due`;
  const wallets = due.reduce((sum, { dueWallets }) => sum + (dueWallets ?? 0), 0);
  const amounts = due.map(({ due: held, scale, unit }) => {
    return text`${inFull(held ?? "0", scale)} ${unit}`;
  });
  return text`due: ${joined(amounts, ", ")} in ${formatCount(wallets, "wallet")}`;
}

function describeLag({ sweepLagSeconds }: Sample): string {
  if (sweepLagSeconds === null) return "no expiry booked lately";
  return `expiries booked up to ${sweepLagSeconds.toFixed(2)} s late`;
}

function describeUnit(unit: SampledUnit, windowSeconds: number): Part[] {
  const show = (amount: string): string => inFull(amount, unit.scale);
  return [
    part(text`${unit.unit}: ${show(unit.available)} available`),
    part(`${show(unit.reserved)} reserved`),
    part(`${show(unit.spent)} spent`),
    part(`${show(perMinute(unit.spending, windowSeconds))} a minute`),
  ];
}
