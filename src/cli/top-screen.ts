import { formatAmount } from "../amounts/index.ts";

/** What a frame has to fit into. */
export interface Screen {
  readonly columns: number;
  readonly rows: number;
  /** Where it goes to: colours if that is a terminal. */
  readonly stream: NodeJS.WriteStream;
}

/** Writes an amount of the smallest step, given as text. */
export type AmountWriter = (amount: string, scale: number) => string;

/** With four decimals, for where there is room. */
export const inFull: AmountWriter = (amount, scale) => withDecimals(amount, scale, 4);

/** With two decimals. */
export const rounded: AmountWriter = (amount, scale) => withDecimals(amount, scale, 2);

/** With three digits and K, M, B or T. */
export const short: AmountWriter = (amount, scale) => {
  const value = Number(amount) / 10 ** scale;
  if (value !== 0 && Math.abs(value) < LEAST_SHORT) return value > 0 ? "~0" : "~-0";
  if (Math.abs(value) >= MOST_SHORT) return value.toExponential(2).replace("+", "");
  return SHORT.format(value);
};

const LEAST_SHORT = 0.001;
const MOST_SHORT = 1e15;
const SHORT = new Intl.NumberFormat("en-US", {
  notation: "compact",
  maximumSignificantDigits: 3,
});

function withDecimals(amount: string, scale: number, most: number): string {
  return formatAmount(BigInt(amount), scale, { grouping: true, decimals: Math.min(scale, most) });
}

/** What is spent in a window, as an amount a minute. */
export function perMinute(spending: string, windowSeconds: number): string {
  // In whole milliseconds: a bigint knows no fractions.
  return ((BigInt(spending) * 60_000n) / BigInt(Math.round(windowSeconds * 1000))).toString();
}

/** A number with its thousands apart. */
export function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** How many of a thing. */
export function some(value: number, thing: string): string {
  return `${count(value)} ${thing}${value === 1 ? "" : "s"}`;
}
