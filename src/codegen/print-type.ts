import type { ColumnInfo, TypeInfo } from "./catalog.ts";
import { isNotNull, withoutMarkers } from "./comments.ts";
import { doc, enclose, literal } from "./layout.ts";
import { camelCase, nameSpace, pascalCase, quote } from "./names.ts";
import type { Scope } from "./scope.ts";
import { mapType } from "./types.ts";

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
  const mapping = mapType(scope.catalog, column.type, (type) => scope.used.add(type));
  const notNull = isNotNull(column.comment);
  const select = literal(mapping.select(quote(column.name)));
  const reader = notNull ? mapping.read : `read.orNull(${mapping.read})`;
  const type = notNull ? mapping.result : `${mapping.result} | null`;
  return {
    property: `${doc(withoutMarkers(column.comment), "  ")}  readonly ${key}: ${type};\n`,
    entry: enclose(`${key}: [`, [select, reader], "],\n", "  "),
  };
}
