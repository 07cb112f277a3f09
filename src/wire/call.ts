import { toLedgerError } from "../errors/index.ts";
import { withoutHoles } from "./holes.ts";
import type { Reader } from "./read.ts";

/** What a wrapper needs: a `postgres` client, a transaction of it, or a reserved connection. */
export interface Queryable {
  unsafe(
    query: string,
    parameters: (string | null)[],
    options: { prepare: boolean },
  ): { raw(): PromiseLike<readonly RawRow[]> };
}

type RawRow = readonly (RawValue | null)[];
type RawValue = { toString(encoding: "utf8"): string };

/** The columns of a row T in their order: what is selected, and how its text is read. */
export type Columns<T> = { readonly [K in keyof T]-?: readonly [sql: string, read: Reader<T[K]>] };

/** How rows of the type T are selected and read. */
export interface Row<T> {
  /** the select list */
  readonly columns: string;
  readonly read: (raw: RawRow) => T;
}

/** Prepares the reading of rows T. */
export function row<T>(columns: Columns<T>): Row<T> {
  const list = Object.entries<readonly [string, Reader<unknown>]>(columns);
  // A copy that has all fields already costs less than to add them one by one.
  const empty: Record<string, unknown> = Object.fromEntries(list.map(([key]) => [key, null]));
  return {
    columns: list.map(([, [sql]]) => sql).join(", "),
    read(raw) {
      const read = { ...empty };
      let i = 0;
      for (const [key, [, reader]] of list) {
        read[key] = reader(toText(raw[i]), key);
        i += 1;
      }
      return read as T;
    },
  };
}

/** Prepares the reading of rows that are a single value. */
export function scalar<T>(read: Reader<T>): Pick<Row<T>, "read"> {
  return { read: (raw) => read(toText(raw[0]), "result") };
}

/** Arguments of a call: their SQL, and the values for its placeholders. */
export interface Arguments {
  readonly sql: string;
  readonly values: (string | null)[];
}

/** Numbers the placeholders `$n`; leaves out what is undefined, so that its default applies. */
export function list(
  ...given: readonly (readonly [sql: string, value: string | null | undefined])[]
): Arguments {
  const values: (string | null)[] = [];
  const parts: string[] = [];
  for (const [sql, value] of given) {
    if (value !== undefined) parts.push(sql.replace("$n", `$${values.push(value)}`));
  }
  return { sql: parts.join(", "), values };
}

/** All rows of a query. */
export async function many<T>(
  sql: Queryable,
  row: Pick<Row<T>, "read">,
  query: string,
  values: (string | null)[],
): Promise<T[]> {
  return (await send(sql, query, values)).map(row.read);
}

/** The row of a query that has one. */
export async function one<T>(
  sql: Queryable,
  row: Pick<Row<T>, "read">,
  query: string,
  values: (string | null)[],
): Promise<T> {
  return row.read((await send(sql, query, values))[0] ?? []);
}

/** The row of a query that has one; null where all its columns are. */
export async function oneOrNull<T>(
  sql: Queryable,
  row: Pick<Row<T>, "read">,
  query: string,
  values: (string | null)[],
): Promise<T | null> {
  const [raw = []] = await send(sql, query, values);
  return raw.every((value) => value === null) ? null : row.read(raw);
}

// Raw, so that the caller's parsers and transforms cannot alter values.
async function send(sql: Queryable, query: string, values: (string | null)[]) {
  try {
    return withoutHoles(await sql.unsafe(query, values, { prepare: true }).raw());
  } catch (error) {
    throw toLedgerError(error);
  }
}

function toText(value: RawValue | null | undefined): string | null {
  return value?.toString("utf8") ?? null;
}
