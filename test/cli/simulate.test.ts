import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { setPrices } from "../../src/generated/index.ts";
import { baseledger } from "../support/cli.ts";
import { createDatabase, type TestDatabase } from "../support/server.ts";

let dir: string;
let trace: string;
let database: TestDatabase;

/*
 * At $1 and $2 a million tokens, for at most 50 output tokens, 10 tokens a second, 3 s to live:
 *
 *   call  starts  ends  holds    costs      a credit of 500,000 nano-dollars
 *   1     0 s     2 s   200,000  140,000    300,000 available
 *   2     1 s     6 s   200,000  200,000    100,000 available, 400,000 held: the peak
 *   3     1.5 s         400,000  320,000    refused
 *         2 s                               1 settles: 160,000
 *   4     3 s     4 s   100,000   20,000     60,000
 *         4 s                               2 expires: 260,000; 4 settles: 340,000
 *         6 s                               2 settles late: 140,000
 */
const CALLS = ["00:00:00,100,20", "00:00:01,100,50", "00:00:01.5,300,10", "00:00:03,0,10"];
const ASSUMED = ["--model", "acme/large", "--max-output", "50"].concat([
  "--tokens-per-second",
  "10",
  "--ttl",
  "3",
]);
const DOLLAR = 1_000_000_000;
const PRICES = [
  { model: "acme/large", rates: { input: DOLLAR, output: 2 * DOLLAR, cache_read: DOLLAR / 10 } },
  { model: "acme/large", variant: "batch", rates: { input: DOLLAR / 2, output: DOLLAR } },
  { model: "acme/large", above: 1000, rates: { input: 3 * DOLLAR, output: 4 * DOLLAR } },
  { model: "acme/latest", alias_of: "acme/large" },
  // A third of a nano-dollar a token, and a cent a search.
  { model: "acme/tiny", rates: { input: 333_333, searches: 10_000 * DOLLAR } },
  { model: "acme/euro", currency: "EUR", rates: { input: DOLLAR } },
];

beforeAll(async () => {
  database = await createDatabase();
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  await setPrices(sql, { prices: PRICES });
  await sql.end();
  dir = mkdtempSync(join(tmpdir(), "simulate-"));
  trace = join(dir, "calls.csv");
  const rows = CALLS.map((call) => `2026-01-31 ${call}`);
  writeFileSync(trace, ["TIMESTAMP,ContextTokens,GeneratedTokens", ...rows, ""].join("\n"));
});
afterAll(async () => {
  rmSync(dir, { recursive: true });
  await database.drop();
});

const simulate = (...args: string[]) =>
  baseledger(["simulate", "--trace", trace, ...ASSUMED, ...args], { DATABASE_URL: database.url });

/** Simulates a log, with the same assumptions. */
async function simulateLog(lines: readonly string[], ...args: string[]) {
  const path = join(dir, "log.csv");
  writeFileSync(path, lines.join("\n"));
  const given = ["simulate", "--trace", path, ...ASSUMED, "--credit", "1", ...args];
  return baseledger([...given, "--url", database.url]);
}

