import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT, readRepositoryFile as read, readBlocks } from "../support/markdown.ts";
import { transcript } from "../support/psql.ts";
import { findPython } from "../support/python.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

const run = promisify(execFile);

/** The examples in TypeScript. */
const PROGRAMS = ["commit-then-call", "guard", "stream", "wrappers"];

/** Without `await using`, which the JavaScript of Node 22 does not have. */
const OLDER =
  Number.parseInt(process.versions.node, 10) < 24 ? [] : ["--no-js-explicit-resource-management"];

/** The examples in Python, with the package that each imports. */
const PYTHON = [
  ["with_psycopg3", "psycopg"],
  ["with_psycopg2", "psycopg2"],
] as const;

/** Those that the README shows. */
const SHOWN = ["guard", "stream", "wrappers"];

/** The fenced blocks of a language in a Markdown file. */
function blocks(markdown: string, language: string): string[] {
  return readBlocks(markdown).flatMap((block) => (block.language === language ? block.text : []));
}

let database: TestDatabase;
let sql: postgres.Sql;

beforeAll(async () => {
  database = await createDatabase();
  sql = postgres(database.url, { max: 1, onnotice: () => undefined });
});

afterAll(async () => {
  await sql.end();
  await database.drop();
});

describe("examples", () => {
  test("the psql session prints what it is committed with", async () => {
    const printed = await transcript(sql, read("examples/session.sql"));
    await expect(printed).toMatchFileSnapshot(join(ROOT, "examples/session.out"));
  });

  /** What a program prints, which is the same when it is run again on that database. */
  async function twice(program: string, ...args: string[]): Promise<string> {
    const env = { ...process.env, DATABASE_URL: database.url };
    const first = await run(program, args, { env });
    const second = await run(program, args, { env });
    expect([first.stderr, second.stderr]).toEqual(["", ""]);
    expect(second.stdout).toBe(first.stdout);
    return first.stdout;
  }

  test.each(PROGRAMS)("%s prints what it is committed with, also a second time", async (name) => {
    const file = join(ROOT, `examples/${name}.ts`);
    const printed = await twice(process.execPath, ...OLDER, file);
    await expect(printed).toMatchFileSnapshot(join(ROOT, `examples/${name}.out`));
  });

  test.for(PYTHON)("%s prints the same with %s", async ([name, module], { skip }) => {
    const python = await findPython(module);
    if (!python) return skip(`there is no python3 with ${module}`);
    const printed = await twice(python, join(ROOT, `examples/python/${name}.py`));
    await expect(printed).toMatchFileSnapshot(join(ROOT, `examples/python/${name}.out`));
  });

  test("the chain can be checked by hand, as its documentation says, by an auditor", async () => {
    const [query] = blocks(read("docs/hash-chain.md"), "sql");
    const events = await sql.begin(async (tx) => {
      await tx`set local role baseledger_auditor`;
      return tx.unsafe<{ sound: boolean }[]>(query ?? "");
    });
    expect(events.length).toBeGreaterThan(0);
    expect(events.every(({ sound }) => sound)).toBe(true);
  });
});

describe("README", () => {
  const readme = read("README.md");

  test("shows the psql session as it runs", () => {
    expect(blocks(readme, "sql")).toContain(read("examples/session.sql"));
  });

  test.each(SHOWN)("shows %s as it runs", (name) => {
    const published = read(`examples/${name}.ts`).replace("../src/index.ts", "baseledger");
    expect(blocks(readme, "ts")).toContain(published);
  });

  test("names every function and every error", async () => {
    const functions = await sql<{ name: string }[]>`
      select proname as name from pg_proc
      where pronamespace = 'baseledger'::regnamespace
        and not starts_with(proname, '_') and not starts_with(proname, 'tg_')`;
    const codes = new Set(read("db/ERRORS.md").match(/\bLG[A-Z]{3}\b/g));
    expect(functions.length).toBeGreaterThan(0);
    expect(functions.filter(({ name }) => !readme.includes(`\`${name}(`))).toEqual([]);
    expect([...codes].filter((code) => !readme.includes(code))).toEqual([]);
  });
});
