// Processes that a part starts in order to kill them: clients with a record, and workers.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Sent } from "./history.ts";
import { readHistory } from "./history.ts";
import { waitUntil } from "./wait.ts";

/** The argument of a client process. */
export interface ClientOptions {
  readonly url: string;
  readonly file: string;
  readonly name: string;
  readonly seed: number;
  readonly wallets: readonly string[];
}

/** A process that may be killed at any time. */
export interface Killable {
  /** `kill -9`; false if the process had ended before. */
  kill(): Promise<boolean>;
}

export interface ClientProcess extends Killable {
  /** Waits until its record has a certain size. */
  untilBusy(): Promise<void>;
  /** Reads its record. */
  history(): readonly Sent[];
}

const BUSY_BYTES = 20_000;

/** Starts a process with clients, which record what they do in a file. */
export function startClient(options: ClientOptions): ClientProcess {
  const child = run([join(import.meta.dirname, "client-process.ts"), JSON.stringify(options)], {});
  const { file } = options;
  return {
    ...killable(child),
    async untilBusy() {
      await waitUntil(
        "a client process is busy",
        () => existsSync(file) && statSync(file).size > BUSY_BYTES,
      );
    },
    history: () => (existsSync(file) ? readHistory(file) : []),
  };
}

/** Starts the worker as a host would; once started, it must survive all faults. */
export async function startWorkerProcess(url: string): Promise<Killable> {
  const program = join(import.meta.dirname, "..", "..", "..", "src", "cli", "main.ts");
  const leash = pathToFileURL(join(import.meta.dirname, "end-with-input.ts")).href;
  const child = run(["--import", leash, program, "worker"], { DATABASE_URL: url });
  let output = "";
  child.stderr?.on("data", (data) => {
    output = `${output}${data}`.slice(-2000);
  });
  await waitUntil("the worker has started", () => {
    if (hasEnded(child)) throw new Error(`the worker did not start: ${output}`);
    return output.includes("expiry job started");
  });
  const { kill } = killable(child);
  return {
    async kill() {
      if (!(await kill())) throw new Error(`a worker has ended by itself: ${output}`);
      return true;
    },
  };
}

/** The running child processes of a process. */
export function childrenOf(pid: number): number[] {
  const parentOf = (child: string) => {
    try {
      // The process name, in brackets, may contain anything.
      return Number(
        readFileSync(`/proc/${child}/stat`, "utf8")
          .replace(/^.*\) \S /s, "")
          .split(" ")[0],
      );
    } catch {
      return undefined;
    }
  };
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return all.filter((child) => parentOf(child) === pid).map(Number);
}

/** Sends a signal, `kill -9` by default; the process may have ended already. */
export function killNow(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Runs a program whose input ends, and which ends with it, however this program ends. */
function run(args: readonly string[], env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ["pipe", "ignore", "pipe"],
  });
}

function killable(child: ChildProcess): Killable {
  return {
    async kill() {
      if (hasEnded(child)) return false;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
      return true;
    },
  };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
