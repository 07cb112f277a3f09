import { formatPriceTime, formatRate, type PriceRow, sortKinds } from "../prices/index.ts";
import { formatNumber } from "../terminal/index.ts";

/** What a row says in words: `input 1.25, output 10 USD per million`, or the model it stands for. */
export function describePrice(row: PriceRow): string {
  if (row.aliasOf !== null) return `stands for ${row.aliasOf}`;
  const rates = ratesInWords(row, Object.keys(row.rates));
  const limits = [
    row.contextWindow === null ? "" : `window ${formatNumber(row.contextWindow)}`,
    row.maxOutput === null ? "" : `most output ${formatNumber(row.maxOutput)}`,
  ].filter(Boolean);
  return [`${rates} ${row.currency} per million`, ...limits].join(", ");
}

/** A name, and when its row counts: `acme/large above 200,000 tokens from 2027-01-01T00:00:00Z`. */
export function describeScope(name: string, { above, validFrom }: PriceRow): string {
  const isLater = validFrom !== null && validFrom !== "-infinity";
  return [
    name,
    above === 0 ? "" : ` above ${formatNumber(above)} tokens`,
    isLater ? ` from ${formatPriceTime(validFrom)}` : "",
  ].join("");
}

/** What differs between two rows: `input 1.25 → 1.5, cache_read 0.125 → none`. */
export function describeChange(before: PriceRow, after: PriceRow): string {
  if (before.aliasOf !== null) return `${before.aliasOf} → ${after.aliasOf ?? "none"}`;
  const show = (row: PriceRow, kind: string): string =>
    row.rates[kind] === undefined ? "none" : formatRate(row.rates[kind]);
  const rates = sortKinds([...Object.keys(before.rates), ...Object.keys(after.rates)]).map(
    (kind) => [kind, show(before, kind), show(after, kind)] as const,
  );
  const number = (value: number | null): string => (value === null ? "none" : formatNumber(value));
  const facts = [
    ...rates,
    ["currency", before.currency, after.currency] as const,
    ["window", number(before.contextWindow), number(after.contextWindow)] as const,
    ["most output", number(before.maxOutput), number(after.maxOutput)] as const,
  ];
  return facts
    .filter(([, from, to]) => from !== to)
    .map(([name, from, to]) => `${name} ${from} → ${to}`)
    .join(", ");
}

/** `input 1.25, output 10`. */
export function ratesInWords({ rates }: PriceRow, kinds: readonly string[]): string {
  return sortKinds(kinds)
    .filter((kind) => rates[kind] !== undefined)
    .map((kind) => `${kind} ${formatRate(rates[kind] ?? 0n)}`)
    .join(", ");
}
