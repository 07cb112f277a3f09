import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packaged } from "../src/migrate/files.ts";
import { migrate } from "../src/migrate.ts";
import { type Catalog, readCatalog } from "./support/catalog.ts";
import { createDatabase, type TestDatabase } from "./support/server.ts";

let database: TestDatabase;
let sql: postgres.Sql;

beforeAll(async () => {
  database = await createDatabase("empty");
  await migrate(database.url);
  sql = postgres(database.url, { max: 1, onnotice: () => undefined });
});

afterAll(async () => {
  await sql.end();
  await database.drop();
});

function sources(folder: string): string[] {
  return readdirSync(join(packaged, folder)).map((file) => join(packaged, folder, file));
}

function names(folder: string): string[] {
  return sources(folder).map((file) => basename(file, ".sql"));
}

/** Takes away what `create or replace` would leave: grants and comments. */
const strip = `
  do $$
  declare
    v_object record;
  begin
    for v_object in
      select 'function' as kind, oid::regprocedure::text as name
        from pg_proc where pronamespace = 'baseledger'::regnamespace
      union all
      select 'view', oid::regclass::text
        from pg_class where relnamespace = 'baseledger'::regnamespace and relkind = 'v'
    loop
      execute format('comment on %s %s is null', v_object.kind, v_object.name);
      execute format(
        'revoke all on %s %s from public, baseledger_agent, baseledger_operator, '
          'baseledger_auditor, baseledger_worker',
        case v_object.kind when 'view' then 'table' else v_object.kind end, v_object.name
      );
    end loop;
    for v_object in
      select format('%s.%I', c.oid::regclass, a.attname) as name
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'baseledger'::regnamespace and c.relkind = 'v'
    loop
      execute format('comment on column %s is null', v_object.name);
    end loop;
  end
  $$`;

/** The catalog as it would be if every file were run over the migrated database, as it is now. */
async function afterRunning(files: readonly string[]): Promise<Catalog> {
  let catalog: Catalog = {};
  const undo = new Error("undo");
  await sql
    .begin(async (tx) => {
      await tx.unsafe(
        "set local role baseledger_owner; set local search_path = pg_catalog, pg_temp",
      );
      await tx.unsafe(strip);
      for (const file of files) {
        await tx.unsafe(readFileSync(file, "utf8")).catch((error) => {
          throw new Error(`${basename(file)}: ${error.message}`, { cause: error });
        });
      }
      catalog = await readCatalog(tx);
      throw undo;
    })
    .catch((error) => {
      if (error !== undo) throw error;
    });
  return catalog;
}

test("the migrations and the files of db/functions and db/views build the same", async () => {
  const migrated = await readCatalog(sql);
  const run = await afterRunning([...sources("functions"), ...sources("views")]);
  expect(run).toEqual(migrated);
  expect(await readCatalog(sql)).toEqual(migrated);
});

test("every function has its file, and every file its function", async () => {
  const rows = await sql`
    select distinct proname from pg_proc where pronamespace = 'baseledger'::regnamespace`;
  expect(rows.map(({ proname }) => proname).sort()).toEqual(names("functions").sort());
});

test("every view has its file, and every file its view", async () => {
  const rows = await sql`
    select relname from pg_class
    where relnamespace = 'baseledger'::regnamespace and relkind in ('v', 'm')`;
  expect(rows.map(({ relname }) => relname).sort()).toEqual(names("views").sort());
});
