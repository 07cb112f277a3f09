import type { TestProject } from "vitest/node";
import { startTemplateServer } from "./template.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Address of the server, as its superuser. */
    readonly serverUrl: string;
    /** The database that {@link createDatabase} copies. */
    readonly template: string;
  }
}

let stop: () => Promise<void>;

/** Starts the server of all tests. */
export async function setup(project: TestProject): Promise<void> {
  const server = await startTemplateServer();
  stop = server.stop;
  project.provide("serverUrl", server.serverUrl);
  project.provide("template", server.template);
}

/** Stops the server. */
export async function teardown(): Promise<void> {
  await stop();
}
