import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { credit, freezeWallet, openWallet, reserve } from "../../src/generated/index.ts";
import { baseledger, MAIN } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

// Erases the line and goes to its beginning, rings, begins another line, turns the direction
// around, and has characters in which there is nothing to see.
const NASTY = "x\u001b[2K\r\u0007\n   9  \u009b31m\u202eevil\u2066\u200b\ufeff\u2028.";
const walletId = `wallet ${NASTY}`;

let database: TestDatabase;
let env: Record<string, string>;
let sql: postgres.Sql;

beforeAll(async () => {
  database = await createDatabase();
  env = { DATABASE_URL: database.url };
  sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  await openWallet(sql, { walletId, unit: "US\u001b[2K" });
  await credit(sql, { walletId, amount: 5_000_000_000n, idempotencyKey: NASTY });
  await reserve(sql, {
    walletId,
    amount: 1_000_000_000n,
    idempotencyKey: `call ${NASTY}`,
    metadata: { [NASTY]: NASTY },
  });
  await freezeWallet(sql, { walletId, reason: NASTY });
});

afterAll(async () => {
  await sql.end();
  await database.drop();
});

/** Everything that a terminal or a reader's eye might take for something else, but for line ends. */
const HARMFUL = /(?!\n)[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;

async function run(args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await baseledger(args, env);
  expect(stdout).not.toMatch(HARMFUL);
  expect(stderr).not.toMatch(HARMFUL);
  // One line a name: none of them has begun another.
  expect(stdout + stderr).not.toMatch(/^ {3}9 {2}\\x9b/m);
  return stdout + stderr;
}

describe("no name reaches the terminal as more than its characters", () => {
  test("in a statement", async () => {
    const table = await run(["statement", walletId]);
    expect(table).toContain(String.raw`x\x1b[2K\r\x07\n`);
    expect(table.split("\n")).toHaveLength(4 + 6 + 2);
  });

  test("in a statement as CSV", async () => {
    const csv = await run(["statement", walletId, "--csv"]);
    expect(csv).toContain(String.raw`x\x1b[2K\r\x07\n   9  \x9b31m\u{202e}evil`);
    expect(csv.split("\n")).toHaveLength(1 + 6 + 1);
  });

  test("in a statement as JSON, which is exact all the same", async () => {
    const lines = JSON.parse(await run(["statement", walletId, "--json"]));
    expect(lines[1]).toMatchObject({ idempotencyKey: NASTY });
    expect(lines[2]).toMatchObject({ metadata: { [NASTY]: NASTY } });
  });

  test.each([
    [["balance"], "balance"],
    [["balance", "--json"], "balance"],
    [["credit", "1", "--key", "again"], "credited"],
    [["credit", "1", "--key", NASTY], "LGIDK"],
    [["unfreeze", "--reason", NASTY, "--key", `un${NASTY}`], "unfrozen"],
  ])("%j", async ([command = "", ...rest], word) => {
    const said = await run([command, walletId, ...rest]);
    expect(said).toContain("[2K");
    if (command !== "balance") expect(said).toContain(word);
  });

  test.each([
    [["top", "--once"]],
    [["top", "--json"]],
    [["balance", `no ${NASTY}`]],
    [["balance", `no ${NASTY}`, "--json"]],
    [["verify", "--wallet", `no ${NASTY}`]],
    [["credit", walletId, NASTY]],
    [["verify", `--${NASTY}`]],
    [[NASTY]],
    [["statement", walletId, "--from", NASTY]],
    [["simulate", "--credit", "1", "--trace", `/${NASTY}`]],
  ])("%j", async (args) => {
    expect(await run(args)).toContain("[2K");
  });

  test("in what verify finds", async () => {
    await sql`update baseledger.wallets set available = 7 where wallet_id = ${walletId}`;
    const found = await run(["verify"]);
    expect(found).toMatch(/wallet x\\x1b\[2K.*: wallet/);
    expect(JSON.parse(await run(["verify", "--json"]))).toMatchObject([{ walletId }]);
  });
});

test("there is one way to the terminal", () => {
  const folder = join(MAIN, "..", "..");
  const files = ["cli", "terminal"].flatMap((room) =>
    readdirSync(join(folder, room), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => join(room, file)),
  );
  const others = files.filter((file) => {
    const source = readFileSync(join(folder, file), "utf8");
    return (
      file !== join("terminal", "output.ts") &&
      /console\.|process\.std(out|err)\.write/.test(source)
    );
  });
  expect(others).toEqual([]);
});
