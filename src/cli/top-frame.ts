import { type SafeText, trusted } from "../terminal/index.ts";
import { drawHead, HEAD_LINES } from "./top-head.ts";
import type { Screen } from "./top-screen.ts";
import { drawWallets } from "./top-wallets.ts";
import type { Sample } from "./views.ts";

/** Lines that are neither head nor wallet: a blank, the titles, and two of the foot. */
const LINES_BESIDES = 4;

/** How many wallets a screen has room for. */
export function roomFor({ rows }: Pick<Screen, "rows">): number {
  return Math.max(rows - LINES_BESIDES - HEAD_LINES, 3);
}

/** Draws a sample as the lines of a frame. */
export function drawFrame(sample: Sample, screen: Screen): SafeText[] {
  return [
    ...drawHead(sample, screen),
    trusted(""),
    ...drawWallets(sample.top, sample.windowSeconds, screen),
  ];
}
