import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { packaged } from "../../src/migrate/files.ts";
import { asOwner, plainNames } from "../../src/migrate/script.ts";
import { migrate } from "../../src/migrate.ts";
import { pgtapSql } from "./tap.ts";

/** Where the pgTAP tests are. */
export const tapFolder = join(import.meta.dirname, "..", "pgtap");

/** Makes a database with everything in it that tests copy, and gives its address. */
export async function createTemplate(serverUrl: string, name: string): Promise<string> {
  const sql = postgres(serverUrl, { max: 1 });
  await sql.unsafe(`create database ${name}`);
  const { href } = new URL(`/${name}`, serverUrl);
  await fill(href);
  await seal(sql, name);
  await sql.end();
  return href;
}

/** Nobody can connect to it by mistake and thereby stop it from being copied. */
export async function seal(sql: postgres.Sql, name: string): Promise<void> {
  await sql.unsafe(`alter database ${name} allow_connections false`);
}

/** Runs SQL as the owner of the ledger, as migrations are run. */
export async function runAsOwner(sql: postgres.Sql, text: string): Promise<void> {
  await sql.begin(async (tx) => {
    await tx.unsafe(plainNames + asOwner);
    await tx.unsafe(text);
  });
}

async function fill(url: string): Promise<void> {
  await migrate(url);
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  await runAsOwner(sql, await currentMigration());
  await sql.unsafe(`create schema tap; grant usage on schema tap to public`);
  await sql.unsafe(`set search_path = tap, pg_catalog; ${pgtapSql()}`);
  await sql.unsafe(`set search_path = public, tap`);
  for (const file of (await readdir(tapFolder)).sort()) {
    if (/^_.*\.sql$/.test(file)) await sql.unsafe(await readFile(join(tapFolder, file), "utf8"));
  }
  await sql.end();
}

/** What is being written and not committed yet, so that it can be tested before it is. */
async function currentMigration(): Promise<string> {
  let text = await readFile(join(packaged, "migrations", "current.sql"), "utf8");
  for (const [line, file = ""] of text.matchAll(/^--!\s*include\s+(\S+)$/gm)) {
    const included = await readFile(join(packaged, file), "utf8");
    text = text.replace(line, () => included);
  }
  return text;
}
