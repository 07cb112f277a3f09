import type { FunctionInfo } from "./catalog.ts";
import { doc, literal } from "./layout.ts";
import { camelCase, pascalCase } from "./names.ts";
import { fieldOf, printProperty } from "./print-argument.ts";
import type { Scope } from "./scope.ts";
import { typeOf } from "./types.ts";

/** Types of SQL whose values JSON has as the wrappers take them. */
const IN_JSON = new Set(["bool", "int2", "int4", "int8", "interval", "json", "jsonb", "text"]);

/**
 * The types of the calls that a JSON argument lists: objects with `op`, the name of a function, and
 * its arguments, without those that they share with the function that takes the list.
 */
export function printCommands(
  scope: Scope,
  fn: FunctionInfo,
  ops: readonly string[],
): { readonly name: string; readonly text: string } {
  const parts = ops.map((op) => printCommand(scope, fn, op));
  const name = scope.claim(`${pascalCase(fn.name)}Command`, `function ${fn.name}`);
  const union = parts.map((part) => `  | ${part.name}\n`).join("");
  const head = doc(`A command of {@link ${camelCase(fn.name)}}.`);
  const texts = parts.map(({ text }) => text).join("");
  return { name, text: `${texts}${head}export type ${name} =\n${union.trimEnd()};\n\n` };
}

function printCommand(scope: Scope, list: FunctionInfo, op: string) {
  const fn = scope.catalog.functions.find((other) => other.name === op);
  if (!fn) throw new Error(`@commands names ${op}, which is no public function`);
  const name = `${pascalCase(op)}Command`;
  if (scope.commands.has(name)) return { name, text: "" };
  scope.commands.add(scope.claim(name, `the command ${op}`));
  const shared = new Set(list.arguments.map((argument) => argument.name));
  const own = fn.arguments.filter((argument) => !shared.has(argument.name));
  const properties = own.map((argument) => {
    const type = typeOf(scope.catalog, argument.type);
    if (!IN_JSON.has(type.name)) throw new Error(`JSON has no ${type.sql}, which ${op} takes`);
    if (fieldOf(argument) === "op") throw new Error(`${op} has an argument op, as the list has`);
    return printProperty(scope, fn, argument, { name: (field) => field });
  });
  // A type, not an interface: only that is a JSON value to TypeScript.
  const head = doc(`The command \`${op}\` in a batch; see {@link ${camelCase(op)}}.`);
  const text = `${head}export type ${name} = {\n  readonly op: ${literal(op)};\n${properties.join("")}};\n\n`;
  return { name, text };
}
