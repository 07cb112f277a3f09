const MAX = 2n ** 63n - 1n;
const MAX_SCALE = 18;

/** How {@link formatAmount} writes an amount. */
export interface AmountFormat {
  /** Write exactly so many decimals, rounded half away from zero. Default: all that are needed. */
  readonly decimals?: number | undefined;
  /** Separate thousands with commas: `1,234.50`. {@link parseAmount} does not read them. */
  readonly grouping?: boolean | undefined;
}

/**
 * Reads an amount such as `"12.34"` as a count of a wallet's smallest step: with a scale of 9,
 * `"12.34"` is `12_340_000_000n`. No floating point is involved, and nothing is rounded.
 *
 * @param text - digits, at most one point, and a minus before them for less than zero
 * @param scale - the wallet's scale, 0 to 18
 * @throws RangeError for any other text, for decimals below the smallest step, and for an amount
 *   beyond 64 bits
 */
export function parseAmount(text: string, scale: number): bigint {
  checkScale(scale);
  if (typeof text !== "string") throw new TypeError(`give the amount as a string: "${text}"`);
  const [, sign, whole, fraction = ""] = /^(-?)(\d{1,40})(?:\.(\d{1,40}))?$/.exec(text) ?? [];
  if (whole === undefined) {
    throw new RangeError(`"${text}" is not an amount: write it like 12.34, without separators`);
  }
  const decimals = fraction.replace(/0+$/, "");
  if (decimals.length > scale) {
    throw new RangeError(`"${text}" is not a whole number of steps: at most ${scale} decimals`);
  }
  const size = BigInt(whole + decimals.padEnd(scale, "0"));
  if (size > MAX) throw new RangeError(`"${text}" does not fit 64 bits at a scale of ${scale}`);
  return sign === "-" ? -size : size;
}

/**
 * Writes an amount of a wallet's smallest step as a decimal number: at a scale of 9,
 * `12_340_000_000n` is `"12.34"`. At least two decimals where the scale has them, and no further
 * trailing zeros; exact unless {@link AmountFormat.decimals} rounds it.
 *
 * @param scale - the wallet's scale, 0 to 18
 */
export function formatAmount(amount: bigint, scale: number, format: AmountFormat = {}): string {
  checkScale(scale);
  const { decimals, grouping = false } = format;
  const shown = decimals === undefined ? scale : Math.min(decimals, scale);
  const size = roundTo(amount < 0n ? -amount : amount, 10n ** BigInt(scale - shown));
  const digits = size.toString().padStart(shown + 1, "0");
  const whole = digits.slice(0, digits.length - shown);
  const fraction = digits.slice(digits.length - shown);
  const written =
    decimals === undefined
      ? fraction.replace(/0+$/, "").padEnd(Math.min(2, scale), "0")
      : fraction.padEnd(decimals, "0");
  const sign = amount < 0n && size > 0n ? "-" : "";
  const grouped = grouping ? whole.replace(/\B(?=(\d{3})+$)/g, ",") : whole;
  return `${sign}${grouped}${written && `.${written}`}`;
}

/** The size in units, rounded half up. */
function roundTo(size: bigint, unit: bigint): bigint {
  return (size + unit / 2n) / unit;
}

function checkScale(scale: number): void {
  if (!Number.isInteger(scale) || scale < 0 || scale > MAX_SCALE) {
    throw new RangeError(`a scale is a whole number from 0 to ${MAX_SCALE}, not ${scale}`);
  }
}
