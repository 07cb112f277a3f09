import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { credit, openWallet, reserve } from "../../src/generated/index.ts";
import { baseledger, MAIN, start } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";
import { until } from "../support/until.ts";

// Nothing listens on port 1.
const NOWHERE = "postgres://nobody@127.0.0.1:1/nothing";

let database: TestDatabase;
let env: Record<string, string>;
let dir: string;

beforeAll(async () => {
  database = await createDatabase();
  env = { DATABASE_URL: database.url };
  dir = mkdtempSync(join(tmpdir(), "cli-"));
  // Where we are root, the embedded server runs as another user.
  chmodSync(dir, 0o755);
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  await openWallet(sql, { walletId: "acme" });
  await credit(sql, { walletId: "acme", amount: 9_007_199_254_740_993n, idempotencyKey: "c" });
  await reserve(sql, { walletId: "acme", amount: 250_000_001n, idempotencyKey: "r" });
  await sql.end();
});

afterAll(async () => {
  rmSync(dir, { recursive: true });
  await database.drop();
});

describe("help", () => {
  test.each([
    [["--help"], "demo"],
    [["demo", "--help"], "--trace <file>"],
    [["verify", "--help"], "Examples:"],
    [["worker", "--help"], "DATABASE_URL"],
  ])("%j is on standard output, and fine", async (args, word) => {
    const { code, stdout, stderr } = await baseledger(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(word);
  });

  test("--version is that of the package", async () => {
    expect(await baseledger(["--version"])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });
});

describe("a wrong command line exits with 2, and says what is wrong in one line", () => {
  test.each([
    [["dance"], /unknown command 'dance'/],
    [["help", "dance"], /unknown command 'dance'/],
    [["verify", "--loud"], /unknown option '--loud'.*verify --help/],
    [["balance"], /missing required argument 'wallet'/],
    [["balance", "a", "b"], /too many arguments/],
    [["statement", "acme", "--from", "soon"], /--from.*not a time like/],
    [["demo", "--seed", "-1"], /--seed.*not a whole number from 0/],
    [["demo", "--agents", "0"], /--agents.*from 1 to 1000/],
    [["demo", "--calls", "many"], /--calls/],
    [["demo", "--credit", "0%"], /--credit.*without credit/],
    [["demo", "--credit", "plenty"], /--credit.*not an amount of dollars/],
    [["demo", "--trace", "/nowhere.csv"], /nowhere\.csv: ENOENT/],
  ])("%j", async (args, message) => {
    const { code, stdout, stderr } = await baseledger(args);
    expect(stderr).toMatch(message);
    expect(stderr.match(/\n/g)).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  test("a trace with a bad row names the line", async () => {
    const trace = join(dir, "bad.csv");
    writeFileSync(trace, "TIMESTAMP,ContextTokens,GeneratedTokens\nnow,1,2\n");
    const { code, stderr } = await baseledger(["demo", "--trace", trace, "--json"]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining("bad.csv, line 2"),
    });
  });
});

describe("a database that cannot be reached exits with 3", () => {
  test.each([
    [["migrate"]],
    [["verify"]],
    [["balance", "acme"]],
    [["statement", "acme"]],
    [["worker"]],
    [["dev"]],
  ])("%j", async (args) => {
    const { code, stdout, stderr } = await baseledger([...args, "--url", NOWHERE]);
    expect(stderr).toMatch(
      /^baseledger: cannot connect: .*ECONNREFUSED.*--url, DATABASE_URL or PGHOST\.\n$/,
    );
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
  });

  test.each([[["statement", "acme", "--json"]], [["demo", "--json"]]])(
    "%j says so in JSON, too",
    async (args) => {
      const { code, stdout, stderr } = await baseledger([...args, "--url", NOWHERE]);
      expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringMatching(/^.*\n$/) });
      expect(JSON.parse(stdout)).toEqual({
        error: {
          code: "ECONNREFUSED",
          message: expect.stringContaining("cannot connect"),
          detail: null,
          hint: null,
        },
      });
    },
  );

  test("so does one without such a user", async () => {
    const url = new URL(database.url);
    url.username = "stranger";
    const { code, stderr } = await baseledger(["verify", "--url", url.href]);
    expect({ code, stderr }).toEqual({
      code: 3,
      stderr: expect.stringContaining("cannot connect"),
    });
  });

  test("so does one without such a database", async () => {
    const url = new URL(database.url);
    url.pathname = "/atlantis";
    const { code, stderr } = await baseledger(["verify", "--url", url.href]);
    expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining("atlantis") });
  });
});

test("an embedded server that cannot start exits with 3, and says why", async () => {
  const home = join(dir, "somebody-elses");
  mkdirSync(join(home, "postgres"), { recursive: true });
  writeFileSync(join(home, "postgres", "thesis.txt"), "");
  const { code, stdout, stderr } = await baseledger(["verify"], { BASELEDGER_DATA: home });
  expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
  expect(stderr).toMatch(/^baseledger: .*was not made by BaseLedger.*\n$/);
});

