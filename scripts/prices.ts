// npm run prices [-- --check]
// Writes the seed of prices, db/prices/<date>.csv, from @pydantic/genai-prices; and the names that
// it leaves out. `--check` writes nothing, and fails when one of them is stale.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { renderSeed } from "./prices/render.ts";

/** The release that the prices are taken from: its date is the name of the file. */
const RELEASE = { version: "0.1.8", date: "2026-09-23" };

const folder = join(import.meta.dirname, "..", "db", "prices");
const { values: options } = parseArgs({ options: { check: { type: "boolean" } } });

const installed = installedVersion();
if (installed !== RELEASE.version) {
  throw new Error(`version ${installed} is installed: name it and its date in scripts/prices.ts`);
}
const files = await renderSeed(RELEASE.date);
for (const [name, wanted] of Object.entries(files)) update(name, wanted);
for (const name of readdirSync(folder)) {
  if (!options.check && /^\d{4}-.*\.csv$/.test(name) && !(name in files))
    rmSync(join(folder, name));
}

function installedVersion(): string {
  const main = createRequire(import.meta.url).resolve("@pydantic/genai-prices");
  const manifest = join(dirname(main), "..", "package.json");
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}

function update(name: string, wanted: string): void {
  const file = join(folder, name);
  if (existsSync(file) && readFileSync(file, "utf8") === wanted) {
    console.log(`db/prices/${name} is up to date`);
  } else if (options.check) {
    console.error(`db/prices/${name} is stale: run npm run prices`);
    process.exitCode = 1;
  } else {
    writeFileSync(file, wanted);
    console.log(`db/prices/${name} written`);
  }
}
