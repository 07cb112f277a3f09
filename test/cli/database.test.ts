import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openWallet } from "../../src/generated/index.ts";
import { baseledger } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

// Nothing listens on port 1.
const NOWHERE = "postgres://nobody@127.0.0.1:1/nothing";

let database: TestDatabase;
/** libpq's variables for the database. */
let env: Record<string, string>;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "environment-"));
  // Where we are root, the embedded server runs as another user.
  chmodSync(dir, 0o755);
  database = await createDatabase();
  const { hostname, password, pathname, port, username } = new URL(database.url);
  env = {
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: username,
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: pathname.slice(1),
  };
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  await openWallet(sql, { walletId: "acme" });
  await sql.end();
});

afterAll(async () => {
  await database.drop();
  rmSync(dir, { recursive: true });
});

const askBalance = (more: Record<string, string> = {}, ...args: string[]) =>
  baseledger(["balance", "acme", "--json", ...args], { ...env, ...more });

describe("libpq's variables", () => {
  test.each([
    ["alone", {}],
    ["with an empty DATABASE_URL", { DATABASE_URL: "" }],
    ["with PGSSLMODE", { PGSSLMODE: "prefer" }],
  ])("name the database: %s", async (_, more) => {
    const { code, stdout, stderr } = await askBalance(more);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ walletId: "acme" });
  });

  test("give way to an address", async () => {
    expect(await askBalance({ DATABASE_URL: NOWHERE })).toMatchObject({ code: 3 });
    expect(await askBalance({}, "--url", NOWHERE)).toMatchObject({ code: 3 });
    expect(await askBalance({ PGPORT: "1" }, "--url", database.url)).toMatchObject({ code: 0 });
  });

  test("are all heeded", async () => {
    expect(await askBalance({ PGPORT: "1" })).toMatchObject({ code: 3 });
    expect(await askBalance({ PGPASSWORD: "wrong" })).toMatchObject({ code: 3 });
    expect(await askBalance({ PGDATABASE: "atlantis" })).toMatchObject({ code: 3 });
    // This server has no TLS.
    expect(await askBalance({ PGSSLMODE: "require" })).not.toMatchObject({ code: 0 });
  });

  test("name none where there is neither PGHOST nor PGDATABASE", async () => {
    const home = join(dir, "somebody-elses");
    mkdirSync(join(home, "postgres"), { recursive: true });
    writeFileSync(join(home, "postgres", "thesis.txt"), "");
    const { code, stderr } = await askBalance({
      PGHOST: "",
      PGDATABASE: "",
      BASELEDGER_DATA: home,
    });
    expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining("not made by") });
  });
});

test("help does not show what the environment says", async () => {
  const secret = { DATABASE_URL: "postgres://me:secret@db/app" };
  const { stdout } = await baseledger(["balance", "--help"], secret);
  expect(stdout).toContain("from the environment");
  expect(stdout).not.toContain("secret");
});

test.each([[["balance", "acme", "--url", ""]], [["balance", "acme", "--url", "localhost/acme"]]])(
  "%j, which is not an address, exits with 2",
  async (args) => {
    const ended = await baseledger(args);
    expect(ended).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--url is not an address/),
    });
  },
);
