import { readFileSync } from "node:fs";
import type { MatchLogic, ModelInfo, Provider } from "@pydantic/genai-prices";
import { parse } from "csv-parse/sync";

/** A name that stands for a model. */
export interface Alias {
  readonly name: string;
  readonly model: string;
}

/** The names that match a model exactly; prefixes and patterns would match models to come, too. */
export function aliasesOf({ id, models }: Provider): Alias[] {
  const taken = new Set(models.map((model) => model.id));
  const owners = new Map<string, ModelInfo>();
  for (const model of models) {
    for (const name of exactNames(model.match)) {
      // The first that matches counts.
      if (!taken.has(name) && !owners.has(name)) owners.set(name, model);
    }
  }
  return [...owners].map(([name, model]) => ({
    name: `${id}/${name}`,
    model: `${id}/${model.id}`,
  }));
}

function exactNames(match: MatchLogic): string[] {
  if ("equals" in match) return [match.equals];
  return "or" in match ? match.or.flatMap(exactNames) : [];
}

/** Reads the names that the package only has as patterns: `model,alias_of,source`. */
export function readAliases(path: string): Alias[] {
  const rows: Record<string, string>[] = parse(readFileSync(path, "utf8"), { columns: true });
  return rows.map(({ alias_of: model = "", model: name = "" }) => ({ name, model }));
}
