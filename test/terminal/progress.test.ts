import { expect, test } from "vitest";
import { createProgress } from "../../src/terminal/progress.ts";
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
