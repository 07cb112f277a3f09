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

/**
 * What a call uses, or has used: a model, and of each kind how much, as a whole number. Kinds do not
 * overlap: `input` is what no cache had. Kinds that are not listed here have prices of their own in
 * the catalogue, too.
 */
export type Usage = {
  /** `provider/model`, such as `openai/gpt-5`. A settlement takes that of its reservation. */
  readonly model?: string | undefined;
  /** What the provider charges for it otherwise, such as `batch`. Default: `standard`. */
  readonly variant?: string | undefined;
  /** Tokens of text that no cache had. */
  readonly input?: number | undefined;
  /** Tokens that were read from the provider's cache. */
  readonly cache_read?: number | undefined;
  /** Tokens that were written to a cache whose writes have one price. */
  readonly cache_write?: number | undefined;
  /** Tokens that were written to a cache for 5 minutes. */
  readonly cache_write_5m?: number | undefined;
  /** Tokens that were written to a cache for an hour. */
  readonly cache_write_1h?: number | undefined;
  readonly input_audio?: number | undefined;
  readonly cache_read_audio?: number | undefined;
  readonly input_image?: number | undefined;
  /** Tokens that were generated, with those of reasoning. */
  readonly output?: number | undefined;
  readonly output_audio?: number | undefined;
  readonly output_image?: number | undefined;
  readonly requests?: number | undefined;
  readonly web_searches?: number | undefined;
  readonly [kind: string]: number | string | undefined;
};

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
