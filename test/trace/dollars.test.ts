import { expect, test } from "vitest";
import { formatDollars, parseDollars } from "../../src/trace/dollars.ts";

test.each([
  ["12.50", 12_500_000_000n],
  ["$1", 1_000_000_000n],
  ["0.000000001", 1n],
])("%s is an amount of dollars", (text, nano) => {
  expect(parseDollars(text)).toBe(nano);
});

test.each(["0.0000000001", "-1", "1.", "abc", ""])("%j is not an amount of dollars", (text) => {
  expect(() => parseDollars(text)).toThrow(/is not an amount of dollars/);
});

test.each([
  [0n, 4, "$0.0000"],
  [1_234_567_890_123n, 2, "$1,234.57"],
  [-12_345_678n, 4, "-$0.0123"],
  [-1n, 4, "$0.0000"],
  [50_000n, 4, "$0.0001"],
  [49_999n, 4, "$0.0000"],
  [1_500_000_000n, 0, "$2"],
])("%s nano-dollars with %s decimals are shown as %s", (nano, decimals, shown) => {
  expect(formatDollars(nano, decimals)).toBe(shown);
});
