/** Times as text with microseconds in UTC, as the database has them; so they sort by time. */
const TIME =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?(Z|[+-]\d{2}:\d{2}))?$/;

/**
 * Reads a time such as `2027-01-31` or `2027-01-31T12:00Z`, and writes it with microseconds.
 *
 * @throws RangeError for another text
 */
export function readTime(text: string): string {
  const [, day, minutes = "00:00", seconds = "00", fraction = "", zone = "Z"] =
    TIME.exec(text) ?? [];
  const time = new Date(`${day}T${minutes}:${seconds}${zone}`);
  // Date.parse takes the 31st of February for a day in March.
  const isDay = new Date(`${day}T00:00Z`).getUTCDate() === Number(day?.slice(-2));
  if (Number.isNaN(time.getTime()) || !isDay) {
    throw new RangeError(`"${text}" is not a time like 2027-01-31 or 2027-01-31T12:00Z`);
  }
  return `${time.toISOString().slice(0, 19)}.${fraction.padEnd(6, "0")}Z`;
}

/** Writes a time without the digits that say nothing: `2026-08-17T00:00:00Z`. */
export function formatPriceTime(time: string): string {
  return time.replace(/\.?0*Z$/, "Z");
}
