// One form for the database's JSON and the model's values, so that they can be compared.
import type { Json } from "../../src/json/index.ts";

// TypeScript's libraries do not know the third parameter yet.
type Reviver = (key: string, value: unknown) => unknown;

/** A value with every integer as a bigint, and every time in microseconds. */
export function plain(value: unknown): Json {
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
  if (typeof value === "string") return micros(value) ?? value;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value as Json;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
}

/** The same from JSON text. */
export function parsePlain(text: string): Json {
  return JSON.parse(text, toPlain as Reviver);
}

function toPlain(_key: string, value: unknown, { source }: { source: string }): unknown {
  if (typeof value === "string") return micros(value) ?? value;
  if (typeof value !== "number" || !Number.isInteger(value)) return value;
  // 600.000000 is an integer as well; a large integer is exact only as text.
  return BigInt(Number.isSafeInteger(value) ? value : source);
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,6}))?\+00:00$/;

/** The microseconds since 1970 of a time in JSON, or undefined if the text is not a time. */
function micros(text: string): bigint | undefined {
  const match = text.length < 25 ? null : TIME.exec(text);
  if (!match) return undefined;
  const fraction = (match[1] ?? "").padEnd(6, "0");
  return BigInt(Date.parse(`${text.slice(0, 19)}Z`)) * 1000n + BigInt(fraction);
}
