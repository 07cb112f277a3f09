import { describe, expect, test } from "vitest";
import {
  joined,
  printable,
  printableJson,
  terminalText,
  text,
  trusted,
  visible,
} from "../../src/terminal/safe-text.ts";
import { renderTable } from "../../src/terminal/table.ts";

describe("a value is shown in one line in which all can be seen", () => {
  test.each([
    ["\u001b[2K\r\u0007", String.raw`\x1b[2K\r\x07`],
    ["two\nlines\tand a tab", String.raw`two\nlines\tand a tab`],
    ["\u007f\u009b31m", String.raw`\x7f\x9b31m`],
    ["\u202eright to left\u2069", String.raw`\u{202e}right to left\u{2069}`],
    ["a\u200bb\ufeffc\u2028d", String.raw`a\u{200b}b\u{feff}c\u{2028}d`],
    ["\u{e0041}\u3164\u2800", String.raw`\u{e0041}\u{3164}\u{2800}`],
    ["a\u00a0b", String.raw`a\xa0b`],
    [" a  b ", String.raw`\x20a \x20b\x20`],
    ["\u0301a", String.raw`\u{301}a`],
    ["plain, é, e\u0301, 日本, 👩, C:\\temp", "plain, é, e\u0301, 日本, 👩, C:\\temp"],
  ])("%j", (value, shown) => expect(visible(value)).toBe(shown));
});

test("in a file, blanks stay as they are", () => {
  expect(printable(" a  b\u00a0c\u001b\n")).toBe(String.raw` a  b${"\u00a0"}c\x1b\n`);
});

test("JSON says the same with nothing unprintable in it", () => {
  const value = { "k\u009b": ["\u202e\u200b\u{e0041}", "\u001b\n\u007f", "日本"] };
  const json = printableJson(JSON.stringify(value, null, 2));
  expect(JSON.parse(json)).toEqual(value);
  expect(json).toMatch(/^[\n -~日本]*$/);
});

test("what a line is made of is escaped, what stands in the source is not", () => {
  const line = text`\u001b[1m${"\u001b[2K"}${trusted("\u001b[0m")}, ${17n}`;
  expect(terminalText(line)).toBe("\u001b[1m\\x1b[2K\u001b[0m, 17");
  expect(terminalText(joined([line, "a\nb"]))).toBe("\u001b[1m\\x1b[2K\u001b[0m, 17\na\\nb");
  expect(terminalText("a\nb")).toBe("a\\nb");
});

test("columns stay straight whatever is in them", () => {
  const table = renderTable(
    [
      { name: "key", alignment: "left" },
      { name: "n", alignment: "right" },
    ],
    [
      { key: "日本語", n: "1" },
      { key: "e\u0301", n: "22" },
      { key: "a\nb", n: "3" },
    ],
  );
  expect(terminalText(table).split("\n")).toEqual([
    "────────────",
    " key      n",
    "────────────",
    " 日本語   1",
    " e\u0301       22",
    " a\\nb     3",
    "────────────",
  ]);
});
