import type { Transaction } from "./exclusive-transaction.ts";
import { asOwner, isInstalled, isOwned, mayActAsOwner } from "./install-script.ts";
import type { Migration } from "./migration-files.ts";

/** What a migration finds in the database. */
export interface State {
  readonly installed: boolean;
  /** Whether everything that is installed belongs to the owner. */
  readonly owned: boolean;
  /** Whether the user may act as the owner. */
  readonly able: boolean;
}

/** Reads what is installed; needs no privilege. */
export async function readState(tx: Transaction): Promise<State> {
  const [state] = await tx.run<State>(
    `select ${isInstalled} as installed, ${isOwned} as owned, ${mayActAsOwner} as able`,
  );
  return state ?? { installed: false, owned: false, able: false };
}

/**
 * The first of `migrations` that the database lacks, or undefined if it has them all. The
 * transaction continues as the owner, unless the table of applied migrations belongs to another.
 *
 * @throws Error when the database has other migrations than these
 */
export async function firstMissing(
  tx: Transaction,
  { installed, owned }: State,
  migrations: readonly Migration[],
): Promise<Migration | undefined> {
  if (!installed) return migrations[0];
  if (owned) await tx.run(asOwner);
  const applied = await tx.run<Pick<Migration, "id" | "name" | "hash">>(
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
  return migrations[applied.length];
}
