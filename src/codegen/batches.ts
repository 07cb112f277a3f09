// Batches: the calls that a JSON argument lists, and what a client has to know to send them.
import type { ArgumentInfo, Catalog, FunctionInfo } from "./catalog.ts";
import { isList, listedBatches, listedOperations } from "./comments.ts";
import { camelCase, doc, enclose, literal, pascalCase } from "./text.ts";
import { fieldOf, pairsOf, printAlternatives, printProperty, type Scope, typeOf } from "./types.ts";

/** SQL types whose values a command in JSON has as the wrappers take them. */
const IN_JSON = new Set(["bool", "int2", "int4", "int8", "interval", "json", "jsonb", "text"]);

const asInSql = (field: string) => field;

/** An operation of a batch: a function, and the arguments that a command gives it. */
export interface Operation {
  readonly fn: FunctionInfo;
  /** those that it shares neither with the function that takes the batch, nor with every command */
  readonly arguments: readonly ArgumentInfo[];
}

/**
 * The arguments that every command of a batch has beside those of its operation: of a batch whose
 * commands are those of another one, what the other one takes once, such as the wallet.
 */
export function findCommonArguments(
  catalog: Catalog,
  batch: FunctionInfo,
  argument: ArgumentInfo,
): readonly ArgumentInfo[] {
  const own = new Set(batch.arguments.map(({ name }) => name));
  const common = listedBatches(catalog, batch, argument).flatMap((other) =>
    other.arguments.filter((each) => !own.has(each.name) && !isList(catalog, other, each)),
  );
  return [...new Map(common.map((each) => [each.name, each])).values()];
}

/** The operations of the batches that an argument takes; none if it is no batch. */
export function findOperations(
  catalog: Catalog,
  batch: FunctionInfo,
  argument: ArgumentInfo,
): readonly Operation[] {
  const common = findCommonArguments(catalog, batch, argument);
  const shared = new Set([...batch.arguments, ...common].map(({ name }) => name));
  return listedOperations(catalog, batch, argument).map((name) => {
    const fn = catalog.functions.find((other) => other.name === name);
    if (!fn) throw new Error(`@commands names ${name}, which is no public function`);
    const own = fn.arguments.filter((other) => !shared.has(other.name));
    for (const each of own) {
      const type = typeOf(catalog, each.type);
      if (!IN_JSON.has(type.name)) throw new Error(`JSON has no ${type.sql}, which ${name} takes`);
      if (fieldOf(each) === "op") throw new Error(`${name} has an argument op, as the list has`);
    }
    return { fn, arguments: own };
  });
}

/** The types of the commands of a batch: objects with `op`, the name of a function, and its arguments. */
export function printOperations(
  scope: Scope,
  batch: FunctionInfo,
  argument: ArgumentInfo,
  operations: readonly Operation[],
): { readonly name: string; readonly text: string } {
  const parts = operations.map((operation) => printCommand(scope, operation));
  const name = scope.claim(`${pascalCase(batch.name)}Command`, `function ${batch.name}`);
  const union = parts.map((part) => `  | ${part.name}\n`).join("");
  const common = findCommonArguments(scope.catalog, batch, argument).map((each) =>
    printProperty(scope, batch, each, { name: asInSql }),
  );
  const head = doc(`A command of {@link ${camelCase(batch.name)}}.`);
  const texts = parts.map(({ text }) => text).join("");
  const type =
    common.length === 0
      ? `\n${union.trimEnd()}`
      : ` {\n${common.join("")}} & (\n${union.trimEnd()}\n)`;
  return { name, text: `${texts}${head}export type ${name} =${type};\n\n` };
}

function printCommand(scope: Scope, { fn, arguments: own }: Operation) {
  const name = `${pascalCase(fn.name)}Command`;
  if (scope.commands.has(name)) return { name, text: "" };
  scope.commands.add(scope.claim(name, `the command ${fn.name}`));
  const paired = pairsOf(scope.catalog, fn, own).flat();
  const properties = own
    .filter((each) => !paired.includes(each))
    .map((each) => printProperty(scope, fn, each, { name: asInSql }));
  const alternatives = printAlternatives(scope, fn, own, asInSql);
  // A type, not an interface: only that is a JSON value to TypeScript.
  const head = doc(`The command \`${fn.name}\` in a batch; see {@link ${camelCase(fn.name)}}.`);
  const op = `  readonly op: ${literal(fn.name)};\n`;
  const type = `{\n${op}${properties.join("")}}${alternatives}`;
  return { name, text: `${head}export type ${name} = ${type};\n\n` };
}

/** The lists for a client: which functions only read, and what the batches of one of them take. */
export function printClientLists(scope: Scope, batch: string): string {
  const { catalog, claim } = scope;
  const owner = "the client's own";
  const reads = catalog.functions.filter((fn) => fn.onlyReads).map((fn) => camelCase(fn.name));
  const operations = operationsOf(catalog, batch);
  const types = operations.map(
    ({ fn }) => `  readonly ${camelCase(fn.name)}: ${pascalCase(fn.name)}Args;\n`,
  );
  const link = `{@link ${camelCase(batch)}}`;
  return [
    doc("Names of the wrappers of functions that only read."),
    enclose(
      `export const ${claim("READS", owner)}: ReadonlySet<string> = new Set([`,
      reads.map(literal),
      "]);\n\n",
    ),
    doc(`The operations that a batch of ${link} takes, with the arguments of their wrappers.`),
    `export interface ${claim("BatchOperations", owner)} {\n${types.join("")}}\n\n`,
    doc(
      `How a command of ${link} is written in JSON: its \`op\`, and of each other field the ` +
        "argument, the field's name, and its type in SQL.",
    ),
    `export const ${claim("BATCH_FIELDS", owner)} = {\n${operations.map(printFields(catalog)).join("")}} as const;\n`,
  ].join("");
}

function operationsOf(catalog: Catalog, batch: string): readonly Operation[] {
  const fn = catalog.functions.find(({ name }) => name === batch);
  const all = fn?.arguments.flatMap((each) => findOperations(catalog, fn, each)) ?? [];
  if (all.length === 0) throw new Error(`${batch} is no function that takes batches`);
  return all;
}

function printFields(catalog: Catalog) {
  return ({ fn, arguments: own }: Operation) => {
    const fields = own.map((each) => {
      const field = fieldOf(each);
      const parts = [camelCase(field), field, typeOf(catalog, each.type).sql];
      return `      [${parts.map(literal).join(", ")}],\n`;
    });
    const op = `    op: ${literal(fn.name)},\n`;
    return `  ${camelCase(fn.name)}: {\n${op}    fields: [\n${fields.join("")}    ],\n  },\n`;
  };
}
