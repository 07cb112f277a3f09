import { type Json, parseJson } from "../json/index.ts";

const AMOUNTS = new Set([
  "amount",
  "used",
  "held",
  "requested",
  "available",
  "reserved",
  "spent",
  "shortfall",
  "refundable",
  "would_be",
  "overdraft_limit",
  "ended_seq",
]);
/** Fields of a command that are amounts: LGIDK gives both values of the one that differs. */
const AMOUNT_FIELDS = new Set<unknown>(["amount", "at_least", "overdraft_limit"]);

/**
 * Converts the detail of a refusal to TypeScript: camelCase names, amounts as `bigint`, times as
 * `Date`. A detail that is not a JSON object, e.g. because a proxy cut it short, counts as empty.
 */
export function readDetail(detail: Json | undefined): Record<string, unknown> {
  const given = typeof detail === "string" ? parse(detail) : detail;
  if (typeof given !== "object" || given === null || Array.isArray(given)) return {};
  const fields = given as Readonly<Record<string, Json>>;
  const ofAmounts = AMOUNT_FIELDS.has(fields.field);
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      readField(name, value, ofAmounts),
    ]),
  );
}

function readField(name: string, value: Json, ofAmounts: boolean): unknown {
  if (AMOUNTS.has(name)) return toBigInt(value);
  if (ofAmounts && (name === "stored" || name === "given")) return toBigInt(value);
  if (name.endsWith("_at") && typeof value === "string") return toDate(value);
  return value;
}

function parse(text: string): Json {
  try {
    return parseJson(text);
  } catch {
    return null;
  }
}

function toBigInt(value: Json): Json {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : value;
  return typeof value === "string" && /^-?\d+$/.test(value) ? BigInt(value) : value;
}

function toDate(text: string): Date | null {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? null : date;
}
