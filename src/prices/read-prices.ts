import { readFile } from "node:fs/promises";
import { parseAmount } from "../amounts/index.ts";
import {
  DOLLARS,
  FIXED_COLUMNS,
  type FixedColumn,
  type PriceRow,
  RATE_SCALE,
  STANDARD,
} from "./price-row.ts";
import { readTime } from "./time.ts";
import type { PriceFields } from "./write-prices.ts";

/** A file is not one of prices; the message says where. */
export class PriceFileError extends Error {
  override readonly name = "PriceFileError";
}

/** A row of a file, and where it stands in it. */
export interface PlacedPriceRow extends PriceRow {
  /** Such as `prices.csv, line 7`. */
  readonly place: string;
}

interface PlacedFields {
  readonly fields: PriceFields;
  readonly place: string;
}

const KIND = /^(?!model$|variant$)[a-z][a-z0-9_]{0,62}$/;
const MOST = 10n ** 18n;

/**
 * Reads a file of prices: CSV, or JSON with objects of the same names. Rates are decimal numbers of
 * the currency per million.
 *
 * @throws PriceFileError which names the line and the column
 */
export async function readPrices(path: string): Promise<PlacedPriceRow[]> {
  const text = await readText(path);
  const placed = /^\s*\[/.test(text) ? fromJson(path, text) : await fromCsv(path, text);
  const rows = placed.map(toRow);
  if (rows.length === 0) throw new PriceFileError(`${path}: no prices in it`);
  refuseTwins(rows);
  return rows;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new PriceFileError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

async function fromCsv(path: string, text: string): Promise<PlacedFields[]> {
  // Loaded only now: setting a price by hand does not need it.
  const { parse } = await import("csv-parse/sync");
  try {
    const parsed = parse(text, {
      bom: true,
      columns: (header: string[]) => checkedHeader(path, header),
      info: true,
      skip_empty_lines: true,
      trim: true,
    }) as unknown as { record: PriceFields; info: { lines: number } }[];
    return parsed.map(({ record, info }) => ({
      fields: record,
      place: `${path}, line ${info.lines}`,
    }));
  } catch (error) {
    const { code, lines, message } = error as Error & { code?: string; lines?: number };
    if (!code?.startsWith("CSV_")) throw error;
    throw new PriceFileError(`${path}, line ${lines}: ${message}`, { cause: error });
  }
}

function checkedHeader(path: string, header: string[]): string[] {
  const bad = header.find((name) => !isColumn(name));
  if (bad !== undefined) {
    throw new PriceFileError(
      `${path}, line 1: "${bad}" is neither one of ${FIXED_COLUMNS.join(", ")} nor a kind of ` +
        "usage like input or cache_read",
    );
  }
  if (!header.includes("model")) throw new PriceFileError(`${path}, line 1: no column model`);
  const twice = header.find((name, index) => header.indexOf(name) !== index);
  if (twice !== undefined) throw new PriceFileError(`${path}, line 1: two columns ${twice}`);
  return header;
}

function isColumn(name: string): boolean {
  return FIXED_COLUMNS.includes(name as FixedColumn) || KIND.test(name);
}

function fromJson(path: string, text: string): PlacedFields[] {
  const items = parseItems(path, text);
  return items.map((item, index) => {
    const place = `${path}, item ${index + 1}`;
    if (typeof item !== "object" || item === null || Array.isArray(item)) {
      throw new PriceFileError(`${place}: not an object like {"model": "acme/large", "input": 2}`);
    }
    const fields = Object.entries(item).filter(([, value]) => value !== null);
    for (const [name, value] of fields) {
      if (!isColumn(name)) throw new PriceFileError(`${place}: unknown field "${name}"`);
      if (typeof value !== "string")
        throw new PriceFileError(`${place}, ${name}: not a text or number`);
    }
    return { fields: Object.fromEntries(fields) as PriceFields, place };
  });
}

/** Numbers become the text that they are written as, so that no digit is lost. */
function parseItems(path: string, text: string): unknown[] {
  const asWritten = (_: string, value: unknown, context: { source?: string }): unknown =>
    typeof value === "number" ? context.source : value;
  try {
    return JSON.parse(text, asWritten as Parameters<typeof JSON.parse>[1]) as unknown[];
  } catch (error) {
    throw new PriceFileError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

function toRow({ fields, place }: PlacedFields): PlacedPriceRow {
  const text = (column: FixedColumn): string => fields[column] ?? "";
  const number = (column: FixedColumn): number | null => readCount(text(column), column, place);
  const model = withoutQuote(text("model"));
  checkName(model, "model", place);
  const aliasOf = withoutQuote(text("alias_of")) || null;
  const rates = ratesOf(fields, place);
  const common = { place, model, validFrom: readValidFrom(text("valid_from"), place) };
  if (aliasOf !== null) {
    checkName(aliasOf, "alias_of", place);
    refuseOnAlias(fields, place);
    return {
      ...{ ...common, variant: "", above: 0, currency: DOLLARS, aliasOf, rates },
      ...{ contextWindow: null, maxOutput: null },
    };
  }
  if (Object.keys(rates).length === 0) {
    throw new PriceFileError(`${place}: no rate: a model needs one, such as input, or an alias_of`);
  }
  return {
    ...{ ...common, aliasOf, rates },
    variant: text("variant") || STANDARD,
    above: number("above") ?? 0,
    currency: text("currency") || DOLLARS,
    contextWindow: number("context_window"),
    maxOutput: number("max_output"),
  };
}

// A spreadsheet would execute a name that begins like a formula, so export writes a quote before it.
function withoutQuote(name: string): string {
  return name.replace(/^'(?=[=+\-@])/, "");
}

function checkName(name: string, column: string, place: string): void {
  if (/^[^/]+\/.+$/s.test(name)) return;
  throw new PriceFileError(`${place}, ${column}: "${name}" is not like openai/gpt-5`);
}

function refuseOnAlias(fields: PriceFields, place: string): void {
  const allowed = ["model", "alias_of", "valid_from", "above"];
  const filled = Object.keys(fields).find((name) => fields[name] !== "" && !allowed.includes(name));
  if (filled === undefined && !Number(fields.above ?? 0)) return;
  throw new PriceFileError(
    `${place}, ${filled ?? "above"}: an alias has only a model, alias_of and valid_from`,
  );
}

function ratesOf(fields: PriceFields, place: string): Record<string, bigint> {
  const kinds = Object.keys(fields).filter((name) => !FIXED_COLUMNS.includes(name as FixedColumn));
  const filled = kinds.filter((kind) => fields[kind] !== "");
  return Object.fromEntries(
    filled.map((kind) => [kind, readRate(fields[kind] ?? "", kind, place)]),
  );
}

function readRate(text: string, kind: string, place: string): bigint {
  const where = `${place}, ${kind}`;
  let rate: bigint;
  try {
    rate = parseAmount(text, RATE_SCALE);
  } catch (error) {
    throw new PriceFileError(`${where}: ${(error as Error).message}`, { cause: error });
  }
  if (rate < 0n || rate > MOST) {
    throw new PriceFileError(`${where}: "${text}" is not from 0 to 1,000,000,000 per million`);
  }
  return rate;
}

function readCount(text: string, column: string, place: string): number | null {
  if (text === "") return null;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new PriceFileError(`${place}, ${column}: "${text}" is not a number of tokens`);
}

function readValidFrom(text: string, place: string): string | null {
  if (text === "" || text === "-infinity") return null;
  try {
    return readTime(text);
  } catch (error) {
    throw new PriceFileError(`${place}, valid_from: ${(error as Error).message}`, { cause: error });
  }
}

function refuseTwins(rows: readonly PlacedPriceRow[]): void {
  const seen = new Map<string, PlacedPriceRow>();
  const kinds = new Map<string, PlacedPriceRow>();
  for (const row of rows) {
    const key = JSON.stringify([row.model, row.variant, row.above, row.validFrom]);
    const twin = seen.get(key);
    if (twin)
      throw new PriceFileError(`${row.place}: ${row.model} is there already, ${twin.place}`);
    seen.set(key, row);
    const other = kinds.get(row.model) ?? row;
    if ((other.aliasOf === null) !== (row.aliasOf === null)) {
      throw new PriceFileError(
        `${row.place}: ${row.model} has rates and is an alias, ${other.place}`,
      );
    }
    kinds.set(row.model, row);
  }
}
