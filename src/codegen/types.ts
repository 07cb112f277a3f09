import type { Catalog, TypeInfo } from "./catalog.ts";
import { pascalCase } from "./names.ts";

/** How a type of SQL is spoken of in the generated module. */
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
const JSON_VALUE = same("Json", "json");

const BASE: Readonly<Record<string, Mapping>> = {
  bool: same("boolean", "boolean"),
  bpchar: TEXT,
  date: TEXT,
  float4: NUMBER,
  float8: NUMBER,
  int2: INTEGER,
  int4: INTEGER,
  int8: same("bigint", "bigint"),
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

/** The mapping of a scalar type or an enum; `use` hears which it is. */
export function mapType(catalog: Catalog, oid: number, use: (type: TypeInfo) => void): Mapping {
  const type = typeOf(catalog, oid);
  use(type);
  if (type.kind === "enum") {
    const name = pascalCase(type.name);
    return { ...same(name, "text"), read: `read.label<${name}>` };
  }
  const mapping = type.schema === "pg_catalog" ? BASE[type.name] : undefined;
  if (!mapping) throw new Error(`no TypeScript type for ${type.sql}`);
  return mapping;
}
