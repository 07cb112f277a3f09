import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { migrate } from "../../src/migrate/index.ts";
import { createDatabase } from "../support/server.ts";

const root = join(import.meta.dirname, "..", "..");
let copy: string;

beforeAll(() => {
  copy = fs.mkdtempSync(join(fs.realpathSync(tmpdir()), "authoring-test-"));
  for (const name of ["db", "src", "scripts", ".gmrc", "package.json"]) {
    fs.cpSync(join(root, name), join(copy, name), { recursive: true, verbatimSymlinks: true });
  }
  fs.symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
});

afterAll(() => fs.rmSync(copy, { recursive: true }));

async function migration(directory: string, ...args: string[]): Promise<string> {
  const script = join(directory, "scripts", "migration.ts");
  return (await promisify(execFile)(process.execPath, [script, ...args])).stdout;
}

function committed(): string[] {
  return fs.readdirSync(join(copy, "db", "migrations", "committed")).sort();
}

test("graphile-migrate applies what is committed, and nothing waits to be committed", async () => {
  expect(await migration(root, "status")).toContain("Up to date.");
});

test("a migration is committed with what it includes, applied, and taken back", async () => {
  const current = join(copy, "db", "migrations", "current.sql");
  const include = "--!include functions/answer.sql\n--!include views/answers.sql\n";
  fs.writeFileSync(current, include);
  fs.writeFileSync(
    join(copy, "db", "functions", "answer.sql"),
    "create or replace function baseledger.answer() returns integer language sql as 'select 42';\n",
  );
  fs.writeFileSync(
    join(copy, "db", "views", "answers.sql"),
    "create or replace view baseledger.answers as select baseledger.answer();\n",
  );
  const before = committed();

  await migration(copy, "commit", "--message", "Answer");
  const added = committed().filter((file) => !before.includes(file));
  expect(added).toEqual([expect.stringMatching(/^\d+-answer\.sql$/)]);

  await using database = await createDatabase("empty");
  const names = await migrate(database.url, { directory: join(copy, "db") });
  expect(names).toEqual([...before, ...added].map((file) => file.replace(/\.sql$/, "")));
  const sql = postgres(database.url, { max: 1 });
  expect(await sql`select answer from baseledger.answers`).toEqual([{ answer: 42 }]);
  await sql.end();

  await migration(copy, "uncommit");
  expect(committed()).toEqual(before);
  expect(fs.readFileSync(current, "utf8")).toContain(include.trim());
});
