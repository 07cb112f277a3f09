import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Account, Binaries } from "./binaries.ts";
import { isProcessRunning, type Postmaster, runningPostmaster, serverEnv } from "./data-dir.ts";
import type { Watchdog } from "./watchdog.ts";

/** How long another server may take to start or to stop, in milliseconds. */
const patience = 60_000;

/** What {@link launch} needs. */
export interface Launch {
  readonly binaries: Binaries;
  readonly account: Account | undefined;
  readonly dataDir: string;
  readonly settings: Readonly<Record<string, string>>;
  /** The signal that the watchdog sends it if this program dies. */
  readonly stopSignal: NodeJS.Signals;
  readonly watchdog: Watchdog;
}

/** A server that this program started, and that accepts connections. */
export interface Running {
  readonly child: ChildProcess;
  readonly port: number;
}

/**
 * Starts a server and waits until it accepts connections; on a free port when `port` is taken,
 * unless `samePort`. A server that already runs on the same data is returned as `other`; one that
 * is stopping, or whose program has ended, is waited for.
 */
export async function launch(
  options: Launch,
  port: number | undefined,
  samePort = false,
): Promise<Running | { readonly other: Postmaster }> {
  const deadline = Date.now() + patience;
  let at = port ?? (await freePort());
  for (;;) {
    const other = runningPostmaster(options.dataDir);
    if (other?.status === "ready") {
      if (other.owner === undefined || isProcessRunning(other.owner)) return { other };
      stopOrphan(other.pid);
    }
    let trouble = `a server with process id ${other?.pid} is ${other?.status}`;
    if (!other) {
      const child = start(options, at);
      options.watchdog.watch(child, options.stopSignal);
      if (await isReady(child, options.dataDir)) return { child, port: at };
      trouble = fs.readFileSync(logFile(options.dataDir), "utf8");
      const taken = trouble.includes("could not bind");
      if (taken && !samePort) at = await freePort();
      else if (!taken && !/lock file ".*" (already exists|is empty)|shared memory/.test(trouble)) {
        throw new Error(`PostgreSQL did not start on ${options.dataDir}:\n${trouble}`);
      }
    }
    if (Date.now() > deadline) {
      throw new Error(`PostgreSQL cannot start on ${options.dataDir}: ${trouble}`);
    }
    await pause(50);
  }
}

/** Ends a server by a signal and waits until it has exited. */
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (!isRunning(child)) return;
  // otherwise the program could end while it waits here
  child.ref();
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await gone;
}

/** Whether the process has not ended yet. */
export function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function logFile(dataDir: string): string {
  return join(dataDir, "server.log");
}

function start({ binaries, account, dataDir, settings }: Launch, port: number): ChildProcess {
  const fixed = { listen_addresses: "127.0.0.1", port: String(port), unix_socket_directories: "" };
  const all = { ...settings, ...fixed, "baseledger.owner": String(process.pid) };
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = fs.constants;
  // we may be root, in another user's folder: do not follow a link of theirs
  const log = fs.openSync(logFile(dataDir), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
  try {
    // a base backup reads all files in the data directory, as the server's account
    if (account && fs.fstatSync(log).nlink === 1) fs.fchownSync(log, account.uid, account.gid);
    return spawn(
      binaries.postgres,
      [
        "-D",
        dataDir,
        ...Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
      ],
      // detached: Ctrl-C must reach only the program, which will stop the server
      { ...account, env: serverEnv, cwd: dataDir, stdio: ["ignore", log, log], detached: true },
    );
  } finally {
    fs.closeSync(log);
  }
}

async function isReady(child: ChildProcess, dataDir: string): Promise<boolean> {
  let failure: Error | undefined;
  child.once("error", (error) => {
    failure = error;
  });
  child.unref();
  while (isRunning(child)) {
    if (failure) throw failure;
    const server = runningPostmaster(dataDir);
    if (server?.pid === child.pid && server?.status === "ready") return true;
    await pause(10);
  }
  return false;
}

function stopOrphan(pid: number): void {
  try {
    process.kill(pid, "SIGINT");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return;
    throw new Error(`a server whose program has ended runs with process id ${pid}`, {
      cause: error,
    });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
