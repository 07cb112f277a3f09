// What comments in the database say: of functions, of their arguments, and by their markers.
import type { ArgumentInfo, Catalog, FunctionInfo } from "./catalog.ts";

/** Writes the field of an argument, `at_least` of `p_at_least`, as its reader knows it. */
export type Naming = (field: string) => string;

/** Whether a comment has the marker of a result that is never null. */
export function isNotNull(comment: string): boolean {
  return /@notNull\b/.test(comment);
}

/** Whether a comment has the marker of a time that may be -infinity. */
export function isFromEver(comment: string): boolean {
  return /@fromEver\b/.test(comment);
}

/** A comment without its markers. */
export function withoutMarkers(comment: string): string {
  const markers = /\s*@(notNull\b|nullable\b|fromEver\b|(commands|or|type)\([^)]*\))/g;
  return comment.replace(markers, "").trim();
}

/** What a comment says of a function, without its arguments. */
export function describeFunction(fn: FunctionInfo, name: Naming): string {
  return renameArguments(splitComment(fn.comment, argumentNames(fn)).text, fn, name);
}

/** What comments say of an argument, and of its default, which the catalogue has otherwise. */
export function describeArgument(
  catalog: Catalog,
  fn: FunctionInfo,
  argument: ArgumentInfo,
  name: Naming,
): { readonly meaning: string; readonly byDefault: string } {
  const text = withoutMarkers(findDescription(catalog, fn, argument));
  const [, meaning = "", byDefault] = /^(.*?)\s*(Default: .*)?$/.exec(text) ?? [];
  return {
    meaning: renameArguments(meaning, fn, name),
    byDefault: renameArguments(byDefault ?? formatDefault(argument), fn, name),
  };
}

/**
 * The functions that a JSON argument lists calls of, by the marker in its description. In place of a
 * function that takes such a list itself stand those of its list.
 */
export function listedOperations(
  catalog: Catalog,
  fn: FunctionInfo,
  argument: ArgumentInfo,
): readonly string[] {
  return markedNames(catalog, fn, argument).flatMap((name) => {
    const names = namesInList(catalog, name);
    return names.length > 0 ? names : [name];
  });
}

/** Those of the marked functions that take such a list themselves. */
export function listedBatches(
  catalog: Catalog,
  fn: FunctionInfo,
  argument: ArgumentInfo,
): readonly FunctionInfo[] {
  const names = markedNames(catalog, fn, argument);
  const batches = names.filter((name) => namesInList(catalog, name).length > 0);
  return catalog.functions.filter(({ name }) => batches.includes(name));
}

/** Whether the argument of a function is such a list. */
export function isList(catalog: Catalog, fn: FunctionInfo, argument: ArgumentInfo): boolean {
  return markedNames(catalog, fn, argument).length > 0;
}

function namesInList(catalog: Catalog, name: string): string[] {
  const fn = catalog.functions.find((other) => other.name === name);
  return fn?.arguments.flatMap((each) => markedNames(catalog, fn, each)) ?? [];
}

function markedNames(catalog: Catalog, fn: FunctionInfo, argument: ArgumentInfo): string[] {
  const [, names = ""] = /@commands\(([^)]*)\)/.exec(findDescription(catalog, fn, argument)) ?? [];
  return names.match(/\w+/g) ?? [];
}

/** Whether an argument without a default may be null, by the marker in its description. */
export function isNullable(catalog: Catalog, fn: FunctionInfo, argument: ArgumentInfo): boolean {
  return /@nullable\b/.test(findDescription(catalog, fn, argument));
}

/** The argument that may stand in place of another one, by the marker in the description of that. */
export function alternativeOf(
  catalog: Catalog,
  fn: FunctionInfo,
  argument: ArgumentInfo,
): ArgumentInfo | undefined {
  const [, name] = /@or\((\w+)\)/.exec(findDescription(catalog, fn, argument)) ?? [];
  if (name === undefined) return undefined;
  const other = fn.arguments.find((each) => each.name === name);
  if (!other) throw new Error(`@or names ${name}, which is no argument of ${fn.name}`);
  return other;
}

/** The type that a JSON argument has in TypeScript, or its elements, by the marker. */
export function namedTypeOf(
  catalog: Catalog,
  fn: FunctionInfo,
  argument: ArgumentInfo,
): { readonly name: string; readonly isList: boolean } | undefined {
  const [, name, list] = /@type\((\w+)(\[\])?\)/.exec(findDescription(catalog, fn, argument)) ?? [];
  return name === undefined ? undefined : { name, isList: list !== undefined };
}

/** Default of an argument as SQL has it, without a cast: `'00:10:00'::interval` → `'00:10:00'`. */
export function defaultOf(argument: ArgumentInfo): string | null {
  const value = argument.default?.replace(/^('([^']|'')*'|NULL)::[^']*$/, "$1") ?? null;
  return value === "NULL" ? "null" : value;
}

function formatDefault(argument: ArgumentInfo): string {
  const value = defaultOf(argument);
  return value === null ? "" : `Default: ${value}.`;
}

/** The description in the comment of the function, or else in that of the schema. */
function findDescription(catalog: Catalog, fn: FunctionInfo, { name }: ArgumentInfo): string {
  const own = splitComment(fn.comment, argumentNames(fn)).descriptions.get(name);
  return own ?? splitComment(catalog.comment).descriptions.get(name) ?? "";
}

function argumentNames(fn: FunctionInfo): string[] {
  return fn.arguments.map(({ name }) => name);
}

const ARGUMENT = /^([a-z_][a-z0-9_]*): *(.*)$/;

/**
 * Splits a comment: lines such as `p_amount: How much.` describe the arguments of that name, the rest
 * is the text. With `names`, only lines that begin with one of them count.
 */
function splitComment(
  comment: string,
  names?: readonly string[],
): { readonly text: string; readonly descriptions: ReadonlyMap<string, string> } {
  const descriptions = new Map<string, string>();
  const text = comment.split("\n").filter((line) => {
    const [, name, description] = ARGUMENT.exec(line) ?? [];
    if (name === undefined || names?.includes(name) === false) return true;
    descriptions.set(name, description ?? "");
    return false;
  });
  return { text: text.join("\n").trim(), descriptions };
}

// Comments name p_amount, which callers in TypeScript know as amount.
function renameArguments(comment: string, fn: FunctionInfo, name: Naming): string {
  const known = new Set(argumentNames(fn));
  return withoutMarkers(comment).replace(/\bp_[a-z0-9_]+\b/g, (found) =>
    known.has(found) ? `\`${name(found.slice(2))}\`` : found,
  );
}
