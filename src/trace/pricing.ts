import { formatAmount, parseAmount } from "../amounts/index.ts";

/** Nano-dollars, the step of a dollar wallet of scale 9. */
export type NanoDollars = bigint;

/** What a model costs, in nano-dollars for one token. */
export interface Price {
  readonly input: NanoDollars;
  readonly output: NanoDollars;
}

/** Decimals of a dollar in nano-dollars. */
const SCALE = 9;
// A dollar for a million tokens is 1,000 nano-dollars for one.
const SCALE_OF_A_LIST_PRICE = 3;

/**
 * Reads a list price, dollars for a million tokens, as nano-dollars for one token.
 *
 * A price that is not a whole number of nano-dollars a token (more than three decimals) is refused
 * instead of rounded.
 */
export function parsePrice(text: string): NanoDollars {
  const digits = text.trim();
  if (!/^\d{1,9}(\.\d{1,40})?$/.test(digits)) {
    throw new RangeError(`"${text}" is not a price: write dollars per million tokens, like 2.50`);
  }
  if (/\.\d{3}\d*[1-9]/.test(digits)) {
    throw new RangeError(
      `$${text} per million tokens is not a whole number of nano-dollars a token: ` +
        `use at most ${SCALE_OF_A_LIST_PRICE} decimals`,
    );
  }
  return parseAmount(digits, SCALE_OF_A_LIST_PRICE);
}

/** The exact cost of one call. */
export function costOf(price: Price, inputTokens: number, outputTokens: number): NanoDollars {
  return BigInt(inputTokens) * price.input + BigInt(outputTokens) * price.output;
}

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
