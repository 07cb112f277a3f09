/** What repetitions of one measurement gave. */
export interface Figure {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Median and range of at least one value. */
export function figureOf(values: readonly number[]): Figure {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/** The middle value; between the two middle ones where their number is even. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return mean([sorted[Math.floor(middle)] ?? Number.NaN, sorted[Math.ceil(middle)] ?? Number.NaN]);
}

/** The sum by the number. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The least value that `share` of all are not above (nearest rank); values in ascending order. */
export function percentile(ascending: ArrayLike<number>, share: number): number {
  const rank = Math.max(Math.ceil(share * ascending.length), 1);
  return ascending[rank - 1] ?? Number.NaN;
}
