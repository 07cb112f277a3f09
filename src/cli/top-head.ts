import { joined, type SafeText, shortened, styled, text } from "../terminal/index.ts";
import { flow, type Part, part } from "./top-flow.ts";
import { count, inFull, perMinute, type Screen, some } from "./top-screen.ts";
import type { Sample, SampledUnit } from "./views.ts";

const MOST_UNITS = 4;
const MOST_NAME = 30;

/** The most lines of a head that is not short of room. */
export const HEAD_LINES = 3 + MOST_UNITS;

/** Draws what is told of all wallets together. */
export function drawHead(sample: Sample, { columns, stream }: Screen): SafeText[] {
  const { at, events, open, units, wallets, windowSeconds } = sample;
  const recent = units.reduce((sum, unit) => sum + unit.events, 0);
  const speed = `${(recent / windowSeconds).toFixed(1)} events/s`;
  const time = `${new Date(at).toISOString().slice(11, 19)} UTC`;
  const window = `in the last ${windowSeconds} s`;
  const rest = units.length - MOST_UNITS;
  const about: Part[] = [
    part(`baseledger ${time}`, text`${styled("bold", "baseledger", stream)} ${time}`),
    part(some(wallets, "wallet")),
    part(some(events, "event")),
    part(`${speed} ${window}`, text`${styled("bold", speed, stream)} ${window}`),
  ];
  const held = [some(open, "open reservation"), tellDue(units), tellLag(sample)];
  return [
    ...flow(about, "   ", columns),
    ...flow(
      held.map((told) => part(told)),
      "   ",
      columns,
    ),
    ...flow(tellAhead(sample, stream), ", ", columns),
    ...units
      .slice(0, MOST_UNITS)
      .flatMap((unit) => flow(tellUnit(unit, windowSeconds), ", ", columns)),
    ...(rest > 0 ? [text`and ${count(rest)} more units`] : []),
  ];
}

/** Wallets whose time stands still until the clock has caught up with their last event. */
function tellAhead({ ahead, walletsAhead }: Sample, stream: NodeJS.WriteStream): Part[] {
  if (walletsAhead === 0) return [];
  const title = `${some(walletsAhead, "wallet")} ahead of the clock`;
  const names = ahead.map(({ bySeconds, walletId }) => {
    return part(text`${shortened(walletId, MOST_NAME)} by ${lasting(bySeconds)}`);
  });
  const unnamed = walletsAhead - ahead.length;
  return [
    part(title, styled("yellow", title, stream)),
    ...names,
    ...(unnamed > 0 ? [part(`and ${count(unnamed)} more`)] : []),
  ];
}

function lasting(seconds: number): string {
  const [size, unit] = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
  ].find(([least]) => seconds >= Number(least)) ?? [1, "s"];
  return `${(seconds / Number(size)).toFixed(1)} ${unit}`;
}

function tellDue(units: readonly SampledUnit[]): SafeText {
  if (units.some(({ dueWallets }) => dueWallets === null)) return text`due: see the wallets`;
  const due = units.filter(({ dueWallets }) => dueWallets !== null && dueWallets > 0);
  if (due.length === 0) return text`nothing due`;
  const wallets = due.reduce((sum, { dueWallets }) => sum + (dueWallets ?? 0), 0);
  const amounts = due.map(({ due: held, scale, unit }) => {
    return text`${inFull(held ?? "0", scale)} ${unit}`;
  });
  return text`due: ${joined(amounts, ", ")} in ${some(wallets, "wallet")}`;
}

function tellLag({ sweepLagSeconds }: Sample): string {
  if (sweepLagSeconds === null) return "no expiry booked lately";
  return `expiries booked up to ${sweepLagSeconds.toFixed(2)} s late`;
}

function tellUnit(unit: SampledUnit, windowSeconds: number): Part[] {
  const show = (amount: string): string => inFull(amount, unit.scale);
  return [
    part(text`${unit.unit}: ${show(unit.available)} available`),
    part(`${show(unit.reserved)} reserved`),
    part(`${show(unit.spent)} spent`),
    part(`${show(perMinute(unit.spending, windowSeconds))} a minute`),
  ];
}
