import { setTimeout as pause } from "node:timers/promises";
import postgres from "postgres";
import { loadMigrations, type Migration, packaged, type Source } from "./migrate/files.ts";
import { installation, record } from "./migrate/script.ts";
import { exclusively, firstMissing } from "./migrate/state.ts";

/** Options of {@link migrate} and {@link installSql}. */
export interface MigrateOptions {
  /** The folder with `roles.sql`, `schema.sql` and `migrations/committed`; by default ours. */
  readonly directory?: string;
}

/**
 * Installs BaseLedger into a database, or brings it up to date: the roles, the schema
 * `baseledger`, and each migration that was not applied yet, in a transaction of its own.
 *
 * Nothing outside that schema is touched, but for the roles, which belong to the server. It can
 * be run again at any time, and by several at once: the others wait, and find nothing to do. To
 * install, the user must be a superuser, or have CREATEROLE and be allowed to create schemas in
 * the database; where nothing is missing, neither is needed.
 *
 * @param database - address of the database, or a connection of yours (left open)
 * @returns the names of the migrations that this call has applied
 * @throws Error when a migration fails (`cause` is the error of PostgreSQL), when an applied one
 *   was changed since, or when the database is newer than this package; what was applied before
 *   that stays
 */
export async function migrate(
  database: string | postgres.Sql,
  options: MigrateOptions = {},
): Promise<readonly string[]> {
  const source = await loadMigrations(options.directory ?? packaged);
  if (typeof database !== "string") return run(database, source);
  const sql = postgres(database, { max: 1, prepare: false, onnotice: () => undefined });
  try {
    return await run(sql, source);
  } finally {
    await sql.end();
  }
}

/**
 * The same installation as one SQL statement, for people with a migration tool of their own. It
 * runs in psql and over every driver, in a transaction of the caller's or by itself; run again,
 * it does nothing, or applies what is missing. A later {@link migrate} goes on from there.
 */
export async function installSql(options: MigrateOptions = {}): Promise<string> {
  return installation(await loadMigrations(options.directory ?? packaged));
}

async function run(sql: postgres.Sql, source: Source): Promise<string[]> {
  const applied: string[] = [];
  const state = await exclusively(sql, (tx) => firstMissing(tx, source.migrations));
  if (state.installed && !state.next) return applied;
  await prepare(sql, source);
  for (;;) {
    const name = await exclusively(sql, (tx) => applyNext(tx, source.migrations));
    if (name === undefined) return applied;
    applied.push(name);
  }
}

/** Roles are the server's, but the lock is the database's: others may make them just now. */
async function prepare(sql: postgres.Sql, source: Source): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await exclusively(sql, (tx) => tx.unsafe(`${source.roles}\n${source.schema}`));
      return;
    } catch (error) {
      if (attempt === 20 || !isRace(error)) throw error;
      await pause(10 * attempt);
    }
  }
}

function isRace(error: unknown): boolean {
  const { code, message } = error as postgres.PostgresError;
  if (code === "XX000") return message.includes("concurrently");
  return code === "23505" || code === "42710";
}

async function applyNext(
  tx: postgres.TransactionSql,
  migrations: readonly Migration[],
): Promise<string | undefined> {
  const { next } = await firstMissing(tx, migrations);
  if (!next) return undefined;
  try {
    await tx.unsafe(next.body);
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`Migration ${next.name} failed: ${message}`, { cause: error });
  }
  await tx.unsafe(record(next));
  return next.name;
}
