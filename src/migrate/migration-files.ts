import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A committed migration, as graphile-migrate wrote it. */
export interface Migration {
  /** Its number, from 1 on. */
  readonly id: number;
  /** The name of its file, without the extension. */
  readonly name: string;
  /** Of its text and the hash of the one before. */
  readonly hash: string;
  readonly body: string;
}

/** The SQL of an installation. */
export interface Source {
  /** Creates the roles. */
  readonly roles: string;
  /** Creates the schema and the table of applied migrations, both owned by the owner role. */
  readonly install: string;
  /** Repairs the rights that are not what they must be, after the migrations. */
  readonly rights: string;
  /** In their order. */
  readonly migrations: readonly Migration[];
}

/** The folder `db` of this package: the same relative path from `src/` and from `dist/`. */
export const packaged = fileURLToPath(new URL("../../db", import.meta.url));

/**
 * Reads the SQL of an installation.
 *
 * @throws Error when a committed file was changed, when one is missing, or when there are none
 */
export async function loadMigrations(directory: string): Promise<Source> {
  const committed = join(directory, "migrations", "committed");
  const names = (await readdir(committed)).filter((file) => /^\d+(-[-\w]*)?\.sql$/.test(file));
  const migrations: Migration[] = [];
  for (const file of names.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))) {
    const text = await readFile(join(committed, file), "utf8");
    migrations.push(parse(file, text, migrations.at(-1)));
  }
  if (migrations.length === 0) throw new Error(`there are no migrations in ${committed}`);
  return {
    roles: await readFile(join(directory, "roles.sql"), "utf8"),
    install: await readFile(join(directory, "install.sql"), "utf8"),
    rights: await readFile(join(directory, "repair-rights.sql"), "utf8"),
    migrations,
  };
}

function parse(file: string, text: string, before: Migration | undefined): Migration {
  const [, head = "", rest = ""] = /^((?:--! [A-Z]\w*(?::[^\n]*)?\n)*)(.*)$/s.exec(text) ?? [];
  const header = (name: string) => new RegExp(`^--! ${name}: *(.*?) *$`, "m").exec(head)?.[1];
  const id = Number.parseInt(file, 10);
  const hash = header("Hash") ?? "";
  const body = `${rest.trim()}\n`;
  if (id !== (before?.id ?? 0) + 1 || header("Previous") !== (before?.hash ?? "-")) {
    throw new Error(`migration ${file} does not follow on ${before?.name ?? "nothing"}`);
  }
  const chained = `${before?.hash ?? ""}\n${body}`.trim();
  if (hash !== `sha1:${createHash("sha1").update(`${chained}\n`).digest("hex")}`) {
    throw new Error(`migration ${file} was changed after it was committed`);
  }
  if (body.startsWith("--! no-transaction")) {
    throw new Error(`migration ${file} asks for no transaction, which is not supported`);
  }
  return { id, name: file.replace(/\.sql$/, ""), hash, body };
}
