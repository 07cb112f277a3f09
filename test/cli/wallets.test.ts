import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { balance, openWallet, statement } from "../../src/generated/index.ts";
import { baseledger } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

let database: TestDatabase;
let env: Record<string, string>;
let sql: postgres.Sql;

beforeAll(async () => {
  database = await createDatabase();
  env = { DATABASE_URL: database.url };
  sql = postgres(database.url, { max: 1, onnotice: () => undefined });
});

afterAll(async () => {
  await sql.end();
  await database.drop();
});

describe("open", () => {
  test("makes a dollar wallet, and tells its balances", async () => {
    expect(await baseledger(["open", "plain"], env)).toEqual({
      code: 0,
      stderr: "",
      stdout: [
        "plain: opened (event 1)",
        "  available  0.00 USD",
        "  reserved   0.00 USD",
        "  spent      0.00 USD",
        "",
      ].join("\n"),
    });
    const again = await baseledger(["open", "plain"], env);
    expect(again.code).toBe(0);
    expect(again.stdout).toContain("(event 1, done before: nothing was done now)");
  });

  test("takes unit, scale, overdraft limit in that scale, and metadata", async () => {
    const args = ["open", "tokens", "--unit", "tokens", "--scale", "3", "--overdraft-limit", "1.5"];
    const { code, stdout } = await baseledger(
      [...args, "--metadata", '{"team": "search"}', "--json"],
      env,
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ walletId: "tokens", seq: "1", event: "opened" });
    expect(await balance(sql, { walletId: "tokens" })).toMatchObject({
      unit: "tokens",
      scale: 3,
      overdraftLimit: 1_500n,
    });
    expect(await statement(sql, { walletId: "tokens" })).toMatchObject([
      { metadata: { team: "search" } },
    ]);
  });

  test("of the same wallet on other terms is refused", async () => {
    await openWallet(sql, { walletId: "taken" });
    const { code, stdout, stderr } = await baseledger(["open", "taken", "--unit", "EUR"], env);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/\(LGIDK\)/);
  });
});

describe("credit", () => {
  test("reads the amount by the wallet's scale, beyond what a number could hold", async () => {
    await openWallet(sql, { walletId: "exact" });
    const args = ["credit", "exact", "9007199.254740993", "--key", "invoice-1"];
    const { code, stdout } = await baseledger(args, env);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^exact: credited 9,007,199\.254740993 USD \(event 2\)\n/);
    expect(stdout).toMatch(/key +invoice-1\n$/);
    expect(await balance(sql, { walletId: "exact" })).toMatchObject({
      available: 9_007_199_254_740_993n,
    });
  });

  test("with the same key is done once; with another amount it is refused", async () => {
    await openWallet(sql, { walletId: "once" });
    const send = (amount: string) =>
      baseledger(["credit", "once", amount, "--key", "k", "--json"], env);
    expect(JSON.parse((await send("12.50")).stdout)).toMatchObject({
      amount: "12500000000",
      idempotencyKey: "k",
      replayed: false,
    });
    expect(JSON.parse((await send("12.5")).stdout)).toMatchObject({ replayed: true });
    expect(await send("13")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/\(LGIDK\)/),
    });
    expect(await balance(sql, { walletId: "once" })).toMatchObject({ available: 12_500_000_000n });
  });

  test("without a key makes one up, and tells it", async () => {
    await openWallet(sql, { walletId: "keyless" });
    const keys = [];
    for (const _ of [1, 2]) {
      const { stdout } = await baseledger(["credit", "keyless", "1", "--json"], env);
      keys.push((JSON.parse(stdout) as { idempotencyKey: string }).idempotencyKey);
    }
    expect(new Set(keys).size).toBe(2);
    expect(await balance(sql, { walletId: "keyless" })).toMatchObject({
      available: 2_000_000_000n,
    });
  });
});

describe("freeze and unfreeze", () => {
  test("put the reason on record", async () => {
    await openWallet(sql, { walletId: "cold" });
    const frozen = await baseledger(["freeze", "cold", "--reason", "runaway"], env);
    expect(frozen).toMatchObject({ code: 0, stdout: expect.stringContaining("frozen (event 2)") });
    expect(await balance(sql, { walletId: "cold" })).toMatchObject({ frozen: true });
    const args = ["unfreeze", "cold", "--reason", "fixed", "--key", "thaw", "--json"];
    expect(JSON.parse((await baseledger(args, env)).stdout)).toMatchObject({ event: "unfrozen" });
    expect(JSON.parse((await baseledger(args, env)).stdout)).toMatchObject({ replayed: true });
    const lines = await statement(sql, { walletId: "cold" });
    expect(lines.map(({ event, details }) => [event, details])).toEqual([
      ["opened", expect.anything()],
      ["frozen", { reason: "runaway" }],
      ["unfrozen", { reason: "fixed" }],
    ]);
    expect(await balance(sql, { walletId: "cold" })).toMatchObject({ frozen: false });
  });
});

describe("a wrong command line exits with 2", () => {
  test.each([
    [["open", "w", "--scale", "19"], /--scale.*from 0 to 18/],
    [["open", "w", "--scale", "2", "--overdraft-limit", "0.001"], /--overdraft-limit.*2 decimals/],
    [["open", "w", "--metadata", "[1]"], /--metadata.*not a JSON object/],
    [["credit", "plain", "12,50"], /"12,50" is not an amount/],
    [["credit", "plain", "0.0000000001"], /at most 9 decimals/],
    [["freeze", "plain"], /required option '--reason <text>'/],
    [["statement", "plain", "--csv", "--json"], /cannot be used with/],
  ])("%j", async (args, message) => {
    const { code, stdout, stderr } = await baseledger(args, env);
    expect(stderr).toMatch(message);
    expect(stderr.match(/\n/g)).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });
});

test.each([
  [["credit", "ghost", "1"]],
  [["freeze", "ghost", "--reason", "r"]],
  [["unfreeze", "ghost", "--reason", "r"]],
])("%j of no wallet exits with 1", async (args) => {
  const { code, stdout, stderr } = await baseledger(args, env);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/^baseledger: .*\(LGWNF\)/);
});

test("an amount of zero is refused by the ledger", async () => {
  await openWallet(sql, { walletId: "zero" });
  expect(await baseledger(["credit", "zero", "0"], env)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/\(LGARG\)/),
  });
});
