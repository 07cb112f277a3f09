import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";

// Its input ends when this program does, for whatever reason. It ignores the signals that end a
// process group, so as not to end first. An ended process may still be there as a zombie (state Z).
const script = `
trap '' INT TERM HUP
signal='' pid=''
while read -r first second; do signal=$first pid=$second; done
[ "$signal" = done ] && exit
tries=0
if [ -n "$pid" ] && kill -s "$signal" "$pid"; then
  while kill -0 "$pid" && [ "$(cut -d ' ' -f 3 "/proc/$pid/stat")" != Z ] && [ $tries -lt 600 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
fi
tries=0
until rm -rf "$1" || [ $tries -ge 50 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
`;

/** Cleans up after this program if that cannot do so itself. */
export interface Watchdog {
  /** Watches a process instead of the one before: it will be ended with `signal`. */
  watch(child: ChildProcess, signal: NodeJS.Signals): void;
  /** Ends the watchdog: everything is cleaned up. */
  dismiss(): Promise<void>;
}

/**
 * Starts a process that outlives this one: when this one has ended, even by SIGKILL, it ends the
 * process that it watches, and removes `scratch`.
 */
export function startWatchdog(scratch: string): Watchdog {
  const shell = spawn("/bin/sh", ["-c", script, "baseledger-watchdog", scratch], {
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
    detached: true,
  });
  // if it is ended, the program goes on without it
  shell.on("error", () => undefined);
  shell.stdin.on("error", () => undefined);
  shell.unref();
  (shell.stdin as Socket).unref();
  return {
    watch: (child, signal) => {
      shell.stdin.write(`${signal.slice("SIG".length)} ${child.pid}\n`);
      // its process id may soon be another program's
      child.once("exit", () => shell.stdin.write("none\n"));
    },
    dismiss: async () => {
      if (shell.exitCode !== null || shell.signalCode !== null || !shell.pid) return;
      const ended = once(shell, "exit");
      shell.ref();
      shell.stdin.end("done\n");
      await ended;
    },
  };
}
