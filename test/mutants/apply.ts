import { dbSource } from "../support/db-sources.ts";
import type { Mutant } from "./mutant.ts";

/**
 * The SQL that puts a mistake into a migrated database.
 *
 * @throws Error when the text that it changes is not in its file exactly once: the SQL has changed,
 *   and the mutant must be rewritten
 */
export function mutate(mutant: Mutant): string {
  const { about, of, search, replace, sql } = mutant;
  const { path, text } = dbSource(of);
  const parts = text.split(search);
  if (parts.length !== 2) {
    throw new Error(`"${about}": ${parts.length - 1} times in db/${path}:\n${search}`);
  }
  if (search === replace) throw new Error(`"${about}" changes nothing`);
  return sql ?? parts.join(replace);
}