describe("balance", () => {
  test("shows dollars to a person", async () => {
    const { code, stdout } = await baseledger(["balance", "acme"], env);
    expect(code).toBe(0);
    expect(stdout).toMatch(/acme .* 9,007,199\.004740992 USD .* 0\.250000001 USD .* 0\.00 USD/);
  });

  test("gives exact strings to a program", async () => {
    const { code, stdout } = await baseledger(["balance", "acme", "--json"], env);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      walletId: "acme",
      available: "9007199004740992",
      reserved: "250000001",
      spent: "0",
    });
  });

  test("of no wallet exits with 1, and gives the code and the hint", async () => {
    const { code, stdout, stderr } = await baseledger(["balance", "ghost"], env);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^baseledger: .*\(LGWNF\)\. Hint: .*\n$/);
  });

  test("where BaseLedger is not installed says so", async () => {
    await using empty = await createDatabase("empty");
    const { code, stderr } = await baseledger(["balance", "acme", "--url", empty.url]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/not installed in this database; run: baseledger migrate\n$/),
    });
  });
});

describe("statement", () => {
  test("lists the events", async () => {
    const { code, stdout } = await baseledger(["statement", "acme"], env);
    expect(code).toBe(0);
    expect(stdout).toMatch(/opened[\s\S]*credited[\s\S]*reserved/);
  });

  test("lists them as JSON", async () => {
    const { stdout } = await baseledger(["statement", "acme", "--json"], env);
    const events = (JSON.parse(stdout) as { event: string }[]).map(({ event }) => event);
    expect(events).toEqual(["opened", "credited", "reserved"]);
  });

  test("of another time has no events", async () => {
    const args = ["statement", "acme", "--from", "2001-01-01", "--to", "2002-01-01T12:00Z"];
    const { code, stdout } = await baseledger(args, env);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "no events in this time\n" });
  });
});

describe("verify", () => {
  test("of a sound ledger exits with 0", async () => {
    expect(await baseledger(["verify"], env)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^sound/),
    });
    expect(await baseledger(["verify", "--wallet", "acme", "--json"], env)).toMatchObject({
      code: 0,
      stdout: "[]\n",
    });
  });

  test("of a tampered one exits with 1, and shows what is off", async () => {
    const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
    await openWallet(sql, { walletId: "tampered" });
    await sql`update baseledger.wallets set available = 7 where wallet_id = 'tampered'`;
    await sql.end();
    const printed = await baseledger(["verify", "--wallet", "tampered"], env);
    expect(printed).toMatchObject({ code: 1, stdout: expect.stringContaining("not sound") });
    const listed = await baseledger(["verify", "--json"], env);
    expect(listed.code).toBe(1);
    expect(JSON.parse(listed.stdout)[0]).toMatchObject({ walletId: "tampered" });
  });
});

describe("what runs until it is asked to end", () => {
  test("dev gives a ledger that others share, sweeps it, and keeps its data", async () => {
    const home = { BASELEDGER_DATA: join(dir, "dev") };
    const { child, said, ended } = start(["dev"], home);
    const url = await until("it prints its address", () => /DATABASE_URL=(\S+)/.exec(said())?.[1]);
    const sql = postgres(url, { max: 1, onnotice: () => undefined });
    await openWallet(sql, { walletId: "acme" });
    await credit(sql, { walletId: "acme", amount: 10n, idempotencyKey: "c" });
    await reserve(sql, { walletId: "acme", amount: 4n, idempotencyKey: "r", ttl: 1 });
    await until("the reservation has expired", async () => {
      const { stdout } = await baseledger(["statement", "acme", "--json"], home);
      return stdout.includes('"expired"');
    });
    await sql.end();
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/data is kept/) });
    const { stdout } = await baseledger(["balance", "acme", "--json"], home);
    expect(JSON.parse(stdout)).toMatchObject({ available: "10", reserved: "0" });
  });

  test.each(["SIGINT", "SIGTERM"] as const)("worker ends in order at %s", async (signal) => {
    const { child, said, ended } = start(["worker"], env);
    await until("it has started", () => said().includes("expiry job started"));
    child.kill(signal);
    const { code, stdout, stderr } = await ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toMatch(/expiry job stopped\n$/);
  });

  test("demo ends at Ctrl-C, with the code that shells know", async () => {
    const { child, said, ended } = start(["demo", "--url", database.url], {});
    await until("it runs", () => said().includes("Connecting"));
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ code: 130, stderr: "" });
  });
});

test("migrate may be repeated", async () => {
  expect(await baseledger(["migrate"], env)).toMatchObject({
    code: 0,
    stdout: "BaseLedger is up to date\n",
  });
});

test("sql prints the install script, for which no database is needed", async () => {
  const { code, stdout } = await baseledger(["sql"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/create schema .*baseledger/);
});

test("an answer that its reader cuts short is no failure", async () => {
  const pipe = '"$0" "$1" sql | head -c 1';
  const args = ["-o", "pipefail", "-c", pipe, process.execPath, MAIN];
  expect(await promisify(execFile)("bash", args)).toEqual({ stdout: "-", stderr: "" });
});
