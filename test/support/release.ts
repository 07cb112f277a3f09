import * as fs from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { packaged } from "../../src/migrate/index.ts";

const require = createRequire(import.meta.url);

/** The folder of graphile-migrate. */
export const graphileMigrate = dirname(require.resolve("graphile-migrate"));

const { calculateHash } = require(join(graphileMigrate, "hash.js"));

/** Writes migrations as graphile-migrate commits them, and removes those that were there. */
export function commit(folder: string, ...bodies: string[]): void {
  const committed = join(folder, "committed");
  fs.rmSync(committed, { recursive: true, force: true });
  fs.mkdirSync(committed, { recursive: true });
  append(folder, 1, undefined, bodies);
}

/** The file of a migration that {@link commit} wrote. */
export function fileOf(folder: string, id: number): string {
  return join(folder, "committed", `${String(id).padStart(6, "0")}-some-step.sql`);
}

/** Makes a copy of `db/` with these migrations instead of its own. */
export function release(directory: string, ...bodies: string[]): { directory: string } {
  copyFrame(directory);
  commit(join(directory, "migrations"), ...bodies);
  return { directory };
}

/** Makes a copy of `db/` with its migrations, and these after them. */
export function releaseOnTop(directory: string, bodies: readonly string[]): { directory: string } {
  return releaseFrom(directory, join(packaged, "migrations", "committed"), bodies);
}

/** Makes a copy of `db/` with the first `count` of its migrations, as an earlier version had them. */
export function releaseOfFirst(directory: string, count: number): { directory: string } {
  return releaseFrom(directory, join(packaged, "migrations", "committed"), [], count);
}

/**
 * Makes a copy of `db/` from before the first release, with the first `count` of the eight migrations
 * that were squashed then: they upgrade a real schema in real steps.
 */
export function earlierRelease(directory: string, count = 8): { directory: string } {
  const source = join(import.meta.dirname, "..", "fixtures", "migrations", "committed");
  return releaseFrom(directory, source, [], count);
}

function releaseFrom(
  directory: string,
  source: string,
  bodies: readonly string[],
  first = Number.POSITIVE_INFINITY,
): { directory: string } {
  copyFrame(directory);
  const folder = join(directory, "migrations");
  const committed = join(folder, "committed");
  fs.rmSync(committed, { recursive: true, force: true });
  fs.mkdirSync(committed, { recursive: true });
  const files = fs.readdirSync(source).sort().slice(0, first);
  for (const file of files) fs.copyFileSync(join(source, file), join(committed, file));
  const last = fs.readFileSync(join(committed, files.at(-1) ?? ""), "utf8");
  append(folder, files.length + 1, /^--! Hash: (.*)$/m.exec(last)?.[1], bodies);
  return { directory };
}

function append(
  folder: string,
  from: number,
  before: string | undefined,
  bodies: readonly string[],
): void {
  let previous = before;
  for (const [index, body] of bodies.entries()) {
    const hash = calculateHash(body, previous);
    const header = `--! Previous: ${previous ?? "-"}\n--! Hash: ${hash}\n--! Message: Some step\n`;
    fs.writeFileSync(fileOf(folder, from + index), `${header}\n${body}\n`);
    previous = hash;
  }
}

function copyFrame(directory: string): void {
  for (const file of ["roles.sql", "install.sql", "repair-rights.sql"]) {
    fs.copyFileSync(join(packaged, file), join(directory, file));
  }
}
