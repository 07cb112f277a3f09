// One more migration: it replaces every function, and changes every composite type and table and
// changes them back.
import { createHash } from "node:crypto";
import { cpSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadMigrations, packaged } from "../../../src/migrate/index.ts";

const BODY = `
do $$
declare
  v_def text;
  v_type regclass;
begin
  for v_def in
    select pg_get_functiondef(p.oid) from pg_proc p
      where p.pronamespace = 'baseledger'::regnamespace and p.prokind = 'f'
  loop
    execute v_def;
  end loop;
  for v_type in
    select c.oid from pg_class c
      where c.relnamespace = 'baseledger'::regnamespace and c.relkind = 'c'
      order by c.relname
  loop
    execute format('alter type %s add attribute proof integer', v_type);
    execute format('alter type %s drop attribute proof', v_type);
  end loop;
  alter table baseledger.events add column proof integer;
  alter table baseledger.events drop column proof;
  alter table baseledger.reservations add column proof integer;
  alter table baseledger.reservations drop column proof;
end
$$;
`;

/** Adds a migration to a folder, which starts as a copy of the package's; returns its name. */
export async function addMigration(folder: string): Promise<string> {
  if (!existsSync(folder)) cpSync(packaged, folder, { recursive: true });
  const { migrations } = await loadMigrations(folder);
  const before = migrations.at(-1);
  const body = BODY.trim();
  const hash = createHash("sha1").update(`${before?.hash}\n${body}\n`).digest("hex");
  const name = `${String(migrations.length + 1).padStart(6, "0")}-proof`;
  const head = `--! Previous: ${before?.hash}\n--! Hash: sha1:${hash}\n`;
  writeFileSync(join(folder, "migrations", "committed", `${name}.sql`), `${head}\n${body}\n`);
  return name;
}
