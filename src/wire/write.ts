import { InvalidArgumentError } from "../errors/index.ts";
import { EncodedJson, type Json, stringifyJson } from "../json/index.ts";

/** Makes the text that the server is sent of an argument; refuses a value that has none. */
export type Writer<T> = (value: T, field: string) => string;

/** A writer for an argument that must be given, but may be null. */
export function orNull<T>(write: Writer<T>): (value: T | null, field: string) => string | null {
  return (value, field) => (value === null ? null : write(value, field));
}

/** A writer for an argument in whose place another one may be given. */
export function alternative<T>(
  write: Writer<T>,
): (value: T | null | undefined, field: string) => string | null {
  return (value, field) => (value === undefined || value === null ? null : write(value, field));
}

/** A writer for an argument that has a default: undefined leaves it out, null is SQL's null. */
export function optional<T extends NonNullable<unknown>>(
  write: Writer<T>,
): (value: T | null | undefined, field: string) => string | null | undefined {
  return (value, field) => (value === undefined || value === null ? value : write(value, field));
}

/**
 * A string. The server cannot hold a NUL character, and the driver would send the replacement
 * character for half of a surrogate pair: two different keys would become one.
 */
export const text: Writer<string> = (value, field) => {
  if (typeof value !== "string") throw invalidArgument(field, "must be a string");
  if (value.includes("\0")) throw invalidArgument(field, "must not contain a NUL character");
  if (!value.isWellFormed()) throw invalidArgument(field, "must not contain half a surrogate pair");
  return value;
};

/** A `bigint` of 64 bits. */
export const bigint: Writer<bigint> = (value, field) => {
  if (typeof value !== "bigint") throw invalidArgument(field, "must be a bigint");
  if (BigInt.asIntN(64, value) !== value) throw invalidArgument(field, "must fit 64 bits");
  return value.toString();
};

/** A `number` that is whole. */
export const integer: Writer<number> = (value, field) => {
  if (!Number.isSafeInteger(value)) throw invalidArgument(field, "must be a whole number");
  return String(value);
};

/** A `number`, but not NaN or an infinity. */
export const number: Writer<number> = (value, field) => {
  if (!Number.isFinite(value)) throw invalidArgument(field, "must be a finite number");
  return String(value);
};

/** A `boolean`. */
export const boolean: Writer<boolean> = (value, field) => {
  if (typeof value !== "boolean") throw invalidArgument(field, "must be true or false");
  return String(value);
};

/** A `Date`, or a string where microseconds matter. */
export const timestamp: Writer<Date | string> = (value, field) => {
  if (!(value instanceof Date)) return text(value, field);
  if (Number.isNaN(value.getTime())) throw invalidArgument(field, "must be a valid Date");
  return value.toISOString();
};

/** Seconds, or a string such as `5 minutes`. */
export const interval: Writer<number | string> = (value, field) =>
  typeof value === "number" ? `${number(value, field)} seconds` : text(value, field);

/** An array, without nulls: each element is quoted, so that none is taken for syntax. */
export function list<T>(write: Writer<T>): Writer<readonly T[]> {
  return (value, field) => {
    if (!Array.isArray(value)) throw invalidArgument(field, "must be an array");
    const quoted = value.map((each: T) => `"${write(each, field).replace(/["\\]/g, "\\$&")}"`);
    return `{${quoted.join(",")}}`;
  };
}

/** A JSON value; `null` is JSON's null, where the argument is not optional. */
export const json: Writer<Json> = (value: Json | EncodedJson, field) => {
  if (value instanceof EncodedJson) return value.text;
  const encoded = encode(value, field);
  if (/(?<!\\)(\\\\)*\\u(0000|d[89a-f])/.test(encoded)) {
    throw invalidArgument(field, "must not contain a NUL character or half a surrogate pair");
  }
  return encoded;
};

function encode(value: Json, field: string): string {
  try {
    return stringifyJson(value);
  } catch (cause) {
    throw invalidArgument(field, "must be a JSON value", cause);
  }
}

// The same as the database's refusal of an argument.
function invalidArgument(field: string, reason: string, cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError("LGARG", {
    message: `invalid argument: ${field} ${reason}`,
    detail: { field, reason },
    hint: "Correct the argument; sending the same again will be refused again.",
    cause,
  });
}
