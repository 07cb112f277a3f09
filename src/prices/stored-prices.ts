import type { Price } from "../generated/index.ts";
import type { Json } from "../json/index.ts";
import { call, type Queryable, read } from "../wire/index.ts";
import { DOLLARS, type PriceRow, type Rates } from "./price-row.ts";
import { readTime } from "./time.ts";

/** A row of the catalogue of a database. */
export interface StoredPrice extends PriceRow {
  readonly source: string | null;
}

/** The catalogue of a database. */
export interface Catalogue {
  /** All that were ever set, in the order in which they were added. */
  readonly prices: readonly StoredPrice[];
  /** The time of the database when they were read. */
  readonly now: string;
}

type ViewRow = Omit<StoredPrice, "variant" | "currency" | "rates"> & {
  readonly variant: string | null;
  readonly currency: string | null;
  readonly rates: Json | null;
  readonly now: string;
};

// With microseconds, which a Date would lose.
const utc = (time: string): string =>
  `to_char(${time} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

const viewRow = call.row<ViewRow>({
  model: ["model", read.text],
  variant: ["variant", read.orNull(read.text)],
  above: ["above", read.number],
  validFrom: [
    `case when isfinite(valid_from) then ${utc("valid_from")} end`,
    read.orNull(read.text),
  ],
  rates: ["rates", read.orNull(read.json)],
  currency: ["currency", read.orNull(read.text)],
  contextWindow: ["context_window", read.orNull(read.number)],
  maxOutput: ["max_output", read.orNull(read.number)],
  aliasOf: ["alias_of", read.orNull(read.text)],
  source: ["source", read.orNull(read.text)],
  now: [utc("clock_timestamp()"), read.text],
});

/** Reads the catalogue, with its history. */
export async function readCatalogue(sql: Queryable): Promise<Catalogue> {
  const query = `select ${viewRow.columns} from baseledger.prices order by price_id`;
  const rows = await call.many(sql, viewRow, query, []);
  // Without prices there is nothing to compare times with.
  return { prices: rows.map(toStoredPrice), now: rows.at(-1)?.now ?? "" };
}

function toStoredPrice({ currency, now, rates, variant, ...row }: ViewRow): StoredPrice {
  return {
    ...row,
    variant: variant ?? "",
    currency: currency ?? DOLLARS,
    rates: toRates(rates),
  };
}

function toRates(rates: Json | null): Rates {
  const entries = Object.entries((rates ?? {}) as Record<string, number | bigint>);
  return Object.fromEntries(entries.map(([kind, rate]) => [kind, BigInt(rate)]));
}

/** A price that a function of the ledger has returned; its time has milliseconds only. */
export function toPriceRow(price: Price): PriceRow {
  const { above, contextWindow, currency, maxOutput, rates, validFrom, variant } = price;
  return {
    model: price.model,
    aliasOf: price.aliasOf,
    variant: variant ?? "",
    above: Number(above),
    validFrom: validFrom === "-infinity" ? null : readTime(validFrom.toISOString()),
    currency: currency ?? DOLLARS,
    contextWindow: contextWindow === null ? null : Number(contextWindow),
    maxOutput: maxOutput === null ? null : Number(maxOutput),
    rates: toRates(rates),
  };
}

/** The prices that count now or will: of each tier and time the one added last. */
export function presentPrices({ now, prices }: Catalogue): StoredPrice[] {
  const present = new Map<string, StoredPrice>();
  for (const row of sortByTime(prices)) {
    const isLater = row.validFrom !== null && row.validFrom > now;
    const key = [row.model, row.variant, row.above, isLater ? row.validFrom : "now"];
    present.set(JSON.stringify(key), row);
  }
  return [...present.values()];
}

/** By time; rows of the same time stay in their order, in which they were added. */
export function sortByTime<T extends PriceRow>(rows: readonly T[]): T[] {
  return rows.toSorted((a, b) => {
    const [first, second] = [a.validFrom ?? "", b.validFrom ?? ""];
    return first < second ? -1 : Number(first > second);
  });
}
