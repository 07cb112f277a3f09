import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { packaged } from "../../src/migrate/index.ts";

/** A file of `db/` that creates one object: a type, a table, a function or a view. */
export interface DbSource {
  /** The object's name, which is the file's. */
  readonly name: string;
  /** Below `db/`. */
  readonly path: string;
  readonly text: string;
}

/** The files of folders of `db/`, in all their rooms, sorted by path. */
export function dbSources(...folders: readonly string[]): DbSource[] {
  return folders.flatMap((folder) =>
    readdirSync(join(packaged, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".sql"))
      .sort()
      .map((file) => ({
        name: basename(file, ".sql"),
        path: join(folder, file),
        text: readFileSync(join(packaged, folder, file), "utf8"),
      })),
  );
}

/**
 * The file of a function, view, table or type, in whichever room it is. Where a function and the type
 * of its rows have the same name, that of the function.
 *
 * @throws Error when there is none
 */
export function dbSource(name: string): DbSource {
  const source = dbSources("functions", "views", "schema").find((other) => other.name === name);
  if (!source) throw new Error(`db/ has no file named ${name}.sql`);
  return source;
}
