import { formatAmount } from "../amounts/index.ts";

/** A row of the catalogue of prices, as a file has it. */
export interface PriceRow {
  /** `provider/model`. */
  readonly model: string;
  /** `standard`, `batch` …; of an alias the empty text. */
  readonly variant: string;
  /** The row holds for the whole request when its input exceeds so many tokens. */
  readonly above: number;
  /** With microseconds in UTC; null: from ever for a new model, else from now on. */
  readonly validFrom: string | null;
  readonly currency: string;
  readonly contextWindow: number | null;
  readonly maxOutput: number | null;
  /** The model that the name stands for; its row has no rates. */
  readonly aliasOf: string | null;
  /** Kind of usage → nano-units (10^-9) of the currency per million. */
  readonly rates: Rates;
}

/** Kind of usage → nano-units (10^-9) of the currency per million. */
export type Rates = Readonly<Record<string, bigint>>;

/** The columns of a file of prices; each further column is a kind of usage. */
export const FIXED_COLUMNS = [
  "model",
  "variant",
  "above",
  "valid_from",
  "currency",
  "context_window",
  "max_output",
  "alias_of",
] as const;

/** A column of {@link FIXED_COLUMNS}. */
export type FixedColumn = (typeof FIXED_COLUMNS)[number];

export const STANDARD = "standard";
export const DOLLARS = "USD";
/** Decimal digits of a rate in a file. */
export const RATE_SCALE = 9;

// What most models charge for stands first; other kinds follow in the order of the alphabet.
const FIRST_KINDS = [
  "input",
  "cache_read",
  "cache_write",
  "cache_write_5m",
  "cache_write_1h",
  "output",
];

/** Kinds of usage in the order of columns. */
export function sortKinds(kinds: Iterable<string>): string[] {
  const place = (kind: string): number => FIRST_KINDS.indexOf(kind) >>> 0;
  return [...new Set(kinds)].sort((a, b) => place(a) - place(b) || compareText(a, b));
}

/** Writes a rate as a decimal number of the currency per million: `1.25`, `10`. */
export function formatRate(rate: bigint): string {
  return formatAmount(rate, RATE_SCALE)
    .replace(/\.0+$/, "")
    .replace(/(\.\d*?)0+$/, "$1");
}

/** Orders texts by their code units, as the collation "C" does for names in ASCII. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** Orders rows by model, variant, tier and time. */
export function compareRows(a: PriceRow, b: PriceRow): number {
  return (
    compareText(a.model, b.model) ||
    compareText(a.variant, b.variant) ||
    a.above - b.above ||
    compareText(a.validFrom ?? "", b.validFrom ?? "")
  );
}

/** Whether two rows say the same, wherever they hold. */
export function haveSameContent(a: PriceRow, b: PriceRow): boolean {
  return contentOf(a) === contentOf(b);
}

function contentOf(row: PriceRow): string {
  const rates = sortKinds(Object.keys(row.rates)).map((kind) => `${kind}=${row.rates[kind]}`);
  return JSON.stringify([
    row.aliasOf,
    row.aliasOf === null ? row.currency : null,
    row.contextWindow,
    row.maxOutput,
    rates,
  ]);
}
