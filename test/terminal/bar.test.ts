import { expect, test } from "vitest";
import { drawBar, fundsBar, progressBar } from "../../src/terminal/bar.ts";
import { terminalText } from "../../src/terminal/safe-text.ts";
import { createStream } from "./stream.ts";

const { stream } = createStream({ isTTY: false });
const draw = (parts: ReturnType<typeof fundsBar>, width = 10) =>
  terminalText(drawBar(parts, width, stream));

test.each([
  [fundsBar(3n, 2n, 5n), "███▒▒░░░░░"],
  [fundsBar(0n, 0n, 0n), "░░░░░░░░░░"],
  [fundsBar(5n, 5n, -3n), "█████▒▒▒▒▒"],
  [fundsBar(10n ** 30n, 1n, 1n), "██████████"],
  [fundsBar(55n, 55n, 0n), "█████▒▒▒▒▒"],
  [progressBar(0, 7), "░░░░░░░░░░"],
  [progressBar(7, 7), "██████████"],
  [progressBar(8, 7), "██████████"],
  [progressBar(1, 2), "█████░░░░░"],
])("case %#", (parts, expected) => expect(draw(parts)).toBe(expected));

test("has exactly its width, however the shares are rounded", () => {
  for (let width = 1; width <= 40; width += 1) {
    expect(draw(fundsBar(1n, 1n, 1n), width)).toHaveLength(width);
  }
});

test("has colours on a terminal", () => {
  const terminal = createStream({ isTTY: true });
  const text = terminalText(drawBar(progressBar(1, 2), 2, terminal.stream));
  expect(text).toBe("\u001b[36m█\u001b[39m\u001b[90m░\u001b[39m");
});
