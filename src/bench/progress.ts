import {
  createProgress,
  drawBar,
  formatSeconds,
  progressBar,
  type SafeText,
  text,
  trusted,
} from "../terminal/index.ts";

/** Receives how far the bench is. */
export interface BenchProgress {
  /** There will be so many steps in all. */
  start(steps: number): void;
  /** A step begins. */
  begin(what: string): void;
  /** The step has ended with this result. */
  end(result: string): void;
  stop(): void;
}

const BAR_WIDTH = 24;

/** A bar on a terminal, a line for each step elsewhere. */
export async function createBenchProgress(out: NodeJS.WriteStream): Promise<BenchProgress> {
  let total = 0;
  let done = 0;
  let doing = "";
  let last: SafeText | string = "";
  const bar = (seconds: number): SafeText => {
    const drawn = drawBar(progressBar(done, total), BAR_WIDTH, out);
    const percent = total > 0 ? Math.floor((100 * done) / total) : 0;
    return text`${drawn} ${percent} %, ${formatSeconds(seconds)}  ${doing}  ${last}`;
  };
  let line: SafeText | undefined;
  const progress = await createProgress(out, {
    lines: (seconds) => [bar(seconds)],
    summary: () => line,
    everyMs: 0,
  });
  return {
    start: (steps) => {
      total = steps;
      progress.start();
    },
    begin: (what) => {
      doing = what;
    },
    end: (result) => {
      done += 1;
      last = text`(last: ${result})`;
      line = trusted(`${String(done).padStart(4)} of ${total}  ${doing}: ${result}`);
      progress.update();
    },
    stop: progress.stop,
  };
}
