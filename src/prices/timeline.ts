import { haveSameContent, type PriceRow } from "./price-row.ts";
import { type StoredPrice, sortByTime } from "./stored-prices.ts";

/** The tiers of a model at an instant: what counts above so many tokens. */
type Tiers = Map<number, PriceRow>;

/**
 * The rows that make the stored prices of a model say from `now` on what the given ones say. The
 * past stays; prices that hold later on are compared at each time at which either side changes.
 */
export function missingRows(
  given: readonly PriceRow[],
  stored: readonly StoredPrice[],
  now: string,
): PriceRow[] {
  const all = [...given, ...stored];
  const tiers = [...new Set(all.map(({ above }) => above))].sort((a, b) => a - b);
  const later = all.map(timeOf).filter((time) => time > now);
  const holding: Tiers = new Map();
  const missing: PriceRow[] = [];
  let before: string | undefined;
  for (const time of [now, ...new Set(later.sort())]) {
    for (const row of between(stored, before, time)) holding.set(row.above, row);
    const wanted: Tiers = new Map(between(given, undefined, time).map((row) => [row.above, row]));
    for (const above of tiers) {
      const want = countingAt(wanted, above);
      const have = countingAt(holding, above);
      if (!want || (have && haveSameContent(want, have))) continue;
      const row = { ...want, above, validFrom: time === now ? null : time };
      holding.set(above, row);
      missing.push(row);
    }
    before = time;
  }
  return missing;
}

/** The rows that begin to hold after one time and until another, in the order in which they do. */
function between<T extends PriceRow>(
  rows: readonly T[],
  after: string | undefined,
  until: string,
): T[] {
  return sortByTime(rows).filter(
    (row) => (after === undefined || timeOf(row) > after) && timeOf(row) <= until,
  );
}

/** The row for a request in a tier: its own, or that of the next tier below. */
function countingAt(tiers: Tiers, above: number): PriceRow | undefined {
  const [highest] = [...tiers.keys()].filter((tier) => tier <= above).sort((a, b) => b - a);
  return highest === undefined ? undefined : tiers.get(highest);
}

function timeOf({ validFrom }: PriceRow): string {
  return validFrom ?? "";
}
