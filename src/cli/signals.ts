import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { isProcessRunning } from "../embedded/index.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Resolves at Ctrl-C, at a signal to end, or when npm has started this program and ends. A second
 * Ctrl-C ends it at once.
 */
export function untilAskedToEnd(): Promise<void> {
  return new Promise((resolve) => {
    const npm = new AbortController();
    const end = (): void => {
      for (const signal of SIGNALS) process.off(signal, end);
      npm.abort();
      resolve();
    };
    for (const signal of SIGNALS) process.on(signal, end);
    untilNpmEnds(npm.signal, end);
  });
}

const CHECK_EVERY_MS = 500;

/**
 * Calls `end` when npm (or npx) has started this program and has ended. npm puts a shell in between,
 * which a signal to npm ends without passing it on; SIGHUP and SIGKILL end npm alone.
 */
function untilNpmEnds(signal: AbortSignal, end: () => void): void {
  if (!process.env.npm_command) return;
  const parents = [process.ppid, ...npmBehindShell(process.ppid)];
  const timer = setInterval(() => {
    if (process.ppid !== parents[0] || !parents.every(isProcessRunning)) end();
  }, CHECK_EVERY_MS);
  timer.unref();
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}

function npmBehindShell(pid: number): number[] {
  const { command, parent } = processOf(pid);
  return /^(.*\/)?-?(ba|da|z|a)?sh$/.test(command) && parent > 1 ? [parent] : [];
}

function processOf(pid: number): { readonly command: string; readonly parent: number } {
  const [, command = "", parent] =
    /\((.*)\) . (\d+)/s.exec(procStat(pid)) ??
    /^(\S+) +(\d+)/.exec(
      spawnSync("ps", ["-o", "comm=,ppid=", "-p", String(pid)]).stdout?.toString() ?? "",
    ) ??
    [];
  return { command, parent: Number(parent ?? 0) };
}

function procStat(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return "";
  }
}
