import { readAside, type Transaction } from "./exclusive-transaction.ts";
import { asOwner } from "./install-script.ts";

/** A right that is not what it must be. */
export interface RightsDifference {
  readonly object: string;
  readonly expected: string;
  readonly found: string;
  /** Whether somebody has a right too many; otherwise one is missing. */
  readonly open: boolean;
  /** The statement that repairs it; null if an object is missing. */
  readonly cure: string | null;
}

/** Rights that are not what they must be, and that this user may not change. */
export class RightsError extends Error {
  override readonly name = "RightsError";
  readonly differences: readonly RightsDifference[];

  constructor(differences: readonly RightsDifference[]) {
    const cures = differences.flatMap(({ cure }) => (cure === null ? [] : [`${cure};`]));
    super(
      `All migrations are applied, but rights are not what they must be: ` +
        `${differences.map(formatDifference).join("; ")}. ` +
        (cures.length > 0 ? `Let a superuser run: ${cures.join(" ")}` : ""),
    );
    this.differences = differences;
  }
}

/** Describes what is wrong with a right. */
export function formatDifference({ object, found, expected }: RightsDifference): string {
  return `${object}: ${found}, must be ${expected}`;
}

/** Rights that were repaired, and those left because the user may not change them. */
export interface RepairResult {
  readonly repaired: readonly RightsDifference[];
  readonly left: readonly RightsDifference[];
}

/** Repairs the rights that are not what they must be, as far as the user may. */
export async function repairRights(tx: Transaction, script: string): Promise<RepairResult> {
  const before = await readDifferences(tx);
  if (before.length === 0) return { repaired: [], left: [] };
  await tx.run(script);
  const left = await readDifferences(tx);
  const repaired = before.filter(({ cure }) => !left.some((other) => other.cure === cure));
  return { repaired, left };
}

function readDifferences(tx: Transaction): Promise<readonly RightsDifference[]> {
  return readAside(tx, async () => {
    await tx.run(asOwner);
    // Older versions do not have it.
    const [row] = await tx.run<{ known: boolean }>(
      "select to_regprocedure('baseledger._find_rights_differences()') is not null as known",
    );
    return row?.known ? tx.run("select * from baseledger._find_rights_differences()") : [];
  });
}
