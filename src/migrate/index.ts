import { setTimeout as pause } from "node:timers/promises";
import postgres from "postgres";
import { loadMigrations, type Migration, packaged, type Source } from "./files.ts";
import { mendRights, type RightsDifference, RightsError } from "./rights.ts";
import { asOwner, installation, record } from "./script.ts";
import { firstMissing, readState } from "./state.ts";
import {
  aside,
  createTurns,
  type Exclusively,
  type Transaction,
  type WaitOptions,
} from "./turn.ts";

export { type Blocker, sayBlocker, sayDuration } from "./blockers.ts";
export { loadMigrations, packaged } from "./files.ts";
export { type RightsDifference, RightsError, sayDifference } from "./rights.ts";
export { BlockedError, type Waiting } from "./turn.ts";

/** Options of {@link installSql}. */
export interface InstallOptions {
  /** The folder with `roles.sql`, `install.sql` and `migrations/committed`; by default ours. */
  readonly directory?: string;
}

/** Options of {@link migrate}. */
export interface MigrateOptions extends InstallOptions, WaitOptions {
  /** Told of the rights that were not what they must be, and are now. */
  readonly onMended?: (mended: readonly RightsDifference[]) => void;
}

/**
 * Installs BaseLedger into a database, or brings it up to date: the roles, the schema
 * `baseledger`, and each migration that was not applied yet, in a transaction of its own; then
 * every owner and every right that is not what it must be.
 *
 * Nothing outside that schema is touched, but for the roles, which belong to the server. It can
 * be run again at any time, and by several at once: the others wait, and find nothing to do. To
 * install, the user must be a superuser, or have CREATEROLE and be allowed to create schemas in
 * the database; where nothing is missing, it is enough to be granted `baseledger_owner`.
 *
 * Commands go on meanwhile: a lock that others hold is waited for briefly only, and tried again
 * later, for `waitFor` in all.
 *
 * @param database - address of the database, or a connection of yours (left open)
 * @returns the names of the migrations that this call has applied
 * @throws Error when a migration fails (`cause` is the error of PostgreSQL), when an applied one
 *   was changed since, or when the database is newer than this package; {@link BlockedError} when
 *   locks were not to be had in time; {@link RightsError} when the user may not mend the rights.
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
    return await run(createTurns({ sql, beside }, options), source, options);
  } finally {
    await Promise.all([beside.end({ timeout: 1 }), opened?.end()]);
  }
}

/**
 * The same installation as one SQL statement, for people with a migration tool of their own. It
 * runs in psql and over every driver, in a transaction of the caller's or by itself; run again,
 * it does nothing, or applies what is missing. A later {@link migrate} goes on from there.
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
  { onMended }: MigrateOptions,
): Promise<string[]> {
  const applied: string[] = [];
  if (!(await exclusively((tx) => isComplete(tx, source)))) await prepare(exclusively, source);
  for (;;) {
    const name = await exclusively((tx) => applyNext(tx, source.migrations));
    if (name === undefined) break;
    applied.push(name);
  }
  const { mended, left } = await exclusively((tx) => mendRights(tx, source.rights));
  if (mended.length > 0) onMended?.(mended);
  if (left.length > 0) throw new RightsError(left);
  return applied;
}

/** Whether there is no migration to apply, and nothing to be asked of the user's rights. */
async function isComplete(tx: Transaction, { migrations }: Source): Promise<boolean> {
  const state = await readState(tx);
  const ready = state.installed && state.owned && state.able;
  return ready && (await firstMissing(tx, state, migrations)) === undefined;
}

/** Roles are the server's, but the lock is the database's: others may make them just now. */
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
  // What is given to the owner is ours, and not a schema of that name of somebody else's.
  await aside(tx, async () => firstMissing(tx, await readState(tx), migrations));
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
