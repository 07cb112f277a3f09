import type { ArgumentInfo, FunctionInfo } from "./catalog.ts";
import { splitComment, withoutMarkers } from "./comments.ts";
import { doc } from "./layout.ts";
import { camelCase, checkName } from "./names.ts";
import type { Scope } from "./scope.ts";
import { mapType } from "./types.ts";

/** How an argument `p_at_least` is called: `atLeast` by callers, `at_least` in JSON. */
export type Naming = (field: string) => string;

/** Name of an argument without the prefix by which SQL tells it from a column. */
export function fieldOf(argument: ArgumentInfo): string {
  if (!argument.name) throw new Error("every argument needs a name");
  return checkName(argument.name.replace(/^p_/, ""));
}

/** What comments say of an argument: that of its function, or else that of the schema. */
export function descriptionOf(scope: Scope, fn: FunctionInfo, { name }: ArgumentInfo): string {
  const own = splitComment(fn.comment, argumentNames(fn)).descriptions.get(name);
  return own ?? splitComment(scope.catalog.comment).descriptions.get(name) ?? "";
}

/** What the comment of a function says of the function itself. */
export function textOf(fn: FunctionInfo): string {
  return speak(splitComment(fn.comment, argumentNames(fn)).text, fn, camelCase);
}

/** An argument as a property; of a type of its own if one is given. */
export function printProperty(
  scope: Scope,
  fn: FunctionInfo,
  argument: ArgumentInfo,
  { name = camelCase, type }: { readonly name?: Naming; readonly type?: string | undefined } = {},
): string {
  const mapping = mapType(scope.catalog, argument.type, (used) => scope.used.add(used));
  const optional = argument.default !== null;
  const described = withoutMarkers(descriptionOf(scope, fn, argument));
  const [, told, defaults] = /^(.*?)\s*(Default: .*)?$/.exec(described) ?? [];
  const docs = [told, type ? "" : mapping.note, defaults ?? tellDefault(argument)];
  const mark = optional ? "?" : "";
  const none = optional ? " | null | undefined" : "";
  return (
    doc(speak(docs.filter(Boolean).join(" "), fn, name), "  ") +
    `  readonly ${name(fieldOf(argument))}${mark}: ${type ?? mapping.argument}${none};\n`
  );
}

function argumentNames(fn: FunctionInfo): string[] {
  return fn.arguments.map(({ name }) => name);
}

// '00:10:00'::interval → '00:10:00'
function tellDefault(argument: ArgumentInfo): string {
  if (argument.default === null) return "";
  const value = argument.default.replace(/^('([^']|'')*'|NULL)::[^']*$/, "$1");
  return `Default: ${value === "NULL" ? "null" : value}.`;
}

// Comments speak of p_amount, callers of amount.
function speak(comment: string, fn: FunctionInfo, name: Naming): string {
  const known = new Set(argumentNames(fn));
  return withoutMarkers(comment).replace(/\bp_[a-z0-9_]+\b/g, (found) =>
    known.has(found) ? `\`${name(found.slice(2))}\`` : found,
  );
}