describe("simulate", () => {
  test("has marks on its axes that differ, however small the amounts are", async () => {
    const { stdout } = await simulate("--credit", "0.012");
    const marks = [...stdout.matchAll(/^ *(\$\S+)┤/gm)].map(([, mark]) => mark);
    expect(marks).toEqual(["$0.0120", "$0.0096", "$0.0072", "$0.0048", "$0.0024", "$0.0000"]);
    expect(stdout).toMatch(/0\.00 +0\.02 +0\.04 +0\.06 +0\.08/);
  });

  test("gives what was computed by hand", async () => {
    const { code, stdout } = await simulate("--credit", "0.0005", "--json");
    expect(code).toBe(0);
    const start = Date.UTC(2026, 0, 31);
    expect(JSON.parse(stdout)).toEqual({
      credit: "500000",
      calls: 4,
      from: start,
      to: start + 6_000,
      granted: { calls: 3, amount: "360000" },
      refused: { calls: 1, amount: "320000" },
      firstRefused: {
        at: start + 1_500,
        call: 3,
        requested: "400000",
        available: "100000",
        reserved: "400000",
        spent: "0",
      },
      peak: { calls: 2, amount: "400000", at: start + 1_000 },
      expired: { calls: 1, amount: "200000" },
      late: { calls: 1, amount: "200000" },
      over: { calls: 0, amount: "0" },
      longestCallMs: 5_000,
      end: { available: "140000", reserved: "0", spent: "360000" },
      models: [{ model: "acme/large", variant: "standard", calls: 4, amount: "680000" }],
      sufficientCredit: "800000",
      assumptions: {
        model: "acme/large",
        maxOutput: 50,
        overhead: 0,
        ttlMs: 3_000,
        tokensPerSecond: 10,
      },
    });
  });

  test("with the credit that it names refuses nothing, and with less it does", async () => {
    const refused = async (credit: string) => {
      const { stdout } = await simulate("--credit", credit, "--json");
      return (JSON.parse(stdout) as { refused: { calls: number } }).refused.calls;
    };
    expect(await refused("0.0008")).toBe(0);
    expect(await refused("0.000799999")).toBe(1);
  });

  test("counts an overhead, and what goes beyond a reservation", async () => {
    const args = ["--credit", "1", "--ttl", "60", "--max-output", "10", "--overhead", "10"];
    const { stdout } = await simulate(...args, "--json");
    // Holds: 132,000; 132,000; 352,000; 22,000. Call 1 costs 8,000 more, call 2 68,000.
    expect(JSON.parse(stdout)).toMatchObject({
      over: { calls: 2, amount: "76000" },
      expired: { calls: 0 },
      peak: { calls: 3, amount: "616000" },
      end: { available: "999320000", reserved: "0", spent: "680000" },
    });
  });

  test("prints it for a person, with a plot, and without colours in a file", async () => {
    const { code, stdout } = await simulate("--credit", "0.0005");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^4 calls from 2026-01-31 00:00:00 to 2026-01-31 00:00:06 UTC/);
    expect(stdout).toMatch(/\nPriced as acme\/large\. Each call reserves for 50 output tokens,\n/);
    expect(stdout).toMatch(/┤aaa[\s\S]*rrr[\s\S]*a available {3}s spent {3}r reserved/);
    expect(stdout).toMatch(/refused +1 call, \$0\.0003 not spent\n +the first +call 3 at/);
    expect(stdout).not.toContain("\u001b");
  });

  test("prices a variant of the model", async () => {
    const { stdout } = await simulate("--credit", "1", "--variant", "batch", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      models: [{ model: "acme/large", variant: "batch", calls: 4, amount: "340000" }],
      end: { spent: "340000" },
    });
  });

  test("prices usage of each row: its own model, tiers, caches, and what rounds up", async () => {
    const { stdout } = await simulateLog(
      [
        "TIMESTAMP,model,variant,input,cache_read,output,searches",
        // 100 + 20 tenths + 2 × 30: 162 micro-dollars; the hold is for 50: 202.
        "2026-01-31 00:00:00,,,100,20,30,",
        // 3 × 1,001 + 4 × 10 by the tier: 3,043; the hold 3,203.
        "2026-01-31 00:00:01,acme/latest,,1001,,10,",
        // Half of 100 + 2 × 10: 60; the hold 100.
        "2026-01-31 00:00:02,acme/large,batch,100,,10,",
        // A third of a nano-dollar, rounded up, and two cents: no output, so no more is held.
        "2026-01-31 00:00:03,acme/tiny,,1,,,2",
      ],
      "--json",
      "--ttl",
      "60",
      "--tokens-per-second",
      "1",
    );
    expect(JSON.parse(stdout)).toMatchObject({
      models: [
        { model: "acme/tiny", variant: "standard", calls: 1, amount: "20000001" },
        { model: "acme/large", variant: "standard", calls: 2, amount: "3205000" },
        { model: "acme/large", variant: "batch", calls: 1, amount: "60000" },
      ],
      peak: { calls: 4, amount: "23505001" },
      end: { spent: "23265001" },
    });
  });

  test("lists the models where there are several", async () => {
    const rows = ["2026-01-31 00:00:00,,5", "2026-01-31 00:00:01,acme/tiny,5"];
    const { stdout } = await simulateLog(["TIMESTAMP,model,input", ...rows]);
    expect(stdout).toMatch(/\nPriced as 2 models\./);
    expect(stdout).toMatch(/all cost +acme\/large: 1 call, \$0.0000\n +acme\/tiny: 1 call, /);
  });

  const ROW = "2026-01-31 00:00:00";
  test.each([
    [["TIMESTAMP,input", `${ROW},1`], ["--model", "acme/none"], /^baseledger: acme\/none has no/],
    [
      ["TIMESTAMP,input", `${ROW},1`],
      ["--model", "acme/none"],
      /--model, or set its price in this/,
    ],
    [["TIMESTAMP,input", `${ROW},1`], ["--variant", "flex"], /: acme\/large \(flex\) has no price/],
    [
      ["TIMESTAMP,model,input", `${ROW},,1`, `${ROW},acme/none,1`],
      [],
      /log\.csv, line 3: acme\/none has no price\. Set its price in this database: baseledger/,
    ],
    [
      ["TIMESTAMP,input,latency", `${ROW},1,`, "", `${ROW},2,0`],
      [],
      /log\.csv, line 4: acme\/large has no price for latency\. Leave the cell empty/,
    ],
    [["TIMESTAMP,input", `${ROW},1`], ["--model", "acme/euro"], /is priced in EUR, not in USD/],
    [["TIMESTAMP,input", `${ROW},1`], ["--model", "large"], /usage/],
  ])("%j with %j exits with 2, and says what to do", async (lines, args, message) => {
    const { code, stdout, stderr } = await simulateLog(lines, ...args);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  test("starts a server with the list prices where no database is named", async () => {
    const path = join(dir, "list.csv");
    writeFileSync(path, `TIMESTAMP,ContextTokens,GeneratedTokens\n${ROW},1000000,100000\n`);
    const args = ["simulate", "--trace", path, "--credit", "5", "--model", "openai/gpt-4o"];
    const { code, stdout, stderr } = await baseledger(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    // $2.50 and $10 a million.
    expect(stdout).toMatch(/granted +1 call, \$3\.5000 spent/);
    const unknown = await baseledger(args.with(-1, "acme/large"));
    expect(unknown.stderr).toMatch(/acme\/large has no price.* a database of yours .* --url/);
    expect(unknown.code).toBe(2);
  });

  test.each([
    [["--trace", "x.csv"], /required option '--credit <dollars>'/],
    [["--credit", "5"], /required option '--trace <file>'/],
    [["--trace", "/nowhere.csv", "--credit", "5"], /nowhere\.csv: ENOENT/],
    [["--trace", "x.csv", "--credit", "5", "--url", "x"], /--url is not an address/],
    [["--trace", "x.csv", "--credit", "5", "--ttl", "0"], /--ttl.*above 0/],
    [["--trace", "x.csv", "--credit", "five"], /--credit.*not an amount of dollars/],
  ])("%j exits with 2", async (args, message) => {
    const { code, stdout, stderr } = await baseledger(["simulate", ...args]);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });
});
