// npm run migration -- watch | commit -m "What it does" | uncommit | status | compile …
// Runs graphile-migrate on a server that is started for it and removed afterwards.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import postgres from "postgres";
import { startPostgres } from "../src/embedded/index.ts";

const root = join(import.meta.dirname, "..");
const require = createRequire(import.meta.url);
const cli = join(dirname(require.resolve("graphile-migrate")), "cli.js");
const [command, ...rest] = process.argv.slice(2);
const interrupt = new AbortController();
// Ctrl-C ends the command of graphile-migrate, and then the server.
process.once("SIGINT", () => interrupt.abort());

await using server = await startPostgres();
const [roles, schema] = await Promise.all([read("roles.sql"), read("install.sql")]);
await execute(server.url, roles, "create database authoring owner baseledger_owner");
await execute(address("authoring"), schema);
process.stderr.write(`The database is ${address("authoring")}\n`);

// The commands expect a database with all committed migrations.
process.exitCode = await graphileMigrate("migrate");
if (process.exitCode === 0) {
  if (command === "watch" && rest.length === 0) await watchSources();
  else process.exitCode = await graphileMigrate(...process.argv.slice(2));
}

/** Used in place of graphile-migrate's watching, which follows the link `fixtures` in circles. */
async function watchSources(): Promise<void> {
  let changed: PromiseWithResolvers<void>;
  const watchers = ["schema", "functions", "views", "migrations/current.sql"].map((path) =>
    watch(join(root, "db", path), { recursive: true }, () => changed.resolve()),
  );
  interrupt.signal.addEventListener("abort", () => changed.resolve());
  while (!interrupt.signal.aborted) {
    changed = Promise.withResolvers();
    await graphileMigrate("watch", "--once");
    await changed.promise;
    // An editor may take a moment to write a file.
    await pause(100);
  }
  for (const watcher of watchers) watcher.close();
}

async function graphileMigrate(...args: string[]): Promise<number> {
  const child = spawn(process.execPath, [cli, ...args], {
    cwd: root,
    stdio: "inherit",
    env: {
      ...process.env,
      DATABASE_URL: asOwner("authoring"),
      SHADOW_DATABASE_URL: asOwner("authoring_shadow"),
      ROOT_DATABASE_URL: server.url,
    },
  });
  const [code] = await once(child, "exit");
  return code ?? 1;
}

function read(file: string): Promise<string> {
  return readFile(join(root, "db", file), "utf8");
}

async function execute(url: string, ...statements: string[]): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  for (const statement of statements) await sql.unsafe(statement);
  await sql.end();
}

function address(database: string): string {
  return new URL(`/${database}`, server.url).href;
}

function asOwner(database: string): string {
  return `${address(database)}?options=-c%20role%3Dbaseledger_owner`;
}
