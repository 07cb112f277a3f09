import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { drawFrame } from "../../src/cli/top-frame.ts";
import type { Sample, SampledWallet } from "../../src/cli/top-sample.ts";
import { widthOf } from "../../src/terminal/layout.ts";
import { terminalText } from "../../src/terminal/safe-text.ts";

const wallet = (walletId: string, more: Partial<SampledWallet> = {}): SampledWallet => ({
  walletId,
  unit: "USD",
  scale: 9,
  available: "1234567890123456",
  reserved: "2500000000",
  spent: "98765432109876",
  frozen: false,
  limited: false,
  due: "1500000000",
  open: 12,
  spending: "3000000000",
  events: 40,
  ...more,
});

const top = [
  wallet("customer-of-the-north"),
  wallet("日本語の財布とその他の名前"),
  wallet("debt", { available: "-1", spent: "123", frozen: true }),
  wallet("tokens", { unit: "tokens", scale: 0, available: "9223372036854775807", due: "0" }),
];
const { walletId: _, frozen, limited, due, open, ...sums } = wallet("");
const sample: Sample = {
  at: "2026-01-31T12:00:00Z",
  windowSeconds: 10,
  wallets: 4,
  events: 1_234_567,
  open: 48,
  sweepLagSeconds: 1.25,
  walletsAhead: 4,
  ahead: [
    { walletId: "customer-of-the-north", bySeconds: 93_600 },
    { walletId: "evil\u001b[2K", bySeconds: 5_400 },
    { walletId: "c", bySeconds: 1.25 },
  ],
  units: [{ ...sums, wallets: 3, due, dueWallets: 3 }],
  top,
  limits: [],
};
// No terminal: no colours.
const stream = new PassThrough() as unknown as NodeJS.WriteStream;
const draw = (columns: number): string[] =>
  drawFrame(sample, { columns, rows: 24, stream }).map(terminalText);
const TITLES = [
  ["SPENT/MIN", "/MIN"],
  ["EVENTS/S", "EV/S"],
  ["OPEN", "OPEN"],
  ["AVAILABLE", "AVAIL"],
  ["RESERVED", "HELD"],
  ["SPENT", "SPENT"],
  ["DUE", "DUE"],
];

test.each([36, 40, 50, 60, 70, 80, 100, 132, 200])(
  "%i columns are kept, and nothing is lost in silence",
  (columns) => {
    const lines = draw(columns);
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns);
    const words = lines.join(" ").split(/\s+/);
    for (const titles of TITLES) {
      expect(
        titles.some((title) => words.includes(title)),
        `${titles}`,
      ).toBe(true);
    }
    for (const fact of ["1,234,567 events", "48 open reservations", "1.25 s late", "a minute"]) {
      expect(lines.join("\n")).toContain(fact);
    }
  },
);

test("wallets ahead of the clock are named", () => {
  expect(draw(132)).toContain(
    "4 wallets ahead of the clock, customer-of-the-north by 1.1 d, " +
      String.raw`evil\x1b[2K by 1.5 h, c by 1.3 s, and 1 more`,
  );
});

describe("where there is less room", () => {
  test("amounts are short", () => {
    const lines = draw(64);
    expect(lines.slice(-5)).toEqual([
      "WALLET             /MIN  EV/S  OPEN    AVAIL  HELD  SPENT  DUE",
      "customer-of-the-…    18   4.0    12    1.23M   2.5  98.8K  1.5",
      "日本語の財布とそ…    18   4.0    12    1.23M   2.5  98.8K  1.5",
      "frozen: debt         18   4.0    12      ~-0   2.5     ~0  1.5",
      "tokens (tokens)     18B   4.0    12  9.22e18  2.5B  98.8T",
    ]);
  });

  test("a column that has none is named", () => {
    expect(draw(40)).toContain("Too narrow for: SPENT/MIN EVENTS/S OPEN");
  });
});
