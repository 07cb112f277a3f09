import { joined, type SafeText, styled, text } from "../terminal/index.ts";
import { formatDollars, type TracedCall } from "../trace/index.ts";
import type { DemoResult } from "./result.ts";
import { renderResult } from "./table.ts";

/** What is told of a run before it begins. */
export interface Introduction {
  readonly trace: readonly TracedCall[];
  readonly customers: number;
  readonly agents: number;
  readonly speed: number;
  readonly seed: number;
}

/** Says in a line or two what is going to happen. */
export function introduce({ trace, customers, agents, speed, seed }: Introduction): SafeText {
  const minutes = ((trace.at(-1)?.at ?? 0) - (trace[0]?.at ?? 0)) / 60_000;
  return joined([
    `${count(trace.length)} calls of a chat service, ${minutes.toFixed(0)} minutes of traffic, ` +
      `${count(speed)} times as fast.`,
    `${count(agents)} agents spend the credit of ${count(customers)} customers. Seed ${seed}.`,
  ]);
}

const DEFAULT_WIDTH = 100;
// A ledger that is off in one way is so at many places.
const MOST_TROUBLES = 20;

/** Tells a person how a run ended: the table, then what was proved, or what is off. */
export function report(result: DemoResult, seconds: number, out: NodeJS.WriteStream): SafeText {
  const mark = result.sound ? styled("green", "✓", out) : styled("red", "✗", out);
  const verdicts = result.sound ? proved(result) : troubles(result);
  return joined([
    "",
    renderResult(result, out.columns ?? DEFAULT_WIDTH),
    "",
    ...verdicts.map((verdict) => text`${mark} ${verdict}`),
    "",
    `${result.sound ? "Sound" : "NOT SOUND"}, in ${seconds.toFixed(1)} s. ` +
      `Again with --seed ${result.seed}.`,
  ]);
}

function proved({ total, customers }: DemoResult): string[] {
  const overspent = customers.reduce((sum, { credited, spent }) => {
    return spent > credited ? sum + spent - credited : sum;
  }, 0n);
  return [
    `verify: ${total.events.toLocaleString("en-US")} events, hash chain intact, no discrepancy`,
    "every balance and every count is what the agents' own sums say",
    "no one spent more than they had, but for " +
      `${formatDollars(overspent)} of the ${formatDollars(total.overage)} booked beyond reservations`,
    "nothing is left reserved",
  ];
}

function troubles({ discrepancies, problems }: DemoResult): string[] {
  const found = discrepancies.map(
    ({ walletId, seq, check, expected, found: is }) =>
      `verify: ${walletId}${seq === null ? "" : `, event ${seq}`}: ${check}, ` +
      `expected ${expected}, found ${is}`,
  );
  const all = [...found, ...problems];
  const unsaid = all.length - MOST_TROUBLES;
  return unsaid > 0 ? [...all.slice(0, MOST_TROUBLES), `and ${count(unsaid)} more`] : all;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
