import { setTimeout as pause } from "node:timers/promises";
import postgres from "postgres";
import {
  createExclusively,
  type Exclusively,
  readAside,
  type Transaction,
  type WaitOptions,
} from "./exclusive-transaction.ts";
import { asOwner, installation, record } from "./install-script.ts";
import { firstMissing, readState } from "./installed-state.ts";
import { loadMigrations, type Migration, packaged, type Source } from "./migration-files.ts";
import { type RightsDifference, RightsError, repairRights } from "./rights.ts";

/** Options of {@link installSql}. */
export interface InstallOptions {
  /** The folder with `roles.sql`, `install.sql` and `migrations/committed`; by default ours. */
  readonly directory?: string;
}

/** Options of {@link migrate}. */
export interface MigrateOptions extends InstallOptions, WaitOptions {
  /** Called with the rights that were not what they must be, and are now. */
  readonly onRepaired?: (repaired: readonly RightsDifference[]) => void;
}

/**
 * Installs BaseLedger into a database, or brings it up to date: the roles, the schema
 * `baseledger`, and each migration that was not applied yet, in a transaction of its own; then
 * repairs every owner and every right that is not what it must be.
 *
 * Nothing outside that schema changes, except for the roles, which belong to the server. It may
 * run again at any time, also several times at once: the others wait, and find nothing to do. To
 * install, the user must be a superuser, or have CREATEROLE and be allowed to create schemas in
 * the database; where nothing is missing, a grant of `baseledger_owner` is enough.
 *
 * Commands go on meanwhile: it waits only briefly for a lock that others hold, and tries again
 * later, for `waitFor` in all.
 *
 * @param database - address of the database, or a connection of the caller's (left open)
 * @returns the names of the migrations that this call has applied
 * @throws Error when a migration fails (`cause` is the error of PostgreSQL), when an applied one
 *   was changed since, or when the database is newer than this package; {@link BlockedError} when
 *   it did not get its locks in time; {@link RightsError} when the user may not repair the rights.
 *   What was applied before that stays
 */
export async function migrate(
  database: string | postgres.Sql,
  options: MigrateOptions = {},
): Promise<readonly string[]> {
  const source = await loadMigrations(options.directory ?? packaged);
  const opened = typeof database === "string" ? connect(database) : undefined;
  const sql = opened ?? (database as postgres.Sql);
  // The driver takes its own parsed options again, though its types do not say so.
  const same = { ...sql.options, max: 1 } as unknown as postgres.Options<Record<string, never>>;
  const beside = postgres(same);
  try {
    return await run(createExclusively({ sql, beside }, options), source, options);
  } finally {
    await Promise.all([beside.end({ timeout: 1 }), opened?.end()]);
  }
}

/**
 * The same installation as one SQL statement, for another migration tool. It runs in psql and over
 * every driver, in the caller's transaction or in its own; run again, it does nothing, or applies
 * what is missing. A later {@link migrate} continues from there.
 */
export async function installSql(options: InstallOptions = {}): Promise<string> {
  return installation(await loadMigrations(options.directory ?? packaged));
}

function connect(url: string): postgres.Sql {
  return postgres(url, {
    max: 1,
    prepare: false,
    fetch_types: false,
    onnotice: () => undefined,
    connection: { application_name: "baseledger migrate" },
  });
}

async function run(
  exclusively: Exclusively,
  source: Source,
  { onRepaired }: MigrateOptions,
): Promise<string[]> {
  const applied: string[] = [];
  if (!(await exclusively((tx) => isComplete(tx, source)))) await prepare(exclusively, source);
  for (;;) {
    const name = await exclusively((tx) => applyNext(tx, source.migrations));
    if (name === undefined) break;
    applied.push(name);
  }
  const { repaired, left } = await exclusively((tx) => repairRights(tx, source.rights));
  if (repaired.length > 0) onRepaired?.(repaired);
  if (left.length > 0) throw new RightsError(left);
  return applied;
}

/** Whether all is installed, and the user may act as the owner: then no more rights are needed. */
async function isComplete(tx: Transaction, { migrations }: Source): Promise<boolean> {
  const state = await readState(tx);
  const ready = state.installed && state.owned && state.able;
  return ready && (await firstMissing(tx, state, migrations)) === undefined;
}

/** Tries again: roles are the server's, but the lock is the database's, so others may create them. */
async function prepare(exclusively: Exclusively, source: Source): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await exclusively((tx) => makeSchema(tx, source));
      return;
    } catch (error) {
      if (attempt === 20 || !isRace(error)) throw error;
      await pause(10 * attempt);
    }
  }
}

async function makeSchema(tx: Transaction, { roles, install, migrations }: Source): Promise<void> {
  await tx.run(roles);
  // Fails if another program has a schema of that name, before it is given to the owner.
  await readAside(tx, async () => firstMissing(tx, await readState(tx), migrations));
  await tx.run(install);
}

function isRace(error: unknown): boolean {
  const { code, message } = error as postgres.PostgresError;
  if (code === "XX000") return message.includes("concurrently");
  return code === "23505" || code === "42710";
}

async function applyNext(
  tx: Transaction,
  migrations: readonly Migration[],
): Promise<string | undefined> {
  const next = await firstMissing(tx, await readState(tx), migrations);
  if (!next) return undefined;
  try {
    await tx.run(asOwner);
    await tx.run(next.body);
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`Migration ${next.name} failed: ${message}`, { cause: error });
  }
  await tx.run(record(next));
  return next.name;
}
