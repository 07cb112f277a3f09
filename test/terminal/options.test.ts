import { InvalidArgumentError } from "commander";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  decimalNumber,
  optionParser,
  parseDuration,
  positiveNumber,
  wholeNumber,
} from "../../src/terminal/options.ts";
import { createLedger, type TestLedger } from "../support/ledger.ts";

describe("a number", () => {
  test.each([
    [wholeNumber(1, 10), "10", 10],
    [wholeNumber(0, 2 ** 32), "0", 0],
    [decimalNumber(0.1, 600), "0.1", 0.1],
    [decimalNumber(0.1, 600), "600", 600],
    [positiveNumber(), "0.001", 0.001],
    [positiveNumber(), "999999999.999", 999_999_999.999],
  ])("is parsed: case %#", (parse, text, value) => expect(parse(text)).toBe(value));

  test.each([
    [wholeNumber(1, 10), ["0", "11", "1.5", "-1", "", "x", "1e1"], "a whole number from 1 to 10."],
    [
      decimalNumber(0.1, 600),
      ["0.09", "600.1", "1.2345", ".5", "1e1"],
      "a number from 0.1 to 600.",
    ],
    [positiveNumber(), ["0", "-1", "0.0001", "1000000000", "∞"], "a number above 0."],
  ])("is refused: case %#", (parse, texts, message) => {
    for (const text of texts) expect(() => parse(text)).toThrow(`It is not ${message}`);
  });
});

test("an error of a parser is one of usage", () => {
  const parse = optionParser(() => {
    throw new RangeError("wrong");
  });
  expect(() => parse("x")).toThrow(new InvalidArgumentError("wrong"));
});

describe("a duration", () => {
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
});
