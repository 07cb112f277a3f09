import { type Json, parseJson } from "../json/index.ts";

/** Makes the value of a result column from the text that the server sent; null is SQL's null. */
export type Reader<T> = (text: string | null, column: string) => T;

/** A reader that passes null on. */
export function orNull<T>(read: Reader<T>): Reader<T | null> {
  return (text, column) => (text === null ? null : read(text, column));
}

/** `text` and everything that stays a string: numeric, uuid, interval … */
export const text: Reader<string> = present;

/** An enum's label. One that is newer than these types is passed on, not refused. */
export function label<T extends string>(value: string | null, column: string): T {
  return present(value, column) as T;
}

/** `bigint` */
export const bigint: Reader<bigint> = (value, column) => BigInt(present(value, column));

/** `integer`, `smallint`, `double precision`, `real` */
export const number: Reader<number> = (value, column) => Number(present(value, column));

/** `boolean` */
export const boolean: Reader<boolean> = (value, column) => present(value, column) === "t";

/** A timestamp in ISO 8601, as `to_json` writes it under every `DateStyle`. */
export const timestamp: Reader<Date> = (value, column) => {
  const json = present(value, column);
  const iso = json.startsWith('"') ? json.slice(1, -1) : json;
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) throw new RangeError(`${column}: no Date can hold ${iso}`);
  return date;
};

/** A timestamp that may be -infinity: no Date can hold that. */
export const timestampFromEver: Reader<Date | "-infinity"> = (value, column) =>
  value === '"-infinity"' || value === "-infinity" ? "-infinity" : timestamp(value, column);

/** `json`, `jsonb` */
export const json: Reader<Json> = (value, column) => parseJson(present(value, column));

/** An array, as `to_json` writes it: its elements are read by their own reader. */
export function list<T>(read: Reader<T>): Reader<readonly T[]> {
  return (value, column) => {
    const elements = parseJson(present(value, column));
    if (!Array.isArray(elements)) throw new TypeError(`${column} is not an array`);
    return elements.map((each: Json) => read(each === null ? null : String(each), column));
  };
}

/** `void` */
export const nothing: Reader<void> = () => undefined;

function present(value: string | null, column: string): string {
  if (value === null) throw new TypeError(`${column} is null, though it is marked @notNull`);
  return value;
}
