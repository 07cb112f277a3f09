import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { baseledger } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

let database: TestDatabase;
let sql: postgres.Sql;
let env: Record<string, string>;

beforeAll(async () => {
  database = await createDatabase();
  env = { DATABASE_URL: database.url };
  sql = postgres(database.url, { max: 1, onnotice: () => undefined });
});

afterAll(async () => {
  await sql.end();
  await database.drop();
});

const dir = mkdtempSync(join(tmpdir(), "generate-"));
const file = join(dir, "deep", "wrappers.ts");
afterAll(() => rmSync(dir, { recursive: true }));

test("writes the wrappers, and checks that they are up to date", async () => {
  const run = (...args: string[]) => baseledger(["generate", file, ...args], env);
  expect(await run("--check")).toMatchObject({ code: 1, stdout: expect.stringMatching(/stale/) });
  expect(await run()).toMatchObject({ code: 0, stdout: `${file} written\n` });
  expect(readFileSync(file, "utf8")).toContain("export async function reserve(");
  expect(await run("--check")).toMatchObject({ code: 0, stdout: `${file} is up to date\n` });
  writeFileSync(file, "// edited\n");
  expect(await run("--check")).toMatchObject({ code: 1 });
  expect(readFileSync(file, "utf8")).toBe("// edited\n");
});

test("says how to write the wrappers of another schema again", async () => {
  await sql`create schema shop`;
  await sql`create function shop.open() returns boolean language sql as 'select true'`;
  const args = ["generate", join(dir, "shop.ts"), "--schema", "shop"];
  const stale = await baseledger([...args, "--check"], env);
  expect(stale).toMatchObject({ code: 1, stdout: expect.stringContaining(args.join(" ")) });
  expect(await baseledger(args, env)).toMatchObject({ code: 0 });
  expect(readFileSync(join(dir, "shop.ts"), "utf8")).toContain('from "baseledger/wire";');
});

test("of a schema without functions exits with 1, into what is no TypeScript with 2", async () => {
  const none = await baseledger(["generate", file, "--schema", "atlantis"], env);
  expect(none).toMatchObject({ code: 1, stderr: expect.stringMatching(/atlantis has no/) });
  const javascript = await baseledger(["generate", join(dir, "x.js")], env);
  expect(javascript).toMatchObject({ code: 2, stderr: expect.stringMatching(/x\.js.*\.ts/) });
});

test("into a place that is none exits with 2", async () => {
  const place = join(dir, "file");
  writeFileSync(place, "");
  expect(await baseledger(["generate", join(place, "x.ts")], env)).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/cannot write/),
  });
});
