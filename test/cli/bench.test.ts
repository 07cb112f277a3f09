import { expect, test } from "vitest";
import { baseledger } from "../support/cli.ts";

test("bench measures each workload beside the naive statement, and leaves a sound ledger", async () => {
  const args = ["bench", "--rounds", "1", "--seconds", "1", "--wallets", "20", "--json"];
  const { code, stdout } = await baseledger(args);
  const { results, discrepancies } = JSON.parse(stdout) as {
    results: { workload: string; naive: number; rate: number; ratio: { median: number } }[];
    discrepancies: number;
  };
  expect(results.map(({ workload }) => workload)).toEqual([
    "batches, spread",
    "batches, hot",
    "client, hot",
  ]);
  for (const { naive, rate, ratio } of results) {
    expect(naive).toBeGreaterThan(0);
    expect(ratio.median).toBeCloseTo(rate / naive);
  }
  expect(discrepancies).toBe(0);
  expect(code).toBe(0);
});

test("bench refuses what is no number of rounds", async () => {
  expect((await baseledger(["bench", "--rounds", "0"])).code).toBe(2);
});
