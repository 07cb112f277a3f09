import type postgres from "postgres";
import type { Migration } from "./files.ts";
import { asOwner, isInstalled, lock, plainNames } from "./script.ts";

/**
 * Runs `work` in a transaction, alone of all who migrate this database, and independent of what
 * the user or the database have set up for others.
 */
export async function exclusively<T>(
  sql: postgres.Sql,
  work: (tx: postgres.TransactionSql) => Promise<T>,
): Promise<T> {
  // a snapshot from before the wait for the lock would show a state that is past
  const result = await sql.begin("isolation level read committed read write", async (tx) => {
    await tx.unsafe("set local statement_timeout = 0; set local lock_timeout = 0");
    await tx.unsafe(`select ${lock}; set local lock_timeout to default; ${plainNames}`);
    return { value: await work(tx) };
  });
  return result.value;
}

/**
 * The first of `migrations` that the database lacks, or undefined if it has them all. The
 * transaction continues as the owner, unless BaseLedger was never installed.
 *
 * @throws Error when the database has other migrations than these
 */
export async function firstMissing(
  tx: postgres.TransactionSql,
  migrations: readonly Migration[],
): Promise<{ installed: boolean; next: Migration | undefined }> {
  const [row] = await tx.unsafe<{ installed: boolean }[]>(`select ${isInstalled} as installed`);
  if (!row?.installed) return { installed: false, next: migrations[0] };
  await tx.unsafe(asOwner);
  const applied = await tx.unsafe<Pick<Migration, "id" | "name" | "hash">[]>(
    "select id, name, hash from baseledger.migrations order by id",
  );
  for (const [index, { name, hash }] of applied.entries()) {
    const ours = migrations[index];
    if (!ours) {
      throw new Error(
        `The database is newer than this package: it has migration ${name}. ` +
          "Install a newer version of baseledger.",
      );
    }
    if (ours.hash !== hash) {
      throw new Error(
        `Migration ${name} was applied to this database with another text than that of ` +
          `${ours.name} in this package. Install the version of baseledger it came from.`,
      );
    }
  }
  return { installed: true, next: migrations[applied.length] };
}
