import { styleText } from "node:util";
import { Presets, SingleBar } from "cli-progress";
import { printError, text } from "../terminal/index.ts";
import type { LedgerSize } from "./views.ts";

/** Shows how far a verification is. */
export interface VerifyProgress {
  start(size: LedgerSize, steps: boolean): void;
  update(done: LedgerSize): void;
  /** A part is verified again. */
  again(error: Error): void;
  stop(): void;
}

/** A bar on a terminal, a line now and then elsewhere. */
export function createVerifyProgress(out: NodeJS.WriteStream): VerifyProgress {
  return out.isTTY ? createBar(out) : createLines(out);
}

const LINE_EVERY_MS = 2_000;

function createLines(out: NodeJS.WriteStream): VerifyProgress {
  let total: LedgerSize = { wallets: 0, events: 0 };
  let began = 0;
  let printed = 0;
  return {
    start: (size) => {
      total = size;
      began = performance.now();
      printed = began;
    },
    update: (done) => {
      const now = performance.now();
      if (now - printed < LINE_EVERY_MS || done.events >= total.events) return;
      printed = now;
      out.write(`${describe(done, total, (now - began) / 1000)}\n`);
    },
    again: ({ message }) => printError(text`again, as: ${message}`),
    stop: () => undefined,
  };
}

function createBar(out: NodeJS.WriteStream): VerifyProgress {
  let total: LedgerSize = { wallets: 0, events: 0 };
  let began = 0;
  let done: LedgerSize = { wallets: 0, events: 0 };
  let steps = true;
  let again = 0;
  const state = (): string => {
    const seconds = (performance.now() - began) / 1000;
    const told = tellState(seconds);
    return again > 0 ? `${told}, ${count(again)} × again` : told;
  };
  const tellState = (seconds: number): string => {
    return steps || done.events > 0
      ? describe(done, total, seconds)
      : `${count(total.events)} events of ${count(total.wallets)} wallets in one call, ` +
          `${seconds.toFixed(0)} s`;
  };
  const bar = new SingleBar(
    {
      stream: out,
      hideCursor: true,
      clearOnComplete: true,
      gracefulExit: false,
      barsize: 24,
      fps: 10,
      // One wallet may take long: the clock goes on.
      noTTYOutput: false,
      format: (options, { progress }) => {
        const filled = Math.round(progress * (options.barsize ?? 24));
        const shown =
          styleText("cyan", "█".repeat(filled), { stream: out }) +
          styleText("gray", "░".repeat((options.barsize ?? 24) - filled), { stream: out });
        return `${shown} ${state()}`;
      },
    },
    Presets.shades_classic,
  );
  let ticking: NodeJS.Timeout | undefined;
  return {
    start: (size, hasSteps) => {
      total = size;
      steps = hasSteps;
      began = performance.now();
      bar.start(Math.max(size.events, 1), 0);
      ticking = setInterval(() => bar.updateETA(), 200);
    },
    update: (size) => {
      done = size;
      bar.update(size.events);
    },
    again: () => {
      again += 1;
    },
    stop: () => {
      clearInterval(ticking);
      bar.stop();
    },
  };
}

function describe(done: LedgerSize, total: LedgerSize, seconds: number): string {
  const speed = done.events / Math.max(seconds, 0.001);
  const left = speed > 0 ? (total.events - done.events) / speed : Number.NaN;
  return (
    `${count(done.events)} of ${count(total.events)} events, ` +
    `${count(done.wallets)} of ${count(total.wallets)} wallets, ` +
    `${count(Math.round(speed))} events/s${Number.isNaN(left) ? "" : `, ${duration(left)} left`}`
  );
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
