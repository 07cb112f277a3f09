// npm run generate [-- --check]
// Writes what is made from the database that the migrations build: the typed wrappers of its
// functions, and their reference. `--check` writes nothing, and fails when one of them is stale.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import postgres from "postgres";
import { generate } from "../src/codegen/index.ts";
import { startPostgres } from "../src/embedded/index.ts";
import { migrate } from "../src/migrate/index.ts";
import { renderFunctions } from "./functions-page.ts";

const root = join(import.meta.dirname, "..");
const { values: options } = parseArgs({ options: { check: { type: "boolean" } } });

await using server = await startPostgres();
await migrate(server.url);
const sql = postgres(server.url, { max: 1, onnotice: () => undefined });
const wrappers = await generate(sql, {
  schema: "baseledger",
  wire: "../wire/index.ts",
  client: { batch: "post" },
});
await sql.end();
update("src/generated/index.ts", wrappers);
update("docs/functions.md", await renderFunctions(server.url));

function update(name: string, wanted: string): void {
  const file = join(root, name);
  if (existsSync(file) && readFileSync(file, "utf8") === wanted) {
    console.log(`${name} is up to date`);
  } else if (options.check) {
    console.error(`${name} is stale: run npm run generate`);
    process.exitCode = 1;
  } else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, wanted);
    console.log(`${name} written`);
  }
}
