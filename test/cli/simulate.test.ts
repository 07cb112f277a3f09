import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { baseledger } from "../support/cli.ts";

let dir: string;
let trace: string;

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
const ASSUMED = ["--price-in", "1", "--price-out", "2", "--max-output", "50"].concat([
  "--tokens-per-second",
  "10",
  "--ttl",
  "3",
]);

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "simulate-"));
  trace = join(dir, "calls.csv");
  const rows = CALLS.map((call) => `2026-01-31 ${call}`);
  writeFileSync(trace, ["TIMESTAMP,ContextTokens,GeneratedTokens", ...rows, ""].join("\n"));
});
afterAll(() => rmSync(dir, { recursive: true }));

const simulate = (...args: string[]) =>
  baseledger(["simulate", "--trace", trace, ...ASSUMED, ...args]);

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
      sufficientCredit: "800000",
      assumptions: {
        price: { input: "1000", output: "2000" },
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
    expect(stdout).toMatch(/┤aaa[\s\S]*rrr[\s\S]*a available {3}s spent {3}r reserved/);
    expect(stdout).toMatch(/refused +1 call, \$0\.0003 not spent\n +the first +call 3 at/);
    expect(stdout).not.toContain("\u001b");
  });

  test.each([
    [["--trace", "x.csv"], /required option '--credit <dollars>'/],
    [["--credit", "5"], /required option '--trace <file>'/],
    [["--trace", "/nowhere.csv", "--credit", "5"], /nowhere\.csv: ENOENT/],
    [["--trace", "x.csv", "--credit", "5", "--ttl", "0"], /--ttl.*above 0/],
    [["--trace", "x.csv", "--credit", "five"], /--credit.*not an amount of dollars/],
  ])("%j exits with 2", async (args, message) => {
    const { code, stdout, stderr } = await baseledger(["simulate", ...args]);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });
});
