import type { Role, TestLedger } from "./ledger.ts";

/** The SQLSTATE for a missing right. */
export const DENIED = "42501";

/** Runs statements in a transaction that is rolled back; returns the code of the error, or `done`. */
export async function attempt(
  ledger: TestLedger,
  role: Role,
  ...statements: string[]
): Promise<string> {
  const { sql } = await ledger.session(role);
  try {
    // In a transaction, alter system fails before it checks rights.
    if (!statements[0]?.startsWith("alter system")) await sql.unsafe("begin");
    for (const statement of statements) await sql.unsafe(statement);
    return "done";
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    await sql.unsafe("rollback").catch(() => undefined);
    await sql.end();
  }
}
