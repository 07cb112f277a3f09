import {
  type Assumptions,
  plotFunds,
  plotLegend,
  type Simulation,
  type Sum,
} from "../simulate/index.ts";
import { printLine, styled, text, trusted } from "../terminal/index.ts";
import { formatDollars } from "../trace/index.ts";

const MOST_COLUMNS = 110;
const COLUMNS_OF_A_FILE = 100;

/** Prints a simulation for a person. */
export function printSimulation(
  simulation: Simulation,
  sufficient: bigint,
  assumptions: Assumptions,
): void {
  const out = process.stdout;
  const coloured = Boolean(out.isTTY) && out.hasColors();
  const width = Math.min(out.columns ?? COLUMNS_OF_A_FILE, MOST_COLUMNS);
  const { calls, credit, from, to } = simulation;
  printLine(
    `${count(calls)} calls from ${time(from)} to ${time(to)} UTC, on a credit of ${cost(credit)}`,
  );
  printLine(tellAssumptions(assumptions));
  for (const part of [plotFunds(simulation, width, coloured), plotLegend(coloured)]) {
    printLine("");
    printLine(trusted(part));
  }
  printLine("");
  for (const [name, told] of facts(simulation, sufficient)) {
    printLine(text`${styled("bold", trusted(name.padEnd(20)))} ${told}`);
  }
}

function tellAssumptions({ maxOutput, overhead, ttlMs, tokensPerSecond }: Assumptions): string {
  const more = overhead > 0 ? ` and ${overhead} % more` : "";
  return (
    `Assumed: each call reserves for ${count(maxOutput)} output tokens${more}, for at most ` +
    `${ttlMs / 1000} s, and writes ${tokensPerSecond} tokens a second.`
  );
}

function facts(
  simulation: Simulation,
  sufficient: bigint,
): (readonly [name: string, text: string])[] {
  const { granted, refused, firstRefused, peak, late, over, end } = simulation;
  return [
    ["granted", `${tell(granted)} spent`],
    ["refused", refused.calls > 0 ? `${tell(refused)} not spent` : "none"],
    ...(firstRefused ? [["  the first", tellFirst(simulation, firstRefused)] as const] : []),
    ["held at the peak", `${cost(peak.amount)} by ${callsOf(peak.calls)}, at ${time(peak.at)}`],
    ["released by TTL", tellExpired(simulation)],
    ...(late.calls > 0 ? [["  settled late", tell(late)] as const] : []),
    ["beyond reservations", over.calls > 0 ? tell(over) : "none"],
    ["at the end", `${cost(end.available)} available, ${cost(end.spent)} spent`],
    ["enough would be", `${cost(sufficient)}: with that credit nothing is refused`],
  ];
}

function tellFirst(
  { from }: Simulation,
  { at, call, available, requested, reserved }: NonNullable<Simulation["firstRefused"]>,
): string {
  const minutes = ((at - from) / 60_000).toFixed(1);
  return (
    `call ${count(call)} at ${time(at)}, after ${minutes} minutes: asked for ${cost(requested)}, ` +
    `${cost(available)} available, ${cost(reserved)} held by others`
  );
}

function tellExpired({ expired, longestCallMs }: Simulation): string {
  if (expired.calls > 0) return tell(expired);
  return `none: the longest call lasts ${(longestCallMs / 1000).toFixed(1)} s`;
}

function tell({ amount, calls }: Sum): string {
  return `${callsOf(calls)}, ${cost(amount)}`;
}

function callsOf(calls: number): string {
  return `${count(calls)} ${calls === 1 ? "call" : "calls"}`;
}

function cost(amount: bigint): string {
  return formatDollars(amount);
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

function time(at: number): string {
  return new Date(at).toISOString().replace("T", " ").slice(0, 19);
}
