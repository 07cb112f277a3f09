import type { TestProject } from "vitest/node";
import { startTemplateServer, type TemplateServer } from "./template.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** One for each worker: see {@link templateServer}. */
    readonly servers: readonly TemplateServer[];
  }
}

let stops: readonly (() => Promise<void>)[] = [];

/**
 * Starts a server for each worker of vitest. Two files of tests on one server would disturb each other:
 * a transaction that is open in any of its databases keeps vacuum, and the pruning of dead rows, from
 * working in all of them.
 */
export async function setup(project: TestProject): Promise<void> {
  const workers = Array.from({ length: project.config.maxWorkers ?? 1 });
  const started = await Promise.all(workers.map(() => startTemplateServer()));
  stops = started.map(({ stop }) => stop);
  const servers = started.map(({ serverUrl, template }) => ({ serverUrl, template }));
  project.provide("servers", servers);
}

/** Stops the servers. */
export async function teardown(): Promise<void> {
  await Promise.all(stops.map((stop) => stop()));
}
