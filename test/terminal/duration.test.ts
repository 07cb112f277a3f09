import { afterAll, beforeAll, expect, test } from "vitest";
import { parseDuration } from "../../src/terminal/duration.ts";
import { createLedger, type TestLedger } from "../support/ledger.ts";

let ledger: TestLedger;

beforeAll(async () => {
  ledger = await createLedger();
});

afterAll(() => ledger[Symbol.asyncDispose]());

test.each([
  ["90", 90],
  ["90s", 90],
  ["1.5", 1.5],
  ["2m", 120],
  ["2 minutes", 120],
  ["1h30m", 5_400],
  ["1 h 30 min 10 sec", 5_410],
  ["1.5h", 5_400],
  ["1 Day", 86_400],
  ["PT5M", 300],
  ["p1dt2h", 93_600],
])("%s is %d seconds", async (text, seconds) => {
  const [row] = await ledger.outsider`
    select extract(epoch from ${parseDuration(text)}::text::interval)::float8 as seconds`;
  expect(row?.seconds).toBe(seconds);
});

test.each(["", " ", "soon", "5x", "2 months", "-5", "5 5", "1:30", "P", "PT", "1e3", "m", "∞"])(
  "%j is refused",
  (text) => {
    expect(() => parseDuration(text)).toThrow(/not a time like/);
  },
);
