// How the program of the proof ends: its last line names the report, and no server is left running.
import { setTimeout as pause } from "node:timers/promises";
import { inspect } from "node:util";
import { EXIT, printError, trusted } from "../../src/terminal/index.ts";
import type { Report } from "./report.ts";
import { stopServers } from "./servers.ts";

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
/** Two signals within this time are one Ctrl-C, which the terminal sends and npm forwards. */
const SAME_MS = 500;
/** How long servers may take to stop; watchdogs end the rest. */
const CLEAN_UP_MS = 30_000;

/** What the program runs. */
export interface Work {
  readonly report: Report;
  /** Returns the exit code; `stop` aborts when somebody asks for an early end. */
  run(stop: AbortSignal): Promise<number>;
}

/**
 * Runs `work`, and ends the program when it is done, at the second signal, or at an uncaught error.
 * The last line of the output is the name of the report, if there is one.
 */
export function runAndExit({ report, run }: Work): void {
  const stop = new AbortController();
  let isEnding = false;

  const end = (code: number) => {
    if (!isEnding) void leave(report, code);
    isEnding = true;
  };
  let first: { readonly signal: string; readonly at: number } | undefined;
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      const at = performance.now();
      first ??= { signal, at };
      if (!stop.signal.aborted) return stop.abort();
      if (signal === first.signal && at - first.at < SAME_MS) return;
      report.end(`The run was ended by a second signal, ${signal}.`);
      end(code);
    });
  }
  const fail = (error: unknown) => {
    report.find("the proof itself", `an uncaught error: ${inspect(error)}`);
    report.end("The run was ended by an uncaught error.");
    printError(trusted(`the proof itself: ${inspect(error)}`));
    end(EXIT.refused);
  };
  process.on("uncaughtException", fail);
  // Keeps the program running: a part that waits for nothing must hang visibly, not end as if done.
  setInterval(() => undefined, 60_000);
  // The reader of the output may go away; the report is in its file.
  process.stdout.on("error", () => undefined);
  process.stderr.on("error", () => undefined);
  run(stop.signal).then(end, fail);
}

async function leave(report: Report, code: number): Promise<void> {
  await Promise.race([stopServers(), pause(CLEAN_UP_MS)]);
  if (report.path !== undefined) await printLast(report.path);
  process.exit(code);
}

/** Prints to the standard output, or to the standard error if that is closed. */
async function printLast(line: string): Promise<void> {
  const print = (stream: NodeJS.WriteStream) =>
    new Promise<boolean>((resolve) => {
      stream.write(`${line}\n`, (error) => resolve(!error));
    });
  if (!(await print(process.stdout))) await print(process.stderr);
}
