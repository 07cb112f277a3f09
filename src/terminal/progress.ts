import type { MultiBar } from "cli-progress";
import { joined, type SafeText, styled, terminalText } from "./safe-text.ts";

/** What a progress shows, given the seconds since its start. */
export interface ProgressView {
  /** On a terminal: its lines, redrawn ten times a second. Their number must not change. */
  readonly lines: (seconds: number) => readonly (SafeText | string)[];
  /** Elsewhere: the line after an update; undefined for none. */
  readonly summary: (seconds: number) => SafeText | string | undefined;
  /** The least time between two summaries; without it two seconds. */
  readonly everyMs?: number;
  /** Whether the lines stay on the terminal after the end. */
  readonly stays?: boolean;
}

/** A display of how far something is. */
export interface Progress {
  start(): void;
  /** The state that the view shows has changed. */
  update(): void;
  /** May be called more than once. */
  stop(): void;
}

/** Shows progress on a terminal in place, and elsewhere by a line now and then. */
export async function createProgress(
  out: NodeJS.WriteStream,
  view: ProgressView,
): Promise<Progress> {
  return out.isTTY ? createLiveLines(out, view) : createSummaries(out, view);
}

/** Shows nothing. */
export const noProgress: Progress = {
  start: () => undefined,
  update: () => undefined,
  stop: () => undefined,
};

const SUMMARY_EVERY_MS = 2_000;

function createSummaries(
  out: NodeJS.WriteStream,
  { summary, everyMs = SUMMARY_EVERY_MS }: ProgressView,
): Progress {
  let began = 0;
  let printed = 0;
  return {
    start: () => {
      began = performance.now();
      printed = began;
    },
    update: () => {
      const now = performance.now();
      if (now - printed < everyMs) return;
      const line = summary((now - began) / 1000);
      if (line === undefined) return;
      printed = now;
      out.write(`${terminalText(line)}\n`);
    },
    stop: () => undefined,
  };
}

async function createLiveLines(
  out: NodeJS.WriteStream,
  { lines, stays = false }: ProgressView,
): Promise<Progress> {
  // Loaded only here: it is slow to load, and most commands show no progress.
  const { MultiBar, Presets } = await import("cli-progress");
  let bars: MultiBar | undefined;
  return {
    start: () => {
      const began = performance.now();
      const draw = () => lines((performance.now() - began) / 1000).map(terminalText);
      let drawn = draw();
      bars = new MultiBar(
        {
          stream: out,
          hideCursor: true,
          clearOnComplete: !stays,
          fps: 10,
          // Ctrl-C is for the command to handle, which stops these lines, too.
          gracefulExit: false,
          format: (_options, _params, { line }: { readonly line: number }) => {
            // The first line of a frame computes them all.
            if (line === 0) drawn = draw();
            return drawn[line] ?? "";
          },
        },
        Presets.shades_classic,
      );
      for (const line of drawn.keys()) bars.create(1, 0, { line });
    },
    update: () => undefined,
    stop: () => {
      bars?.stop();
      bars = undefined;
    },
  };
}

/** A part of a bar: its share of the total, and what its cells look like. */
export interface BarPart {
  readonly amount: bigint;
  readonly cell: string;
  readonly color: Parameters<typeof styled>[0];
}

/** How a bar shows money that is gone, held and free; a negative amount counts as none. */
export function fundsBar(spent: bigint, reserved: bigint, available: bigint): readonly BarPart[] {
  return [
    { amount: spent, cell: "█", color: "green" },
    { amount: reserved, cell: "▒", color: "yellow" },
    { amount: available, cell: "░", color: "gray" },
  ];
}

/** How a bar shows progress. */
export function progressBar(done: number, total: number): readonly BarPart[] {
  return [
    { amount: BigInt(done), cell: "█", color: "cyan" },
    { amount: BigInt(Math.max(total - done, 0)), cell: "░", color: "gray" },
  ];
}

/** Draws a bar of exactly `width` cells; the last part has what the others leave. */
export function drawBar(
  parts: readonly BarPart[],
  width: number,
  stream: NodeJS.WriteStream,
): SafeText {
  const amounts = parts.map(({ amount }) => (amount > 0n ? amount : 0n));
  const total = amounts.reduce((sum, amount) => sum + amount, 0n);
  let left = width;
  const drawn = parts.map(({ cell, color }, i) => {
    const share = total > 0n ? ((amounts[i] ?? 0n) * BigInt(width) + total / 2n) / total : 0n;
    const cells = i === parts.length - 1 ? left : Math.min(Number(share), left);
    left -= cells;
    return styled(color, cell.repeat(cells), stream);
  });
  return joined(drawn, "");
}
