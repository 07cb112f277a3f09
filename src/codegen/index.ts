import type postgres from "postgres";
import { readCatalog } from "./catalog.ts";
import { print } from "./print.ts";

/** What to generate. */
export interface GenerateOptions {
  readonly schema: string;
  /** What the module imports: `src/wire`, by its name in the package or by a path. */
  readonly wire?: string;
}

/**
 * The TypeScript module of typed wrappers for the public functions of a schema: those whose name
 * does not begin with `_`. The same database gives the same text.
 *
 * Comments become TSDoc. A line `p_amount: How much.` in the comment of a function describes that
 * argument; in the comment of the schema, the arguments of that name of all its functions.
 *
 * A result is nullable unless the comment of its column, or of the function that returns a
 * scalar, has the marker `@notNull`. The marker `@commands(reserve, settle)` in the description of a
 * JSON argument makes it a list of calls of these functions: objects with `op` and their arguments.
 *
 * @throws Error for what has no wrapper: overloads, unnamed or out arguments, unknown types.
 */
export async function generate(
  sql: postgres.Sql,
  { schema, wire = "baseledger/wire" }: GenerateOptions,
): Promise<string> {
  const catalog = await readCatalog(sql, schema);
  if (catalog.functions.length === 0) throw new Error(`schema ${schema} has no public functions`);
  return print(catalog, schema, wire);
}
