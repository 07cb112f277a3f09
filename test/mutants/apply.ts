import { dbSource } from "../support/db-sources.ts";
import type { Mutant } from "./mutant.ts";

/**
 * The SQL that puts a mistake into a migrated database.
 *
 * @throws Error when its text is not found: the SQL has changed, and the mutant must be rewritten
 */
export function mutate(mutant: Mutant): string {
  const { about, of, after, search } = mutant;
  const { path, text } = dbSource(of);
  const fail = (why: string) => new Error(`"${about}", db/${path}: ${why}`);
  const findAll = (part: string, from = 0) =>
    [...text.matchAll(pattern(part))].filter(({ index }) => index >= from);

  const [marker, ...otherMarkers] = after === undefined ? [] : findAll(after);
  if (after !== undefined && (!marker || otherMarkers.length > 0)) {
    throw fail(`${marker ? "more than once" : "not there"}: ${after}`);
  }
  const [found, ...others] = findAll(search, marker && marker.index + marker[0].length);
  if (!found) throw fail(`not there: ${search}`);
  if (!marker && others.length > 0) throw fail(`more than once: ${search}`);
  if ("sql" in mutant) return mutant.sql;
  if (search === mutant.replace) throw fail("changes nothing");
  const end = found.index + found[0].length;
  return text.slice(0, found.index) + mutant.replace + text.slice(end);
}

/** Matches a text, whatever its white space. */
function pattern(text: string): RegExp {
  const words = text.trim().split(/\s+/);
  return new RegExp(words.map((word) => word.replace(/\W/g, "\\$&")).join("\\s+"), "g");
}
