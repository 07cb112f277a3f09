import type { Role, TestLedger } from "./ledger.ts";

/** What PostgreSQL says to those who may not. */
export const DENIED = "42501";

/** Tries statements in a transaction that is undone; gives the code of the error, or `done`. */
export async function attempt(
  ledger: TestLedger,
  role: Role,
  ...statements: string[]
): Promise<string> {
  const { sql } = await ledger.session(role);
  try {
    // alter system refuses to run in a transaction before it looks at who asks
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
