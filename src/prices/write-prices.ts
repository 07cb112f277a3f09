import {
  compareRows,
  FIXED_COLUMNS,
  type FixedColumn,
  formatRate,
  type PriceRow,
  sortKinds,
} from "./price-row.ts";
import { formatPriceTime } from "./time.ts";

/** A row of a file: a text for each column. */
export type PriceFields = Readonly<Record<string, string>>;

/** The columns that rows need: the fixed ones, then those of their kinds of usage. */
export function columnsOfPrices(rows: readonly PriceRow[]): string[] {
  return [...FIXED_COLUMNS, ...sortKinds(rows.flatMap(({ rates }) => Object.keys(rates)))];
}

/** Writes a row as texts by column; those that it does not need are left out. */
export function priceFields(row: PriceRow): PriceFields {
  const isAlias = row.aliasOf !== null;
  const fixed: Record<FixedColumn, string> = {
    model: row.model,
    variant: row.variant,
    above: isAlias ? "" : String(row.above),
    valid_from: formatPriceTime(row.validFrom ?? ""),
    currency: isAlias ? "" : row.currency,
    context_window: String(row.contextWindow ?? ""),
    max_output: String(row.maxOutput ?? ""),
    alias_of: row.aliasOf ?? "",
  };
  const rates = Object.entries(row.rates).map(([kind, rate]) => [kind, formatRate(rate)] as const);
  return Object.fromEntries([...Object.entries(fixed), ...rates].filter(([, text]) => text !== ""));
}

/** The lines of a file of prices, in an order that does not depend on that of the rows. */
export function* priceLines(rows: readonly PriceRow[]): Generator<string[]> {
  const columns = columnsOfPrices(rows);
  yield columns;
  for (const row of [...rows].sort(compareRows)) {
    const fields = priceFields(row);
    yield columns.map((column) => fields[column] ?? "");
  }
}
