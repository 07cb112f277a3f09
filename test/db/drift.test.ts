import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadMigrations, migrate, packaged } from "../../src/migrate/index.ts";
import { readCatalog } from "../support/catalog.ts";
import { dbSources } from "../support/db-sources.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";
import { runAsOwner } from "../support/template.ts";

let migrated: TestDatabase;
let built: TestDatabase;
let sql: postgres.Sql;

beforeAll(async () => {
  [migrated, built] = await Promise.all([createDatabase("empty"), createDatabase("empty")]);
  await migrate(migrated.url);
  sql = postgres(migrated.url, { max: 1, onnotice: () => undefined });
});

afterAll(async () => {
  await sql.end();
  await Promise.all([migrated.drop(), built.drop()]);
});

/** Types before the functions that take them, functions before the triggers and views that call them. */
const FOLDERS = ["schema/privileges.sql", "schema/types", "functions", "schema/tables", "views"];
const BY_NEED = ["event_type", "_unit", "_scale", "_overdraft_limit"];

async function build(to: postgres.Sql): Promise<void> {
  const { install } = await loadMigrations(packaged);
  await to.unsafe(install);
  const all = dbSources("schema", "functions", "views");
  const needed = (name: string) => (BY_NEED.includes(name) ? 0 : 1);
  const run = async (text: string, path: string) => {
    // names in function bodies are checked in the second pass, when everything is there
    await runAsOwner(to, `set local plpgsql.extra_errors = 'all'; ${text}`).catch((error) => {
      throw new Error(`${path}: ${error.message}`, { cause: error });
    });
  };
  for (const folder of FOLDERS) {
    const sources = all.filter(({ path }) => path.startsWith(folder));
    for (const { path, text } of sources.sort((a, b) => needed(a.name) - needed(b.name))) {
      await run(`set local check_function_bodies = off; ${text}`, path);
    }
  }
  for (const { path, text } of dbSources("functions")) await run(text, path);
}

test("the migrations build what the files of db/schema, db/functions and db/views say", async () => {
  const to = postgres(built.url, { max: 1, onnotice: () => undefined });
  try {
    await build(to);
    expect(await readCatalog(to)).toEqual(await readCatalog(sql));
  } finally {
    await to.end();
  }
});

const OBJECTS: Record<string, string> = {
  "schema/types": `
    select typname from pg_type t left join pg_class c on c.oid = t.typrelid
    where typnamespace = 'baseledger'::regnamespace and (typtype in ('e', 'd') or relkind = 'c')`,
  // the record of the migrations is older than the first of them: db/install.sql makes it
  "schema/tables": `
    select relname from pg_class
    where relnamespace = 'baseledger'::regnamespace and relkind in ('r', 'p')
      and relname <> 'migrations'`,
  functions: `
    select distinct proname from pg_proc where pronamespace = 'baseledger'::regnamespace`,
  views: `
    select relname from pg_class
    where relnamespace = 'baseledger'::regnamespace and relkind in ('v', 'm')`,
};

test.each(Object.keys(OBJECTS))(
  "db/%s: every object has its file, every file its object",
  async (folder) => {
    const rows = await sql.unsafe(OBJECTS[folder] ?? "").values();
    const names = dbSources(folder).map(({ name }) => name);
    expect(rows.flat().sort()).toEqual(names.sort());
  },
);
