import { setPrices } from "../generated/index.ts";
import type { Json } from "../json/index.ts";
import type { Queryable } from "../wire/index.ts";
import { comparePrices, type PriceDifference, rowsToSet } from "./compare.ts";
import type { PriceRow } from "./price-row.ts";
import { readSeed } from "./seed-file.ts";
import { readCatalogue } from "./stored-prices.ts";

/** As many as set_prices takes at once. */
const MOST = 10_000;

/** Sets the prices of a difference; more than 10,000 need a transaction to be set as one. */
export async function applyPrices(
  sql: Queryable,
  difference: PriceDifference,
  source: string | null,
): Promise<void> {
  const rows = rowsToSet(difference);
  for (let first = 0; first < rows.length; first += MOST) {
    const prices = rows.slice(first, first + MOST).map(toArgument);
    await setPrices(sql, { prices, source });
  }
}

function toArgument(row: PriceRow): Json {
  const validFrom = row.validFrom === null ? {} : { valid_from: row.validFrom };
  if (row.aliasOf !== null) return { model: row.model, alias_of: row.aliasOf, ...validFrom };
  return {
    model: row.model,
    variant: row.variant,
    above: row.above,
    ...validFrom,
    currency: row.currency,
    context_window: row.contextWindow ?? undefined,
    max_output: row.maxOutput ?? undefined,
    rates: row.rates,
  };
}

/**
 * Imports the prices that come with this package, as an operator: what is new or has changed. Names
 * whose prices did not come with a seed stay as they are.
 */
export async function importSeed(sql: Queryable): Promise<PriceDifference> {
  const { rows, source } = await readSeed();
  const difference = comparePrices(rows, await readCatalogue(sql), { keepOthers: true });
  await applyPrices(sql, difference, source);
  return difference;
}
