import { formatAmount, parseAmount } from "../amounts/index.ts";

/** Nano-dollars, the step of a dollar wallet of scale 9. */
export type NanoDollars = bigint;

/** Decimals of a dollar in nano-dollars. */
const SCALE = 9;

/** Reads an amount of dollars such as `12.50`: at most nine decimals, so that nothing is rounded. */
export function parseDollars(text: string): NanoDollars {
  const digits = text.trim().replace(/^\$/, "");
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(digits)) {
    throw new RangeError(`"${text}" is not an amount of dollars, like 12.50`);
  }
  return parseAmount(digits, SCALE);
}

/** Formats nano-dollars as dollars, rounded half away from zero to `decimals`. */
export function formatDollars(nano: NanoDollars, decimals = 4): string {
  return formatAmount(nano, SCALE, { decimals, grouping: true }).replace(/^-?/, "$&$$");
}
