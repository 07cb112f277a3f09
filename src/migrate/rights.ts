import { asOwner } from "./script.ts";
import { aside, type Transaction } from "./turn.ts";

/** A right that is not what it must be. */
export interface RightsDifference {
  readonly object: string;
  readonly expected: string;
  readonly found: string;
  /** Whether somebody may do what he must not; otherwise somebody lacks a right. */
  readonly open: boolean;
  /** The statement that mends it; null if an object is missing. */
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
        `${differences.map(sayDifference).join("; ")}. ` +
        (cures.length > 0 ? `Let a superuser run: ${cures.join(" ")}` : ""),
    );
    this.differences = differences;
  }
}

/** What is wrong with a right. */
export function sayDifference({ object, found, expected }: RightsDifference): string {
  return `${object}: ${found}, must be ${expected}`;
}

/** What of the rights was mended, and what is left because the user may not change it. */
export interface Mended {
  readonly mended: readonly RightsDifference[];
  readonly left: readonly RightsDifference[];
}

/** Mends the rights that are not what they must be, as far as the user may. */
export async function mendRights(tx: Transaction, script: string): Promise<Mended> {
  const before = await readDifferences(tx);
  if (before.length === 0) return { mended: [], left: [] };
  await tx.run(script);
  const left = await readDifferences(tx);
  const mended = before.filter(({ cure }) => !left.some((other) => other.cure === cure));
  return { mended, left };
}

function readDifferences(tx: Transaction): Promise<readonly RightsDifference[]> {
  return aside(tx, async () => {
    await tx.run(asOwner);
    // Older versions know nothing of it.
    const [row] = await tx.run<{ known: boolean }>(
      "select to_regprocedure('baseledger._find_rights_differences()') is not null as known",
    );
    return row?.known ? tx.run("select * from baseledger._find_rights_differences()") : [];
  });
}
