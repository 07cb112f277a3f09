import { expect, test } from "vitest";
import { costOf, formatDollars, parseDollars, parsePrice } from "../../src/trace/pricing.ts";

test.each([
  ["2.50", 2500n],
  ["10", 10_000n],
  ["10.00", 10_000n],
  ["0.075", 75n],
  ["0.002", 2n],
  ["0", 0n],
  [" 3.1000 ", 3100n],
  ["999999999.999", 999_999_999_999n],
])("%s dollars per million tokens are %s nano-dollars a token", (text, nano) => {
  expect(parsePrice(text)).toBe(nano);
});

test.each(["0.0001", "2.5001", "0.0375"])("%s is refused: it would have to be rounded", (text) => {
  expect(() => parsePrice(text)).toThrow(/not a whole number of nano-dollars a token/);
});

test.each(["", " ", "-1", "+1", "1e3", ".5", "5.", "1,5", "0x10", "NaN", "ten", "1 2"])(
  "%j is not a price",
  (text) => {
    expect(() => parsePrice(text)).toThrow(/is not a price/);
  },
);

test("a cost is exact where floating point is not", () => {
  const price = { input: parsePrice("0.1"), output: parsePrice("0.7") };
  expect(0.1 * 3).not.toBe(0.3);
  expect(costOf(price, 3, 0)).toBe(300n);
  expect(costOf(price, 1_000_000_000, 1_000_000_000)).toBe(800_000_000_000n);
  expect(costOf({ input: 2n ** 60n, output: 1n }, 1, 1)).toBe(2n ** 60n + 1n);
});

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
