import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { packaged } from "../../src/migrate/files.ts";
import type { Mutant } from "./mutant.ts";

/**
 * The SQL that puts a mistake into a migrated database.
 *
 * @throws Error when the text it changes is not in its file exactly once: the SQL has changed, and
 *   the mistake has to be told anew
 */
export async function mutate(mutant: Mutant): Promise<string> {
  const { about, file, search, replace, sql } = mutant;
  const text = await readFile(join(packaged, file), "utf8");
  const parts = text.split(search);
  if (parts.length !== 2) {
    throw new Error(`"${about}": ${parts.length - 1} times in db/${file}:\n${search}`);
  }
  if (search === replace) throw new Error(`"${about}" changes nothing`);
  return sql ?? parts.join(replace);
}
