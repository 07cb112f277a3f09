import { setTimeout as delay } from "node:timers/promises";
import { joined, styled, terminalText, text, trusted } from "../terminal/index.ts";
import { failureOf } from "./failure.ts";
import { drawFrame, roomFor } from "./top-frame.ts";
import type { Sample } from "./top-sample.ts";
import type { Screen } from "./top-wallets.ts";

const ENTER = "\u001b[?1049h\u001b[?25l\u001b[?7l";
const LEAVE = "\u001b[?7h\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_REST = "\u001b[J";
const CTRL_C = "\u0003";
/** Between two samples, top waits so many times as long as the last one took. */
const REST = 9;

/** Shows samples on the terminal, one after the other, until q or Ctrl-C. */
export async function showLive(
  look: (room: number) => Promise<Sample>,
  intervalSeconds: number,
): Promise<void> {
  const stream = process.stdout;
  // Before the screen is taken, so that an error at the start is printed where it can be read.
  let shown = await look(roomFor(screenOf(stream)));
  const ending = new AbortController();
  let trouble: string | undefined;
  const draw = (): void => write(stream, shown, trouble);
  const restore = takeScreen(stream, () => ending.abort(), draw);
  try {
    let took = 0;
    while (!ending.signal.aborted) {
      draw();
      const pause = Math.max(intervalSeconds * 1000, took * REST);
      await delay(pause, undefined, { signal: ending.signal }).catch(() => undefined);
      if (ending.signal.aborted) break;
      const began = performance.now();
      const sampled = look(roomFor(screenOf(stream)));
      // Leaving does not wait for the answer.
      await Promise.race([sampled, untilAborted(ending.signal)]).then(
        (sample) => {
          shown = sample ?? shown;
          trouble = undefined;
        },
        (error: unknown) => {
          trouble = failureOf(error)?.line;
        },
      );
      sampled.catch(() => undefined);
      took = performance.now() - began;
    }
  } finally {
    restore();
  }
}

function untilAborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}

function screenOf(stream: NodeJS.WriteStream): Screen {
  return { columns: stream.columns || 80, rows: stream.rows || 24, stream };
}

function write(stream: NodeJS.WriteStream, sample: Sample, trouble: string | undefined): void {
  const screen = screenOf(stream);
  const lines = drawFrame(sample, screen).slice(0, screen.rows - 2);
  const foot = trouble
    ? styled("red", text`as of then; since: ${trouble}`, stream)
    : styled("gray", "q ends", stream);
  const frame = joined([...lines, trusted(""), foot], `\n${CLEAR_LINE}`);
  stream.write(`${HOME}${CLEAR_LINE}${terminalText(frame)}${CLEAR_REST}`);
}

/** Takes over the terminal until the result is called, which restores it. */
function takeScreen(stream: NodeJS.WriteStream, end: () => void, draw: () => void): () => void {
  const { stdin } = process;
  const onKey = (keys: Buffer): void => {
    if (/[qQ]/.test(keys.toString()) || keys.includes(CTRL_C)) end();
  };
  const giveBack = (): void => void stream.write(LEAVE);
  stream.write(ENTER);
  // Restored however the program ends.
  process.on("exit", giveBack);
  process.on("SIGINT", end);
  process.on("SIGTERM", end);
  stream.on("resize", draw);
  if (stdin.isTTY) stdin.setRawMode(true).on("data", onKey).resume();
  return () => {
    if (stdin.isTTY) stdin.setRawMode(false).off("data", onKey).pause();
    stream.off("resize", draw);
    process.off("SIGTERM", end);
    process.off("SIGINT", end);
    process.off("exit", giveBack);
    giveBack();
  };
}
