import { inject } from "vitest";
import { copyTemplate, type TestDatabase } from "./template.ts";

export type { TestDatabase } from "./template.ts";

/**
 * Creates a database: empty, or by default with the ledger, pgTAP (in the schema `tap`) and the support
 * SQL of the pgTAP tests.
 */
export async function createDatabase(
  content: "migrated" | "empty" = "migrated",
): Promise<TestDatabase> {
  const template = content === "migrated" ? inject("template") : "template0";
  return copyTemplate({ serverUrl: inject("serverUrl"), template });
}
