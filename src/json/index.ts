/**
 * A JSON value. A whole number that a `number` would round is a `bigint`, on the way out and on
 * the way in; any other number is a `number`.
 */
export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** A JSON object that goes on record with an event. */
export type Metadata = { readonly [key: string]: Json };

// TypeScript's libraries do not know these two yet; Node has had them since version 21.
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
type Reviver = (key: string, value: unknown) => unknown;

/** Text of a JSON value in which a whole number is exact, whatever its size. */
export function stringifyJson(value: Json): string {
  const text = JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === "bigint") return rawJSON(item.toString());
    // JSON.stringify would write null, which is another amount.
    if (typeof item === "number" && !Number.isFinite(item)) {
      throw new TypeError(`${item} is not a JSON number`);
    }
    return item;
  });
  if (text === undefined) throw new TypeError(`${typeof value} is not a JSON value`);
  return text;
}

/** The value of a JSON text; see {@link Json} for its numbers. */
export function parseJson(text: string): Json {
  // A reviver is called for each value; most texts have no number that needs it.
  return /\d{16}/.test(text) ? JSON.parse(text, exact as Reviver) : JSON.parse(text);
}

function exact(_key: string, value: unknown, context: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context.source ?? "";
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}

/** JSON that is encoded already: an argument that is written as it is. */
export class EncodedJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}
