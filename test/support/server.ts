import { inject } from "vitest";
import { copyTemplate, type TemplateServer, type TestDatabase } from "./template.ts";

export type { TestDatabase } from "./template.ts";

/** The server of this worker of vitest, and the database that is copied for each test. */
export function templateServer(): TemplateServer {
  const servers = inject("servers");
  const server = servers[(Number(process.env.VITEST_POOL_ID) - 1) % servers.length];
  if (!server) throw new Error(`no server for worker ${process.env.VITEST_POOL_ID}`);
  return server;
}

/**
 * Creates a database: empty, or by default with the ledger, pgTAP (in the schema `tap`) and the support
 * SQL of the pgTAP tests.
 */
export async function createDatabase(
  content: "migrated" | "empty" = "migrated",
): Promise<TestDatabase> {
  const { serverUrl, template } = templateServer();
  return copyTemplate({
    serverUrl,
    template: content === "migrated" ? template : "template0",
  });
}
