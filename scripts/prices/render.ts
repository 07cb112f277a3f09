import { join } from "node:path";
import { waitForUpdate } from "@pydantic/genai-prices";
import { stringify } from "csv-stringify/sync";
import { priceLines } from "../../src/prices/index.ts";
import { readLimits } from "./limits.ts";
import { readAliases } from "./names.ts";
import { makeSeed } from "./seed.ts";

const folder = join(import.meta.dirname, "..", "..", "db", "prices");

/** The files of a seed, by their names. */
export async function renderSeed(date: string): Promise<Record<string, string>> {
  // What the package was published with: it does not update itself unless asked.
  const providers = await waitForUpdate();
  if (!providers) throw new Error("the package lists no prices");
  const limits = readLimits(join(folder, "limits.csv"));
  const { leftOut, rows } = makeSeed(providers, limits, readAliases(join(folder, "aliases.csv")));
  return {
    [`${date}.csv`]: stringify([...priceLines(rows)]),
    "left-out.csv": stringify([["model"], ...leftOut.map((name) => [name])]),
  };
}
