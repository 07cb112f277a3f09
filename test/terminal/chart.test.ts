import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import {
  drawChart,
  drawLegend,
  marksBetween,
  numberAxis,
  type Series,
  terminalText,
  widthOf,
} from "../../src/terminal/index.ts";

const columns = Array.from({ length: 40 }, (_, x) => x);
const series: Series[] = [
  { name: "spent", color: "green", letter: "s", points: columns.map((x) => [x, x / 10]) },
  { name: "x\u001b[2J", color: "cyan", letter: "x", points: columns.map((x) => [x, 2]) },
];
const x = numberAxis(marksBetween(0, 40), { least: 0, most: 0 });
const y = numberAxis(marksBetween(0, 4), { least: 2, most: 9, sign: "$" });
const draw = async (coloured: boolean, width = 60) =>
  terminalText(await drawChart(series, { x, y, below: "minutes" }, { width, coloured }));

test.each([true, false])("has all marks and lines, coloured: %s", async (coloured) => {
  const chart = stripVTControlCharacters(await draw(coloured));
  const marks = [...chart.matchAll(/^ *(\S+)┤/gm)].map(([, mark]) => mark);
  expect(marks).toEqual(["$4.00", "$3.20", "$2.40", "$1.60", "$0.80", "$0.00"]);
  expect(chart).toMatch(/^ *0 +8 +16 +24 +32/m);
  expect(chart.split("\n").at(-1)?.trim()).toBe("minutes");
  if (!coloured) {
    expect(chart).toContain("xxxx");
    expect(chart).toContain("ss");
  }
});

test.each([40, 60, 110])("keeps to %i columns", async (width) => {
  for (const coloured of [true, false]) {
    const lines = stripVTControlCharacters(await draw(coloured, width)).split("\n");
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(width);
  }
});

test("the legend escapes names, and has letters where there are no colours", () => {
  const plain = terminalText(drawLegend(series, { width: 60, coloured: false }));
  expect(plain).toBe(String.raw`s spent   x x\x1b[2J`);
  const coloured = terminalText(drawLegend(series, { width: 60, coloured: true }));
  expect(stripVTControlCharacters(coloured)).toBe(String.raw`━ spent   ━ x\x1b[2J`);
});
