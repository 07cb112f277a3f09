/**
 * Writes a number with its thousands apart. Without `decimals`, an integer has none, and another
 * number below 10 at most two.
 */
export function formatNumber(value: number | bigint, decimals?: number): string {
  const isSmall = value > -10 && value < 10;
  return new Intl.NumberFormat("en-US", {
    minimumFractionDigits: decimals ?? 0,
    maximumFractionDigits: decimals ?? (isSmall ? 2 : 0),
  }).format(value);
}

/** Writes how many there are of a thing: `1 wallet`, `2,000 wallets`. */
export function formatCount(value: number | bigint, thing: string, things = `${thing}s`): string {
  return `${formatNumber(value)} ${Number(value) === 1 ? thing : things}`;
}

/** Writes seconds as `42 s` or `3 min 5 s`, rounded up. */
export function formatSeconds(seconds: number): string {
  const total = Math.ceil(seconds);
  return total < 60 ? `${total} s` : `${Math.floor(total / 60)} min ${total % 60} s`;
}

/** Writes a time in UTC to the second: `2026-01-31 12:00:00`. */
export function formatTime(time: Date | number): string {
  return new Date(time).toISOString().replace("T", " ").slice(0, 19);
}

/** A number of seconds in the largest unit that fits: `1.5 h`. */
export function formatSpan(seconds: number): string {
  const [size, unit] = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
  ].find(([least]) => seconds >= Number(least)) ?? [1, "s"];
  return `${(seconds / Number(size)).toFixed(1)} ${unit}`;
}
