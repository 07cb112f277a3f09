import { expect, test } from "vitest";
import {
  formatCount,
  formatNumber,
  formatSeconds,
  formatTime,
} from "../../src/terminal/numbers.ts";

test.each([
  [formatNumber(1_234_567), "1,234,567"],
  [formatNumber(9_007_199_254_740_993n), "9,007,199,254,740,993"],
  [formatNumber(9.876), "9.88"],
  [formatNumber(-9.876), "-9.88"],
  [formatNumber(0.5), "0.5"],
  [formatNumber(98.76), "99"],
  [formatNumber(98.76, 1), "98.8"],
  [formatNumber(1_000, 2), "1,000.00"],
  [formatCount(1, "call"), "1 call"],
  [formatCount(2_000n, "call"), "2,000 calls"],
  [formatCount(0, "discrepancy", "discrepancies"), "0 discrepancies"],
  [formatSeconds(59.1), "1 min 0 s"],
  [formatSeconds(42), "42 s"],
  [formatSeconds(185), "3 min 5 s"],
  [formatTime(Date.UTC(2026, 0, 31, 12)), "2026-01-31 12:00:00"],
  [formatTime(new Date("2026-01-31T12:00:00.999Z")), "2026-01-31 12:00:00"],
])("%s", (text, expected) => expect(text).toBe(expected));
