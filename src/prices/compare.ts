import { compareText, type PriceRow } from "./price-row.ts";
import { type Catalogue, presentPrices, type StoredPrice } from "./stored-prices.ts";
import { missingRows } from "./timeline.ts";

/** What a file of prices would change in a catalogue. Names are of models, with their variants. */
export interface PriceDifference {
  /** Names that are new. */
  readonly added: readonly PriceChange[];
  /** Names whose prices differ from now on. */
  readonly changed: readonly PriceChange[];
  readonly unchanged: readonly string[];
  /** Names that have prices which did not come with a seed; they stay. */
  readonly kept: readonly string[];
  /** Names that cannot get these prices: a model never becomes an alias, or the reverse. */
  readonly impossible: readonly string[];
  /** Names that the catalogue has from a seed and the file has not; they stay. */
  readonly missing: readonly string[];
}

/** The rows that a name gets. */
export interface PriceChange {
  readonly name: string;
  readonly rows: readonly PriceRow[];
  /** What counts now, without tiers. */
  readonly before: PriceRow | undefined;
}

/** How files are compared. */
export interface CompareOptions {
  /** Whether names stay as they are that have prices which did not come with a seed. */
  readonly keepOthers: boolean;
}

/** Compares a file of prices with what a catalogue has. */
export function comparePrices(
  given: readonly PriceRow[],
  catalogue: Catalogue,
  { keepOthers }: CompareOptions,
): PriceDifference {
  const { now, prices } = catalogue;
  const stored = Map.groupBy(prices, nameOf);
  const present = Map.groupBy(presentPrices(catalogue), nameOf);
  const others = new Set(prices.filter((row) => !isFromSeed(row)).flatMap(claimsOf));
  const isPossible = possibility(prices);
  const [added, changed] = [[] as PriceChange[], [] as PriceChange[]];
  const [unchanged, kept, impossible] = [[] as string[], [] as string[], [] as string[]];
  const names = Map.groupBy(given, nameOf);
  for (const [name, rows] of names) {
    const known = stored.get(name);
    if (keepOthers && rows.some((row) => others.has(claimOf(row)))) kept.push(name);
    else if (!rows.every(isPossible)) impossible.push(name);
    else if (!known) added.push({ name, rows: rows.map(fromEver), before: undefined });
    else {
      const missing = missingRows(rows, known, now);
      const before = present.get(name)?.find(({ above }) => above === 0);
      if (missing.length === 0) unchanged.push(name);
      else changed.push({ name, rows: missing, before });
    }
  }
  const isMissing = (name: string, rows: readonly StoredPrice[]): boolean =>
    !names.has(name) && rows.every(isFromSeed);
  const missing = [...stored].filter(([name, rows]) => isMissing(name, rows)).map(([name]) => name);
  return { added, changed, unchanged, kept, impossible, missing: missing.sort(compareText) };
}

/** The rows of a difference in the order in which they can be set: aliases after their models. */
export function rowsToSet({ added, changed }: PriceDifference): PriceRow[] {
  const rows = [...added, ...changed].flatMap((change) => change.rows);
  const isAlias = ({ aliasOf }: PriceRow): boolean => aliasOf !== null;
  return [...rows.filter((row) => !isAlias(row)), ...rows.filter(isAlias)];
}

/** `openai/gpt-5`, or `openai/gpt-5 batch` for a variant. */
function nameOf({ model, variant }: PriceRow): string {
  return variant === "standard" || variant === "" ? model : `${model} ${variant}`;
}

function isFromSeed({ source }: StoredPrice): boolean {
  return /^seed \d{4}-\d{2}-\d{2}$/.test(source ?? "");
}

/** What a row that somebody has set keeps a seed from: its variant, and the name as an alias. */
function claimsOf(row: StoredPrice): string[] {
  return [JSON.stringify([row.model, row.variant]), JSON.stringify([row.model, ""])];
}

function claimOf({ model, variant }: PriceRow): string {
  return JSON.stringify([model, variant]);
}

/** Whether a row may be set beside those that are there: a name is a model or an alias, for ever. */
function possibility(prices: readonly StoredPrice[]): (row: PriceRow) => boolean {
  const aliases = new Map(prices.map(({ aliasOf, model }) => [model, aliasOf !== null]));
  return ({ aliasOf, model }) => {
    const isAlias = aliasOf !== null;
    return (aliases.get(model) ?? isAlias) === isAlias && !(isAlias && aliases.get(aliasOf));
  };
}

/** The first prices of a model hold from ever: no call can have had another one. */
function fromEver(row: PriceRow): PriceRow {
  return { ...row, validFrom: row.validFrom ?? "-infinity" };
}
