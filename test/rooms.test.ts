// The layout of the sources: rooms below src/, the ways between them, and the names of files.
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { expect, test } from "vitest";

interface File {
  /** Below the root of the repository. */
  readonly path: string;
  readonly text: string;
}

interface Rule {
  readonly says: string;
  /** The places that break it. */
  find(files: readonly File[]): string[];
  /** Files that break it once. */
  readonly broken: readonly File[];
}

/** The rooms of src/, lowest first: a module imports rooms of its own level or below. */
const LEVELS = [
  ["amounts", "json"],
  ["errors"],
  ["wire"],
  ["generated"],
  ["client", "migrate"],
  ["codegen", "embedded", "prices", "terminal", "trace"],
  ["worker"],
  ["bench", "demo", "simulate"],
  ["cli"],
];
/** What the package exports: above all rooms, so that none of them imports it. */
const PACKAGE = "src/index.ts";

/** Where functions of the ledger are called in SQL, beside the generated module. */
const CALL_SQL = [
  // measures the functions themselves
  "src/bench/",
  // reads and repairs the rights of the schema that it installs
  "src/migrate/",
  // prints examples for psql
  "src/cli/dev.ts",
];

const rules: readonly Rule[] = [
  {
    says: "a module imports another room only through its index.ts",
    find: (files) =>
      crossings(files)
        .filter(({ target }) => target !== PACKAGE && basename(target) !== "index.ts")
        .map(({ path, target }) => `${path} imports ${target}`),
    broken: [file("src/cli/a.ts", 'import { b } from "../client/b.ts";')],
  },
  {
    says: "each room of src/ has a level",
    find: (files) =>
      [...new Set(modules(files).map(({ path }) => roomOf(path)))]
        .filter((room) => room !== PACKAGE && levelOf(room) === -1)
        .map((room) => `src/${room}/ is not in LEVELS`),
    broken: [file("src/attic/index.ts", "")],
  },
  {
    says: "imports go down only",
    find: (files) => {
      const all = crossings(files);
      const imports = (from: string, to: string) =>
        all.some(({ path, target }) => roomOf(path) === from && roomOf(target) === to);
      return all
        .map(({ path, target }) => ({ path, target, from: roomOf(path), to: roomOf(target) }))
        .filter(({ from, to }) =>
          levelOf(from) === levelOf(to) ? imports(to, from) : levelOf(from) < levelOf(to),
        )
        .map(({ path, target }) => `${path} imports ${target}`);
    },
    broken: [file("src/client/a.ts", 'const { b } = await import("../cli/index.ts");')],
  },
  {
    says: "names of modules and their folders are in kebab-case",
    find: (files) =>
      files
        .filter(({ path }) => path.endsWith(".ts"))
        .filter(({ path }) => {
          const names = path.replace(/(\.test|\.config)?\.ts$/, "").split("/");
          return !names.every((name) => /^[a-z0-9]+(-[a-z0-9]+)*$/.test(name));
        })
        .map(({ path }) => path),
    broken: [file("src/cli/openWallet.ts", "")],
  },
  {
    says: "modules have no default export, except those of configuration",
    find: (files) =>
      files
        .filter(({ path }) => path.endsWith(".ts") && !path.endsWith(".config.ts"))
        .filter(({ text }) => /^export (default\b|\{[^}]*\bas default\b)/m.test(text))
        .map(({ path }) => path),
    broken: [file("scripts/a.ts", "export default 1;")],
  },
  {
    says: "functions of the ledger are called by the generated module",
    find: (files) =>
      modules(files)
        .filter(({ path }) => ![...CALL_SQL, "src/generated/"].some((at) => path.startsWith(at)))
        .flatMap(({ path, text }) => {
          const calls = withoutComments(text).match(/\bbaseledger\.[a-z_]+(?=\()/g) ?? [];
          return calls.map((call) => `${path} calls ${call}`);
        }),
    broken: [file("src/worker/a.ts", "sql`select baseledger.next_due()`")],
  },
  {
    says: "each helper in db/functions/ is used by another file",
    find: (files) =>
      files
        .filter(({ path }) => /^db\/functions\/.*\/_\w+\.sql$/.test(path))
        .filter(({ path }) => {
          const use = new RegExp(`\\b${basename(path, ".sql")}\\b`);
          return !files.some(
            (other) =>
              other.path !== path &&
              /^(db|src)\//.test(other.path) &&
              use.test(withoutComments(other.text)),
          );
        })
        .map(({ path }) => path),
    broken: [
      file("db/functions/audit/_unused.sql", "create function baseledger._unused()"),
      file("db/functions/audit/used.sql", "-- _unused"),
    ],
  },
];

const root = join(import.meta.dirname, "..");
const files = ["src", "test", "scripts", "db"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .map((name) => `${folder}/${name}`)
    .filter((path) => /\.(ts|sql)$/.test(path) && !/^(db|test\/fixtures)\/migrations\//.test(path))
    .sort()
    .map((path) => file(path, readFileSync(join(root, path), "utf8"))),
);

test.each(rules)("$says", ({ says, find, broken }) => {
  expect(find(broken), "its example").toHaveLength(1);
  const found = find(files);
  if (found.length > 0) expect.fail(`${says}, but not here:\n${found.join("\n")}`);
});

function file(path: string, text: string): File {
  return { path, text };
}

function modules(all: readonly File[]): readonly File[] {
  return all.filter(({ path }) => path.startsWith("src/"));
}

/** The room that a file of src/ is in; the index of the package is one of its own. */
function roomOf(path: string): string {
  return path === PACKAGE ? PACKAGE : (path.split("/")[1] ?? "");
}

function levelOf(room: string): number {
  return room === PACKAGE ? LEVELS.length : LEVELS.findIndex((level) => level.includes(room));
}

/** The imports of src/ from one room to another. */
function crossings(all: readonly File[]): { path: string; target: string }[] {
  return modules(all).flatMap(({ path, text }) =>
    [...withoutComments(text).matchAll(/\b(?:from|import|import\()\s*"(\.[^"]+)"/g)]
      .map(([, to = ""]) => ({ path, target: join(dirname(path), to) }))
      .filter(({ target }) => roomOf(path) !== roomOf(target)),
  );
}

function withoutComments(text: string): string {
  return text.replace(/^\s*(\/\/|\/?\*|--).*$/gm, "");
}
