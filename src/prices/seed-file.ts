import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type PlacedPriceRow, readPrices } from "./read-prices.ts";

/** The folder of the seed: the same relative path from `src/` and from `dist/`. */
const folder = fileURLToPath(new URL("../../db/prices", import.meta.url));

/** The prices that come with this package. */
export interface SeedFile {
  readonly rows: readonly PlacedPriceRow[];
  /** What the rows get as their source, such as `seed 2026-09-23`. */
  readonly source: string;
}

/** Reads the seed, which is named for its date. */
export async function readSeed(): Promise<SeedFile> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}-\d{2}-\d{2}\.csv$/.test(name));
  const name = names.sort().at(-1);
  if (name === undefined) throw new Error(`there is no seed of prices in ${folder}`);
  return {
    rows: await readPrices(join(folder, name)),
    source: `seed ${name.replace(".csv", "")}`,
  };
}
