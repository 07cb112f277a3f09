// Wrappers: the arguments of a function, and how it is called and read.
import { findOperations, printOperations } from "./batches.ts";
import type { ArgumentInfo, FunctionInfo } from "./catalog.ts";
import { alternativeOf, describeFunction, isNotNull, isNullable } from "./comments.ts";
import {
  camelCase,
  declarable,
  doc,
  enclose,
  literal,
  nameSpace,
  pascalCase,
  quote,
} from "./text.ts";
import {
  fieldOf,
  pairsOf,
  printAlternatives,
  printProperty,
  rowName,
  type Scope,
  typeOf,
  useType,
} from "./types.ts";

/** A function: the interface of its arguments, if it has any, and its wrapper. */
export function printFunction(scope: Scope, fn: FunctionInfo): string {
  if (fn.otherModes) {
    throw new Error("out and variadic arguments have no wrapper; return a composite type");
  }
  const owner = `function ${fn.name}`;
  const name = scope.claim(declarable(camelCase(fn.name)), owner);
  const call = `${quote(scope.schema)}.${quote(fn.name)}`;
  const comment = doc(describeFunction(fn, camelCase));
  if (fn.arguments.length === 0) {
    const result = printResult(scope, fn, `${call}()`, "[]");
    const head = `export async function ${name}(sql: Queryable): Promise<${result.type}> {\n`;
    return `${comment}${head}${result.body}}\n`;
  }

  const argsType = scope.claim(`${pascalCase(fn.name)}Args`, owner);
  const claimKey = nameSpace();
  const args = fn.arguments.map((argument) => printArgument(scope, fn, argument, claimKey));
  const optional = fn.arguments.every((argument) => argument.default !== null);
  const result = printResult(scope, fn, `${call}(\${given.sql})`, "given.values");
  const paired = pairsOf(scope.catalog, fn, fn.arguments).flat();
  const properties = args
    .filter((_, i) => !paired.includes(fn.arguments[i] as ArgumentInfo))
    .map(({ property }) => property);
  const type = `{\n${properties.join("")}}`;
  const alternatives = printAlternatives(scope, fn, fn.arguments, camelCase);
  return [
    ...args.map(({ types }) => types),
    `/** Arguments of {@link ${name}}. */\n`,
    alternatives
      ? `export type ${argsType} = ${type}${alternatives};\n\n`
      : `export interface ${argsType} ${type}\n\n`,
    comment,
    enclose(
      `export async function ${name}(`,
      ["sql: Queryable", `args: ${argsType}${optional ? " = {}" : ""}`],
      `): Promise<${result.type}> {\n`,
    ),
    `  const given = call.list(\n${args.map(({ entry }) => entry).join("")}  );\n`,
    `${result.body}}\n`,
  ].join("");
}

function printArgument(
  scope: Scope,
  fn: FunctionInfo,
  argument: ArgumentInfo,
  claimKey: Scope["claim"],
) {
  const field = fieldOf(argument);
  const key = claimKey(camelCase(field), `argument ${argument.name}`);
  const { write } = useType(scope, argument.type);
  const operations = findOperations(scope.catalog, fn, argument);
  const commands =
    operations.length > 0 ? printOperations(scope, fn, argument, operations) : undefined;
  const type = commands && `readonly ${commands.name}[]`;
  const sql = `${quote(argument.name)} => ${placeholder(scope, argument.type)}`;
  const writer = writerOf(scope, fn, argument, write);
  return {
    types: commands?.text ?? "",
    property: printProperty(scope, fn, argument, { type }),
    entry: enclose(
      "[",
      [literal(sql), `${writer}(args.${key}, ${literal(field)})`],
      "],\n",
      "    ",
    ),
  };
}

function writerOf(scope: Scope, fn: FunctionInfo, argument: ArgumentInfo, write: string): string {
  if (argument.default !== null) return `write.optional(${write})`;
  if (alternativeOf(scope.catalog, fn, argument)) return `write.alternative(${write})`;
  return isNullable(scope.catalog, fn, argument) ? `write.orNull(${write})` : write;
}

// Values are sent as text and cast by the server, so that the serializers of the caller's client
// cannot alter them.
function placeholder({ catalog }: Scope, oid: number): string {
  const { sql } = typeOf(catalog, oid);
  return sql === "text" ? "$n::text" : `$n::text::${sql}`;
}

function printResult(scope: Scope, fn: FunctionInfo, call: string, values: string) {
  const type = typeOf(scope.catalog, fn.returns);
  if (type.kind !== "composite") return printScalar(scope, fn, call, values);
  scope.used.add(type);
  const name = pascalCase(type.name);
  const row = rowName(type);
  const never = type.columns.some((column) => isNotNull(column.comment));
  const read = fn.returnsSet ? "many" : never ? "one" : "oneOrNull";
  return {
    type: fn.returnsSet ? `${name}[]` : never ? name : `${name} | null`,
    body:
      `  const query = \`select \${${row}.columns} from ${call}\`;\n` +
      `  return call.${read}(sql, ${row}, query, ${values});\n`,
  };
}

function printScalar(scope: Scope, fn: FunctionInfo, call: string, values: string) {
  const mapping = useType(scope, fn.returns);
  const notNull = isNotNull(fn.comment) || mapping.result === "void";
  const type = notNull ? mapping.result : `${mapping.result} | null`;
  const reader = notNull ? mapping.read : `read.orNull(${mapping.read})`;
  const select = mapping.select('"result"');
  return {
    type: !fn.returnsSet ? type : notNull ? `${type}[]` : `(${type})[]`,
    body:
      `  const query = \`select ${select} from ${call} as "result"\`;\n` +
      `  return call.${fn.returnsSet ? "many" : "one"}(sql, call.scalar(${reader}), query, ${values});\n`,
  };
}
