import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { inject } from "vitest";

/** A database for a test. */
export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  /** Address, as a superuser. */
  readonly url: string;
  /** Removes it now; otherwise it goes with the server. */
  drop(): Promise<void>;
}

/**
 * Makes a database: by default with the migrations, pgTAP (in the schema `tap`) and the support
 * SQL of the pgTAP tests in it, or an empty one.
 */
export async function createDatabase(
  content: "migrated" | "empty" = "migrated",
): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  const template = content === "migrated" ? inject("template") : "template0";
  await asAdmin(`create database ${name} template ${template}`);
  const drop = () => asAdmin(`drop database if exists ${name} with (force)`);
  const { href } = new URL(`/${name}`, inject("serverUrl"));
  return { name, url: href, drop, [Symbol.asyncDispose]: drop };
}

async function asAdmin(statement: string): Promise<void> {
  const sql = postgres(inject("serverUrl"), { max: 1, onnotice: () => undefined });
  try {
    await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
}
