import { Presets, SingleBar } from "cli-progress";
import type { BenchProgress } from "../bench/bench.ts";

/** A bar on a terminal, a line for each step elsewhere. */
export function createBenchProgress(out: NodeJS.WriteStream): BenchProgress {
  return out.isTTY ? createBar(out) : createLines(out);
}

function createLines(out: NodeJS.WriteStream): BenchProgress {
  let total = 0;
  let done = 0;
  let doing = "";
  return {
    start: (steps) => {
      total = steps;
    },
    begin: (what) => {
      doing = what;
    },
    end: (result) => {
      done += 1;
      out.write(`${String(done).padStart(4)} of ${total}  ${doing}: ${result}\n`);
    },
    stop: () => undefined,
  };
}

function createBar(out: NodeJS.WriteStream): BenchProgress {
  const bar = new SingleBar(
    {
      stream: out,
      hideCursor: true,
      clearOnComplete: true,
      barsize: 24,
      fps: 10,
      // Ctrl-C is for the command to handle, which stops this bar, too.
      gracefulExit: false,
      format: "{bar} {percentage} %, {duration_formatted}  {doing} {last}",
    },
    Presets.shades_classic,
  );
  let ticking: NodeJS.Timeout | undefined;
  return {
    start: (steps) => {
      bar.start(steps, 0, { doing: "", last: "" });
      // A step may take long: the clock goes on.
      ticking = setInterval(() => bar.updateETA(), 200);
      ticking.unref();
    },
    begin: (doing) => bar.update({ doing }),
    end: (last) => bar.increment({ last: `(last: ${last})` }),
    stop: () => {
      clearInterval(ticking);
      bar.stop();
    },
  };
}
