// Types of SQL in TypeScript: how their values are written and read, and the types that are declared.
import type { ArgumentInfo, Catalog, ColumnInfo, FunctionInfo, TypeInfo } from "./catalog.ts";
import {
  alternativeOf,
  describeArgument,
  isFromEver,
  isNotNull,
  isNullable,
  type Naming,
  namedTypeOf,
  withoutMarkers,
} from "./comments.ts";
import {
  camelCase,
  checkName,
  doc,
  enclose,
  literal,
  nameSpace,
  pascalCase,
  quote,
} from "./text.ts";

/** What the parts of one module share. */
export interface Scope {
  readonly catalog: Catalog;
  readonly schema: string;
  /** claims a name of the module; throws when it is taken */
  readonly claim: (name: string, owner: string) => string;
  /** types that occur in it; the enums and composite types among them are declared */
  readonly used: Set<TypeInfo>;
  /** names of the types of commands that were printed, as batches share them */
  readonly commands: Set<string>;
  /** types that arguments have by name, which the module imports */
  readonly named: Set<string>;
}

/** How a type of SQL is written in the generated module. */
export interface Mapping {
  /** TypeScript type of a value that comes from the server */
  readonly result: string;
  /** TypeScript type of an argument */
  readonly argument: string;
  /** expression for its Reader */
  readonly read: string;
  /** expression for its Writer */
  readonly write: string;
  /** how a column of it is selected */
  readonly select: (column: string) => string;
  /** what the caller of an argument should know */
  readonly note?: string;
}

function same(type: string, name: string): Mapping {
  return {
    result: type,
    argument: type,
    read: `read.${name}`,
    write: `write.${name}`,
    select: (column) => column,
  };
}

const TEXT = same("string", "text");
const NUMBER = same("number", "number");
const INTEGER = { ...NUMBER, write: "write.integer" };
const BIGINT = same("bigint", "bigint");
const JSON_VALUE = same("Json", "json");

/** An array without nulls, of one dimension: it is read as JSON, whatever its elements are. */
function list({ argument, result, read, write }: Mapping): Mapping {
  return {
    result: `readonly ${result}[]`,
    argument: `readonly ${argument}[]`,
    read: `read.list(${read})`,
    write: `write.list(${write})`,
    select: (column) => `to_json(${column})`,
  };
}

/** Types of the package, beside `Json`, that the marker `@type` may name. */
export const NAMED_TYPES = ["Usage"];

/** A time that may also be -infinity, which no Date can hold. */
function fromEver(mapping: Mapping): Mapping {
  return { ...mapping, result: `${mapping.result} | "-infinity"`, read: "read.timestampFromEver" };
}

const BASE: Readonly<Record<string, Mapping>> = {
  _int4: list(INTEGER),
  _int8: list(BIGINT),
  _text: list(TEXT),
  bool: same("boolean", "boolean"),
  bpchar: TEXT,
  date: TEXT,
  float4: NUMBER,
  float8: NUMBER,
  int2: INTEGER,
  int4: INTEGER,
  int8: BIGINT,
  interval: {
    ...TEXT,
    argument: "string | number",
    write: "write.interval",
    note: "An interval such as `5 minutes`, or a number of seconds.",
  },
  json: JSON_VALUE,
  jsonb: JSON_VALUE,
  name: TEXT,
  numeric: TEXT,
  text: TEXT,
  time: TEXT,
  timestamp: TEXT,
  timestamptz: {
    ...same("Date", "timestamp"),
    argument: "Date | string",
    // ISO 8601, whatever the session's DateStyle
    select: (column) => `to_json(${column})`,
    note: "A Date has milliseconds only; a string in ISO 8601 may have microseconds.",
  },
  uuid: TEXT,
  varchar: TEXT,
  void: { ...TEXT, result: "void", read: "read.nothing" },
  xid8: TEXT,
};

/** Looks a type up; a domain is its base type. */
export function typeOf(catalog: Catalog, oid: number): TypeInfo {
  const type = catalog.types.get(oid);
  if (!type) throw new Error(`the catalog has no type ${oid}`);
  return type.kind === "domain" ? typeOf(catalog, type.base) : type;
}

/** The mapping of a scalar type or an enum, which counts as used from then on. */
export function useType({ catalog, used }: Scope, oid: number): Mapping {
  const type = typeOf(catalog, oid);
  used.add(type);
  if (type.kind === "enum") {
    const name = pascalCase(type.name);
    return { ...same(name, "text"), read: `read.label<${name}>` };
  }
  const mapping = type.schema === "pg_catalog" ? BASE[type.name] : undefined;
  if (!mapping) throw new Error(`no TypeScript type for ${type.sql}`);
  return mapping;
}

/** Name of the constant by which rows of a composite type are read. */
export function rowName(type: TypeInfo): string {
  return `${camelCase(type.name)}Row`;
}

