// Processes that a part starts, to be killed: clients that record, and workers.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Sent } from "./history.ts";
import { readHistory } from "./history.ts";
import { waitUntil } from "./wait.ts";

/** What a client process is told. */
export interface ClientOrders {
  readonly url: string;
  readonly file: string;
  readonly name: string;
  readonly seed: number;
  readonly wallets: readonly string[];
}

/** A process that may be killed at any time. */
export interface Victim {
  /** `kill -9`; tells whether it was still there to be killed. */
  kill(): Promise<boolean>;
}

export interface ClientProcess extends Victim {
  /** Waits until it has had so many answers, or a file of that size. */
  untilBusy(): Promise<void>;
  /** What it had recorded. */
  history(): readonly Sent[];
}

const BUSY = 20_000;

/** Starts a crowd of its own, which records what it does in a file. */
export function startClient(orders: ClientOrders): ClientProcess {
  const child = run([join(import.meta.dirname, "client-process.ts"), JSON.stringify(orders)], {});
  const { file } = orders;
  return {
    ...victim(child),
    async untilBusy() {
      await waitUntil(
        "a client process is busy",
        () => existsSync(file) && statSync(file).size > BUSY,
      );
    },
    history: () => (existsSync(file) ? readHistory(file) : []),
  };
}

/** Starts the expiry job, as a host would; from when it has come up, it is to outlive everything. */
export async function startWorkerProcess(url: string): Promise<Victim> {
  const program = join(import.meta.dirname, "..", "..", "..", "src", "cli", "main.ts");
  const leash = pathToFileURL(join(import.meta.dirname, "end-with-input.ts")).href;
  const child = run(["--import", leash, program, "worker"], { DATABASE_URL: url });
  let said = "";
  child.stderr?.on("data", (data) => {
    said = `${said}${data}`.slice(-2000);
  });
  await waitUntil("the worker has come up", () => {
    if (isOver(child)) throw new Error(`the worker did not come up: ${said}`);
    return said.includes("expiry job started");
  });
  const { kill } = victim(child);
  return {
    async kill() {
      if (!(await kill())) throw new Error(`a worker has ended by itself: ${said}`);
      return true;
    },
  };
}

/** The processes that a process has started and that have not ended. */
export function childrenOf(pid: number): number[] {
  const parentOf = (child: string) => {
    try {
      // The name, in brackets, may have anything in it.
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

/** Sends a signal, `kill -9` by default; who is gone already is gone. */
export function killNow(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Its input ends when this program does, however that comes about: then it ends, too. */
function run(args: readonly string[], env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ["pipe", "ignore", "pipe"],
  });
}

function victim(child: ChildProcess): Victim {
  return {
    async kill() {
      if (isOver(child)) return false;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
      return true;
    },
  };
}

function isOver(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
