import { describe, expect, test } from "vitest";
import { createProgress, drawBar, fundsBar, progressBar } from "../../src/terminal/progress.ts";
import { terminalText } from "../../src/terminal/safe-text.ts";
import { until } from "../support/until.ts";
import { createStream } from "./stream.ts";

test("on a terminal, lines are redrawn without an update, escaped, and erased at the end", async () => {
  const { stream, written } = createStream({ isTTY: true });
  let done = 0;
  const progress = await createProgress(stream, {
    lines: () => [`first ${done}`, "sec\u001b[2Jond"],
    summary: () => "never",
  });
  progress.start();
  await until("the first frame is drawn", () => written().includes("first 0"));
  done = 1;
  await until("another frame is drawn", () => written().includes("first 1"));
  progress.stop();
  progress.stop();
  const text = written();
  expect(text).toContain("sec\\x1b[2Jond");
  expect(text).not.toContain("never");
  // The cursor is hidden and shown again, and what is below it is erased.
  expect(text.indexOf("\u001b[?25l")).toBeLessThan(text.lastIndexOf("\u001b[?25h"));
});

test("elsewhere, an update prints a line, if there is one", async () => {
  const { stream, written } = createStream({ isTTY: false });
  let line: string | undefined = "one";
  const progress = await createProgress(stream, {
    lines: () => ["never"],
    summary: () => line,
    everyMs: 0,
  });
  progress.start();
  expect(written()).toBe("");
  progress.update();
  line = undefined;
  progress.update();
  line = "t\u001bwo";
  progress.update();
  progress.stop();
  await until("all is written", () => written().endsWith("wo\n"));
  expect(written()).toBe("one\nt\\x1bwo\n");
});

test("elsewhere, a line is printed every two seconds at most", async () => {
  const { stream, written } = createStream({ isTTY: false });
  const progress = await createProgress(stream, { lines: () => [], summary: () => "line" });
  progress.start();
  for (let i = 0; i < 100; i += 1) progress.update();
  progress.stop();
  stream.end("the end");
  await until("all is written", () => written().includes("the end"));
  expect(written()).toBe("the end");
});

describe("a bar", () => {
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
});
