import { inject } from "vitest";
import { copyTemplate, type TestDatabase } from "./template.ts";

export type { TestDatabase } from "./template.ts";

/**
 * Makes a database: by default with the migrations, pgTAP (in the schema `tap`) and the support
 * SQL of the pgTAP tests in it, or an empty one.
 */
export async function createDatabase(
  content: "migrated" | "empty" = "migrated",
): Promise<TestDatabase> {
  const template = content === "migrated" ? inject("template") : "template0";
  return copyTemplate({ serverUrl: inject("serverUrl"), template });
}
