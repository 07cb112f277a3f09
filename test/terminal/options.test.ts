import { InvalidArgumentError } from "commander";
import { describe, expect, test } from "vitest";
import {
  decimalNumber,
  optionParser,
  positiveNumber,
  wholeNumber,
} from "../../src/terminal/options.ts";

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
