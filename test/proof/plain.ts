// One form for what the database tells and what the model says, so that they can be compared.
import type { Json } from "../../src/json/index.ts";

// TypeScript's libraries do not know the third parameter yet.
type Reviver = (key: string, value: unknown) => unknown;

/** A value with all that is a whole number as bigint, and all that is a time in microseconds. */
export function plain(value: unknown): Json {
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
  if (typeof value === "string") return micros(value) ?? value;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value as Json;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
}

/** The same of a JSON text. */
export function parsePlain(text: string): Json {
  return JSON.parse(text, toPlain as Reviver);
}

function toPlain(_key: string, value: unknown, { source }: { source: string }): unknown {
  if (typeof value === "string") return micros(value) ?? value;
  if (typeof value !== "number" || !Number.isInteger(value)) return value;
  // 600.000000 is a whole number, too, and a large one is exact in its text only.
  return BigInt(Number.isSafeInteger(value) ? value : source);
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,6}))?\+00:00$/;

/** Microseconds since 1970 of a time in JSON, or undefined if it is no time. */
function micros(text: string): bigint | undefined {
  const match = text.length < 25 ? null : TIME.exec(text);
  if (!match) return undefined;
  const fraction = (match[1] ?? "").padEnd(6, "0");
  return BigInt(Date.parse(`${text.slice(0, 19)}Z`)) * 1000n + BigInt(fraction);
}
