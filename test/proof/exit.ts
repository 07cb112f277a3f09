// How the program of the proof ends: always with the report's name, never with a server left behind.

import { setTimeout as pause } from "node:timers/promises";
import { inspect } from "node:util";
import { EXIT } from "../../src/cli/failure.ts";
import { printError } from "../../src/cli/output.ts";
import { ours } from "../../src/cli/shown.ts";
import type { Report } from "./report.ts";
import { stopServers } from "./servers.ts";

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
/** At Ctrl-C the terminal sends the signal, and npm hands on the one that it gets. */
const SAME_MS = 500;
/** How long servers may take to stop; what is left is ended by their watchdogs. */
const CLEAR_UP_MS = 30_000;

/** What goes on, and ends the program when it does. */
export interface Work {
  readonly report: Report;
  /** Does it; `asked` aborts when somebody asks for an early end. Gives the exit code. */
  run(asked: AbortSignal): Promise<number>;
}

/**
 * Runs `work`, and ends the program after it: by itself, by the second signal, or by an error that
 * nobody has caught. The last line of the output is the name of the report, if there is one.
 */
export function runToTheEnd({ report, run }: Work): void {
  const asked = new AbortController();
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
      if (!asked.signal.aborted) return asked.abort();
      if (signal === first.signal && at - first.at < SAME_MS) return;
      report.end(`The run was ended by a second signal, ${signal}.`);
      end(code);
    });
  }
  const fail = (error: unknown) => {
    report.find("the proof itself", `an error that nobody has caught: ${inspect(error)}`);
    report.end("The run was ended by an error that nobody has caught.");
    printError(ours(`the proof itself: ${inspect(error)}`));
    end(EXIT.refused);
  };
  process.on("uncaughtException", fail);
  // What waits for nothing that could come must be seen to hang, and not end as if all was done.
  setInterval(() => undefined, 60_000);
  // Who reads the output may go away; the report is in its file.
  process.stdout.on("error", () => undefined);
  process.stderr.on("error", () => undefined);
  run(asked.signal).then(end, fail);
}

async function leave(report: Report, code: number): Promise<void> {
  await Promise.race([stopServers(), pause(CLEAR_UP_MS)]);
  if (report.path !== undefined) await printLast(report.path);
  process.exit(code);
}

/** On the standard output, or where that has gone away, where errors are told. */
async function printLast(line: string): Promise<void> {
  const print = (stream: NodeJS.WriteStream) =>
    new Promise<boolean>((resolve) => {
      stream.write(`${line}\n`, (error) => resolve(!error));
    });
  if (!(await print(process.stdout))) await print(process.stderr);
}
