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

/** In order of need: types, the functions that use them, the triggers and views that call those. */
const FOLDERS = ["schema/privileges.sql", "schema/types", "functions", "schema/tables", "views"];
const FIRST_TYPES = ["event_type", "_unit", "_scale", "_overdraft_limit"];

async function build(to: postgres.Sql): Promise<void> {
  const { install } = await loadMigrations(packaged);
  await to.unsafe(install);
  const all = dbSources("schema", "functions", "views");
  const rank = (name: string) => (FIRST_TYPES.includes(name) ? 0 : 1);
  const run = async (text: string, path: string) => {
    // Names in function bodies are checked in the second pass, when all objects exist.
    await runAsOwner(to, `set local plpgsql.extra_errors = 'all'; ${text}`).catch((error) => {
      throw new Error(`${path}: ${error.message}`, { cause: error });
    });
  };
  for (const folder of FOLDERS) {
    const sources = all.filter(({ path }) => path.startsWith(folder));
    for (const { path, text } of sources.sort((a, b) => rank(a.name) - rank(b.name))) {
      await run(`set local check_function_bodies = off; ${text}`, path);
    }
  }
  for (const { path, text } of dbSources("functions")) await run(text, path);
}

test("the migrations and the files of db/schema, db/functions and db/views build the same schema", async () => {
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
  // migrations, the record of the migrations, is made by db/install.sql before the first one.
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
  "each object has a file in db/%s, and each file an object",
  async (folder) => {
    const rows = await sql.unsafe(OBJECTS[folder] ?? "").values();
    const names = dbSources(folder).map(({ name }) => name);
    expect(rows.flat().sort()).toEqual(names.sort());
  },
);
