import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Server, startPostgres } from "../../src/embedded/index.ts";
import type { Diagnosis } from "../../src/generated/index.ts";
import { migrate } from "../../src/migrate/index.ts";
import { baseledger } from "../support/cli.ts";
import { skipped as clockSkipped, startClocked } from "../support/faketime.ts";
import { skipped as poolerSkipped, startPooler } from "../support/pooler.ts";

// The checks of the database are tested in test/db; here are those of the program, and its output.

let server: Server;
let sql: postgres.Sql;

beforeAll(async () => {
  server = await startPostgres({ settings: { fsync: "on", full_page_writes: "on" } });
  await migrate(server.url);
  sql = postgres(server.url, { max: 1, onnotice: () => undefined });
  await sql`select baseledger.expire_due()`;
});
afterAll(async () => {
  await sql.end();
  await server.stop();
});

const run = (url: string, ...args: string[]) => baseledger(["doctor", ...args, "--url", url]);

async function checks(url: string): Promise<Map<string, Diagnosis>> {
  const { stdout } = await run(url, "--json");
  return new Map((JSON.parse(stdout) as Diagnosis[]).map((row) => [row.check, row]));
}

test("lists what is fine in a table, and exits with 0", async () => {
  const { code, stdout, stderr } = await run(server.url);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/fine +connection +direct/);
  expect(stdout).toMatch(/fine +server's clock/);
  expect(stdout).toMatch(/fine +schema +\d+: /);
  expect(stdout).toMatch(/\n0 wrong, \d warnings, \d+ fine\n$/);
});

test("exits with 0 with warnings, with 1 if something is wrong, and says what to do", async () => {
  await sql.unsafe("alter database postgres set enable_sort = off");
  const warned = await run(server.url);
  expect(warned.code).toBe(0);
  expect(warned.stdout).toMatch(/warning +planner +enable_sort = off for all roles/);
  expect(warned.stdout).toMatch(/\nplanner: expected no enable_\* switched off\. Reset them: /);
  await sql.unsafe("alter database postgres reset enable_sort");
  await sql.unsafe("alter database postgres set synchronous_commit = off");
  const wrong = await run(server.url);
  expect(wrong.code).toBe(1);
  expect(wrong.stdout).toMatch(/wrong +durability +synchronous_commit = off for all roles/);
  await sql.unsafe("alter database postgres reset synchronous_commit");
});

test("compares the schema with the package", async () => {
  await sql`insert into baseledger.migrations (id, name, hash) values (999, 'x', 'x')`;
  expect((await checks(server.url)).get("schema")).toMatchObject({
    status: "warning",
    advice: "Install a newer version of baseledger.",
  });
  await sql`delete from baseledger.migrations where id = 999`;
  // An older schema: the last migration no longer counts.
  await sql`update baseledger.migrations set id = -id
    where id = (select max(id) from baseledger.migrations)`;
  expect((await checks(server.url)).get("schema")).toMatchObject({ status: "wrong" });
  await sql`update baseledger.migrations set id = -id where id < 0`;
  expect((await checks(server.url)).get("schema")).toMatchObject({ status: "fine" });
});

test.skipIf(poolerSkipped)(`names a pooler in between${poolerSkipped}`, async () => {
  await using pooler = await startPooler(server.url);
  expect((await checks(pooler.url)).get("connection")).toMatchObject({
    status: "warning",
    found: "a pooler in between",
  });
});

test.skipIf(clockSkipped)(`names a clock that differs${clockSkipped}`, async () => {
  await using clocked = await startClocked();
  await migrate(clocked.server.url);
  const clock = async () => (await checks(clocked.server.url)).get("server's clock");
  expect(await clock()).toMatchObject({ status: "fine" });
  clocked.setAhead(3600);
  expect(await clock()).toMatchObject({
    status: "warning",
    found: expect.stringMatching(/^3[56]\d\d\.\d s ahead of ours$/),
  });
});

test("exits with 3 without a connection, and with 4 if it came to no verdict", async () => {
  expect((await run("postgres://nobody@127.0.0.1:1/nothing")).code).toBe(3);
  await sql.unsafe("create role nobody_special login password 'secret'");
  const url = Object.assign(new URL(server.url), {
    username: "nobody_special",
    password: "secret",
  });
  const { code, stdout, stderr } = await run(url.href);
  expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
  expect(stderr).toMatch(/^baseledger: permission denied/);
});
