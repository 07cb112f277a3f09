import { type Json, type Kinds, NotSent } from "./types.ts";

/** The most that the ledger takes as a count. */
const MOST = 10 ** 12;

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A field that is an object, or an empty one. */
export function part(value: unknown, field: string): Json {
  const found = isObject(value) ? value[field] : undefined;
  return isObject(found) ? found : {};
}

/** The elements of a field that is a list, or none. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A count; 0 if it is missing. What is no count gives NaN, which {@link kindsOf} turns down. */
export function count(value: unknown): number {
  if (value === undefined || value === null) return 0;
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MOST
    ? value
    : Number.NaN;
}

/** Counts without those that are 0; undefined if one of them is no count. */
export function kindsOf(counts: Readonly<Record<string, number>>): Kinds | undefined {
  const entries = Object.entries(counts);
  if (entries.some(([, n]) => !(n >= 0 && n <= MOST))) return undefined;
  const some = entries.filter(([, n]) => n > 0);
  return some.length > 0 ? Object.fromEntries(some) : { input: 0 };
}

/** The body as an object whose fields are all known. */
export function readBody(
  body: Uint8Array,
  known: ReadonlySet<string>,
  more: readonly string[],
): Json {
  const text = decode(body);
  const json = parseJson(text);
  if (!isObject(json)) throw new NotSent("unreadable", "the body is not a JSON object");
  const twice = repeatedName(text);
  // Providers differ in which of two equal names counts, so that another model might be called.
  if (twice !== undefined) throw new NotSent("unreadable", `the body has ${twice} twice`);
  requireKnown(json, known, more);
  return json;
}

/** Turns down fields that are not known to cost nothing, or to be counted. */
export function requireKnown(
  json: Json,
  known: ReadonlySet<string>,
  more: readonly string[] = [],
  where = "the body",
): void {
  for (const [name, value] of Object.entries(json)) {
    if (value === null || known.has(name) || more.includes(name)) continue;
    throw new NotSent("not_understood", `${where} has the field ${name}, whose cost is unknown`);
  }
}

/** A text that must be there: a model's name. */
export function requireText(json: Json, field: string): string {
  const value = json[field];
  if (typeof value === "string" && value !== "") return value;
  throw new NotSent("unreadable", `${field} is not a text`);
}

/** A whole number from 1, if it is there. */
export function optionalCount(json: Json, field: string): number | undefined {
  const value = json[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1) return value;
  throw new NotSent("unreadable", `${field} is not a whole number from 1`);
}

/** Whether a switch is on. */
export function isOn(json: Json, field: string): boolean {
  const value = json[field];
  if (value === true) return true;
  if (value === false || value === undefined || value === null) return false;
  throw new NotSent("unreadable", `${field} is neither true nor false`);
}

/** The name of a variant from what deviates from the standard; `standard` if nothing does. */
export function variantOf(...parts: (string | undefined)[]): string {
  return parts.filter((each) => each !== undefined && each !== "standard").join("-") || "standard";
}

/** A setting that changes the price: its name, or undefined if it is one that does not. */
export function deviation(value: unknown, plain: readonly string[]): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string" || value === "") return "unknown";
  return plain.includes(value) ? undefined : value;
}

/** An event's or answer's text as JSON; undefined if it is none. */
export function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The message of an error in an answer, in any provider's form. */
export function errorOf(message: Json): string | undefined {
  const { error } = message;
  if (error === undefined || error === null) return undefined;
  const said = isObject(error) ? error.message : error;
  return typeof said === "string" && said !== "" ? said : "an error without a message";
}

function decode(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw new NotSent("unreadable", "the body is not UTF-8");
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new NotSent("unreadable", "the body is not JSON");
  }
}

/** A name that an object of the outer two levels of a JSON text has twice. */
function repeatedName(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let before = "";
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:,]/gs)) {
    if (token === "{" || token === "[") {
      open.push(token === "{" && open.length < 2 ? new Set() : undefined);
    } else if (token === "}" || token === "]") {
      open.pop();
    } else if (token.startsWith('"') && (before === "{" || before === ",")) {
      const names = open.at(-1);
      const name = names && (JSON.parse(token) as string);
      if (name !== undefined && names?.has(name)) return name;
      if (name !== undefined) names?.add(name);
    }
    before = token;
  }
  return undefined;
}
