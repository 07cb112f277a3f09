// Writes src/generated/index.ts: the typed wrappers of the SQL functions, made from the
// database that the migrations build. `--check` writes nothing, and fails when the file is stale.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import postgres from "postgres";
import { generate } from "../src/codegen/index.ts";
import { startPostgres } from "../src/embedded/index.ts";
import { migrate } from "../src/migrate/index.ts";

const file = join(import.meta.dirname, "..", "src", "generated", "index.ts");
const name = relative(process.cwd(), file);

async function fromMigrations(): Promise<string> {
  const server = await startPostgres();
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  try {
    await migrate(server.url);
    return await generate(sql, { schema: "baseledger", wire: "../wire/index.ts" });
  } finally {
    await sql.end();
    await server.stop();
  }
}

const { values: options } = parseArgs({ options: { check: { type: "boolean" } } });
const wanted = await fromMigrations();
const stale = !existsSync(file) || readFileSync(file, "utf8") !== wanted;
if (!stale) {
  console.log(`${name} is up to date`);
} else if (options.check) {
  console.error(`${name} is stale: run npm run generate`);
  process.exitCode = 1;
} else {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, wanted);
  console.log(`${name} written`);
}
