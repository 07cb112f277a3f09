// One form for what the database tells and what the model says, so that they can be compared.
import type { Json } from "../../src/json.ts";

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,6}))?\+00:00$/;

/** Microseconds since 1970 of a time in JSON, or undefined if it is no time. */
export function micros(text: string): bigint | undefined {
  const match = TIME.exec(text);
  if (!match) return undefined;
  const fraction = (match[1] ?? "").padEnd(6, "0");
  return BigInt(Date.parse(`${text.slice(0, 19)}Z`)) * 1000n + BigInt(fraction);
}

/** A value with all that is a whole number as bigint, and all that is a time in microseconds. */
export function plain(value: unknown): Json {
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
  if (typeof value === "string") return micros(value) ?? value;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value as Json;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
}
