/*
 * Files of prices: reads and writes them, compares them with the catalogue of a database, and
 * imports the seed, the prices that come with the package (db/prices/). Also prices the calls of
 * a log by that catalogue.
 */
export {
  type CompareOptions,
  comparePrices,
  type PriceChange,
  type PriceDifference,
  rowsToSet,
} from "./compare.ts";
export { applyPrices, importSeed } from "./import-prices.ts";
export {
  compareRows,
  compareText,
  formatRate,
  type PriceRow,
  RATE_SCALE,
  type Rates,
  sortKinds,
} from "./price-row.ts";
export { type CallQuotes, type CallUsage, quoteCalls, UnpricedCallError } from "./quote-calls.ts";
export { type PlacedPriceRow, PriceFileError, readPrices } from "./read-prices.ts";
export { readSeed, type SeedFile } from "./seed-file.ts";
export {
  type Catalogue,
  presentPrices,
  readCatalogue,
  type StoredPrice,
  toPriceRow,
} from "./stored-prices.ts";
export { formatPriceTime, readTime } from "./time.ts";
export { priceFields, priceLines } from "./write-prices.ts";
