import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatAmount, parseAmount } from "../../src/amounts/index.ts";

describe("parseAmount", () => {
  test.each([
    ["12.34", 9, 12_340_000_000n],
    ["12.34", 2, 1234n],
    ["0", 9, 0n],
    ["-0.000000001", 9, -1n],
    ["007.5", 1, 75n],
    ["1.500", 1, 15n],
    ["250000", 0, 250_000n],
    ["9223372036.854775807", 9, 9_223_372_036_854_775_807n],
    ["0.1", 18, 100_000_000_000_000_000n],
  ])("reads %s at scale %i", (text, scale, amount) => {
    expect(parseAmount(text, scale)).toBe(amount);
  });

  test.each([
    ["", /not an amount/],
    [" 1", /not an amount/],
    ["1,000.00", /not an amount/],
    ["1e3", /not an amount/],
    [".5", /not an amount/],
    ["5.", /not an amount/],
    ["+5", /not an amount/],
    ["$5", /not an amount/],
    ["0x10", /not an amount/],
    ["٣", /not an amount/],
    ["NaN", /not an amount/],
    ["1.234", /at most 2 decimals/],
    ["92233720368547758.08", /64 bits/],
  ])("refuses %j at scale 2", (text, message) => {
    expect(() => parseAmount(text, 2)).toThrow(RangeError);
    expect(() => parseAmount(text, 2)).toThrow(message);
  });

  test("refuses a number, which may be rounded already", () => {
    expect(() => parseAmount(0.1 as never, 9)).toThrow(TypeError);
  });

  test.each([-1, 19, 0.5, Number.NaN])("refuses a scale of %d", (scale) => {
    expect(() => parseAmount("1", scale)).toThrow(RangeError);
    expect(() => formatAmount(1n, scale)).toThrow(RangeError);
  });
});

describe("formatAmount", () => {
  test.each([
    [12_340_000_000n, 9, "12.34"],
    [12_000_000_000n, 9, "12.00"],
    [12_300_000_000n, 9, "12.30"],
    [-1n, 9, "-0.000000001"],
    [0n, 2, "0.00"],
    [15n, 1, "1.5"],
    [250_000n, 0, "250000"],
    [-(2n ** 63n), 18, "-9.223372036854775808"],
  ])("writes %d at scale %i as %s", (amount, scale, text) => {
    expect(formatAmount(amount, scale)).toBe(text);
  });

  test("rounds half away from zero where so many decimals are asked for", () => {
    const format = (amount: bigint, decimals: number) => formatAmount(amount, 3, { decimals });
    expect(format(1_234_565n, 2)).toBe("1234.57");
    expect(format(-1_234_565n, 2)).toBe("-1234.57");
    expect(format(1_234_564n, 2)).toBe("1234.56");
    expect(format(999_500n, 0)).toBe("1000");
    expect(format(-4n, 2)).toBe("0.00");
    expect(format(1n, 6)).toBe("0.001000");
  });

  test("groups thousands where asked to", () => {
    expect(formatAmount(-1_234_567_890n, 2, { grouping: true })).toBe("-12,345,678.90");
    expect(formatAmount(99_999n, 2, { grouping: true })).toBe("999.99");
  });

  test("what is written is read back as it was", () => {
    const amounts = fc.bigInt({ min: -(2n ** 63n) + 1n, max: 2n ** 63n - 1n });
    fc.assert(
      fc.property(amounts, fc.integer({ min: 0, max: 18 }), (amount, scale) => {
        expect(parseAmount(formatAmount(amount, scale), scale)).toBe(amount);
        expect(parseAmount(formatAmount(amount, scale, { decimals: scale }), scale)).toBe(amount);
      }),
    );
  });
});