/** An enum: its values as a constant, and their union. */
export function printEnum({ claim }: Scope, type: TypeInfo): string {
  const owner = `type ${type.name}`;
  const name = claim(pascalCase(type.name), owner);
  const values = claim(`${type.name.toUpperCase()}_VALUES`, owner);
  const labels = type.labels.map(literal);
  return [
    doc(`The values of {@link ${name}}, in their order.`),
    enclose(`export const ${values} = [`, labels, "] as const;"),
    "\n\n",
    doc(withoutMarkers(type.comment)),
    `export type ${name} = (typeof ${values})[number];\n`,
  ].join("");
}

/** A composite type: its interface, and how its rows are selected and read. */
export function printComposite(scope: Scope, type: TypeInfo): string {
  const owner = `type ${type.name}`;
  const name = scope.claim(pascalCase(type.name), owner);
  const row = scope.claim(rowName(type), owner);
  const claimKey = nameSpace();
  const columns = type.columns.map((column) => printColumn(scope, column, claimKey));
  return [
    doc(withoutMarkers(type.comment)),
    `export interface ${name} {\n`,
    ...columns.map(({ property }) => property),
    "}\n\n",
    `const ${row} = call.row<${name}>({\n`,
    ...columns.map(({ entry }) => entry),
    "});\n",
  ].join("");
}

function printColumn(scope: Scope, column: ColumnInfo, claimKey: Scope["claim"]) {
  const key = claimKey(camelCase(column.name), `column ${column.name}`);
  const plain = useType(scope, column.type);
  const mapping = isFromEver(column.comment) ? fromEver(plain) : plain;
  const notNull = isNotNull(column.comment);
  const select = literal(mapping.select(quote(column.name)));
  const reader = notNull ? mapping.read : `read.orNull(${mapping.read})`;
  const type = notNull ? mapping.result : `${mapping.result} | null`;
  return {
    property: `${doc(withoutMarkers(column.comment), "  ")}  readonly ${key}: ${type};\n`,
    entry: enclose(`${key}: [`, [select, reader], "],\n", "  "),
  };
}

/** Name of an argument without the prefix that distinguishes it from a column in SQL. */
export function fieldOf(argument: ArgumentInfo): string {
  if (!argument.name) throw new Error("every argument needs a name");
  return checkName(argument.name.replace(/^p_/, ""));
}

/** How an argument is printed as a property. */
interface PropertyOptions {
  /** `atLeast` or `at_least` */
  readonly name?: Naming;
  /** a type of its own */
  readonly type?: string | undefined;
  /** it stands in place of another argument, so that it has to be given */
  readonly required?: boolean;
  readonly indent?: string;
}

/** An argument as a property. */
export function printProperty(
  scope: Scope,
  fn: FunctionInfo,
  argument: ArgumentInfo,
  { name = camelCase, type, required = false, indent = "  " }: PropertyOptions = {},
): string {
  const mapping = useType(scope, argument.type);
  const optional = argument.default !== null && !required;
  const named = type ?? namedType(scope, fn, argument);
  const { meaning, byDefault } = describeArgument(scope.catalog, fn, argument, name);
  const docs = [meaning, named ? "" : mapping.note, required ? "" : byDefault];
  const mark = optional ? "?" : "";
  const nullable = isNullable(scope.catalog, fn, argument);
  const none = optional ? " | null | undefined" : nullable ? " | null" : "";
  const property = `${name(fieldOf(argument))}${mark}: ${named ?? mapping.argument}${none}`;
  return `${doc(docs.filter(Boolean).join(" "), indent)}${indent}readonly ${property};\n`;
}

function namedType(scope: Scope, fn: FunctionInfo, argument: ArgumentInfo): string | undefined {
  const named = namedTypeOf(scope.catalog, fn, argument);
  if (named === undefined) return undefined;
  const { name, isList } = named;
  if (!NAMED_TYPES.includes(name)) throw new Error(`no type ${name} is exported by the package`);
  scope.named.add(name);
  return isList ? `readonly ${name}[]` : name;
}

/** A list of arguments in which exactly one of each pair has to be given: `& (… | …)`; else "". */
export function printAlternatives(
  scope: Scope,
  fn: FunctionInfo,
  all: readonly ArgumentInfo[],
  name: Naming,
): string {
  const none = (argument: ArgumentInfo) =>
    `      readonly ${name(fieldOf(argument))}?: null | undefined;\n`;
  const given = (argument: ArgumentInfo) =>
    printProperty(scope, fn, argument, { name, required: true, indent: "      " });
  const pairs = pairsOf(scope.catalog, fn, all).map(
    ([first, second]) =>
      ` & (\n  | {\n${given(first)}${none(second)}    }\n  | {\n${none(first)}${given(second)}    }\n)`,
  );
  return pairs.join("");
}

/** The arguments of which exactly one has to be given. */
export function pairsOf(
  catalog: Catalog,
  fn: FunctionInfo,
  all: readonly ArgumentInfo[],
): readonly (readonly [ArgumentInfo, ArgumentInfo])[] {
  return all.flatMap((argument) => {
    const other = alternativeOf(catalog, fn, argument);
    return other ? [[argument, other] as const] : [];
  });
}
