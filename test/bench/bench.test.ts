import { describe, expect, test } from "vitest";
import { type BenchResult, GOALS, type Outcome } from "../../src/bench/index.ts";
import { baseledger } from "../support/cli.ts";

const TINY = ["--rounds", "1", "--seconds", "0.1", "--wallets", "20"];

async function bench(...args: string[]): Promise<{ code: number | null; result: BenchResult }> {
  const { code, stdout } = await baseledger(["bench", ...args, "--json"]);
  return { code, result: JSON.parse(stdout) as BenchResult };
}

function isMet({ bound, measured }: Outcome): boolean {
  const { median } = measured ?? expect.fail("not measured");
  return "atLeast" in bound ? median >= bound.atLeast : median <= bound.atMost;
}

test("a quick bench holds every goal against what it has measured in a sound ledger", async () => {
  const args = ["--quick", ...TINY, "--reservations", "100", "--growth", "0.01"];
  const { code, result } = await bench(...args);
  expect(result.discrepancies).toBe(0);
  expect(code).toBe(0);
  expect(result.goals.map(({ id }) => id)).toEqual(GOALS.map(({ id }) => id));
  for (const goal of result.goals) {
    expect(goal.measured?.median, goal.measure).toBeGreaterThan(0);
    expect(goal.met, goal.measure).toBe(isMet(goal));
  }
  for (const { name, cpu, naiveCpu } of result.workloads) {
    for (const { server, client } of [cpu, naiveCpu]) {
      expect(client.median, name).toBeGreaterThan(0);
      if (process.platform === "linux") expect(server?.median, name).toBeGreaterThan(0);
      else expect(server, name).toBeNull();
    }
  }
  // It takes most of a minute, and longer where others work.
}, 240_000);

describe("bench refuses", () => {
  test.each([
    ["no rounds", "--rounds", "0"],
    ["no time", "--seconds", "0"],
    ["an unknown part", "--only", "nothing"],
    ["a ledger too large", "--growth", "1001"],
    ["what is no number", "--reservations", "many"],
    ["a trace that is not there", "--trace", "nowhere.csv"],
  ])("%s", async (_what, ...args) => {
    const { code, stderr } = await baseledger(["bench", ...args]);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(code).toBe(2);
  });
});
